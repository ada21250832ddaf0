"""Opening a file by its name: its bytes, unpacked where they are compressed, and what its format makes of them.

A file whose suffix says nothing, and standard input, are recognised by their first bytes.
"""

from __future__ import annotations

import stat
from typing import IO, TYPE_CHECKING

from lossctl.errors import InputError, UnknownName, UnreadableFile
from lossctl.sources.address import is_address
from lossctl.sources.compressed import plain
from lossctl.sources.formats import FORMATS, ROWS, suffix_of
from lossctl.sources.stored import BUFFER, Stored, Temporary, explained, filled
from lossctl.sources.touched import reads, reads_stream

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lossctl.sources.formats import Opener

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
        message = f"{name} is a device, not a file."
        raise InputError(message, hint="Name a file, or pipe one in as the input '-'.")
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
