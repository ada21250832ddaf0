"""What a training run logged, as series of numbers over steps, and the loss curve that detectors look at.

Logged values are put into order: steps rise, and each has one value, though runs that were resumed log some steps twice.
Scalars of TensorBoard's event files are read by the package tensorboard. A curve knows where it starts, how low it comes and
where it ends, by statistics that a few wild values cannot move: medians of blocks, median deviations, Kendall's trend.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from lossctl.errors import MissingExtra, MissingFile, UnreadableFile
from lossctl.plugins import unheard
from lossctl.sources.stored import explained
from lossctl.sources.touched import reads_later
from lossctl.sources.values import reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


Floats: TypeAlias = "NDArray[np.float64]"
Flags: TypeAlias = "NDArray[np.bool_]"


@dataclass(frozen=True)
class Series:
    """One quantity: `steps` of shape (n,) rise, `values` of shape (n,) are what was logged there, NaN and infinity too."""

    steps: Floats = field(default_factory=lambda: np.empty(0))
    values: Floats = field(default_factory=lambda: np.empty(0))

    def __len__(self) -> int:
        return len(self.values)

    def finite(self) -> Series:
        """The part that is neither NaN nor infinite."""
        kept = np.isfinite(self.values)
        return Series(self.steps[kept], self.values[kept])

    def before(self, step: float) -> Series:
        """The part below a step."""
        kept = self.steps < step
        return Series(self.steps[kept], self.values[kept])

    def since(self, step: float) -> Series:
        """The part from a step on."""
        kept = self.steps >= step
        return Series(self.steps[kept], self.values[kept])


@dataclass(frozen=True)
class History:
    """A training run: the loss, and what else was logged. `floor` is the loss that could be reached, where it is known.

    `columns` says which column each series came from, `notes` what a reader should know of how it was read.
    """

    loss: Series
    val: Series = field(default_factory=Series)
    lr: Series = field(default_factory=Series)
    grad_norm: Series = field(default_factory=Series)
    floor: float | None = None
    name: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


# Steps of which so many repeat the one before are epochs, and their rows are the steps.
REPEATED = 0.5


def settle(logged: Mapping[str, Series], columns: Mapping[str, str], name: str, floor: float | None) -> History:
    """Make a history of what was logged for each role, in the order of the file."""
    notes = tuple(_notes(logged["loss"].steps))
    ordered = {role: _ordered(series) for role, series in logged.items()}
    return History(**ordered, floor=floor, name=name, columns=columns, notes=notes)


def numbered(steps: Floats, loss: Flags) -> bool:
    """Whether rows should be counted in place of `steps`: where the loss is, most repeat and none goes back."""
    changes = np.diff(steps[loss])
    return bool(len(changes) and (changes >= 0).all() and np.mean(changes == 0) > REPEATED)


def _ordered(series: Series) -> Series:
    """Sort by step; of values at one step the last that was logged stays."""
    order = np.argsort(series.steps, kind="stable")
    steps, values = series.steps[order], series.values[order]
    last = np.append(steps[1:] != steps[:-1], True) if len(steps) else np.empty(0, bool)
    return Series(steps[last], values[last])


def _notes(steps: Floats) -> list[str]:
    back = int(np.count_nonzero(np.diff(steps) < 0))
    twice = len(steps) - len(np.unique(steps))
    notes = [f"steps go back {back} time{'s' * (back > 1)}, as in a resumed run; they are sorted"] if back else []
    return [*notes, f"{twice} losses are at a step that has another; the last of a step counts"] if twice else notes


FILES = "*tfevents*"
# A record: its length and the checksum of that, the record, and its checksum.
HEAD, CRC = 12, 4


def scalars(path: str) -> dict[str, Series]:
    """Return the scalars of an event file, or of all below a folder, where tags begin with the folder they lie in.

    Raises: MissingExtra without tensorboard; MissingFile for a folder without event files; UnreadableFile without scalars.
    """
    place = Path(path)
    files = [*place.rglob(FILES)] if place.is_dir() else [place]
    folders = sorted({file.parent for file in files}) if place.is_dir() else [place]
    if not folders:
        message = f"The folder {path} has no event files of TensorBoard."
        raise MissingFile(message, hint="Name a file of it, or a folder with files events.out.tfevents.*.")
    for file in files:
        reads_later(str(file))
    by_tag = {_tag(place, folder, tag): series for folder in folders for tag, series in _read(folder).items()}
    if not by_tag:
        raise UnreadableFile(f"{path} holds no scalars.", hint="Log the loss with add_scalar, and close the writer.")
    return by_tag


def _tag(place: Path, folder: Path, tag: str) -> str:
    """`validation/epoch_loss` for what lies in a folder of its own."""
    return tag if folder == place else f"{folder.relative_to(place).as_posix()}/{tag}"


def _read(path: Path) -> dict[str, Series]:
    accumulator = _accumulator()
    for file in sorted(path.glob(FILES)) if path.is_dir() else [path]:
        _check(file)
    try:
        with unheard():
            loaded = accumulator(str(path), size_guidance={"scalars": 0, "tensors": 0})
            loaded.Reload()
            tags = loaded.Tags()
            plain = {tag: [(event.step, event.value) for event in loaded.Scalars(tag)] for tag in tags["scalars"]}
            # The second writer of TensorFlow keeps scalars as tensors without axes.
            tensors = {tag: _numbers([(at.step, at.tensor_proto) for at in loaded.Tensors(tag)]) for tag in tags["tensors"]}
    except Exception as error:  # whatever tensorboard stumbles over
        raise _damaged(path, f"{type(error).__name__}: {reason(error)}") from error
    return {tag: _series(pairs) for tag, pairs in (plain | tensors).items() if pairs}


def _check(file: Path) -> None:
    """Compare the records of a file with their checksums, at which tensorboard stops without a word.

    A last record that is cut short is that of a run that still writes, or was killed.

    Raises: UnreadableFile with the place of the first record that is damaged.
    """
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

    with explained(str(file)), file.open("rb") as stream:
        size, at = file.stat().st_size, 0
        while len(head := stream.read(HEAD)) == HEAD:
            length, crc = struct.unpack("<QI", head)
            if masked_crc32c(head[:8]) != crc:
                raise _damaged(file, f"the length of the record at byte {at} does not fit its checksum")
            if at + HEAD + length + CRC > size:
                return
            content = stream.read(length)
            if masked_crc32c(content) != struct.unpack("<I", stream.read(CRC))[0]:
                raise _damaged(file, f"the record at byte {at} does not fit its checksum")
            at += HEAD + length + CRC


def _damaged(path: Path, why: str) -> UnreadableFile:
    message = f"{path} is damaged, or holds no events of TensorBoard: {why}."
    return UnreadableFile(message, hint="Copy it again, or give the history as a .csv with the columns step and loss.")


def _numbers(events: list[tuple[int, Any]]) -> list[tuple[int, float]]:
    from tensorboard.util.tensor_util import make_ndarray

    arrays = [(step, make_ndarray(proto)) for step, proto in events]
    return [(step, float(array)) for step, array in arrays if array.ndim == 0 and array.dtype.kind in "fiu"]


def _series(pairs: list[tuple[int, float]]) -> Series:
    return Series(np.array([step for step, _ in pairs], np.float64), np.array([value for _, value in pairs], np.float64))


def _accumulator() -> Any:
    try:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    except ImportError as error:
        raise MissingExtra("tensorboard", "A history in event files", "'lossctl[tensorboard]'") from error
    return EventAccumulator


# Of a normal distribution, the standard deviation over the median absolute deviation, and the error of a median over that
# of a mean.
NORMAL = 1.4826
OF_MEDIAN = 1.2533
# A falling curve is fitted to so many points at most; a stride through more is odd, or it would hide a period of two.
FITTED = 4001


def spread(values: Floats) -> float:
    """Standard deviation by the median absolute deviation from the median; 0 without values."""
    return NORMAL * float(np.median(np.abs(values - np.median(values)))) if len(values) else 0.0


def noise(values: Floats) -> float:
    """Standard deviation of independent noise on a smooth curve, by the differences of neighbours."""
    return spread(np.diff(values)) / math.sqrt(2)


def medians(values: Floats, count: int) -> Floats:
    """The medians of `count` blocks of nearly one length, or the values where there are no more of them."""
    if len(values) <= count:
        return values
    edges = np.linspace(0, len(values), count + 1).astype(int)
    return np.array([np.median(values[low:high]) for low, high in pairwise(edges.tolist())])


def kendall(values: Floats) -> tuple[float, float]:
    """Kendall's tau of values against their order, and its z: below 0 where they fall (Mann 1945, doi:10.2307/1907187)."""
    count = len(values)
    if count < 2:  # noqa: PLR2004 - a trend needs two
        return 0.0, 0.0
    score = float(np.sum(np.sign(values[None, :] - values[:, None])[np.triu_indices(count, 1)]))
    deviation = math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    return score / (count * (count - 1) / 2), (score - math.copysign(min(1.0, abs(score)), score)) / deviation


def falling(values: Floats) -> Floats:
    """The falling curve nearest to values in squares (pool adjacent violators: Ayer 1955, doi:10.1214/aoms/1177728423)."""
    means: list[float] = []
    sizes: list[int] = []
    for value in values.tolist():
        mean, size = value, 1
        while means and means[-1] <= mean:
            other = sizes.pop()
            mean = (means.pop() * other + mean * size) / (other + size)
            size += other
        means.append(mean)
        sizes.append(size)
    return np.repeat(means, sizes)


def unsteady(values: Floats) -> tuple[float, int]:
    """Spread around the nearest falling curve, in the half where it is larger, and how often values cross that curve.

    Crossings count only from half a spread above to half a spread below, or back.
    """
    stride = len(values) // FITTED
    thin = values[:: stride + 1 - stride % 2]
    rest = thin - falling(thin)
    middle = len(rest) // 2
    # Around 0 and not around their own median, which lies on one side where values swing between two.
    around = NORMAL * max(float(np.median(np.abs(half))) for half in (rest[:middle], rest[middle:]))
    sides = np.sign(rest[np.abs(rest) > around / 2])
    return around, int(np.count_nonzero(np.diff(sides)))


def windows(values: Floats, width: int) -> Floats:
    """The running median: entry i is that of `values[i : i + width]`."""
    return np.asarray(np.median(np.lib.stride_tricks.sliding_window_view(values, width), axis=1))


# A decrease is compared with this share of the starting level, where that is more: fine-tuning starts low and falls little.
SHARE = 0.25
BLOCKS = 40
# The first values, as many as two swings from value to value have.
FEW = 4


def blocks_of(count: int, most: int) -> int:
    """Into how many blocks so many values are cut: four values each, at least 8 and no more than `most` blocks."""
    return max(8, min(count // 4, most))


@dataclass(frozen=True)
class Curve:
    """The finite values of a loss, shape (n,), at their steps."""

    series: Series

    @property
    def values(self) -> Floats:
        """The values in order of steps."""
        return self.series.values

    @property
    def steps(self) -> Floats:
        """The steps, rising."""
        return self.series.steps

    def __len__(self) -> int:
        return len(self.values)

    @cached_property
    def start(self) -> float:
        """The level of the first values."""
        return float(np.median(self.values[:3]))

    @cached_property
    def end(self) -> float:
        """The level of the last values."""
        return float(np.median(self.values[-max(3, len(self) // 20) :]))

    @cached_property
    def levels(self) -> Floats:
        """The curve without its noise: medians of blocks."""
        return medians(self.values, blocks_of(len(self), BLOCKS))

    @cached_property
    def best(self) -> float:
        """The lowest level."""
        return float(self.levels.min())

    @cached_property
    def drop(self) -> float:
        """From the start to the lowest level; 0 where it never falls."""
        return max(0.0, self.start - self.best)

    @cached_property
    def descent(self) -> float:
        """The decrease by means, which a swing from value to value leaves as it is."""
        means = [float(np.mean(part)) for part in np.array_split(self.values, blocks_of(len(self), BLOCKS))]
        return max(0.0, float(np.mean(self.values[:FEW])) - min(means))

    @cached_property
    def scale(self) -> float:
        """What rises are compared with: the decrease, or a share of the starting level where that is more."""
        return max(self.drop, SHARE * abs(self.start), np.finfo(float).tiny)

    @cached_property
    def noise(self) -> float:
        """The standard deviation of the noise between neighbours."""
        return noise(self.values)

    def step(self, share: float) -> float:
        """The step at a share of the curve's points, from 0 to 1."""
        return float(self.steps[min(len(self) - 1, int(share * len(self)))])
