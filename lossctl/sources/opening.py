"""Opening a file by its name: its bytes, unpacked where they are compressed, and what its format makes of them.

Compressed files are unpacked once, as a stream, into an unnamed copy; from there on they are plain files. The first bytes
decide, so standard input and files of any name are unpacked too, with --in-format as well. A name that ends in `.gz`, `.zst`,
`.bz2` or `.xz` must hold what it says; what stands before that is the suffix that tells the format. Members and frames that
follow one another are read as one. A file whose suffix says nothing, and standard input, are recognised by their first bytes.
"""

from __future__ import annotations

import stat
import zlib
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import IO, TYPE_CHECKING, Any, BinaryIO
from weakref import WeakValueDictionary

from lossctl.errors import InputError, UnknownName, UnreadableFile
from lossctl.progress import watch
from lossctl.sources.source import FORMATS, ROWS, is_address, suffix_of
from lossctl.sources.stored import BUFFER, Stored, Temporary, explained, filled
from lossctl.sources.touched import reads, reads_stream
from lossctl.sources.values import reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lossctl.sources.container import Container

    Opener = Callable[[Stored], Container]

# What unpacking .xz may take: the format allows windows of 4 GB, and its highest usual level needs 65 MB.
WINDOW = 256 << 20


def _gzip(stream: BinaryIO) -> Iterator[bytes]:
    import gzip

    return _read(gzip.GzipFile(fileobj=stream))


def _bzip2(stream: BinaryIO) -> Iterator[bytes]:
    import bz2

    return _read(bz2.BZ2File(stream))


def _zstd(stream: BinaryIO) -> Iterator[bytes]:
    import pyarrow as pa

    return _read(pa.input_stream(stream, compression="zstd"))


def _read(unpacker: Any) -> Iterator[bytes]:
    while piece := unpacker.read(BUFFER):
        yield piece


def _xz(stream: BinaryIO) -> Iterator[bytes]:
    """Unpack one stream after another; LZMAFile would take as much memory as the file asks for."""
    import lzma

    rest = stream.read(BUFFER)
    while rest:
        unpacker = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=WINDOW)
        while not unpacker.eof:
            if unpacker.needs_input and not (rest := rest or stream.read(BUFFER)):
                raise EOFError
            yield unpacker.decompress(rest, BUFFER)
            rest = b""
        rest = unpacker.unused_data.lstrip(b"\0")
        # Zeros may stand between streams and behind the last one.
        while not rest and (piece := stream.read(BUFFER)):
            rest = piece.lstrip(b"\0")


@dataclass(frozen=True)
class Packing:
    """A way of compressing: what it is called, the bytes that it begins with, what unpacks it, and what tests a file."""

    name: str
    magic: bytes
    pieces: Callable[[BinaryIO], Iterator[bytes]]
    test: str


PACKINGS = {
    "gz": Packing("gzip", b"\x1f\x8b\x08", _gzip, "gzip -t"),
    "zst": Packing("Zstandard", b"\x28\xb5\x2f\xfd", _zstd, "zstd -t"),
    "bz2": Packing("bzip2", b"BZh", _bzip2, "bzip2 -t"),
    "xz": Packing("xz", b"\xfd7zXZ\0", _xz, "xz -t"),
}
# The letters BZh could begin a text; what follows them in a bzip2 file could not.
BLOCK, END = b"1AY&SY", b"\x17rE8P\x90"
PACKED_HEAD = 10


def plain(content: Stored) -> Stored:
    """Return the unpacked copy of a compressed file; another file as it is.

    Raises: UnreadableFile if it is cut short or damaged, or not what its name says.
    """
    head = content.head(PACKED_HEAD)
    actual = next((suffix for suffix, packing in PACKINGS.items() if _begins(head, packing.magic)), "")
    claimed = PurePath(content.name).suffix.lower().removeprefix(".")
    if not actual and claimed in PACKINGS:
        message = (
            f"{content.name} is not compressed by {PACKINGS[claimed].name}, though its name says so: it begins with {head!r}."
        )
        raise UnreadableFile(message, hint="Rename it, or copy it again.")
    if not actual:
        return content
    copy = unpacked(content, actual)
    return filled(replace(content, size=copy.size, path="", temporary=copy, start=0))


def _begins(head: bytes, magic: bytes) -> bool:
    return head.startswith(magic) and (magic != PACKINGS["bz2"].magic or head[4:] in {BLOCK, END})


class Unpacked(Temporary):
    """What a compressed file holds. Another process that is handed one unpacks the file again."""

    def __init__(self, origin: Stored, suffix: str) -> None:
        """Unpack `origin`.

        Raises: UnreadableFile if it is cut short or damaged, or the copy has no room.
        """
        super().__init__()
        self.origin = origin
        self._suffix = suffix
        self.size = self.take(self._pieces(PACKINGS[suffix]), origin.name)

    def _pieces(self, packing: Packing) -> Iterator[bytes]:
        assert self.origin is not None  # noqa: S101 - set above
        watch().begin(f"unpacking {self.origin.name}", self.origin.size, of_bytes=True)
        with _explained(self.origin.name, packing):
            yield from packing.pieces(self.origin.stream())

    def __reduce__(self) -> Any:
        return unpacked, (self.origin, self._suffix)


# Parts of one file that reach a process one by one share its copy there.
_COPIES: WeakValueDictionary[tuple[Stored, str], Unpacked] = WeakValueDictionary()


def unpacked(origin: Stored, suffix: str) -> Unpacked:
    """Unpack a file, once in a process for as long as the copy is in use."""
    return _COPIES.get((origin, suffix)) or _COPIES.setdefault((origin, suffix), Unpacked(origin, suffix))


@contextmanager
def _explained(name: str, packing: Packing) -> Iterator[None]:
    """Turn what unpackers raise into one sentence.

    Raises: UnreadableFile.
    """
    from lzma import LZMAError

    try:
        yield
    except (EOFError, OSError, ValueError, zlib.error, LZMAError) as error:
        said = reason(error)
        ended = isinstance(error, EOFError) or "truncated" in said.lower()
        fault = "is cut short: its data end before they should" if ended else f"is damaged and cannot be unpacked: {said}"
        message = f"{name}, compressed by {packing.name}, {fault}."
        raise UnreadableFile(message, hint=f"Copy or write it again; {packing.test} '{name}' tests it.") from error


# Enough to see past the white space before a JSON document.
HEAD = 4096
# And to see past the first of many lines of JSON.
LINE = 1 << 16
MAGIC = {b"\x93NUMPY": "npy", b"\x89HDF\r\n\x1a\n": "h5", b"PK\x03\x04": "npz", b"PK\x05\x06": "npz"}
MAGIC |= {b"PAR1": "parquet", b"ARROW1": "arrow", b"\xff\xff\xff\xff": "arrow"}


def stored(path: Path, name: str) -> Stored:
    """Return the bytes of `path`, or of the address that `name` is; what is compressed is unpacked.

    A pipe such as `<(command)` is copied to a temporary file first.

    Raises: MissingFile if it is not there or may not be read, InputError for a directory; UnreadableFile if it is damaged.
    """
    if is_address(name):
        from lossctl.sources.remote import fetched

        return plain(filled(fetched(name)))
    with explained(name):
        status = path.stat()
    reads(str(path), status)
    if stat.S_ISDIR(status.st_mode):
        message = f"{name} is a directory, not a file."
        raise InputError(message, hint=f"Name a file in it, or several of one kind: '{name.rstrip('/')}/*.npy'.")
    if stat.S_ISREG(status.st_mode):
        return plain(filled(Stored(name, status.st_size, str(path))))
    if not stat.S_ISFIFO(status.st_mode):
        raise InputError(f"{name} is a device, not a file.", hint="Name a file, or pipe one in as the input '-'.")
    with explained(name), path.open("rb") as pipe:
        return spooled(pipe, name)


def spooled(stream: IO[bytes], name: str) -> Stored:
    """Copy a stream that can be read once to a temporary file; what is compressed is unpacked.

    Raises: UnreadableFile if nothing comes, or it is damaged.
    """
    reads_stream(stream)
    temporary = Temporary()
    return plain(filled(Stored(name, temporary.take(_pieces(stream, name), name), temporary=temporary)))


def _pieces(stream: IO[bytes], name: str) -> Iterator[bytes]:
    with explained(name):
        while piece := stream.read(BUFFER):
            yield piece


def opener(stored: Stored, in_format: str) -> Opener:
    """Return what opens a file: by `in_format`, else by its suffix, else by its first bytes.

    Raises: UnknownName for a format that is not in the table, UnreadableFile if nothing recognises the file.
    """
    if in_format:
        return FORMATS.get(in_format)
    suffix = suffix_of(stored.name)
    if suffix in ROWS:
        return FORMATS.get(suffix)
    try:
        return FORMATS.get(suffix) if suffix else _by_content(stored)
    except UnknownName:
        return _by_content(stored)


def _by_content(stored: Stored) -> Opener:
    head = stored.head(HEAD)
    for magic, name in MAGIC.items():
        if head.startswith(magic):
            return FORMATS.get(name)
    if head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in {b"[", b"{"}:
        return FORMATS.get("jsonl" if _of_lines(stored) else "json")
    if b"\0" in head or _binary(head):
        what = "Standard input" if stored.name == "-" else stored.name
        message = f"{what} is in no format that lossctl knows: it begins with {head[:8]!r}."
        known = ", ".join(FORMATS.names())
        raise UnreadableFile(message, hint=f"Known formats: {known}. If it is one of them, name it with --in-format.")
    from lossctl.sources.table import open_unknown

    return open_unknown


def _of_lines(stored: Stored) -> bool:
    """Whether the first line is a whole JSON value, and another one follows it."""
    import json

    first, _, rest = stored.head(LINE).lstrip(b"\xef\xbb\xbf \t\r\n").partition(b"\n")
    try:
        json.loads(first)
    except (ValueError, RecursionError):
        return False
    return bool(rest.strip())


def _binary(head: bytes) -> bool:
    """Whether the first bytes are no UTF-8 text; a character may be cut off at the end."""
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return error.start < len(head) - 3
    return False
