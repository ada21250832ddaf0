"""Lines of JSON, .jsonl and .ndjson: records are the rows of a table, numbers and lists the samples of one array.

A small file is parsed at once. A large one is gone through twice in pieces, on threads: first for its columns, since any
record may have keys of its own, then for the numbers of those that are wanted, all in one pass.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.blocks import place
from lossctl.errors import LossctlError, ShapeMismatch
from lossctl.files import jsonl_arrow
from lossctl.files.jsonl_filling import Filling
from lossctl.files.jsonl_survey import Survey, all_parsed, of_records, survey_of, survey_of_large
from lossctl.files.jsonl_values import BLANKS, TEXTS, Column, Parsed, floats, parsed
from lossctl.files.pieces import Piece, ahead, pieces
from lossctl.files.spool import Converted, Group

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lossctl.blocks import NumPyArray, Part
    from lossctl.files.stored import Stored

# As for other text tables: below it, importing pyarrow takes longer than the json module.
LARGE = 1 << 20


@dataclass
class Jsonl:
    """An opened file of lines of JSON. `records` says whether they are objects."""

    stored: Stored
    records: bool
    survey: Survey
    _kept: Parsed | None = None
    _wanted: dict[Group, Part | None] = field(default_factory=dict)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the numbers behind, which may lie in an unnamed file: they are read again where they are needed."""
        return {"stored": self.stored, "records": self.records, "survey": self.survey, "_kept": None, "_wanted": {}}

    @property
    def noun(self) -> str:
        """What one of the arrays is called."""
        return "column" if self.records else "this file of JSON lines"

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
        for a large file when it is first looked at.
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
        self._wanted.setdefault(group, None)
        if self.stored.size <= LARGE:
            self.values(group)
        return Columns(self, group)

    def values(self, group: Group) -> Part:
        """Return the numbers of columns, after converting all that were asked for so far in one pass."""
        if self._wanted.setdefault(group, None) is None:
            waiting = [one for one, values in self._wanted.items() if values is None]
            try:
                self._wanted.update(zip(waiting, self._convert(waiting), strict=True))
            except LossctlError:
                # Another column may be at fault.
                self._wanted[group] = self._convert([group])[0]
        found = self._wanted[group]
        assert found is not None  # noqa: S101 - filled above
        return found

    def _convert(self, groups: list[Group]) -> list[Part]:
        positions = sorted({position for group in groups for position in group.positions})
        columns = [self.survey.columns[position] for position in positions]
        filling = [Filling(group, columns, positions, self.stored.name) for group in groups]
        for arrays in self._arrays(columns):
            found = dict(zip(positions, arrays, strict=True))
            for one in filling:
                one.add([found[position] for position in one.group.positions])
        return [one.done() for one in filling]

    def _arrays(self, columns: list[Column]) -> Iterator[list[NumPyArray]]:
        def convert(piece: Piece) -> list[NumPyArray]:
            try:
                return jsonl_arrow.convert(piece, columns, records=self.records)
            except jsonl_arrow.Odd:
                return self._slowly(parsed(piece, self.stored.name, records=self.records), columns)

        if self.stored.size <= LARGE:
            self._kept = self._kept or all_parsed(self.stored, records=self.records)
            yield self._slowly(self._kept, columns)
        else:
            yield from ahead(convert, pieces(self.stored))

    def _slowly(self, found: Parsed, columns: list[Column]) -> list[NumPyArray]:
        return [floats(found, column, self.stored.name) for column in columns]

    def texts(self, position: int) -> list[str]:
        """Return the values of a column as text, null as nothing; integers as they are written.

        Raises: as `written`.
        """
        return [text for part in self.written(position) for text in part]

    def written(self, position: int) -> Iterator[list[str]]:
        """Yield the same some at a time.

        Raises: ShapeMismatch if it holds lists or objects.
        """
        column = self.survey.columns[position]
        for found in self._texts():
            yield [self._text(column.of(value), column) for value in found.values]

    def _texts(self) -> Iterator[Parsed]:
        for piece in pieces(self.stored):
            yield parsed(piece, self.stored.name, records=self.records, decoder=TEXTS)

    def _text(self, value: Any, column: Column) -> str:
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
        lines = (line for piece in pieces(self.stored) for line in piece.content.removesuffix(b"\n").split(b"\n"))
        return np.flatnonzero(np.fromiter((bool(line.strip(BLANKS)) for line in lines), np.bool_)) + 1


class Columns(Converted["Jsonl"]):
    """One column, or several side by side."""

    def place(self, index: tuple[int, ...]) -> str:
        """Return `line 7, column 'yhat'`, and the place in a list."""
        if not index:
            return place(index)
        block = self.group.block and len(index) > 1
        column = self.table.survey.columns[self.group.positions[index[1] if block else 0]]
        inner = "" if block or len(index) == 1 else f", {place(index[1:])}"
        return f"line {self.table.line(index[0])}" + (f", column '{column.name}'" if column.path else "") + inner


def open_jsonl(stored: Stored) -> Jsonl:
    """Open lines of JSON. NaN, Infinity and null are numbers; blank lines are skipped.

    Raises: UnreadableFile with the first line that is no JSON, or not of the kind of the others.
    """
    records = of_records(stored)
    if stored.size > LARGE:
        return Jsonl(stored, records, survey_of_large(stored, records=records))
    kept = all_parsed(stored, records=records)
    return Jsonl(stored, records, survey_of(kept), kept)
