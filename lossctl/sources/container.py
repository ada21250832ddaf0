"""What an opened file is, whatever its format: arrays or columns under names, or one array without a name.

A format inherits `Container`, or `ArrayContainer` where a file holds arrays of NumPy's types. Whatever else lossctl wants to
know of a file is a method here that a format may override, or a class that it inherits (`TextTable`, `CostlyPart`). Nobody
looks for attributes by name, so that a format may call its own as it likes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.errors import LossctlError, ShapeMismatch, UnreadableFile
from lossctl.sources.readers import Memory, NumPyArray, Part
from lossctl.sources.values import KINDS, NUMERIC, common, first_of, refusal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lossctl.sources.stored import Stored

# Elements of an array that are written as text together.
ELEMENTS = 1 << 18
# Kinds of elements that can be ids and groups; complex numbers and raw bytes cannot.
WORDED = f"{NUMERIC}SUMm"
# How far the reading of a first row may be turned round where inputs would otherwise not be equally long. Nothing turns what is
# SURE; a RULE gives way last, what is WEAK before it. EVEN are readings neither of which is likelier, so that a choice between
# two values is refused.
SURE, RULE, WEAK, EVEN = "sure", "rule", "weak", "even"


class Container(ABC):
    """An opened file. Arrays are picked by their position among `names`, since names may occur twice.

    `stored` are the file's bytes. `noun` is what one of its arrays is called, `column` or `array`, or what a file is that takes
    no key.
    """

    stored: Stored
    noun: str = "array"

    @property
    @abstractmethod
    def names(self) -> Sequence[str] | None:
        """The names of all columns or arrays in file order; None if the file is one array and takes no key."""

    @abstractmethod
    def part(self, position: int) -> Part:
        """Return one array of real numbers; the position is 0 where the file is one array.

        Raises: UnreadableFile if it does not hold real numbers, or is damaged.
        """

    def numeric(self) -> Sequence[int]:
        """Return the positions of those that hold numbers; each is opened to know it, unless a format knows it otherwise."""
        return [position for position in range(len(self.names or ())) if self._is_numeric(position)]

    def _is_numeric(self, position: int) -> bool:
        try:
            self.part(position)
        except LossctlError:
            return False
        return True

    def block(self, positions: Sequence[int]) -> Part:
        """Return several one-dimensional arrays as the columns of a two-dimensional one, here in memory.

        Raises: ShapeMismatch if they are not one-dimensional and equally long.
        """
        names = self.names
        if names is None:
            return self.part(positions[0])
        return Memory(side_by_side([self.part(i) for i in positions], [names[i] for i in positions], self.stored.name))

    def texts(self, position: int) -> Iterator[Sequence[str]]:
        """Yield ids or groups as text, some at a time, here as Python writes the numbers of `part`.

        Raises: ShapeMismatch if they are not one-dimensional; UnreadableFile.
        """
        yield from as_texts(one_dimensional(self.part(position), self.where(position)))

    def all_texts(self, position: int) -> list[str]:
        """Return the same as one list."""
        return [*chain.from_iterable(self.texts(position))]

    def shown(self, position: int) -> Iterator[Sequence[str]]:
        """Yield what `inspect` shows of text: the same, and what is a single text and no list of them."""
        return self.texts(position)

    def cells(self, positions: Sequence[int]) -> Iterator[Sequence[str | None]]:
        """Yield the texts of several arrays side by side, None below the end of a shorter one."""
        yield from zip_longest(*(chain.from_iterable(self.shown(position)) for position in positions))

    def where(self, position: int) -> str:
        """The SOURCE of one array, as messages call it."""
        return self.stored.name if self.names is None else f"{self.stored.name}:{self.names[position]}"

    def how(self) -> dict[str, Any]:
        """Return how the file was read, as far as its format leaves that open: `header`, `delimiter` and the like."""
        return {}


class ArrayContainer(Container):
    """A file of arrays of NumPy's types, which may hold text and dates too; `hint` says how to write it again."""

    hint: str

    @abstractmethod
    def array(self, position: int) -> Part:
        """Return one array, whatever it holds.

        Raises: UnreadableFile if it cannot be read.
        """

    def part(self, position: int) -> Part:
        """Return one array.

        Raises: UnreadableFile if it does not hold real numbers, or cannot be read.
        """
        return self._of_kind(position, NUMERIC)

    def elements(self, position: int) -> Part:
        """Return a one-dimensional array whose elements are ids or groups.

        Raises: ShapeMismatch for other ranks, UnreadableFile for what has no text.
        """
        return one_dimensional(self._of_kind(position, WORDED), self.where(position))

    def _of_kind(self, position: int, kinds: str) -> Part:
        part = self.array(position)
        if part.dtype.kind not in kinds:
            what = KINDS.get(part.dtype.kind, "no numbers")
            raise UnreadableFile(f"{self.where(position)} holds {what} ({part.dtype}), not real numbers.", hint=self.hint)
        return part

    def texts(self, position: int) -> Iterator[Sequence[str]]:
        """Yield a one-dimensional array as text.

        Raises: as `elements`.
        """
        yield from as_texts(self.elements(position))


@dataclass(frozen=True)
class Arrays(ArrayContainer):
    """Arrays by name, or for each the error about it; a lone one without a name makes a file that takes no key."""

    stored: Stored
    members: Sequence[tuple[str, Part | LossctlError]]
    hint: str
    noun: str = "array"

    @cached_property
    def names(self) -> Sequence[str] | None:
        """The names in file order; None where the file is one array."""
        names = [name for name, _ in self.members]
        return None if names == [""] else names

    def array(self, position: int) -> Part:
        """Return one array.

        Raises: the error about it.
        """
        part = self.members[position][1]
        if isinstance(part, LossctlError):
            raise part
        return part


@dataclass(frozen=True)
class Heading:
    """Whether the first row of a table is a `header`, how far that is in `doubt`, and `why`, where it has to be said."""

    header: bool
    doubt: str = SURE
    why: str = ""


class TextTable(Container):
    """A table whose cells are text, and whose first row may hold names or the first sample."""

    noun = "column"

    @property
    @abstractmethod
    def names(self) -> Sequence[str]:
        """The names of all columns, or `#1`, `#2`, … where there is no header."""

    @property
    @abstractmethod
    def heading(self) -> Heading:
        """How the first row is read."""

    @property
    @abstractmethod
    def first(self) -> Sequence[str]:
        """The cells of the first row, whatever it is."""

    @abstractmethod
    def headed(self, heading: Heading) -> TextTable:
        """Return the same table with its first row read so."""

    @abstractmethod
    def counting(self) -> Sequence[int]:
        """Return the columns that only count rows."""

    @abstractmethod
    def line(self, row: int) -> int:
        """Return the line on which a row begins, from 1."""


class CostlyPart(ABC):
    """A part of which a short range may cost far more than its bytes, since it is decoded with others."""

    @property
    @abstractmethod
    def costly(self) -> bool:
        """Whether it does."""


def one_dimensional(part: Part, where: str) -> Part:
    """Return a part that can hold ids or groups.

    Raises: ShapeMismatch for other ranks.
    """
    if len(part.shape) != 1:
        raise ShapeMismatch(f"{where} has shape {part.shape}; ids and groups are one-dimensional.")
    return part


def as_texts(part: Part) -> Iterator[list[str]]:
    """Yield the elements of a one-dimensional array as text, some at a time."""
    for start in range(0, part.shape[0], ELEMENTS):
        yield [as_text(item) for item in part.read(start, min(start + ELEMENTS, part.shape[0]))]


def as_text(item: object) -> str:
    """An element of an array as text."""
    return item.decode(errors="replace") if isinstance(item, bytes) else str(item)


def side_by_side(parts: Sequence[Part], names: Sequence[str], where: str) -> NumPyArray:
    """Put one-dimensional parts side by side, shape (n, k).

    Raises: ShapeMismatch if they are not one-dimensional and equally long.
    """
    shapes = [part.shape for part in parts]
    odd = next((i for i, shape in enumerate(shapes) if len(shape) != 1 or shape != shapes[0]), None)
    if odd is not None:
        message = f"{where}: '{names[odd]}' has shape {shapes[odd]}, but '{names[0]}' has {shapes[0]}."
        raise ShapeMismatch(message, hint="Only one-dimensional arrays of one length stand side by side in a block.")

    columns = [part.read(0, part.shape[0]) for part in parts]
    alike = common(columns)
    if alike is None:
        raise refusal(first_of(columns), f"{where}: a number in the block", ", since other columns of it are not whole")
    return np.stack(alike, axis=1)
