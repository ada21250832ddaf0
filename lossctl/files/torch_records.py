"""The archive that torch.save writes: where each storage lies in it, and tensors that are read from there.

Records are not compressed. A range of a tensor is read in place where it is contiguous, else through a mapping that is closed
again after each read.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.blocks import place
from lossctl.errors import UnreadableFile
from lossctl.files.npy import Header, NpyPart
from lossctl.files.zipped import in_place, members, vouch

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Mapping

    from lossctl.blocks import NumPyArray, Part
    from lossctl.files.stored import Stored
    from lossctl.shapes import Shape

# What the record about the byte order says on every usual computer.
LITTLE = b"little"
# How much a tensor may repeat itself: more than its bytes in the file, but no row without bound.
REPEATED = 2 << 30
WRITE_AGAIN = "Write it again with torch.save({'name': tensor}, path)."


@dataclass(frozen=True)
class Strided:
    """A tensor of any strides, which are in bytes."""

    stored: Stored
    shape: Shape
    strides: tuple[int, ...]
    kind: np.dtype[Any]

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type in this computer's byte order."""
        return self.kind.newbyteorder("=")

    def read(self, start: int, stop: int, axis: int = 0) -> NumPyArray:
        """Return the range [start, stop) along `axis`."""
        with self.stored.mapped() as pages:
            array: NumPyArray = np.ndarray(self.shape, self.kind, pages, self.stored.start, self.strides)
            copy = array[(slice(None),) * axis + (slice(start, stop),)].astype(self.dtype, order="C")
            del array
        return copy

    def place(self, index: tuple[int, ...]) -> str:
        """Return the index in brackets."""
        return place(index)


@dataclass(frozen=True)
class Record:
    """The bytes of an archive that hold a storage, and the checksum that the archive has of them; 0 where torch wrote none."""

    content: Stored
    crc: int


@dataclass(frozen=True)
class Vouched:
    """A tensor whose record is compared with its checksum before anything of it is read."""

    part: Part
    record: Record

    @property
    def shape(self) -> Shape:
        """The tensor's shape."""
        return self.part.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The tensor's type."""
        return self.part.dtype

    def read(self, start: int, stop: int, axis: int = 0) -> NumPyArray:
        """Return the range [start, stop) along `axis`.

        Raises: UnreadableFile if the record is damaged.
        """
        # torch.serialization.set_crc32_options(False) leaves the place empty.
        if self.record.crc:
            vouch(self.record.content, self.record.crc, self.record.content.name, WRITE_AGAIN)
        return self.part.read(start, stop, axis)

    def place(self, index: tuple[int, ...]) -> str:
        """Say where an element stands."""
        return self.part.place(index)


def records(stored: Stored) -> dict[int, Record]:
    """Return the records of an archive by the places where their bytes begin.

    Raises: UnreadableFile if it is damaged, compressed, or of the other byte order, which torch does not survive.
    """
    found = {member.filename: _record(member, stored) for member in members(stored, WRITE_AGAIN)}
    for name, (_, record) in found.items():
        if name.lower().endswith("byteorder") and record.content.head(len(LITTLE) + 1) != LITTLE:
            message = f"{stored.name} was written by a computer of another byte order."
            raise UnreadableFile(message, hint="Write it there as .safetensors or .npy, which lossctl reads everywhere.")
    return dict(found.values())


def _record(member: zipfile.ZipInfo, stored: Stored) -> tuple[int, Record]:
    content = in_place(stored, member)
    if content is None:
        message = f"{stored.name} was not written by torch: '{member.filename}' is compressed or cut short."
        raise UnreadableFile(message, hint=WRITE_AGAIN)
    return content.start - stored.start, Record(content, member.CRC)


def placed(stored: Stored, tensor: Any, kind: np.dtype[Any], found: Mapping[int, Record]) -> Part:
    """Return a tensor on the device "meta" as ranges of the file; `found` is what `records` gives.

    Raises: UnreadableFile if the archive holds no such bytes.
    """
    shape, strides = tuple(tensor.shape), tuple(step * kind.itemsize for step in tensor.stride())
    start = getattr(tensor.untyped_storage(), "_checkpoint_offset", None)
    first = tensor.storage_offset() * kind.itemsize
    total = math.prod(shape) * kind.itemsize
    last = first + sum((size - 1) * step for size, step in zip(shape, strides, strict=True)) + kind.itemsize if total else 0
    if start is None or start not in found or last > found[start].content.size or (0 in strides and total > REPEATED):
        message = f"{stored.name} claims a tensor of {total} bytes that it does not hold."
        raise UnreadableFile(message, hint=WRITE_AGAIN)
    data = stored.part(start + first, total)
    for order, fortran in ((1, False), (-1, True)):
        if not total or _packed(shape[::order], strides[::order], kind.itemsize):
            return Vouched(NpyPart(data, Header(shape, fortran, kind, 0)), found[start])
    return Vouched(Strided(replace(data, size=last - first), shape, strides, kind), found[start])


def _packed(shape: Shape, strides: tuple[int, ...], item: int) -> bool:
    """Whether elements stand in C order without gaps; the stride of an axis of size 1 means nothing."""
    expected = [item * math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    return all(size == 1 or step == wanted for size, step, wanted in zip(shape, strides, expected, strict=True))
