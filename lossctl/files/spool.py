"""Columns on their way out of a text table: numbers pile up in memory while they are few, in a temporary file once not."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import numpy as np

from lossctl.blocks import Memory
from lossctl.files import cells
from lossctl.files.npy import Header, NpyPart
from lossctl.files.stored import Stored, Temporary, explained

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Future

    from lossctl.blocks import NumPyArray, Part
    from lossctl.files.layout import Layout, Row
    from lossctl.shapes import Shape

# Putting the pieces together takes the same again for a moment.
KEPT = 16 << 20
CHUNK = 1 << 14
# Parts that wait to be written: each is one piece of the text.
WAITING = 2


@dataclass(frozen=True)
class Group:
    """Columns that are wanted together: one as (n,), or a block as (n, k)."""

    positions: tuple[int, ...]
    block: bool = False


class Convertible(Protocol):
    """An opened file of text, whose columns are converted when the first of them is looked at."""

    def values(self, group: Group) -> Part:
        """Return the numbers of columns."""


Opened = TypeVar("Opened", bound=Convertible)


@dataclass(frozen=True)
class Converted(Generic[Opened]):
    """One column of a text file, shape (n,), or several, shape (n, k). Where an element stands is for the format to say."""

    table: Opened
    group: Group

    @property
    def shape(self) -> Shape:
        """The shape; a large file is converted to know it, and that all of it is numbers."""
        return self.table.values(self.group).shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Always float64."""
        return np.dtype(np.float64)

    def read(self, start: int, stop: int, axis: int = 0) -> NumPyArray:
        """Return the range [start, stop) along `axis`."""
        return self.table.values(self.group).read(start, stop, axis)


class Spool:
    """Takes float64 arrays one after another and gives them back as one. A thread of its own writes what is too much."""

    def __init__(self, group: Group, name: str) -> None:
        """Begin empty; `name` is the file whose columns these are."""
        self._tail = (len(group.positions),) if group.block else ()
        self._name = name
        self._parts: list[NumPyArray] = []
        self._rows = 0
        self._temporary: Temporary | None = None
        self._writing: deque[Future[None]] = deque()

    def add(self, columns: Sequence[NumPyArray]) -> None:
        """Add some rows, given as one array for each column."""
        part = np.stack(columns, axis=1) if self._tail else np.ascontiguousarray(columns[0])
        self._rows += len(part)
        self._parts.append(part)
        if self._temporary or sum(kept.nbytes for kept in self._parts) > KEPT:
            self._spill()

    def _spill(self) -> None:
        if self._temporary is None:
            from concurrent.futures import ThreadPoolExecutor

            self._temporary, self._thread = Temporary(), ThreadPoolExecutor(1)
        self._writing.append(self._thread.submit(self._write, self._temporary, self._parts))
        self._parts = []
        if len(self._writing) > WAITING:
            self._writing.popleft().result()

    def _write(self, temporary: Temporary, parts: Sequence[NumPyArray]) -> None:
        with explained(f"The temporary copy of {self._name}"), temporary.writer() as copy:
            for part in parts:
                copy.write(part.data)

    def done(self) -> Part:
        """Return everything as one array."""
        for writing in self._writing:
            writing.result()
        shape = (self._rows, *self._tail)
        if self._temporary is None:
            return Memory(np.concatenate([np.empty((0, *self._tail)), *self._parts]))
        header = Header(shape, fortran=False, dtype=np.dtype(np.float64), offset=0)
        return NpyPart(Stored(self._name, header.size, temporary=self._temporary), header)


def slowly(rows: Iterator[Row], groups: Sequence[Group], stored: Stored, layout: Layout) -> list[Part]:
    """Convert columns cell by cell.

    Raises: UnreadableFile with line, column and cell of the first that is no number.
    """
    spools = [Spool(group, stored.name) for group in groups]
    wanted = sorted({position for group in groups for position in group.positions})
    while chunk := list(islice(rows, CHUNK)):
        columns = {position: _column(chunk, position, stored, layout) for position in wanted}
        for group, spool in zip(groups, spools, strict=True):
            spool.add([columns[position] for position in group.positions])
    return [spool.done() for spool in spools]


def _column(chunk: list[Row], position: int, stored: Stored, layout: Layout) -> NumPyArray:
    values = cells.numbers([row[position] for _, row in chunk])
    if isinstance(values, int):
        line, row = chunk[values]
        raise cells.not_a_number(stored.name, line, layout.names[position], row[position])
    return values
