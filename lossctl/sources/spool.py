"""Large text files: pieces of whole lines in, worked on by several threads, and columns of numbers out.

Numbers pile up in memory while they are few, and in a temporary file once not.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from collections import deque
from dataclasses import dataclass, field
from itertools import islice
from threading import RLock
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from lossctl.errors import LossctlError, OutOfDomain, UnreadableFile
from lossctl.progress import watch
from lossctl.sources.cells import Mixed, not_a_number
from lossctl.sources.cells import numbers as numbers_of
from lossctl.sources.container import Container
from lossctl.sources.npy import Header, NpyPart
from lossctl.sources.readers import Memory, NumPyArray, Part, Shape
from lossctl.sources.stored import Stored, Temporary, explained
from lossctl.sources.values import common, first_of, refusal, wide

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Future

    from lossctl.sources.layout import Layout, Row

Given = TypeVar("Given")

PIECE = 1 << 20
# Longer lines are no samples, but whole documents.
LONGEST_LINE = 1 << 26
THREADS = 4
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class TextPiece:
    """Whole lines of a file; the first of them has the number `line`, from 1."""

    line: int
    content: bytes


def pieces(stored: Stored) -> Iterator[TextPiece]:
    """Cut a file at line ends, without its byte order mark.

    Raises: UnreadableFile with a line that is too long to be held in memory.
    """
    watch().begin(f"reading {stored.name}", stored.size, of_bytes=True)
    stream = stored.stream(PIECE)
    stream.seek(len(BOM) * (stored.head(len(BOM)) == BOM))
    line = 1
    while content := stream.read(PIECE):
        rest = stream.readline(LONGEST_LINE)
        if len(rest) == LONGEST_LINE:
            number = line + content.count(b"\n")
            message = f"{stored.name}, line {number}, is longer than {LONGEST_LINE >> 20} MiB."
            raise UnreadableFile(message, hint="One sample stands on a line of its own.")
        content += rest
        yield TextPiece(line, content)
        line += content.count(b"\n")


def ahead(work: Callable[[Given], Any], given: Iterable[Given]) -> Iterator[Any]:
    """Call `work` on threads, and give its results in order; no more than one piece for each thread waits."""
    from concurrent.futures import ThreadPoolExecutor

    threads = min(THREADS, os.cpu_count() or 1)
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Any] = deque()
        for piece in given:
            waiting.append(pool.submit(work, piece))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


# Putting the pieces together takes the same again for a moment.
KEPT = 16 << 20
CHUNK = 1 << 14
# Why whole numbers are not kept as such.
MIXED = ", since blanks or numbers that are not whole stand beside it"
# Parts that wait to be written: each is one piece of the text.
WAITING = 2


@dataclass(frozen=True)
class Group:
    """Columns that are wanted together: one as (n,), or a block as (n, k)."""

    positions: tuple[int, ...]
    block: bool = False


@dataclass(eq=False)
class ConvertedFile(Container):
    """An opened file of text, whose columns become numbers when the first of them is looked at: all that are wanted by then."""

    _wanted: dict[Group, Part | None] = field(init=False, default_factory=dict)
    _converting: RLock = field(init=False, default_factory=RLock)

    @abstractmethod
    def convert(self, groups: Sequence[Group]) -> Sequence[Part]:
        """Return the numbers of columns, all from one pass.

        Raises: UnreadableFile with the place of the first that is none.
        """

    def want(self, group: Group) -> None:
        """Note that columns will be asked for."""
        self._wanted.setdefault(group, None)

    def values(self, group: Group) -> Part:
        """Return the numbers of columns.

        Raises: as `convert`.
        """
        with self._converting:
            self.want(group)
            waiting = [wanted for wanted, part in self._wanted.items() if part is None]
            if group in waiting:
                try:
                    self._wanted.update(zip(waiting, self.convert(waiting), strict=True))
                except LossctlError:
                    # Another column may be at fault.
                    self._wanted.update(zip([group], self.convert([group]), strict=True))
        numbers = self._wanted[group]
        assert numbers is not None  # noqa: S101 - filled above
        return numbers


Opened = TypeVar("Opened", bound=ConvertedFile)


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
        """float64, or int64 or uint64 where float64 would round whole numbers; to know it a large file is converted."""
        return self.table.values(self.group).dtype

    def read(self, start: int, stop: int, axis: int = 0) -> NumPyArray:
        """Return the range [start, stop) along `axis`."""
        return self.table.values(self.group).read(start, stop, axis)


class Spool:
    """Takes arrays one after another and gives them back as one. A thread of its own writes what is too much.

    They are float64, but for whole numbers that float64 would round.
    """

    def __init__(self, group: Group, name: str) -> None:
        """Begin empty; `name` is the file whose columns these are."""
        self._tail = (len(group.positions),) if group.block else ()
        self._name = name
        self._parts: list[NumPyArray] = []
        self._rows = 0
        self._kind = np.dtype(np.float64)
        self._first = np.empty(0)
        self._temporary: Temporary | None = None
        self._writing: deque[Future[None]] = deque()

    def add(self, columns: Sequence[NumPyArray]) -> None:
        """Add some rows, given as one array for each column.

        Raises: OutOfDomain for wide whole numbers among numbers of other kinds.
        """
        alike = self._alike(columns)
        part = np.stack(alike, axis=1) if self._tail else np.ascontiguousarray(alike[0])
        if part.dtype != self._kind:
            # Of what is written already the type stays.
            parts = self._alike([np.empty((0, *self._tail), self._kind) if self._temporary else part[:0], *self._parts, part])
            if self._temporary and parts[0].dtype != self._kind:
                raise self._refusal([part])
            *self._parts, part = parts[1:]
            self._kind, self._first = part.dtype, part if wide(part.dtype) else self._first
        self._rows += len(part)
        self._parts.append(part)
        if self._temporary or sum(kept.nbytes for kept in self._parts) > KEPT:
            self._spill()

    def _alike(self, arrays: Sequence[NumPyArray]) -> list[NumPyArray]:
        alike = common(arrays)
        if alike is None:
            raise self._refusal(arrays)
        return alike

    def _refusal(self, arrays: Sequence[NumPyArray]) -> OutOfDomain:
        where = f"A number in {self._name}"
        return refusal(first_of([*arrays, *self._parts, self._first]), where, MIXED)

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
            return Memory(np.concatenate([np.empty((0, *self._tail), self._kind), *self._parts]))
        header = Header(shape, fortran=False, dtype=self._kind, offset=0)
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
    try:
        values = numbers_of([row[position] for _, row in chunk])
    except Mixed as mixed:
        where = f"{stored.name}, line {chunk[mixed.index][0]}, column '{layout.names[position]}':"
        raise refusal(mixed.number, f"{where} the cell", MIXED) from mixed
    if isinstance(values, int):
        line, row = chunk[values]
        raise not_a_number(stored.name, line, layout.names[position], row[position])
    return values
