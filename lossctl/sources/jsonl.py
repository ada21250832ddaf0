"""Lines of JSON, .jsonl and .ndjson: records are the rows of a table, numbers and lists the samples of one array.

A file is gone through in pieces for its columns, since any record may have keys of its own. What the first piece shows to be
numbers is kept along the way, in a temporary file once it is much; where a later piece shows otherwise, the columns that are
wanted are read in a second pass.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.errors import LossctlError, ShapeMismatch, UnreadableFile
from lossctl.sources.jsonl_values import BLANKS, TEXTS, JsonColumn, Node, floats, parsed
from lossctl.sources.npy import NpyPart
from lossctl.sources.readers import Memory, place
from lossctl.sources.spool import Converted, ConvertedFile, Group, Spool, pieces

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lossctl.sources.jsonl_values import Parsed
    from lossctl.sources.readers import NumPyArray, Part
    from lossctl.sources.stored import Stored

# Numbers of one line that are kept while the columns are looked for: all of them are read where one column is.
WIDEST = 64


@dataclass(frozen=True)
class Survey:
    """What one pass over the file finds. Values stand on consecutive lines from the first if there is no `gap`."""

    columns: tuple[JsonColumn, ...]
    rows: int
    gap: bool


@dataclass(eq=False)
class Jsonl(ConvertedFile):
    """An opened file of lines of JSON. `records` says whether they are objects; `kept` are its columns of numbers."""

    stored: Stored
    records: bool
    survey: Survey
    kept: Part | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process parses the file for itself, once for all that is asked of it there."""
        return _again, (self.stored, self.records, self.survey, tuple(self._wanted))

    def __post_init__(self) -> None:
        self.noun = "column" if self.records else "this file of JSON lines"

    @cached_property
    def names(self) -> Sequence[str] | None:
        """The keys of all records, nested ones as `a.b`; None where the file is one array."""
        return [column.name for column in self.survey.columns] if self.records else None

    def numeric(self) -> list[int]:
        """Return the columns that hold numbers and nothing else."""
        return [position for position, column in enumerate(self.survey.columns) if column.numeric]

    def part(self, position: int) -> Part:
        """Return one column, shape (n,), or (n, k) where it holds lists.

        Raises: UnreadableFile with the line that holds no number, ShapeMismatch with one whose list is shorter or longer;
        when it is first looked at.
        """
        return self._columns(Group((position,)))

    def block(self, positions: Sequence[int]) -> Part:
        """Return several columns of numbers, shape (n, k).

        Raises: ShapeMismatch if one of them holds lists.
        """
        if not self.records:
            return self.part(positions[0])
        lists = next((column for column in (self.survey.columns[i] for i in positions) if column.shape), None)
        if lists is not None:
            message = f"{self.stored.name}: '{lists.name}' holds lists of shape {lists.shape}, and no single numbers."
            raise ShapeMismatch(message, hint="Only one-dimensional arrays of one length stand side by side in a block.")
        return self._columns(Group(tuple(positions), block=True))

    def _columns(self, group: Group) -> Part:
        self.want(group)
        return JsonColumns(self, group)

    def convert(self, groups: Sequence[Group]) -> Sequence[Part]:
        """Return the numbers of columns.

        Raises: UnreadableFile with the line that holds no number, ShapeMismatch with one whose list is shorter or longer.
        """
        columns = self.survey.columns
        if self.kept is not None and all(columns[at].numeric for group in groups for at in group.positions):
            return [self._of_kept(group, self.kept) for group in groups]
        filling = [Filling([columns[at] for at in group.positions], self.stored.name, block=group.block) for group in groups]
        for piece in pieces(self.stored):
            content = parsed(piece, self.stored.name, records=self.records)
            for filled in filling:
                filled.add(content)
        return [filled.done() for filled in filling]

    def _of_kept(self, group: Group, kept: Part) -> Part:
        columns = self.survey.columns
        starts = {at: sum(math.prod(column.shape) for column in columns[:at] if column.numeric) for at in group.positions}
        if group.block:
            return KeptColumns(kept, tuple(starts.values()))
        shape = columns[group.positions[0]].shape
        first = starts[group.positions[0]]
        return KeptColumns(kept, tuple(range(first, first + math.prod(shape))), shape)

    def texts(self, position: int) -> Iterator[Sequence[str]]:
        """Yield the values of a column as text, null as nothing; integers as they are written.

        Raises: ShapeMismatch if it holds lists or objects.
        """
        column = self.survey.columns[position]
        for piece in pieces(self.stored):
            content = parsed(piece, self.stored.name, records=self.records, decoder=TEXTS)
            yield [self._text(value, column) for value in column.of(content.values)]

    def _text(self, value: Any, column: JsonColumn) -> str:
        if isinstance(value, list | dict):
            where = f"{self.stored.name}:{column.name}" if self.records else self.stored.name
            message = f"{where} is no list of ids or groups."
            raise ShapeMismatch(message, hint="They are text or numbers, one for each sample.")
        return "" if value is None else str(value)

    def line(self, row: int) -> int:
        """Return the line on which a value stands, from 1."""
        return int(self._lines[row]) if self.survey.gap else row + 1

    @cached_property
    def _lines(self) -> NumPyArray:
        blanks = BLANKS.encode()
        lines = (line for piece in pieces(self.stored) for line in piece.content.removesuffix(b"\n").split(b"\n"))
        return np.flatnonzero(np.fromiter((bool(line.strip(blanks)) for line in lines), np.bool_)) + 1


@lru_cache(maxsize=4)
def _again(stored: Stored, records: bool, survey: Survey, groups: tuple[Group, ...]) -> Jsonl:  # noqa: FBT001 - as it is pickled
    opened = Jsonl(stored, records, survey)
    for group in groups:
        opened.want(group)
    return opened


class JsonColumns(Converted["Jsonl"]):
    """One column, or several side by side."""

    def place(self, index: tuple[int, ...]) -> str:
        """Return `line 7, column 'yhat'`, and the place in a list."""
        if not index:
            return place(index)
        block = self.group.block and len(index) > 1
        column = self.table.survey.columns[self.group.positions[index[1] if block else 0]]
        inner = "" if block or len(index) == 1 else f", {place(index[1:])}"
        return f"line {self.table.line(index[0])}" + (f", column '{column.name}'" if column.path else "") + inner


class Filling:
    """Takes some columns of a file piece by piece: side by side as a block (n, k), or one as (n, *shape).

    A column of lists is kept as one column for each element of a list.
    """

    def __init__(self, columns: Sequence[JsonColumn], name: str, *, block: bool) -> None:
        """Begin empty; messages call the file `name`."""
        self._columns, self._name = columns, name
        self._shape = None if block else columns[0].shape
        size = sum(math.prod(column.shape) for column in columns)
        self._rows = 0
        self._spool = Spool(Group(tuple(range(size)), block=self._shape != ()), name) if size else None

    def add(self, content: Parsed, kind: np.dtype[Any] | None = None) -> bool:
        """Add some rows; not those, if a `kind` is asked for, of which some column is of another."""
        rows = len(content.lines)
        arrays = [floats(content, column) for column in self._columns]
        if kind is not None and any(array.dtype != kind for array in arrays):
            return False
        self._rows += rows
        if self._spool and rows:
            sizes = [math.prod(column.shape) for column in self._columns]
            self._spool.add([part for array, size in zip(arrays, sizes, strict=True) for part in array.reshape(rows, size).T])
        return True

    def done(self) -> Part:
        """Return everything as one array."""
        part = self._spool.done() if self._spool else Memory(np.empty((self._rows, *(self._shape or (0,)))))
        if not self._shape:
            return part
        shape = (self._rows, *self._shape)
        if isinstance(part, NpyPart):
            return replace(part, header=replace(part.header, shape=shape))
        return Memory(part.read(0, self._rows).reshape(shape))


@dataclass(frozen=True)
class KeptColumns:
    """Some columns of a two-dimensional array: (n, k) for several or, with a `shape`, (n, *shape) for those of one list."""

    whole: Part
    positions: tuple[int, ...]
    tail: tuple[int, ...] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the columns."""
        return (self.whole.shape[0], *((len(self.positions),) if self.tail is None else self.tail))

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the whole."""
        return self.whole.dtype

    def read(self, start: int, stop: int, axis: int = 0) -> NumPyArray:
        """Return the range [start, stop) along `axis`."""
        rows = self.whole.read(0, self.whole.shape[0]) if axis else self.whole.read(start, stop)
        array = np.ascontiguousarray(rows[:, self.positions]).reshape(len(rows), *self.shape[1:])
        return array[(slice(None),) * axis + (slice(start, stop),)] if axis else array

    def place(self, index: tuple[int, ...]) -> str:
        """Return the index in brackets."""
        return place(index)


def open_jsonl(stored: Stored) -> Jsonl:
    """Open lines of JSON. NaN, Infinity and null are numbers; blank lines are skipped.

    Raises: UnreadableFile with the first line that is no JSON, or not of the kind of the others.
    """
    records, node, rows, last = _of_records(stored), Node(), 0, 0
    kept: Filling | None = None
    columns: tuple[JsonColumn, ...] = ()
    for piece in pieces(stored):
        content = parsed(piece, stored.name, records=records)
        if not content.lines:
            continue
        node.see(content.values)
        before, columns = columns, tuple(node.columns())
        numeric = [column for column in columns if column.numeric]
        if not rows and 0 < sum(math.prod(column.shape) for column in numeric) <= WIDEST:
            kept = Filling(numeric, stored.name, block=True)
        kept = kept if kept and (not rows or columns == before) and _added(kept, content) else None
        rows, last = rows + len(content.lines), content.lines[-1]
    return Jsonl(stored, records, Survey(columns, rows, gap=last != rows), kept.done() if kept else None)


def _added(kept: Filling, content: Parsed) -> bool:
    try:
        return kept.add(content, np.dtype(np.float64))
    except LossctlError:
        # Said when the column is asked for.
        return False


def _of_records(stored: Stored) -> bool:
    """Whether the first line that is not blank holds an object.

    Raises: UnreadableFile if there is no such line.
    """
    for piece in pieces(stored):
        if text := piece.content.lstrip(BLANKS.encode()):
            return text.startswith(b"{")
    message = f"{stored.name} holds nothing: all its lines are blank."
    raise UnreadableFile(message, hint="Each line holds a record, a number or a list.")
