"""Parquet: a row group is a chunk. Types come from the footer, which counts nulls where the writer did.

The file is opened for each row group and closed again. pyarrow decodes the columns of a row group on its own threads;
reading ahead is left to the system, for it would hold a whole row group in memory twice.

pyarrow would say what the footer counts too, but it ends the process, without an exception, where the statistics of a damaged
file do not fit their column. So the footer, which is in Thrift's compact protocol, is read here, and what is odd in it only
means that nobody has counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from lossctl.sources.arrowed import Leaf, follow, leaves, reading, route
from lossctl.sources.chunked import ArrowColumns, Chunked, Span

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lossctl.sources.stored import Stored

# A length and the last word of the file.
ENDING = 8
# Counts in a larger footer take longer to read than the column they speak of.
LARGEST = 1 << 20
# Deeper than a footer goes.
DEEPEST = 24
# The types of Thrift's fields.
TRUE, FALSE, BYTE, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = 1, 2, 3, 7, 8, 9, 10, 11, 12
NUMBERS = {4, 5, 6}
# The numbers of the fields that are looked at: parquet.thrift.
ROW_GROUPS, COLUMNS, ABOUT, VALUES, STATISTICS, NULLS = 4, 1, 3, 5, 12, 3
# A length of 15 or more does not fit beside the type.
LONG = 15


class Counts(NamedTuple):
    """How many values a column has in a row group, each element of a list being one, and how many nulls; None if unknown."""

    values: int | None = None
    nulls: int | None = None


@dataclass
class _Footer:
    content: bytes
    at: int = 0

    def byte(self) -> int:
        self.at += 1
        return self.content[self.at - 1]

    def varint(self) -> int:
        number = shift = 0
        while (byte := self.byte()) & 128:
            number |= (byte & 127) << shift
            shift += 7
        return number | byte << shift

    def number(self) -> int:
        zigzag = self.varint()
        return (zigzag >> 1) ^ -(zigzag & 1)

    def struct(self, depth: int = 0) -> dict[int, Any]:
        fields: dict[int, Any] = {}
        field = 0
        while head := self.byte():
            field = field + (head >> 4) if head >> 4 else self.number()
            fields[field] = None if head & 15 in {TRUE, FALSE} else self.value(head & 15, depth + 1)
        return fields

    def value(self, kind: int, depth: int) -> Any:
        if depth > DEEPEST:
            raise ValueError
        if kind in NUMBERS:
            return self.number()
        if kind == STRUCT:
            return self.struct(depth)
        if kind in {LIST, SET}:
            return self.items(depth)
        return self.skip(kind)

    def items(self, depth: int) -> list[Any]:
        head = self.byte()
        size = self.varint() if head >> 4 == LONG else head >> 4
        return [self.value(head & 15, depth + 1) for _ in range(size)]

    def skip(self, kind: int) -> None:
        if kind == MAP:
            raise ValueError
        # In two steps, for reading a length moves on as well.
        size = self.varint() if kind == BINARY else 8 if kind == DOUBLE else 1
        self.at += size


def counted(stored: Stored) -> list[list[Counts]]:
    """Return what is counted of each column in each row group; nothing if the footer is odd or very large."""
    ending = stored.part(stored.size - ENDING, ENDING).head(ENDING)
    size = int.from_bytes(ending[:4], "little")
    if size > min(LARGEST, stored.size - ENDING):
        return []
    content = stored.part(stored.size - ENDING - size, size).head(size)
    try:
        return [_group(group) for group in _Footer(content).struct()[ROW_GROUPS]]
    except (LookupError, ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        return []


def _group(group: Any) -> list[Counts]:
    return [_column(column.get(ABOUT) or {}) for column in group[COLUMNS]]


def _column(about: Any) -> Counts:
    values, nulls = about.get(VALUES), (about.get(STATISTICS) or {}).get(NULLS)
    return Counts(values if isinstance(values, int) else None, nulls if isinstance(nulls, int) else None)


WHAT = "a Parquet file"
# What pyarrow reads at once of a column that is read from front to end.
PIECE = 1 << 20


@dataclass
class RowGroups:
    """The footer of a Parquet file, and its row groups."""

    what: ClassVar[str] = WHAT
    stored: Stored
    leaves: Sequence[Leaf]
    metadata: Any
    in_place: bool = False
    one_way: bool = False

    @cached_property
    def sizes(self) -> Sequence[int]:
        """The rows of each row group."""
        return [self.metadata.row_group(number).num_rows for number in range(self.metadata.num_row_groups)]

    def chunk(self, number: int, positions: Sequence[int], span: Span | None = None) -> ArrowColumns:
        """Return columns of one row group, all of it."""
        del span
        with reading(self.stored.name, WHAT):
            table = self._opened().read_row_group(number, self._slots(positions), use_threads=len(positions) > 1)
            return self._picked(table, positions)

    def batches(self, positions: Sequence[int], rows: int) -> Iterator[ArrowColumns]:
        """Yield columns from front to end, at most `rows` rows at a time."""
        with reading(self.stored.name, WHAT):
            groups = list(range(len(self.sizes)))
            batches = self._opened(PIECE).iter_batches(rows, groups, self._slots(positions), use_threads=False)
        while True:
            with reading(self.stored.name, WHAT):
                if (batch := next(batches, None)) is None:
                    return
                picked = self._picked(batch, positions)
            yield picked

    def _opened(self, buffer: int = 0) -> Any:
        """Columns are chosen by their numbers, which only the reader inside takes: names may occur twice."""
        return opened(self.stored, self.metadata, buffer)

    def _slots(self, positions: Sequence[int]) -> list[int]:
        return sorted(slot for position in positions for slot in self.leaves[position].slots)

    def _picked(self, table: Any, positions: Sequence[int]) -> ArrowColumns:
        chosen = [self.leaves[position].path for position in positions]
        columns = {}
        for position, path in zip(positions, chosen, strict=True):
            first, *steps = route(path, chosen, len(path))
            column = table.column(first)
            columns[position] = follow(getattr(column, "chunks", [column]), steps)
        return columns

    def nulls(self, position: int) -> bool | None:
        """Whether the statistics count nulls; None where a row group has none."""
        if not self.leaves[position].nullable:
            return False
        counts = [count.nulls for count in self._counts(position)]
        return True if any(counts) else None if None in counts else False

    def is_even(self, position: int, width: int) -> bool:
        """Whether each row group has as many values as rows of this width have."""
        pairs = zip(self._counts(position), self.sizes, strict=True)
        return all(count.values == rows * width for count, rows in pairs)

    def _counts(self, position: int) -> list[Counts]:
        slot = self.leaves[position].slots[0]
        return [self._footer[number][slot] if self._footer else Counts() for number in range(len(self.sizes))]

    @cached_property
    def _footer(self) -> list[list[Counts]]:
        groups = counted(self.stored)
        fitting = len(groups) == len(self.sizes) and {len(group) for group in groups} <= {self.metadata.num_columns}
        return groups if fitting else []


def opened(stored: Stored, metadata: Any = None, buffer: int = 0) -> Any:
    """Open a Parquet file; `buffer` is what is read of a column at once, 0 for all of it."""
    import pyarrow as pa

    # At an address only the wanted columns are fetched.
    path = "" if stored.remote else stored.openable
    file = pa.OSFile(path) if path else pa.PythonFile(stored.stream(), mode="r")
    reader = _reader()
    # Pages have checksums only where the writer was asked for them.
    reader.open(file, metadata=metadata, pre_buffer=False, buffer_size=buffer, page_checksum_verification=True)
    return reader


def _reader() -> Any:
    """What pyarrow reads with. Around it lies all that it knows of file systems, whose import takes longer than a file."""
    try:
        from pyarrow._parquet import ParquetReader
    except ImportError:
        from pyarrow.parquet.core import ParquetReader
    return ParquetReader()


def row_groups(stored: Stored) -> RowGroups:
    """Read the footer.

    Raises: UnreadableFile if it is damaged or encrypted.
    """
    with reading(stored.name, WHAT):
        file = opened(stored)
        columns = leaves(file.schema_arrow)
        if sum(len(leaf.slots) for leaf in columns) != file.metadata.num_columns:
            raise ValueError("its two schemas differ")
        groups = RowGroups(stored, columns, file.metadata)
        if min(groups.sizes, default=0) < 0:
            raise ValueError("it says that it has less than no rows")
        return groups


def open_parquet(stored: Stored) -> Chunked:
    """Open a Parquet file.

    Raises: UnreadableFile if it is none, or is damaged or encrypted.
    """
    table = Chunked(stored, row_groups)
    _ = table.source
    return table
