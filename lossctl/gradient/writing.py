"""Arrays of known shape into files, in ranges and from several threads. Files become whole or do not appear.

The suffix names the format. .npy and .safetensors are written in place. .csv, .npz and .parquet need the numbers in an order
of their own: these are kept in an unnamed file beside the target, and converted piece by piece when all are there. A table has
one row a sample and one column for each of its elements. CSV holds the fewest digits that read back to the same bits, `nan`,
`inf` and `-inf`; members of an .npz are stored and not compressed, so that they are read in place.
"""

from __future__ import annotations

import math
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from lossctl.errors import MissingExtra, ShapeMismatch, UsageError
from lossctl.gradient.sinks import Field, Sink, StoredSink, npy_head, safetensors_head, stored
from lossctl.sources.drafts import atomic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from lossctl.sources.readers import NumPyArray, Shape


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


def check_table(path: str, fields: Sequence[Field], ids: Sequence[str] | None, id_name: str) -> None:
    """Refuse what is no table.

    Raises: UsageError for fields that do not stand side by side, ShapeMismatch where `ids` are not one for each row,
    MissingExtra without pyarrow.
    """
    _check_shapes(path, fields)
    _check_columns(path, fields, [id_name] if ids is not None else [])
    rows = length(fields[0])
    if ids is not None and len(ids) != rows:
        raise ShapeMismatch(f"'{path}' would have {rows} rows, but there are {len(ids)} ids.", hint=_archive(path))
    try:
        import_module("pyarrow")
    except ImportError as error:
        raise MissingExtra("pyarrow", f"'{path}'", "pyarrow") from error


def _check_shapes(path: str, fields: Sequence[Field]) -> None:
    starts: list[Shape] = [field.shape[:1] for field in fields]
    odd = next((i for i, start in enumerate(starts) if start != starts[0]), None)
    if odd is not None:
        shapes = [f"{fields[i].name} has shape {fields[i].shape}" for i in (odd, 0)]
        raise UsageError(f"'{path}' is a table with one row for each sample, but {', and '.join(shapes)}.", hint=_archive(path))


def _check_columns(path: str, fields: Sequence[Field], before: list[str]) -> None:
    count = sum(width(field) for field in fields)
    if count > WIDEST:
        raise UsageError(f"'{path}' would have {count:,} columns, and a table has at most {WIDEST:,}.", hint=_archive(path))
    columns = [*before, *(name for field in fields for name in names(field))]
    double = next((name for name, times in Counter(columns).items() if times > 1), None)
    if double is not None:
        raise UsageError(f"'{path}' would have two columns named '{double}'.", hint=_archive(path))


def _archive(path: str) -> str:
    return f"Write -o '{Path(path).with_suffix('.npz')}', which holds arrays of any shape under their names."


# Text takes some three times the memory of the numbers, and is there twice.
CSV_ELEMENTS = 1 << 17
# The csv module quotes what its own line end holds: only this one makes it quote a lone carriage return.
LINE_END = "\r\n"


class _CsvLines(list[str]):
    """A file for the csv module, which writes each line with one call."""

    def write(self, line: str) -> None:
        self.append(line.removesuffix(LINE_END))


def write_csv(file: BinaryIO, spooled: Spooled) -> None:
    """Write a header line and one line for each sample."""
    first = [] if spooled.ids is None else [spooled.id_name]
    file.write(f"{_quoted([[*first, *spooled.names]])[0]}\n".encode())
    file.writelines(_lines([ids][: len(first)], columns) for ids, columns in spooled.chunks(CSV_ELEMENTS))


def _quoted(rows: Iterable[list[str]]) -> list[str]:
    """Join cells to lines, quoted only where they must be."""
    import csv

    lines = _CsvLines()
    csv.writer(lines, lineterminator=LINE_END).writerows(rows)
    return lines


def _lines(texts: list[list[str]], columns: list[NumPyArray]) -> Any:
    """Return lines as one buffer of bytes."""
    import pyarrow as pa
    from pyarrow import compute

    cells = [pa.array(_quoted([text] for text in column), pa.string()) for column in texts]
    cells += [_written(column) for column in columns]
    joined = compute.binary_join_element_wise(*cells, ",") if len(cells) > 1 else cells[0]
    # The texts of an array stand one after another in its last buffer.
    return compute.binary_join_element_wise(joined, "", "\n").buffers()[-1]


def _written(column: NumPyArray) -> Any:
    """Write numbers as text; pyarrow does it several times as fast as Python."""
    import pyarrow as pa

    # Not every pyarrow writes float16, and a float32 holds the same number.
    numbers = column.astype(np.float32) if column.dtype == np.float16 else column
    kind = pa.from_numpy_dtype(numbers.dtype)
    return pa.Array.from_buffers(kind, len(numbers), [None, pa.py_buffer(numbers)]).cast(pa.string())


def write_npz(file: BinaryIO, spooled: Spooled) -> None:
    """Write each field as a member."""
    import zipfile

    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for sink in spooled.sinks:
            # A member's size is not known to zipfile before it is written, and NumPy, too, allows for more than 4 GB.
            with archive.open(f"{sink.field.name}.npy", "w", force_zip64=True) as member:
                member.write(npy_head([sink.field]))
                for piece in sink.pieces():
                    member.write(piece)


# A row group is in memory a few times over while it is written.
PARQUET_ELEMENTS = 1 << 20
# Each column of each row group costs some hundred bytes, which are kept until the end.
PARQUET_ROWS = 1 << 12


def write_parquet(file: BinaryIO, spooled: Spooled) -> None:
    """Write the columns under their names."""
    import pyarrow as pa
    from pyarrow import parquet

    first = [] if spooled.ids is None else [pa.field(spooled.id_name, pa.string())]
    numbers = [pa.field(name, pa.from_numpy_dtype(dtype)) for name, dtype in zip(spooled.names, spooled.types, strict=True)]
    schema = pa.schema([*first, *numbers])
    # Numbers that hardly repeat grow by a dictionary, and take longer.
    with parquet.ParquetWriter(file, schema, use_dictionary=False, write_statistics=False) as writer:
        for ids, columns in spooled.chunks(PARQUET_ELEMENTS, PARQUET_ROWS):
            arrays = [pa.array(ids, pa.string())] if first else []
            # pyarrow's own conversion imports pandas where that is installed.
            arrays += [
                pa.Array.from_buffers(field.type, len(column), [None, pa.py_buffer(column)])
                for field, column in zip(numbers, columns, strict=True)
            ]
            writer.write_batch(pa.record_batch(arrays, schema=schema))


@dataclass(frozen=True)
class ArrayFormat:
    """One format: the `head` that fields written in place follow, or what converts them. `most` limits their number."""

    head: Callable[[Sequence[Field]], bytes] | None = None
    convert: Callable[[BinaryIO, Spooled], None] | None = None
    tabular: bool = False
    most: int | None = None


SUFFIXES = {
    ".npy": ArrayFormat(head=npy_head, most=1),
    ".npz": ArrayFormat(convert=write_npz),
    ".csv": ArrayFormat(convert=write_csv, tabular=True),
    ".parquet": ArrayFormat(convert=write_parquet, tabular=True),
    ".safetensors": ArrayFormat(head=safetensors_head),
}


def is_array(path: str) -> bool:
    """Whether the suffix of `path` stands for a format that arrays are written in."""
    return Path(path).suffix.lower() in SUFFIXES


def check_path(path: str, fields: Sequence[Field], ids: Sequence[str] | None = None, id_name: str = "id") -> None:
    """Refuse what the format of `path` cannot hold, which is worth asking before computing.

    Raises: UsageError for an unknown suffix, several arrays in an .npy, or arrays that make no table; ShapeMismatch where
    `ids` are not one for each row of a table; MissingExtra for tables without pyarrow.
    """
    chosen = _format(path)
    if chosen.most is not None and len(fields) > chosen.most:
        message = f"'{path}' holds one array, and {len(fields)} are to be written: {', '.join(field.name for field in fields)}."
        raise UsageError(message, hint=f"Write -o '{Path(path).with_suffix('.npz')}', which holds several.")
    if chosen.tabular:
        check_table(path, fields, ids, id_name)


def _format(path: str) -> ArrayFormat:
    if not is_array(path):
        message = f"'{path}' does not end in a suffix that arrays are written under."
        raise UsageError(message, hint=f"Known suffixes: {', '.join(SUFFIXES)}.")
    return SUFFIXES[Path(path).suffix.lower()]


@contextmanager
def opened(
    path: str, fields: Sequence[Field], ids: Sequence[str] | None = None, id_name: str = "id"
) -> Iterator[dict[str, Sink]]:
    """Yield a sink for each field, by name. `path` becomes the whole file when the block ends well, else stays as it was.

    `ids` are the first column of a table, named `id_name`; other formats do not hold them.

    Raises: what `check` raises; InputError where the folder is missing, or the file cannot be written.
    """
    check_path(path, fields, ids, id_name)
    chosen = _format(path)
    with atomic(path) as file:
        if chosen.head:
            with _laid(file, fields, chosen.head(fields)) as sinks:
                yield _named(sinks)
        if chosen.convert:
            with _spool(file) as spool, _laid(spool, fields) as sinks:
                yield _named(sinks)
                chosen.convert(file, Spooled(sinks, ids, id_name))


@contextmanager
def _laid(file: BinaryIO, fields: Sequence[Field], head: bytes = b"") -> Iterator[list[StoredSink]]:
    sinks = stored(file, fields, head)
    try:
        yield sinks
    finally:
        for sink in sinks:
            sink.place.close()


@contextmanager
def _spool(file: BinaryIO) -> Iterator[BinaryIO]:
    """A file without a name on the disk that `file` is on, since a folder for temporary files may be small."""
    import tempfile

    # What goes to a pipe has no name, and is a temporary file itself.
    folder = Path(file.name).parent if isinstance(file.name, str) else None
    with tempfile.TemporaryFile(dir=folder) as spool:
        yield spool


def _named(sinks: Sequence[StoredSink]) -> dict[str, Sink]:
    return {sink.field.name: sink for sink in sinks}
