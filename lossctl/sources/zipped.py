"""Zip archives, which .npz and the files of torch.save are: members, where their bytes lie, their checksums."""

from __future__ import annotations

import zipfile
import zlib
from contextlib import contextmanager
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING

from lossctl.errors import UnreadableFile
from lossctl.progress import watch
from lossctl.sources.stored import BUFFER
from lossctl.sources.values import reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lossctl.sources.stored import Stored

# The fixed part of a member's own header, what it begins with, and where in it the lengths of name and extra field stand.
LOCAL, SIGN = 30, b"PK\x03\x04"
LENGTHS = slice(26, 30)
# What is read at once of an archive's directory.
DIRECTORY = 1 << 16
# Storages of a checkpoint, which share files with one another.
KEPT = 1 << 16
_ONE_AT_A_TIME = Lock()


@contextmanager
def unzipping(where: str, hint: str) -> Iterator[None]:
    """Turn errors of zip archives into ours.

    Raises: UnreadableFile.
    """
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError) as error:
        message = f"{where} is a damaged archive: {reason(error)}."
        raise UnreadableFile(message, hint=hint) from error


def members(stored: Stored, hint: str) -> list[zipfile.ZipInfo]:
    """The directory of an archive.

    Raises: UnreadableFile if it is damaged.
    """
    with unzipping(stored.name, hint), zipfile.ZipFile(stored.stream(DIRECTORY)) as archive:
        return archive.infolist()


def in_place(stored: Stored, member: zipfile.ZipInfo) -> Stored | None:
    """The bytes of a member where they lie; None for a compressed one, and where the archive does not hold them."""
    head = stored.part(member.header_offset, LOCAL).head(LOCAL)
    if member.compress_type != zipfile.ZIP_STORED or not head.startswith(SIGN):
        return None
    name, extra = head[LENGTHS][:2], head[LENGTHS][2:]
    start = member.header_offset + LOCAL + int.from_bytes(name, "little") + int.from_bytes(extra, "little")
    return stored.part(start, member.file_size) if start + member.file_size <= stored.size else None


def vouch(content: Stored, crc: int, where: str, hint: str) -> None:
    """Compare the bytes of a member with the checksum that the archive has of them, once in a process: 2.5 GB a second.

    What lies at an address is not fetched twice for it.

    Raises: UnreadableFile if they differ.
    """
    if content.remote:
        return
    with _ONE_AT_A_TIME:
        actual = _crc32(content)
    if actual != crc:
        checksums = f"its bytes have the checksum (CRC-32) {actual:08x}, and the archive says that they had {crc:08x}"
        message = f"{where} is damaged: {checksums}."
        raise UnreadableFile(message, hint=hint)


@lru_cache(KEPT)
def _crc32(content: Stored) -> int:
    watch().begin(f"checking {content.name}", content.size, of_bytes=True)
    stream, crc = content.stream(BUFFER), 0
    while piece := stream.read(BUFFER):
        crc = zlib.crc32(piece, crc)
    return crc
