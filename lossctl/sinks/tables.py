"""Arrays as the columns of a table: one row a sample, one column for each of its elements."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.errors import MissingExtra, ShapeMismatch, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lossctl.blocks import NumPyArray
    from lossctl.shapes import Shape
    from lossctl.sinks.sink import Field
    from lossctl.sinks.stored import StoredSink

# More columns than this are no table that anybody reads, and each costs a header in every part of a .parquet.
WIDEST = 1_000


@dataclass(frozen=True)
class Spooled:
    """Fields in a temporary file, to be converted. `ids`, one for each sample, are the first column of a table."""

    sinks: Sequence[StoredSink]
    ids: Sequence[str] | None = None
    id_name: str = "id"

    @property
    def names(self) -> list[str]:
        """The names of the columns of numbers."""
        return [name for sink in self.sinks for name in names(sink.field)]

    @property
    def types(self) -> list[np.dtype[Any]]:
        """The types of the columns of numbers; what is true is 1."""
        kinds = [(sink.field.dtype, width(sink.field)) for sink in self.sinks]
        return [
            np.dtype(np.uint8) if dtype.kind == "b" else dtype.newbyteorder("=") for dtype, count in kinds for _ in range(count)
        ]

    def chunks(self, elements: int, least: int = 1) -> Iterator[tuple[list[str], list[NumPyArray]]]:
        """Read about `elements` elements at a time, but no fewer than `least` rows: their ids, and their columns.

        A table without columns has no rows.
        """
        rows = length(self.sinks[0].field) if self.names or self.ids is not None else 0
        step = max(least, elements // max(1, len(self.names)))
        for start in range(0, rows, step):
            stop = min(start + step, rows)
            ids = [_encodable(text) for text in self.ids[start:stop]] if self.ids is not None else []
            yield ids, self._columns(start, stop)

    def _columns(self, start: int, stop: int) -> list[NumPyArray]:
        columns = [column for sink in self.sinks for column in np.ascontiguousarray(sink.rows(start, stop).T)]
        return [column.astype(dtype, copy=False) for column, dtype in zip(columns, self.types, strict=True)]


def _encodable(text: str) -> str:
    """A file name that is no UTF-8 reaches Python as half a character."""
    return text if text.isascii() else text.encode(errors="backslashreplace").decode()


def length(field: Field) -> int:
    """How many samples a field has; a 0-d array is one."""
    return field.shape[0] if field.shape else 1


def width(field: Field) -> int:
    """How many columns a field takes."""
    return math.prod(field.shape[1:])


def names(field: Field) -> list[str]:
    """Name a field's columns: its own name, followed by the element's index in its sample where that has axes."""
    if len(field.shape) <= 1:
        return [field.name]
    return ["_".join([field.name, *map(str, index)]) for index in np.ndindex(*field.shape[1:])]


def check(path: str, fields: Sequence[Field], ids: Sequence[str] | None, id_name: str) -> None:
    """Refuse what is no table.

    Raises: UsageError for fields that do not stand side by side, ShapeMismatch where `ids` are not one for each row,
    MissingExtra without pyarrow.
    """
    _check_shapes(path, fields)
    _check_columns(path, fields, [id_name] if ids is not None else [])
    rows = length(fields[0])
    if ids is not None and len(ids) != rows:
        message = f"'{path}' would have {rows} rows, but there are {len(ids)} ids."
        raise ShapeMismatch(message, hint=_archive(path))
    try:
        import_module("pyarrow")
    except ImportError as error:
        raise MissingExtra("pyarrow", f"'{path}'", "pyarrow") from error


def _check_shapes(path: str, fields: Sequence[Field]) -> None:
    starts: list[Shape] = [field.shape[:1] for field in fields]
    odd = next((i for i, start in enumerate(starts) if start != starts[0]), None)
    if odd is not None:
        shapes = [f"{fields[i].name} has shape {fields[i].shape}" for i in (odd, 0)]
        message = f"'{path}' is a table with one row for each sample, but {', and '.join(shapes)}."
        raise UsageError(message, hint=_archive(path))


def _check_columns(path: str, fields: Sequence[Field], before: list[str]) -> None:
    count = sum(width(field) for field in fields)
    if count > WIDEST:
        message = f"'{path}' would have {count:,} columns, and a table has at most {WIDEST:,}."
        raise UsageError(message, hint=_archive(path))
    columns = [*before, *(name for field in fields for name in names(field))]
    double = next((name for name, times in Counter(columns).items() if times > 1), None)
    if double is not None:
        message = f"'{path}' would have two columns named '{double}'."
        raise UsageError(message, hint=_archive(path))


def _archive(path: str) -> str:
    return f"Write -o '{Path(path).with_suffix('.npz')}', which holds arrays of any shape under their names."
