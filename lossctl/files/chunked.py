"""Columns of files that are made of chunks, such as row groups and record batches.

Chunks of moderate size are decoded once and kept while threads work on them; a column with a larger one is decoded once
from front to end, in small batches, into an unnamed temporary file. Types and shapes are settled before anything is read.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from math import prod
from threading import RLock
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.errors import LossctlError, ShapeMismatch, UnreadableFile
from lossctl.files.arrow_texts import texts
from lossctl.files.arrowed import Ragged, has_nulls, joined, tail_of
from lossctl.files.columns import BATCH, Columns, pour
from lossctl.files.leaves import reading
from lossctl.files.recent import RECENT
from lossctl.files.spool import Group
from lossctl.wholes import Rounded, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lossctl.blocks import NumPyArray, Part
    from lossctl.files.chunks import Source
    from lossctl.files.stored import Stored
    from lossctl.shapes import Shape

# Values of the wanted columns, 32 MiB as float64. Writers make row groups of a million rows at most unless they are told.
LARGEST = 1 << 22
# Values of a chunk, and columns, that are decoded along with a column that is read.
FEW_VALUES, MOST_COLUMNS = 1 << 16, 256
# Columns of a file that are many.
WIDE = 64
# Rows that are looked at together for one with a list that is not null.
NULLS = 1 << 12
NOT_WHOLE = ", since the column holds nulls, or decimals"
HINT = "Pad the short rows or cut the long ones to one length before writing."


@dataclass(eq=False)
class Chunked:
    """An opened file of chunks."""

    stored: Stored
    opened: Callable[[Stored], Source]
    noun: str = "column"
    _types: dict[int, tuple[Shape, np.dtype[Any]]] = field(default_factory=dict)
    _poured: dict[Group, Part | None] = field(default_factory=dict)
    _lock: Any = field(default_factory=RLock)

    def __post_init__(self) -> None:
        self.owner = object()
        weakref.finalize(self, RECENT.forget, self.owner)

    def __reduce__(self) -> tuple[Any, ...]:
        return Chunked, (self.stored, self.opened, self.noun)

    @cached_property
    def source(self) -> Source:
        """The file itself; a container that came from another process opens it when it is needed."""
        return self.opened(self.stored)

    @cached_property
    def starts(self) -> list[int]:
        """The first row of each chunk, and the number of all rows."""
        return list(accumulate(self.source.sizes, initial=0))

    @cached_property
    def names(self) -> list[str]:
        """The names of the columns; fields of structs are `a.b`."""
        return [leaf.name for leaf in self.source.leaves]

    def numeric(self) -> list[int]:
        """Return the columns that hold numbers or lists of them."""
        return [i for i, leaf in enumerate(self.source.leaves) if leaf.dtype is not None]

    def part(self, position: int) -> Part:
        """Return one column, shape (n,), or (n, k) for lists of k elements.

        Raises: UnreadableFile if it holds no numbers.
        """
        self._check(position)
        return self._columns(Group((position,)))

    def _check(self, position: int) -> None:
        leaf = self.source.leaves[position]
        if leaf.dtype is None:
            message = f"Column '{leaf.name}' of {self.stored.name} holds {leaf.kind}, not numbers."
            raise UnreadableFile(message, hint="Name a column of numbers, or write it as numbers.")

    def block(self, positions: Sequence[int]) -> Part:
        """Return several columns, shape (n, k).

        Raises: ShapeMismatch for a column of lists; what `part` raises.
        """
        for position in positions:
            self._check(position)
        listed = next((self.names[i] for i in positions if self.source.leaves[i].sizes), None)
        if listed is not None:
            message = f"Column '{listed}' of {self.stored.name} holds lists; a block is made of columns of single numbers."
            raise ShapeMismatch(message, hint=f"Name it alone: {self.stored.name}:{listed}.")
        return self._columns(Group(tuple(positions), block=True))

    def _columns(self, group: Group) -> Part:
        self._poured.setdefault(group, None)
        return Columns(self, group)

    def is_large(self, columns: Columns) -> bool:
        """Whether a chunk of these columns is too large to be kept in memory."""
        if self.source.in_place:
            return False
        return self.source.one_way or max(self.source.sizes, default=0) * prod(columns.tail) > LARGEST

    def is_wide(self, number: int) -> bool:
        """Whether a chunk has few rows of many columns, so that reading one of them takes as long as reading several."""
        return len(self.source.leaves) >= WIDE and self.source.sizes[number] <= FEW_VALUES // WIDE

    def next_to(self, number: int, positions: Sequence[int]) -> list[int]:
        """The columns of single numbers behind these that were asked for too, as far as a small chunk of them reaches.

        Each time that a file of very many columns is opened takes as long as it has columns.
        """
        room = min(FEW_VALUES // max(1, self.source.sizes[number]), MOST_COLUMNS) - len(positions)
        behind = range(max(positions) + 1, max(positions) + 1 + max(room, 0))
        leaves = self.source.leaves
        return [i for i in behind if i < len(leaves) and not leaves[i].sizes and Group((i,)) in self._poured]

    def poured(self, group: Group) -> Part:
        """Return large columns out of a temporary file, with all that were asked for so far from one pass."""
        with self._lock:
            if self._poured.get(group) is None:
                waiting = [one for one, part in self._poured.items() if part is None and one != group and self._waits(one)]
                self._poured |= self._pour([group, *waiting], [group])
            found = self._poured[group]
            assert found is not None  # noqa: S101 - filled above
            return found

    def _waits(self, group: Group) -> bool:
        try:
            return self.is_large(Columns(self, group))
        except LossctlError:
            return False

    def _pour(self, groups: list[Group], alone: list[Group]) -> dict[Group, Part]:
        """Pour columns together; a fault in one that nobody reads yet is for later."""
        try:
            return pour([Columns(self, group) for group in groups])
        except LossctlError:
            if groups == alone:
                raise
            return pour([Columns(self, group) for group in alone])

    def texts(self, position: int) -> list[str]:
        """Return the values of a column as text.

        Raises: as `written`.
        """
        return [text for part in self.written(position) for text in part]

    def written(self, position: int) -> Iterator[list[str]]:
        """Yield the values of a column as text, some at a time.

        Raises: ShapeMismatch for a column of lists; UnreadableFile if it holds neither text nor numbers nor dates.
        """
        leaf = self.source.leaves[position]
        if leaf.sizes:
            message = f"Column '{leaf.name}' of {self.stored.name} holds lists; ids and groups are one-dimensional."
            raise ShapeMismatch(message)
        for arrays in self.source.batches([position], BATCH):
            for array in arrays[position]:
                with reading(self.stored.name, self.source.what):
                    written = texts(array)
                if written is None:
                    message = f"Column '{leaf.name}' of {self.stored.name} holds {leaf.kind}, neither text nor numbers."
                    raise UnreadableFile(message, hint="Name a column of text, numbers or dates.")
                yield written

    def typed(self, position: int) -> tuple[Shape, np.dtype[Any]]:
        """Return the shape of a row of a column, and the column's type: float64 where it holds nulls.

        Raises: ShapeMismatch if lists are seen to differ in length.
        """
        with self._lock:
            if position not in self._types:
                self._types[position] = self._settled(position)
            return self._types[position]

    def _settled(self, position: int) -> tuple[Shape, np.dtype[Any]]:
        source, leaf = self.source, self.source.leaves[position]
        assert leaf.dtype is not None  # noqa: S101 - parts are made of numbers alone
        tail = self._tail(position)
        nulls = leaf.dtype == np.float64 or source.nulls(position)
        if nulls is None or (leaf.open and not source.is_even(position, prod(tail))):
            nulls = self._looked(position, tail)
        return tail, np.dtype(np.float64) if nulls else leaf.dtype

    def _tail(self, position: int) -> Shape:
        sizes = self.source.leaves[position].sizes
        if None not in sizes:
            return tail_of([], sizes) or ()
        # One row nearly always says it; many are asked only where the first list is null, and such lists take no room.
        for rows in (1, NULLS):
            for arrays in self.source.batches([position], rows):
                with reading(self.stored.name, self.source.what):
                    tail = tail_of(arrays[position], sizes)
                if tail is not None:
                    return tail
                if rows == 1:
                    break
        return (0,) * len(sizes)

    def _looked(self, position: int, tail: Shape) -> bool:
        """Whether a column holds nulls, after a look at all of it."""
        start, nulls = 0, False
        for arrays in self.source.batches([position], max(1, BATCH // max(1, prod(tail)))):
            with reading(self.stored.name, self.source.what):
                nulls = nulls or any(map(has_nulls, arrays[position]))
            if tail:
                self.joined(arrays[position], position, tail, None, start)
            start += sum(map(len, arrays[position]))
        return nulls

    def joined(self, arrays: Sequence[Any], position: int, tail: Shape, dtype: np.dtype[Any] | None, start: int) -> NumPyArray:
        """Return Arrow arrays, which begin at row `start`, as one of NumPy's.

        Raises: ShapeMismatch with the row of the first list of another length.
        """
        try:
            with reading(self.stored.name, self.source.what):
                return joined(arrays, tail, dtype)
        except Ragged as ragged:
            name, row = self.names[position], start + ragged.row
            sizes = f"{ragged.length} elements, and in the first row it has {ragged.wanted}"
            message = f"{self.stored.name}, row {row}, column '{name}': the list has {sizes}."
            raise ShapeMismatch(message, hint=HINT) from ragged
        except Rounded as rounded:
            where = f"{self.stored.name}, row {start + rounded.row}, column '{self.names[position]}': the number"
            raise refusal(rounded.number, where, NOT_WHOLE) from rounded
