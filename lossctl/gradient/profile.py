"""What a gradient looks like: its size, where it sits, how much of it is zero, and how it is spread over samples.

Parts are looked at on the threads that made them, and added up in the order of blocks. Sizes are counted in bins of 1/64 of an
octave, whose upper edges belong to them, and powers of two are counted once more, so that it is known exactly how many sizes
are at most a power of two and how many are below it.

Number formats of fewer bits make some of it zero and let some overflow; a loss scale multiplies the loss, and so every
gradient, before the backward pass, and is divided out before the step (Micikevicius 2018, arXiv:1710.03740;
torch.amp.GradScaler). Thresholds are powers of two, for which a profile counts exactly; only the share that overflows may be
off by the elements within 1/64 of an octave of the limit.

For TensorBoard, figures and histograms made of the bins go through torch's own writer, at one step. A file of events appears
whole, under a name that no other has: runs with other steps add theirs to the same folder.
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
from lossctl.statistics.sums import Sums

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lossctl.sources.readers import NumPyArray


# Bits of the fraction that are left out: 6 of 52 stay, which makes 64 bins an octave.
COARSE = 46
PER_OCTAVE = 1 << (52 - COARSE)
# The last bin holds the largest finite number.
BINS = 0x7FF << (52 - COARSE)
FRACTION, OCTAVES = (1 << 52) - 1, 0x7FF
# So many samples are sorted; of more, the share of the largest is counted in bins, which is right to 2 %.
SORTED = 1 << 20
# Positions of values that are not finite, at most.
LISTED = 5
Where = tuple[int, ...]


def bins(sizes: NumPyArray) -> NumPyArray:
    """The bin of each finite size > 0."""
    bits = np.ascontiguousarray(sizes, np.float64).view(np.int64)
    return (bits - 1) >> COARSE


def upper_edges(numbers: NumPyArray) -> NumPyArray:
    """The largest size in each bin."""
    return ((np.asarray(numbers, np.int64) + 1) << COARSE).view(np.float64)


def count_powers(sizes: NumPyArray) -> NumPyArray:
    """How many sizes are the smallest normal number of each octave: a power of two, by its exponent + 1023."""
    bits = np.ascontiguousarray(sizes).reshape(-1).view(np.int64)
    result = np.bincount(bits[(bits & FRACTION) == 0] >> 52, minlength=OCTAVES)
    result[0] = 0
    return result


@dataclass(frozen=True)
class SizeCounts:
    """How many elements have a size in each bin from `first` on: row 0 counts those above zero, row 1 those below."""

    first: int
    numbers: NumPyArray

    @staticmethod
    def of(values: NumPyArray) -> SizeCounts:
        """Count what is not zero."""
        flat = values.reshape(-1)
        kept = flat if np.count_nonzero(flat) == flat.size else flat[flat != 0]
        if not kept.size:
            return SizeCounts(0, np.zeros((2, 0), np.int64))
        places = bins(np.abs(kept))
        first = int(places.min())
        width = int(places.max()) - first + 1
        places += width * (kept < 0) - first
        return SizeCounts(first, np.bincount(places, minlength=2 * width).reshape(2, width))

    def add_to(self, total: NumPyArray) -> None:
        """Add to counts of all bins."""
        total[:, self.first : self.first + self.numbers.shape[1]] += self.numbers


@dataclass
class PartFigures:
    """Figures of one part of a gradient; `norms` are the lengths of its samples' gradients, and `crowd` counts them."""

    n: int = 0
    zeros: int = 0
    small: int = 0
    largest: float = 0.0
    at: Where = ()
    missing: int = 0
    places: list[Where] = field(default_factory=list)
    total: float = 0.0
    square: float = 0.0
    sizes: SizeCounts = field(default_factory=lambda: SizeCounts.of(np.zeros(0)))
    powers: NumPyArray = field(default_factory=lambda: np.zeros(OCTAVES, np.int64))
    norms: NumPyArray = field(default_factory=lambda: np.zeros(0))
    crowd: SizeCounts = field(default_factory=lambda: SizeCounts.of(np.zeros(0)))


def look(array: NumPyArray, start: Where, axis: int, tiny: float) -> PartFigures:
    """Look at a part of a gradient whose first element is at `start` of the whole, and whose samples lie along `axis`.

    Sizes below `tiny` count as small.
    """
    if not array.size:
        return PartFigures()
    values = np.ascontiguousarray(array, np.float64).reshape(array.shape)
    result = PartFigures(n=values.size, square=float(np.vdot(values, values)))
    if not math.isfinite(result.square):
        values = _without_missing(values, result, start)
    sizes = np.abs(values)
    place = np.unravel_index(int(np.argmax(sizes)), sizes.shape)
    result.largest = float(sizes[place])
    result.at = tuple(int(i) + offset for i, offset in zip(place, start, strict=True))
    result.small = int(np.count_nonzero(sizes < tiny)) - (result.missing if tiny > 0 else 0)
    result.zeros = values.size - int(np.count_nonzero(values)) - result.missing
    with np.errstate(over="ignore", invalid="ignore"):
        result.total = float(values.sum())
    result.sizes, result.powers = SizeCounts.of(values), count_powers(sizes)
    result.norms = lengths(values, axis)
    result.crowd = result.sizes if result.norms.size == values.size else SizeCounts.of(result.norms)
    return result


def _without_missing(values: NumPyArray, found: PartFigures, start: Where) -> NumPyArray:
    """Set NaN and infinities to 0 and remember where they are; squares may overflow without them."""
    bad = ~np.isfinite(values)
    found.missing = int(bad.sum())
    wheres = zip(*(place[:LISTED].tolist() for place in np.nonzero(bad)), strict=True) if bad.ndim else [()]
    found.places = [tuple(i + offset for i, offset in zip(where, start, strict=True)) for where in wheres]
    kept = np.where(bad, 0.0, values)
    with np.errstate(over="ignore"):
        found.square = float(np.vdot(kept, kept))
    return kept


def lengths(values: NumPyArray, axis: int) -> NumPyArray:
    """The Euclidean length of each sample's gradient; a 0-d array is one sample."""
    if values.ndim < 2:  # noqa: PLR2004 - one number a sample
        return np.abs(values).reshape(-1)
    flat = np.moveaxis(values, axis, 0).reshape(values.shape[axis], -1)
    return np.sqrt(np.einsum("ij,ij->i", flat, flat))  # type: ignore[no-any-return]


@dataclass
class Profile:
    """Figures of a whole gradient.

    `sizes` counts elements above zero in row 0 and below in row 1, by bin; `powers` counts powers of two. `norms` are the
    lengths of the gradients by sample as long as they are few; `crowd` counts them in bins, whatever the sign.
    """

    n: int = 0
    zeros: int = 0
    small: int = 0
    largest: float = 0.0
    at: Where = ()
    missing: int = 0
    places: list[Where] = field(default_factory=list)
    sums: Sums = field(default_factory=Sums)
    sizes: NumPyArray = field(default_factory=lambda: np.zeros((2, BINS), np.int64))
    powers: NumPyArray = field(default_factory=lambda: np.zeros(OCTAVES, np.int64))
    samples: int = 0
    norms: list[NumPyArray] = field(default_factory=list)
    crowd: NumPyArray = field(default_factory=lambda: np.zeros((2, BINS), np.int64))

    def add(self, part: PartFigures) -> None:
        """Take in a later part."""
        if part.largest > self.largest or not self.n:
            self.largest, self.at = part.largest, part.at
        self.places = (self.places + part.places)[:LISTED]
        for name in ("n", "zeros", "small", "missing"):
            setattr(self, name, getattr(self, name) + getattr(part, name))
        self.sums.add("sum", part.total)
        self.sums.add("square", part.square)
        part.sizes.add_to(self.sizes)
        self.powers += part.powers
        part.crowd.add_to(self.crowd)
        self.samples += len(part.norms)
        self.norms.append(part.norms)
        if self.samples > SORTED:
            self.norms.clear()

    @property
    def norm(self) -> float:
        """The Euclidean length of the whole gradient; infinite where squares overflow."""
        return math.sqrt(self.sums.finish().get("square", 0.0))

    @property
    def mean(self) -> float:
        """The mean of its finite elements; NaN if there are none."""
        finite = self.n - self.missing
        return self.sums.finish()["sum"] / finite if finite else math.nan

    def share_of_top(self, share: float = 0.01) -> float:
        """The part of all lengths by sample that the `share` of samples with the longest have; at least one sample."""
        wanted = max(1, math.ceil(self.samples * share))
        if self.samples > SORTED:
            return _share_of_top(self.crowd.sum(axis=0), wanted)
        ordered = np.sort(np.concatenate([np.zeros(0), *self.norms]))[::-1]
        with np.errstate(over="ignore"):
            total = float(ordered.sum())
            return float(ordered[:wanted].sum()) / total if total else math.nan

    def octaves(self) -> Iterator[tuple[float, float, int, int]]:
        """Low and high edge (which belongs to it) of each octave, and how many elements are above and below zero in it."""
        used = np.nonzero(self.sizes.any(axis=0))[0] // PER_OCTAVE
        for octave in range(int(used.min()), int(used.max()) + 1) if used.size else ():
            part = slice(octave * PER_OCTAVE, (octave + 1) * PER_OCTAVE)
            low, high = upper_edges(np.asarray([part.start - 1, part.stop - 1])).tolist()
            yield low, high, *self.sizes[:, part].sum(axis=1).tolist()


def _share_of_top(crowd: NumPyArray, wanted: int) -> float:
    """The same from bins, each of which stands for its upper edge."""
    sizes = crowd * np.where(crowd > 0, upper_edges(np.arange(BINS)), 0.0)
    above = np.cumsum(crowd[::-1])[::-1]
    boundary = int(np.count_nonzero(above >= wanted)) - 1
    if boundary < 0:
        return 1.0 if sizes.any() else math.nan
    rest = wanted - int(above[boundary] - crowd[boundary])
    top = float(sizes[boundary + 1 :].sum()) + rest * float(upper_edges(np.asarray(boundary)))
    return top / float(sizes.sum())


# What a scale should save of the elements that are not zero.
SAVED = 0.999
# torch.amp.GradScaler begins here.
INITIAL = 65536.0
# Exponents of doubles: what is added to them in their bits, and their range.
BIAS, LEAST, MOST = 1023, -1074, 1023


@dataclass(frozen=True)
class FloatFormat:
    """A binary format: exponents of its smallest and smallest normal number, and from where on it rounds to infinity."""

    least: int
    normal: int
    overflow: float


FORMATS = {
    "fp16": FloatFormat(-24, -14, 65520.0),
    "bf16": FloatFormat(-133, -126, float(np.ldexp(2 - 2.0**-8, 127))),
    "fp32": FloatFormat(-149, -126, float(np.ldexp(2 - 2.0**-24, 127))),
}


def precision(name: str, found: Profile) -> dict[str, Any]:
    """Shares, of elements that are not zero, that the format loses; and the smallest scale that saves 99.9 % of them.

    `scale` is 1 where nothing needs saving, and None where a scale that saves enough makes the largest element overflow;
    `scale_limit` is the largest power of two that does not. A number between half of the smallest and the smallest normal
    one counts as subnormal.
    """
    form = FORMATS[name]
    sizes = found.sizes.sum(axis=0)
    total = int(sizes.sum())
    below = np.cumsum(sizes)
    underflow = _up_to(below, form.least - 1)
    subnormal = _up_to(below, form.normal) - int(found.powers[form.normal + BIAS]) - underflow
    overflow = total - int(below[_place(form.overflow) - 1]) if found.largest >= form.overflow else 0
    needed, limit = _needed(below, total, form), _limit(found.largest, form)
    return {
        "format": name,
        "underflow": _share(underflow, total),
        "subnormal": _share(subnormal, total),
        "overflow": _share(overflow, total),
        "scale": needed if needed <= limit else None,
        "scale_needed": needed,
        "scale_limit": limit,
        "initial_scale_saves": needed <= INITIAL <= limit,
    }


def _place(size: float) -> int:
    return int(bins(np.asarray([size]))[0])


def _up_to(below: Any, exponent: int) -> int:
    """How many sizes are at most 2^exponent."""
    return int(below[_place(math.ldexp(1.0, exponent))])


def _share(part: int, total: int) -> float:
    return part / total if total else 0.0


def _needed(below: Any, total: int, form: FloatFormat) -> float:
    """The smallest power of two, at least 1, under which enough elements are more than half of the least number."""
    lost = math.floor(total * (1 - SAVED) + 1e-9)
    scales = range(form.least - LEAST)
    return next((_power(k) for k in scales if _up_to(below, form.least - 1 - k) <= lost), math.inf)


def _power(exponent: int) -> float:
    return math.ldexp(1.0, exponent) if exponent <= MOST else math.inf


def _limit(largest: float, form: FloatFormat) -> float:
    """The largest power of two that keeps the largest element finite."""
    if not largest:
        return math.inf
    k = math.floor(math.log2(form.overflow) - math.log2(largest)) + 1
    while math.ldexp(largest, k) >= form.overflow:
        k -= 1
    return _power(k)


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
        there = next(item for item in (place, *place.parents) if item.exists())
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
