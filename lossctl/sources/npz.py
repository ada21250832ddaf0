"""NumPy's .npz: a zip of .npy members. Stored members are read in place, compressed ones unpacked once to a temporary file.

Files of torch.save are such archives too: where the bytes of a member lie, and whether they are those that were written, is
found out here for both.
"""

from __future__ import annotations

import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Any

from lossctl.errors import LossctlError, UnknownKey, UnreadableFile
from lossctl.progress import watch
from lossctl.sources.container import ArrayContainer
from lossctl.sources.npy import WRITE_AGAIN as ARRAY_AGAIN
from lossctl.sources.npy import Header, NpyPart, fields_of, header_of, read_header
from lossctl.sources.stored import BUFFER, Stored, Temporary, explained
from lossctl.sources.values import NUMERIC, reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lossctl.sources.readers import Part

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
        raise UnreadableFile(f"{where} is a damaged archive: {reason(error)}.", hint=hint) from error


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
        raise UnreadableFile(f"{where} is damaged: {checksums}.", hint=hint)


@lru_cache(KEPT)
def _crc32(content: Stored) -> int:
    watch().begin(f"checking {content.name}", content.size, of_bytes=True)
    stream, crc = content.stream(BUFFER), 0
    while piece := stream.read(BUFFER):
        crc = zlib.crc32(piece, crc)
    return crc


MEMBER = ".npy"
# Archives of more arrays than this are not looked through for records before one of their arrays is asked for.
LOOKED_THROUGH = 1000
ENCRYPTED = 1
WRITE_AGAIN = "Write it again with numpy.savez(path, name=array)."


@dataclass
class Npz(ArrayContainer):
    """An opened .npz. An array of records is as many arrays as it has fields, each under the name `array.field`."""

    stored: Stored
    members: list[zipfile.ZipInfo]
    hint = ARRAY_AGAIN
    _opened: dict[int, tuple[Stored, Header]] = field(default_factory=dict)

    @cached_property
    def names(self) -> Sequence[str]:
        """The names of the arrays, and of the fields of records."""
        return [f"{self._name(member)}.{field}" if field else self._name(member) for member, field in self._places]

    @cached_property
    def _places(self) -> list[tuple[int, str]]:
        """The member and the field of each name."""
        if len(self.members) > LOOKED_THROUGH:
            return [(number, "") for number in range(len(self.members))]
        headers = enumerate(self._headers)
        return [(number, field) for number, header in headers for field in (fields_of(header) if header else ("",))]

    @cached_property
    def _headers(self) -> list[Header | None]:
        """What each member begins with, None for one that cannot be read; the archive's directory is read once for all."""
        with unzipping(self.stored.name, WRITE_AGAIN), self._zip() as archive:
            return [self._header(archive, number) for number in range(len(self.members))]

    def _header(self, archive: zipfile.ZipFile, member: int) -> Header | None:
        try:
            with unzipping(self.stored.name, WRITE_AGAIN), archive.open(self.members[member]) as stream:
                return read_header(stream, self._where(member))
        except LossctlError:
            return None

    def _name(self, member: int) -> str:
        return self.members[member].filename.removesuffix(MEMBER)

    def numeric(self) -> list[int]:
        """Return the arrays that hold numbers, by their headers alone; those that cannot be read do not."""
        return [i for i, (member, field) in enumerate(self._places) if _is_numeric(self._headers[member], field)]

    def array(self, position: int) -> Part:
        """Return one array or field.

        Raises: UnreadableFile if it is damaged or pickled; UnknownKey if it holds records and no field is named.
        """
        member, field = self._places[position]
        if member not in self._opened:
            content = self.bytes_of(member)
            self._opened[member] = content, header_of(content)
        content, header = self._opened[member]
        if header.dtype.names and not field:
            names = header.dtype.names
            message = f"{self._where(member)} holds records of {len(names)} fields, and it is not said which one is meant."
            raise UnknownKey(message, hint=f"Load it with NumPy and save the field: numpy.save(path, array['{names[0]}']).")
        return NpyPart(content, header, field)

    def bytes_of(self, position: int) -> Stored:
        """The bytes of the member of this number, where they lie or unpacked.

        Raises: UnreadableFile if it is damaged or encrypted.
        """
        member, where = self.members[position], self._where(position)
        if member.flag_bits & ENCRYPTED:
            raise UnreadableFile(f"{where} is encrypted.", hint=WRITE_AGAIN)
        if member.compress_type == zipfile.ZIP_STORED:
            return self._in_place(member, where)
        with unzipping(where, WRITE_AGAIN), self._zip() as archive:
            return unpacked(archive, member, where, Member(self.stored, position))

    def _in_place(self, member: zipfile.ZipInfo, where: str) -> Stored:
        content = in_place(self.stored, member)
        if content is None:
            message = f"{where} is damaged: the archive claims {member.file_size} bytes for it that it does not hold."
            raise UnreadableFile(message, hint=WRITE_AGAIN)
        vouch(content, member.CRC, where, "Copy or write it again; unzip -t tests it.")
        return replace(content, name=where)

    def _zip(self) -> zipfile.ZipFile:
        return zipfile.ZipFile(self.stored.stream())

    def _where(self, position: int) -> str:
        return f"{self.stored.name}:{self._name(position)}"


def _is_numeric(header: Header | None, field: str) -> bool:
    return header is not None and (header.dtype[field].base if field else header.dtype).kind in NUMERIC


class Member(Temporary):
    """What a compressed member holds. Another process that is handed one unpacks the member again."""

    def __init__(self, archive: Stored, position: int) -> None:
        """Begin empty."""
        super().__init__()
        self._place = archive, position

    def __reduce__(self) -> Any:
        return _again, self._place


@lru_cache(maxsize=4)
def _again(archive: Stored, position: int) -> Temporary:
    content = open_npz(archive).bytes_of(position)
    assert content.temporary is not None  # noqa: S101 - the member is compressed
    return content.temporary


def unpacked(archive: zipfile.ZipFile, member: zipfile.ZipInfo, where: str, temporary: Temporary) -> Stored:
    """Decompress a member to `temporary`, never further than its own header claims.

    Raises: UnreadableFile if it ends before that.
    """
    with archive.open(member) as stream:
        size = read_header(stream, where).size
    if size > member.file_size:
        message = f"{where} is cut short: its header claims {size} bytes, but the archive {member.file_size}."
        raise UnreadableFile(message, hint=WRITE_AGAIN)
    with archive.open(member) as stream, temporary.writer() as copy, explained(f"The temporary copy of {where}"):
        left = size
        while left and (piece := stream.read(min(left, BUFFER))):
            copy.write(piece)
            left -= len(piece)
        # Reading past the end is what makes zipfile compare the checksum.
        stream.read(1)
    return Stored(where, size - left, temporary=temporary)


def open_npz(stored: Stored) -> Npz:
    """Open an .npz.

    Raises: UnreadableFile if it is no zip archive.
    """
    return Npz(stored, [member for member in members(stored, WRITE_AGAIN) if member.filename.endswith(MEMBER)])
