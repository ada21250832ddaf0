"""Gradients for TensorBoard: figures, and histograms made of the bins of a profile, at one step, through torch's own writer.

A file of events appears whole, under a name that no other has: runs with other steps add theirs to the same folder.
"""

from __future__ import annotations

import math
import os
import sys
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.errors import InputError, MissingExtra
from lossctl.plugins import unheard
from lossctl.sources.drafts import atomic, draft_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lossctl.gradient.profile import Profile
    from lossctl.sources.readers import NumPyArray

# The bin of zeros has a width, since TensorBoard draws none that has none.
SMALLEST = math.ulp(0.0)
LARGEST = sys.float_info.max


@dataclass
class Span:
    """A sink that keeps nothing but the least and the largest finite element of each part."""

    lows: list[float] = field(default_factory=list)
    highs: list[float] = field(default_factory=list)

    def put(self, array: NumPyArray, start: int, axis: int = 0) -> None:  # noqa: ARG002 - a sink is told where the part is
        """Look at a part; several threads may."""
        finite = np.isfinite(array)
        if finite.any():
            self.lows.append(float(np.min(array, where=finite, initial=math.inf)))
            self.highs.append(float(np.max(array, where=finite, initial=-math.inf)))


@dataclass(frozen=True)
class Histogram:
    """What TensorBoard keeps of an array; each bin reaches up to its limit, and from the limit before it."""

    min: float
    max: float
    num: int
    sum: float
    sum_squares: float
    bucket_limits: Sequence[float]
    bucket_counts: Sequence[int]


def histogram(found: Profile, span: Span) -> Histogram:
    """Octaves of negative elements, a bin for zeros, octaves of positive ones; what is not finite is left out."""
    octaves = list(found.octaves())
    least = (octaves[0][0] if octaves else 0.0) or SMALLEST
    edges = [min(high, LARGEST) for _, high, _, _ in octaves]
    # The first bin is empty: its limit is where the second begins.
    counts = [0, *(below for *_, below in reversed(octaves)), found.zeros, *(above for *_, above, _ in octaves)]
    sums = found.sums.finish()
    return Histogram(
        min=min(span.lows, default=0.0),
        max=max(span.highs, default=0.0),
        num=found.n - found.missing,
        sum=sums.get("sum", 0.0),
        sum_squares=sums.get("square", 0.0),
        bucket_limits=[*(-edge for edge in reversed(edges)), -least, least, *edges],
        bucket_counts=counts,
    )


def check_board(folder: str) -> None:
    """Refuse, before anything is computed, what could not be written in the end.

    Raises: MissingExtra without tensorboard; InputError where `folder` is none, or nothing may be written there.
    """
    _writer()
    with _explained(folder):
        place = Path(folder).absolute()
        there = next(one for one in (place, *place.parents) if one.exists())
        if not there.is_dir():
            raise NotADirectoryError(0, f"'{there}' is no folder")
        if not os.access(there, os.W_OK | os.X_OK):
            raise PermissionError(0, f"nothing may be written in '{there}'")


def write_board(folder: str, step: int, scalars: Mapping[str, float], histograms: Mapping[str, Histogram]) -> None:
    """Add one file of events to `folder`, which is made if it is not there; keys are tags.

    Raises: MissingExtra without tensorboard; InputError where it cannot be written.
    """
    with _explained(folder), draft_folder() as draft:
        _write_events(draft, step, scalars, histograms)
        (made,) = Path(draft).iterdir()
        Path(folder).mkdir(parents=True, exist_ok=True)
        with atomic(str(Path(folder, made.name))) as file:
            file.write(made.read_bytes())


def _write_events(folder: str, step: int, scalars: Mapping[str, float], histograms: Mapping[str, Histogram]) -> None:
    with unheard(), _writer()(folder) as writer:
        for tag, value in scalars.items():
            writer.add_scalar(tag, value, step)
        for tag, made in histograms.items():
            writer.add_histogram_raw(tag, **asdict(made), global_step=step)
        # Closing says nothing of what could not be written; this does.
        writer.flush()


def _writer() -> Any:
    """The writer of torch, which needs the package tensorboard."""
    try:
        with unheard():
            from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise MissingExtra("tensorboard", "--tensorboard", "'lossctl[tensorboard]'") from error
    return SummaryWriter


@contextmanager
def _explained(folder: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        message = f"TensorBoard's events could not be written to '{folder}': {error.strerror or error}."
        raise InputError(message, hint="Name a folder that may be written to, new or not: --tensorboard runs/one.") from error
