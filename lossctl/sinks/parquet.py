"""Parquet, one row group after another."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from lossctl.sinks.tables import Spooled

# A row group is in memory a few times over while it is written.
ELEMENTS = 1 << 20
# Each column of each row group costs some hundred bytes, which are kept until the end.
ROWS = 1 << 12


def write(file: BinaryIO, spooled: Spooled) -> None:
    """Write the columns under their names."""
    import pyarrow as pa
    from pyarrow import parquet

    first = [] if spooled.ids is None else [pa.field(spooled.id_name, pa.string())]
    numbers = [pa.field(name, pa.from_numpy_dtype(dtype)) for name, dtype in zip(spooled.names, spooled.types, strict=True)]
    schema = pa.schema([*first, *numbers])
    # Numbers that hardly repeat grow by a dictionary, and take longer.
    with parquet.ParquetWriter(file, schema, use_dictionary=False, write_statistics=False) as writer:
        for ids, columns in spooled.chunks(ELEMENTS, ROWS):
            arrays = [pa.array(ids, pa.string())] if first else []
            # pyarrow's own conversion imports pandas where that is installed.
            arrays += [
                pa.Array.from_buffers(field.type, len(column), [None, pa.py_buffer(column)])
                for field, column in zip(numbers, columns, strict=True)
            ]
            writer.write_batch(pa.record_batch(arrays, schema=schema))
