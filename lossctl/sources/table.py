"""Text tables: .csv, .tsv, .txt and what comes over a pipe. Columns are float64; ids and groups are text.

Small tables go through the csv module and are converted at once; large ones through `bulk`, all wanted columns in one
pass, when the first of them is looked at.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.sources.container import Heading, TextTable
from lossctl.sources.layout import (
    CSV,
    DECIMAL,
    FEW,
    SAMPLE,
    TSV,
    TXT,
    UNKNOWN,
    Layout,
    Row,
    TextStyle,
    read_layout,
    read_otherwise,
    rows,
)
from lossctl.sources.readers import NumPyArray, Part, place
from lossctl.sources.spool import Converted, ConvertedFile, Group, slowly

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lossctl.sources.stored import Stored

# Medians of nine whole processes that read two columns, NumPy's import included, by the csv module and by pyarrow:
# 0.04 MB 64 and 91 ms, 0.2 MB 69 and 92, 0.4 MB 77 and 91, 0.9 MB 93 and 93, 2.3 MB 148 and 97, 4.5 MB 260 and 132.
LARGE = 1 << 20


@dataclass(eq=False)
class Table(ConvertedFile, TextTable):
    """An opened text table."""

    stored: Stored
    layout: Layout
    _kept: list[Row] | None = None

    def __post_init__(self) -> None:
        if self.stored.size <= LARGE:
            self._kept = list(rows(self.stored, self.layout))

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process parses the file for itself, once for all that is asked of it there."""
        return _again, (self.stored, self.layout, tuple(self._wanted))

    @property
    def names(self) -> Sequence[str]:
        """The header's names, or `#1`, `#2`, … where there is no header."""
        return self.layout.names

    def how(self) -> dict[str, Any]:
        """Whether the first row was taken for names, and what stands between cells; white space is ''."""
        return {"header": self.layout.heading.header, "delimiter": self.layout.delimiter}

    @property
    def heading(self) -> Heading:
        """How the first row is read."""
        return self.layout.heading

    @property
    def first(self) -> Sequence[str]:
        """The cells of the first row."""
        return self.layout.first

    def headed(self, heading: Heading) -> Table:
        """Return the same table with, or without, a header, whatever its first row looks like."""
        if heading.header == self.heading.header:
            self.layout = replace(self.layout, heading=heading)
            return self
        return Table(self.stored, read_otherwise(self.stored, self.layout, heading))

    def numeric(self) -> list[int]:
        """Return the columns without text in the first rows."""
        return list(self.layout.numeric)

    def counting(self) -> tuple[int, ...]:
        """Return the first column, where it counts rows from 0 or 1, in the first rows, and all others hold decimals."""
        first, *others = self.layout.numeric or (0,)
        cells = [[cell.strip() for cell in row] for _, row in islice(self.rows(), SAMPLE)]
        start = 0 if cells and cells[0][0] == "0" else 1
        counts = all(row[0] == str(number) for number, row in enumerate(cells, start))
        decimals = bool(others) and all(DECIMAL.fullmatch(row[at]) for row in cells for at in others)
        return (0,) if first == 0 and len(cells) >= FEW and counts and decimals else ()

    def part(self, position: int) -> Part:
        """Return one column, shape (n,).

        Raises: UnreadableFile with line, column and cell that is no number; for a large table when it is first looked at.
        """
        return self._columns(Group((position,)))

    def block(self, positions: Sequence[int]) -> Part:
        """Return several columns, shape (n, k)."""
        return self._columns(Group(tuple(positions), block=True))

    def _columns(self, group: Group) -> Part:
        self.want(group)
        if self._kept is not None:
            self.values(group)
        return TableColumns(self, group)

    def convert(self, groups: Sequence[Group]) -> Sequence[Part]:
        """Return the numbers of columns.

        Raises: UnreadableFile with line, column and cell of the first that is no number.
        """
        if self._kept is not None:
            return slowly(self.rows(), groups, self.stored, self.layout)
        from lossctl.sources.bulk import convert

        return convert(self.stored, self.layout, groups)

    def rows(self) -> Iterator[Row]:
        """Yield line number and cells of each row below the header."""
        return iter(self._kept) if self._kept is not None else rows(self.stored, self.layout)

    def cells(self, positions: Sequence[int]) -> Iterator[Sequence[str]]:
        """Yield the cells of some columns row by row."""
        for _, cells in self.rows():
            yield [cells[position] for position in positions]

    def texts(self, position: int) -> Iterator[Sequence[str]]:
        """Yield the cells of a column as they stand in the file, some at a time.

        Raises: as `rows`.
        """
        if self._kept is not None:
            yield [cells[position] for _, cells in self._kept]
            return
        from lossctl.sources.bulk import strings

        yield from strings(self.stored, self.layout, position)

    def line(self, row: int) -> int:
        """Return the line on which a row begins, from 1."""
        return self.layout.skip + 1 + row if self._one_a_line else int(self._lines[row])

    @cached_property
    def _one_a_line(self) -> bool:
        """Whether the rows of a large table stand on lines of their own without a gap, as they nearly always do."""
        if self._kept is not None:
            return False
        from lossctl.sources.bulk import count_lines

        sizes = [values.shape[0] for values in self._wanted.values() if values is not None]
        return sizes[:1] == [count_lines(self.stored, self.layout)]

    @cached_property
    def _lines(self) -> NumPyArray:
        # Only messages ask for it, so a large table is read once more then rather than indexed each time.
        return np.fromiter((line for line, _ in self.rows()), np.int64)


@lru_cache(maxsize=4)
def _again(stored: Stored, layout: Layout, groups: tuple[Group, ...]) -> Table:
    table = Table(stored, layout)
    for group in groups:
        table.want(group)
    return table


class TableColumns(Converted["Table"]):
    """One column of a table, shape (n,), or several, shape (n, k)."""

    def place(self, index: tuple[int, ...]) -> str:
        """Return `line 7, column 'yhat'`."""
        if not index:
            return place(index)
        position = self.group.positions[index[1] if self.group.block and len(index) > 1 else 0]
        return f"line {self.table.line(index[0])}, column '{self.table.names[position]}'"


def open_table(stored: Stored, style: TextStyle) -> Table:
    """Open a text table.

    Raises: UnreadableFile if it is empty, no text, or ragged.
    """
    return Table(stored, read_layout(stored, style))


def open_csv(stored: Stored) -> Table:
    """Open comma-separated values; semicolons or tabs where the first line has no comma."""
    return open_table(stored, CSV)


def open_tsv(stored: Stored) -> Table:
    """Open tab-separated values."""
    return open_table(stored, TSV)


def open_txt(stored: Stored) -> Table:
    """Open a text table of any delimiter, white space included, with # comments."""
    return open_table(stored, TXT)


def open_unknown(stored: Stored) -> Table:
    """Open a text table of any delimiter whose name promises nothing."""
    return open_table(stored, UNKNOWN)
