"""A file of arrays under names, each of which is read in ranges: what .safetensors, .pt, .h5 and joined .npy have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lossctl.blocks import Memory
from lossctl.errors import LossctlError, ShapeMismatch, UnreadableFile
from lossctl.files.container import columns
from lossctl.files.npy import KINDS
from lossctl.files.values import NUMERIC

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lossctl.blocks import Part
    from lossctl.files.stored import Stored

# Kinds whose elements can be ids and groups; complex numbers and raw bytes cannot.
WORDED = f"{NUMERIC}SUMm"
# More names than anybody gives; a small file that refers to itself can claim any number.
MOST_NAMES = 100_000


@dataclass(frozen=True)
class Arrays:
    """An opened file: its arrays by name, or the error about one that cannot be read; `hint` is how to write it again.

    `alone` is what the file is called where it holds a single array without a name.
    """

    stored: Stored
    members: Sequence[tuple[str, Part | LossctlError]]
    hint: str
    alone: str = ""

    @property
    def noun(self) -> str:
        """What one of them is called."""
        return self.alone or "array"

    @property
    def names(self) -> Sequence[str] | None:
        """The names in file order; None where the file is one array."""
        return None if self.alone else [name for name, _ in self.members]

    def numeric(self) -> list[int]:
        """Return the arrays that hold numbers; those that cannot be read do not."""
        return [i for i, (_, part) in enumerate(self.members) if not isinstance(part, LossctlError) and _is_numeric(part)]

    def part(self, position: int) -> Part:
        """Return one array.

        Raises: UnreadableFile if it does not hold real numbers, or cannot be read.
        """
        part = self._readable(position)
        if not _is_numeric(part):
            raise self._other_kind(position, part)
        return part

    def _other_kind(self, position: int, part: Part) -> UnreadableFile:
        what = KINDS.get(part.dtype.kind, "no numbers")
        message = f"{self._where(position)} holds {what} ({part.dtype}), not real numbers."
        return UnreadableFile(message, hint=self.hint)

    def _readable(self, position: int) -> Part:
        part = self.members[position][1]
        if isinstance(part, LossctlError):
            raise part
        return part

    def _where(self, position: int) -> str:
        return self.stored.name if self.alone else f"{self.stored.name}:{self.members[position][0]}"

    def block(self, positions: Sequence[int]) -> Part:
        """Return one-dimensional arrays as columns, in memory."""
        if self.alone:
            return self.part(positions[0])
        names = [self.members[i][0] for i in positions]
        return Memory(columns([self.part(i) for i in positions], names, self.stored.name))

    def entries(self, position: int) -> Part:
        """Return a one-dimensional array whose elements are ids or groups.

        Raises: ShapeMismatch for other ranks, UnreadableFile for what has no text.
        """
        part = self._readable(position)
        if part.dtype.kind not in WORDED:
            raise self._other_kind(position, part)
        if len(part.shape) != 1:
            message = f"{self._where(position)} has shape {part.shape}; ids and groups are one-dimensional."
            raise ShapeMismatch(message)
        return part

    def texts(self, position: int) -> list[str]:
        """Return a one-dimensional array as text.

        Raises: as `entries`.
        """
        part = self.entries(position)
        return [_text(item) for item in part.read(0, part.shape[0])]


def _text(item: object) -> str:
    return item.decode(errors="replace") if isinstance(item, bytes) else str(item)


def _is_numeric(part: Part) -> bool:
    return part.dtype.kind in NUMERIC
