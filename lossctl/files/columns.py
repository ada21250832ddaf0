"""Columns of a file of chunks as arrays that are read in ranges, and their way into temporary files."""

from __future__ import annotations

from bisect import bisect_right
from contextlib import ExitStack
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.blocks import place
from lossctl.errors import LossctlError, UnreadableFile
from lossctl.files.npy import Header, NpyPart
from lossctl.files.recent import RECENT
from lossctl.files.stored import Stored, Temporary
from lossctl.wholes import Rounded, as_floats, refusal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lossctl.blocks import NumPyArray, Part
    from lossctl.files.chunked import Chunked
    from lossctl.files.chunks import Arrays
    from lossctl.files.spool import Group
    from lossctl.shapes import Shape

# Values in a batch on its way into a temporary file.
BATCH = 1 << 19
# So many chunks are decoded again without being felt.
FEW = 4


@dataclass(frozen=True)
class Columns:
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
    def dear(self) -> bool:
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
            found = RECENT.columns(self.table.owner, number, positions, lambda wanted: self._among(number, wanted))
            return self._stacked([column[start:stop] for column in found])
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

    def _converted(self, arrays: Arrays, start: int) -> dict[int, NumPyArray]:
        table = self.table
        return {position: table.joined(found, position, *table.typed(position), start) for position, found in arrays.items()}

    def _stacked(self, columns: Sequence[NumPyArray]) -> NumPyArray:
        if not self.group.block:
            return columns[0]
        try:
            return np.stack([as_floats(one) for one in columns] if self.dtype.kind == "f" else columns, axis=1)
        except Rounded as rounded:
            where = f"A number in the block of columns of {self.table.stored.name}"
            raise refusal(rounded.number, where, ", since other columns of it are not whole") from rounded

    def ordered(self, arrays: Arrays, start: int) -> NumPyArray:
        """Return a batch of Arrow arrays, which begin at row `start`, as this part's own rows."""
        found = self._converted({position: arrays[position] for position in self.group.positions}, start)
        return np.ascontiguousarray(self._stacked(list(found.values())), self.dtype)

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
    message = f"{name} is damaged: it holds another number of rows than it says."
    return UnreadableFile(message, hint="Copy or write it again.")


def pour(columns: Sequence[Columns]) -> dict[Group, Part]:
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
                found = column.ordered(arrays, start)
                write(found.tobytes())
            start += len(found)
    if start != table.starts[-1]:
        raise cut_short(table.stored.name)
    return {column.group: _opened(column, copy) for column, copy in zip(columns, copies, strict=True)}


def _opened(column: Columns, copy: Temporary) -> Part:
    header = Header(column.shape, fortran=False, dtype=column.dtype, offset=0)
    return NpyPart(Stored(column.table.stored.name, header.size, temporary=copy), header)
