"""Columns of files that are made of chunks, such as row groups and record batches.

Chunks of moderate size are decoded once and kept while threads work on them (`recent`); a column with a larger one is decoded
once from front to end, in small batches, into an unnamed temporary file. Types and shapes are settled before anything is read.
"""

from __future__ import annotations

import weakref
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from math import prod
from threading import RLock
from typing import Any, ClassVar, Protocol

import numpy as np

from lossctl.errors import LossctlError, ShapeMismatch, UnreadableFile
from lossctl.sources.arrowed import Leaf, Ragged, has_nulls, joined, reading, tail_of, texts
from lossctl.sources.container import Container, CostlyPart
from lossctl.sources.npy import Header, NpyPart
from lossctl.sources.readers import NumPyArray, Part, Shape, place
from lossctl.sources.recent import RECENT
from lossctl.sources.spool import Group
from lossctl.sources.stored import Stored, Temporary
from lossctl.sources.values import Rounded, as_floats, refusal

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
# Values in a batch on its way into a temporary file.
BATCH = 1 << 19
# So many chunks are decoded again without being felt.
FEW = 4
# Arrow arrays of each column, by its position, one after another; and a range of rows.
ArrowColumns = dict[int, list[Any]]
Span = tuple[int, int]


class ChunkSource(Protocol):
    """What a format knows of a file; `what` is what messages call it."""

    what: ClassVar[str]

    @property
    def leaves(self) -> Sequence[Leaf]:
        """The columns."""

    @property
    def sizes(self) -> Sequence[int]:
        """The number of rows of each chunk."""

    @property
    def in_place(self) -> bool:
        """Whether a range of a chunk costs no more than its own bytes."""

    def chunk(self, number: int, positions: Sequence[int], span: Span | None = None) -> ArrowColumns:
        """Return columns of one chunk as Arrow arrays; only `span` of its rows if they are in place."""

    def batches(self, positions: Sequence[int], rows: int) -> Iterator[ArrowColumns]:
        """Yield columns from front to end, about `rows` rows at a time where the format can."""

    @property
    def one_way(self) -> bool:
        """Whether chunks come only one after another."""

    def nulls(self, position: int) -> bool | None:
        """Whether a column holds nulls; None if only its data can tell."""

    def is_even(self, position: int, width: int) -> bool:
        """Whether a column of lists seems to have `width` values in each row; False if only its data can tell."""


@dataclass(eq=False)
class Chunked(Container):
    """An opened file of chunks."""

    stored: Stored
    opened: Callable[[Stored], ChunkSource]
    noun = "column"
    _types: dict[int, tuple[Shape, np.dtype[Any]]] = field(default_factory=dict)
    _poured: dict[Group, Part | None] = field(default_factory=dict)
    _lock: Any = field(default_factory=RLock)

    def __post_init__(self) -> None:
        self.owner = object()
        weakref.finalize(self, RECENT.forget, self.owner)

    def __reduce__(self) -> tuple[Any, ...]:
        return Chunked, (self.stored, self.opened)

    @cached_property
    def source(self) -> ChunkSource:
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
        return ChunkColumns(self, group)

    def is_large(self, columns: ChunkColumns) -> bool:
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
            numbers = self._poured[group]
            assert numbers is not None  # noqa: S101 - filled above
            return numbers

    def _waits(self, group: Group) -> bool:
        try:
            return self.is_large(ChunkColumns(self, group))
        except LossctlError:
            return False

    def _pour(self, groups: list[Group], alone: list[Group]) -> dict[Group, Part]:
        """Pour columns together; a fault in one that nobody reads yet is for later."""
        try:
            return pour([ChunkColumns(self, group) for group in groups])
        except LossctlError:
            if groups == alone:
                raise
            return pour([ChunkColumns(self, group) for group in alone])

    def texts(self, position: int) -> Iterator[Sequence[str]]:
        """Yield the values of a column as text, some at a time.

        Raises: ShapeMismatch for a column of lists; UnreadableFile if it holds neither text nor numbers nor dates.
        """
        leaf = self.source.leaves[position]
        if leaf.sizes:
            raise ShapeMismatch(f"Column '{leaf.name}' of {self.stored.name} holds lists; ids and groups are one-dimensional.")
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
            raise ShapeMismatch(f"{self.stored.name}, row {row}, column '{name}': the list has {sizes}.", hint=HINT) from ragged
        except Rounded as rounded:
            where = f"{self.stored.name}, row {start + rounded.row}, column '{self.names[position]}': the number"
            raise refusal(rounded.number, where, NOT_WHOLE) from rounded


@dataclass(frozen=True)
class ChunkColumns(CostlyPart):
    """One column, shape (n,) or (n, k), or several columns of single numbers as a block, shape (n, k)."""

    table: Chunked
    group: Group

    @property
    def shape(self) -> Shape:
        """The shape; for a column of lists the first row says how long they are."""
        return (self.table.starts[-1], *self.tail)

    @property
    def tail(self) -> Shape:
        """The shape of a row."""
        positions = self.group.positions
        return (len(positions),) if self.group.block else self.table.typed(positions[0])[0]

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type; for a block the one that holds what every column holds."""
        return np.result_type(*(self.table.typed(position)[1] for position in self.group.positions))

    @property
    def costly(self) -> bool:
        """Whether a short range costs a whole chunk, of which only few are kept."""
        source = self.table.source
        return not source.in_place and len(source.sizes) > FEW and not self.table.is_large(self)

    def read(self, start: int, stop: int, axis: int = 0) -> NumPyArray:
        """Return the range [start, stop) along `axis`."""
        if self.table.is_large(self):
            return self.table.poured(self.group).read(start, stop, axis)
        rows = self.table.starts[-1]
        first, last, _ = slice(None if axis else start, None if axis else stop).indices(rows)
        cut = (slice(None),) * axis + (slice(start, stop),) if axis else ...
        pieces = [piece[cut] for piece in self._pieces(first, last)]
        if len(pieces) == 1:
            return pieces[0]
        return np.concatenate(pieces) if pieces else np.empty((0, *self.tail), self.dtype)[cut]

    def _pieces(self, start: int, stop: int) -> Iterator[NumPyArray]:
        """Yield rows chunk by chunk."""
        starts = self.table.starts
        while start < stop:
            # An empty chunk begins where the next one does, and is never the last that does.
            number = bisect_right(starts, start) - 1
            end = min(stop, starts[number + 1])
            yield self._piece(number, start - starts[number], end - starts[number])
            start = end

    def _piece(self, number: int, start: int, stop: int) -> NumPyArray:
        positions = self.group.positions
        if not self.table.source.in_place or self.table.is_wide(number):
            columns = RECENT.columns(self.table.owner, number, positions, lambda wanted: self._among(number, wanted))
            return self._stacked([column[start:stop] for column in columns])
        cut = self.table.source.chunk(number, positions, (start, stop))
        # A copy, for what it is taken from is unmapped again.
        return self._stacked(list(self._converted(cut, self.table.starts[number] + start).values())).copy()

    def _among(self, number: int, positions: Sequence[int]) -> dict[int, NumPyArray]:
        """Decode columns of a chunk, and along with them those that come next; a fault in one of these is for later."""
        others = self.table.next_to(number, positions)
        if others:
            try:
                return self._decoded(number, [*positions, *others])
            except LossctlError:
                pass
        return self._decoded(number, positions)

    def _decoded(self, number: int, positions: Sequence[int]) -> dict[int, NumPyArray]:
        table = self.table
        columns = self._converted(table.source.chunk(number, positions), table.starts[number])
        if any(len(column) != table.source.sizes[number] for column in columns.values()):
            raise cut_short(table.stored.name)
        # What is mapped is copied, for it is unmapped again.
        return {at: column.copy() for at, column in columns.items()} if table.source.in_place else columns

    def _converted(self, arrays: ArrowColumns, start: int) -> dict[int, NumPyArray]:
        table = self.table
        return {position: table.joined(chunks, position, *table.typed(position), start) for position, chunks in arrays.items()}

    def _stacked(self, columns: Sequence[NumPyArray]) -> NumPyArray:
        if not self.group.block:
            return columns[0]
        try:
            return np.stack([as_floats(column) for column in columns] if self.dtype.kind == "f" else columns, axis=1)
        except Rounded as rounded:
            where = f"A number in the block of columns of {self.table.stored.name}"
            raise refusal(rounded.number, where, ", since other columns of it are not whole") from rounded

    def ordered(self, arrays: ArrowColumns, start: int) -> NumPyArray:
        """Return a batch of Arrow arrays, which begin at row `start`, as this part's own rows."""
        columns = self._converted({position: arrays[position] for position in self.group.positions}, start)
        return np.ascontiguousarray(self._stacked(list(columns.values())), self.dtype)

    def place(self, index: tuple[int, ...]) -> str:
        """Return `row 7, column 'yhat'`, rows counted from 0; within a list also the element, `[2]`."""
        if not index:
            return place(index)
        block = self.group.block and len(index) > 1
        position = self.group.positions[index[1] if block else 0]
        inner = "" if block or len(index) == 1 else f", element {place(index[1:])}"
        return f"row {index[0]}, column '{self.table.names[position]}'{inner}"


def cut_short(name: str) -> UnreadableFile:
    """The error about a file that holds other numbers of rows than it says."""
    return UnreadableFile(f"{name} is damaged: it holds another number of rows than it says.", hint="Copy or write it again.")


def pour(columns: Sequence[ChunkColumns]) -> dict[Group, Part]:
    """Decode columns of one file in one pass, each into a temporary file of its own.

    Raises: ShapeMismatch for a list of another length; UnreadableFile if the file is damaged or the disk is full.
    """
    table = columns[0].table
    positions = sorted({position for column in columns for position in column.group.positions})
    rows = max(1, BATCH // max(1, sum(prod(column.tail) for column in columns)))
    copies, start = [Temporary() for _ in columns], 0
    with ExitStack() as stack:
        writers = [stack.enter_context(copy.filling(table.stored.name)) for copy in copies]
        for arrays in table.source.batches(positions, rows):
            for column, write in zip(columns, writers, strict=True):
                rows_read = column.ordered(arrays, start)
                write(rows_read.tobytes())
            start += len(rows_read)
    if start != table.starts[-1]:
        raise cut_short(table.stored.name)
    return {column.group: _opened(column, copy) for column, copy in zip(columns, copies, strict=True)}


def _opened(column: ChunkColumns, copy: Temporary) -> Part:
    header = Header(column.shape, fortran=False, dtype=column.dtype, offset=0)
    return NpyPart(Stored(column.table.stored.name, header.size, temporary=copy), header)
