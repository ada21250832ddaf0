"""Arrow's IPC files, Feather among them, and IPC streams: a record batch is a chunk.

Plain batches are mapped for each read and unmapped again; compressed ones are decoded whole, column by column. A stream that
is compressed, has dictionaries, or is of another byte order cannot be entered in the middle: what is wanted of it goes through
a temporary file.
"""

from __future__ import annotations

import struct
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from lossctl.errors import TooLarge, UnreadableFile
from lossctl.sources.arrowed import Leaf, follow, leaves, reading, route
from lossctl.sources.chunked import ArrowColumns, Chunked, Span

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lossctl.sources.stored import Stored

FILE = b"ARROW1"
FEATHER_1 = b"FEA1"
# A file is a stream behind its first word, which is filled up to eight bytes.
BEFORE = 8
WHAT = "an Arrow file"
# Bytes of one column of a compressed batch, which is in memory whole.
MOST = 1 << 30
# Where a message has its header, a record batch says how it is compressed, and a schema its byte order: Arrow's Message.fbs
# and Schema.fbs.
HEADER, COMPRESSION, ENDIANNESS = 2, 3, 0


@dataclass
class Messages:
    """Where record batches begin in a file or stream, how many rows each has, and what else there is."""

    starts: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    packed: bool = False
    dictionaries: bool = False
    swapped: bool = False


@dataclass
class RecordBatches:
    """The schema of an IPC file or stream, and its batches."""

    what: ClassVar[str] = WHAT
    stored: Stored
    leaves: Sequence[Leaf]
    schema: Any
    is_file: bool
    messages: Messages

    @property
    def sizes(self) -> Sequence[int]:
        """The rows of each batch."""
        return self.messages.sizes

    @property
    def in_place(self) -> bool:
        """Whether a range of a batch can be read by itself."""
        whole = self.is_file or not (self.messages.dictionaries or self.messages.swapped)
        return bool(self.stored.openable) and not self.messages.packed and whole

    @property
    def one_way(self) -> bool:
        """Whether batches come only one after another."""
        return not self.is_file and not self.in_place

    def chunk(self, number: int, positions: Sequence[int], span: Span | None = None) -> ArrowColumns:
        """Return columns of one batch, or `span` of its rows, which stay mapped while something holds them."""
        self._refuse(number, positions)
        with reading(self.stored.name, WHAT):
            batch = self._reader(positions).get_batch(number) if self.is_file else self._entered(number)
            return self._picked(batch, positions, span)

    def _entered(self, number: int) -> Any:
        """Read a batch of a stream by its place. All its columns are there, but none is looked at."""
        from pyarrow import ipc

        file = opened(self.stored)
        file.seek(self.messages.starts[number])
        return ipc.read_record_batch(ipc.read_message(file), self.schema)

    def batches(self, positions: Sequence[int], rows: int) -> Iterator[ArrowColumns]:
        """Yield columns of one batch after another, plain ones `rows` rows at a time."""
        if self.one_way:
            yield from self._streamed(positions)
            return
        for number, size in enumerate(self.sizes):
            step = rows if self.in_place else max(1, size)
            for start in range(0, size, step):
                yield self.chunk(number, positions, (start, min(size, start + step)))

    def _streamed(self, positions: Sequence[int]) -> Iterator[ArrowColumns]:
        with reading(self.stored.name, WHAT):
            reader = self._reader(positions)
        for number in range(len(self.sizes)):
            self._refuse(number, positions)
            with reading(self.stored.name, WHAT):
                columns = self._picked(reader.read_next_batch(), positions, None)
            yield columns

    def _reader(self, positions: Sequence[int]) -> Any:
        from pyarrow import ipc

        options = ipc.IpcReadOptions(included_fields=sorted({self.leaves[position].path[0] for position in positions}))
        file = opened(self.stored, mapped=self.in_place)
        return (ipc.open_file if self.is_file else ipc.open_stream)(file, options=options)

    def _picked(self, batch: Any, positions: Sequence[int], span: Span | None) -> ArrowColumns:
        """Take columns out of a batch. Arrow trusts what a file says of its arrays, so it is told to look."""
        chosen = [self.leaves[position].path for position in positions]
        columns = {}
        for position, path in zip(positions, chosen, strict=True):
            first, *steps = route(path, chosen, 1) if self.is_file or self.one_way else path
            column = batch.column(first)
            column = column if span is None else column.slice(span[0], span[1] - span[0])
            column.validate(full=True)
            columns[position] = follow([column], steps)
        return columns

    def _refuse(self, number: int, positions: Sequence[int]) -> None:
        """Raise TooLarge for a compressed batch that is too large to be in memory."""
        sizes = [self.leaves[position].dtype for position in positions]
        needed = self.sizes[number] * sum(dtype.itemsize if dtype is not None else 1 for dtype in sizes)
        if self.messages.packed and needed > MOST:
            size = f"{self.sizes[number]:,} rows, which would take {needed >> 20:,} MiB"
            message = f"{self.stored.name} has a compressed record batch of {size}."
            raise TooLarge(message, hint="Write it again in batches of a million rows or fewer, or without compression.")

    def nulls(self, position: int) -> bool | None:
        """Whether the schema rules nulls out; else the data must be looked at."""
        return None if self.leaves[position].nullable else False

    def is_even(self, position: int, width: int) -> bool:
        """Lengths of lists stand in the data alone."""
        del position, width
        return False


def opened(stored: Stored, *, mapped: bool = True) -> Any:
    """Open the bytes for pyarrow, mapped if there is a path."""
    import pyarrow as pa

    if not (path := stored.openable):
        return pa.PythonFile(stored.stream(), mode="r")
    return pa.memory_map(path) if mapped else pa.OSFile(path)


def record_batches(stored: Stored) -> RecordBatches:
    """Read the schema, and where the batches are.

    Raises: UnreadableFile if it is no such file, or is damaged.
    """
    from pyarrow import ipc

    head = stored.head(BEFORE)
    if head.startswith(FEATHER_1):
        message = f"{stored.name} is a Feather file of version 1, a format that is no longer kept."
        raise UnreadableFile(message, hint="Read it where it was written, and write it again as version 2.")
    is_file = head.startswith(FILE)
    with reading(stored.name, WHAT):
        reader = (ipc.open_file if is_file else ipc.open_stream)(opened(stored))
        messages = _messages(stored, BEFORE if is_file else 0)
        if is_file and len(messages.sizes) != reader.num_record_batches:
            raise ValueError(f"it holds {len(messages.sizes)} record batches, and its footer names {reader.num_record_batches}")
        if min(messages.sizes, default=0) < 0:
            raise ValueError("it says that it has less than no rows")
        return RecordBatches(stored, leaves(reader.schema), reader.schema, is_file, messages)


def _messages(stored: Stored, start: int) -> Messages:
    """Look at each message, without touching what is in its body."""
    import pyarrow as pa
    from pyarrow import ipc

    file, nothing, messages = opened(stored), pa.schema([]), Messages()
    file.seek(start)
    reader = ipc.MessageReader.open_stream(file)
    begin = file.tell()
    for message in reader:
        if message.type == "schema":
            messages.swapped = _is_foreign(message.metadata.to_pybytes())
        if message.type == "record batch":
            # A batch read by a schema without fields has rows all the same.
            messages.sizes.append(ipc.read_record_batch(message, nothing).num_rows)
            messages.starts.append(begin)
            messages.packed = messages.packed or _packed(message.metadata.to_pybytes())
        messages.dictionaries = messages.dictionaries or message.type == "dictionary"
        begin = file.tell()
    return messages


def _packed(metadata: bytes) -> bool:
    """Whether the message of a record batch says that its buffers are compressed."""
    batch = _member(metadata, struct.unpack_from("<I", metadata)[0], HEADER)
    return bool(_member(metadata, batch, COMPRESSION))


def _is_foreign(metadata: bytes) -> bool:
    """Whether a schema says another byte order than this computer's: only a reader from the start swaps bytes."""
    schema = _member(metadata, struct.unpack_from("<I", metadata)[0], HEADER)
    at = _place(metadata, schema, ENDIANNESS)
    big = bool(at and struct.unpack_from("<h", metadata, at)[0])
    return big != (sys.byteorder == "big")


def _member(content: bytes, table: int, slot: int) -> int:
    """Where a member of a flatbuffer's table leads; 0 if it is left out."""
    at = _place(content, table, slot)
    return at + struct.unpack_from("<I", content, at)[0] if at else 0


def _place(content: bytes, table: int, slot: int) -> int:
    """Where a member of a flatbuffer's table stands; 0 if it is left out."""
    members = table - struct.unpack_from("<i", content, table)[0]
    if 2 * slot + 4 >= struct.unpack_from("<H", content, members)[0]:
        return 0
    offset: int = struct.unpack_from("<H", content, members + 4 + 2 * slot)[0]
    return table + offset if offset else 0


def open_arrow(stored: Stored) -> Chunked:
    """Open an Arrow IPC file or stream.

    Raises: UnreadableFile if it is none, or is damaged.
    """
    table = Chunked(stored, record_batches)
    _ = table.source
    return table
