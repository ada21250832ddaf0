"""Compressed files: unpacked once, as a stream, into an unnamed copy; from there on they are plain files.

The first bytes decide, so standard input and files of any name are unpacked too, with --in-format as well. A name that ends in
`.gz`, `.zst`, `.bz2` or `.xz` must hold what it says; what stands before that is the suffix that tells the format. Members and
frames that follow one another are read as one.
"""

from __future__ import annotations

import zlib
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, BinaryIO
from weakref import WeakValueDictionary

from lossctl.errors import UnreadableFile
from lossctl.progress import watch
from lossctl.sources.stored import BUFFER, Stored, Temporary, filled
from lossctl.sources.values import reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lossctl.sources.stored import Stored

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
HEAD = 10


def plain(content: Stored) -> Stored:
    """Return the unpacked copy of a compressed file; another file as it is.

    Raises: UnreadableFile if it is cut short or damaged, or not what its name says.
    """
    head = content.head(HEAD)
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
