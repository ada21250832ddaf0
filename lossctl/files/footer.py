"""What the footer of a Parquet file counts: the values and the nulls of each column in each row group.

pyarrow would say it too, but it ends the process, without an exception, where the statistics of a damaged file do not fit
their column. So the footer, which is in Thrift's compact protocol, is read here, and what is odd in it only means that
nobody has counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from lossctl.files.stored import Stored

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
        found = shift = 0
        while (byte := self.byte()) & 128:
            found |= (byte & 127) << shift
            shift += 7
        return found | byte << shift

    def number(self) -> int:
        found = self.varint()
        return (found >> 1) ^ -(found & 1)

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
