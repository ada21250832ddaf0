"""Tables as files of every kind that pyarrow writes."""

from __future__ import annotations

import pyarrow as pa
from pyarrow import feather, parquet

KINDS = ("parquet", "one-group", "plain-parquet", "arrow", "packed-arrow", "arrows", "feather")
SUFFIX = {"one-group": "parquet", "plain-parquet": "parquet", "packed-arrow": "arrow"}


def ipc(path, table, rows, compression=None, opened=pa.ipc.new_file):
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.OSFile(str(path), "wb") as file, opened(file, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=rows)


def write(folder, kind, table, stem="t", rows=3):
    """Write `table` in pieces of `rows` rows, and return the file's name."""
    name = f"{stem}.{SUFFIX.get(kind, kind)}"
    path = folder.path / name
    if kind == "parquet":
        parquet.write_table(table, path, row_group_size=rows)
    elif kind == "one-group":
        parquet.write_table(table, path, compression="zstd", data_page_version="2.0")
    elif kind == "plain-parquet":
        parquet.write_table(table, path, row_group_size=rows, write_statistics=False, use_dictionary=False, store_schema=False)
    elif kind == "feather":
        feather.write_feather(table, str(path), compression="lz4", chunksize=rows)
    else:
        opened = pa.ipc.new_stream if kind == "arrows" else pa.ipc.new_file
        ipc(path, table, rows, "zstd" if kind == "packed-arrow" else None, opened)
    folder.again()
    return name


def container(folder, name):
    """What the folder's Files have opened under `name`."""
    return folder.files._container(name)  # noqa: SLF001 - tests of containers need one
