"""NumPy's .npz: a zip of .npy members. Stored members are read in place, compressed ones unpacked once to a temporary file."""

from __future__ import annotations

import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from lossctl.blocks import Memory
from lossctl.errors import LossctlError, UnreadableFile
from lossctl.files.container import columns
from lossctl.files.npy import LONGEST_HEADER, Npy, one_npy, read_header
from lossctl.files.stored import BUFFER, Stored, Temporary, explained
from lossctl.files.values import NUMERIC, reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lossctl.blocks import Part

MEMBER = ".npy"
# The fixed part of a member's own header, and where in it the lengths of name and extra field stand.
LOCAL = 30
LENGTHS = slice(26, 30)
ENCRYPTED = 1
WRITE_AGAIN = "Write it again with numpy.savez(path, name=array)."


@dataclass
class Npz:
    """An opened .npz."""

    stored: Stored
    members: list[zipfile.ZipInfo]
    noun: str = "array"
    _opened: dict[int, Npy] = field(default_factory=dict)

    @property
    def names(self) -> Sequence[str]:
        """The names of the arrays."""
        return [member.filename.removesuffix(MEMBER) for member in self.members]

    def numeric(self) -> list[int]:
        """Return the arrays that hold numbers; those that cannot be read do not."""
        return [i for i in range(len(self.members)) if self._is_numeric(i)]

    def _is_numeric(self, position: int) -> bool:
        try:
            with unzipping(self.stored.name), self._zip() as archive, archive.open(self.members[position]) as member:
                return read_header(member, self._where(position)).dtype.kind in NUMERIC
        except LossctlError:
            return False

    def part(self, position: int) -> Part:
        """Return one array.

        Raises: UnreadableFile if it is damaged, pickled, or holds no numbers.
        """
        return self._npy(position).part(0)

    def block(self, positions: Sequence[int]) -> Part:
        """Return one-dimensional arrays as columns, in memory."""
        names = [self.names[i] for i in positions]
        return Memory(columns([self.part(i) for i in positions], names, self.stored.name))

    def entries(self, position: int) -> Part:
        """Return a one-dimensional array whose elements are ids or groups."""
        return self._npy(position).entries(0)

    def texts(self, position: int) -> list[str]:
        """Return a one-dimensional array as text."""
        return self._npy(position).texts(0)

    def _npy(self, position: int) -> Npy:
        if position not in self._opened:
            self._opened[position] = one_npy(self.bytes_of(position))
        return self._opened[position]

    def bytes_of(self, position: int) -> Stored:
        """The bytes of one member, where they lie or unpacked.

        Raises: UnreadableFile if it is damaged or encrypted.
        """
        member, where = self.members[position], self._where(position)
        if member.flag_bits & ENCRYPTED:
            message = f"{where} is encrypted."
            raise UnreadableFile(message, hint=WRITE_AGAIN)
        if member.compress_type == zipfile.ZIP_STORED:
            return self._in_place(member, where)
        with unzipping(where), self._zip() as archive:
            return unpacked(archive, member, where, Member(self.stored, position))

    def _in_place(self, member: zipfile.ZipInfo, where: str) -> Stored:
        head = self.stored.part(member.header_offset, LOCAL).head(LOCAL)
        lengths = head[LENGTHS]
        start = member.header_offset + LOCAL + int.from_bytes(lengths[:2], "little") + int.from_bytes(lengths[2:], "little")
        if not head.startswith(b"PK\x03\x04") or start + member.file_size > self.stored.size:
            message = f"{where} is damaged: the archive claims {member.file_size} bytes for it that it does not hold."
            raise UnreadableFile(message, hint=WRITE_AGAIN)
        part = self.stored.part(start, member.file_size)
        return Stored(where, part.size, part.path, part.temporary, part.start)

    def _zip(self) -> zipfile.ZipFile:
        return zipfile.ZipFile(self.stored.stream())

    def _where(self, position: int) -> str:
        return f"{self.stored.name}:{self.names[position]}"


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


@contextmanager
def unzipping(where: str) -> Iterator[None]:
    """Turn errors of zip archives into ours.

    Raises: UnreadableFile.
    """
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError) as error:
        message = f"{where} is a damaged archive: {reason(error)}."
        raise UnreadableFile(message, hint=WRITE_AGAIN) from error


def open_npz(stored: Stored) -> Npz:
    """Open an .npz.

    Raises: UnreadableFile if it is no zip archive.
    """
    with unzipping(stored.name), zipfile.ZipFile(stored.stream(LONGEST_HEADER)) as archive:
        return Npz(stored, [member for member in archive.infolist() if member.filename.endswith(MEMBER)])
