"""Tables as files of every kind that pyarrow writes."""

from __future__ import annotations

import struct
import sys

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


def swapped(values, mask=None):
    """Numbers as an Arrow array whose bytes stand in the other order."""
    return pa.array(values.byteswap(), mask=mask)


def of_the_other_order(batch):
    """The stream that a computer of the other byte order writes of a batch of `swapped` arrays."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    stream = sink.getvalue().to_pybytes()
    size = struct.unpack_from("<i", stream, 4)[0]
    schema = _said_to_be_swapped(stream[8 : 8 + size])
    return struct.pack("<Ii", 0xFFFFFFFF, len(schema)) + schema + stream[8 + size :]


def _said_to_be_swapped(message):
    """A schema's message with the member `endianness`, which is left out in this computer's order (Schema.fbs)."""
    content = bytearray(message)

    def members(table):
        return table - struct.unpack_from("<i", content, table)[0]

    root = struct.unpack_from("<I", content)[0]
    header = root + struct.unpack_from("<H", content, members(root) + 4 + 2 * 2)[0]
    schema = header + struct.unpack_from("<I", content, header)[0]
    size = struct.unpack_from("<H", content, members(schema))[0]
    copied, at = content[members(schema) : members(schema) + size], len(content)
    content += copied + bytes(-len(copied) % 8)
    # The new member lies behind the new list of members.
    struct.pack_into("<H", content, at + 4, len(content) - schema)
    struct.pack_into("<i", content, schema, schema - at)
    return bytes(content + struct.pack("<h", int(sys.byteorder == "little")) + bytes(6))
