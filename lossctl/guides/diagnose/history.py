"""What a training run wrote down, as series of numbers over steps.

Logged values put into order: steps that rise, one value each. Runs that were resumed log some steps twice.

Scalars out of TensorBoard's event files, by the package tensorboard.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
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
    found = {_tag(place, folder, tag): series for folder in folders for tag, series in _read(folder).items()}
    if not found:
        message = f"{path} holds no scalars."
        raise UnreadableFile(message, hint="Log the loss with add_scalar, and close the writer.")
    return found


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
            tensors = {tag: _numbers([(one.step, one.tensor_proto) for one in loaded.Tensors(tag)]) for tag in tags["tensors"]}
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
