"""The archive that torch.save writes: where each storage lies in it, and tensors that are read from there.

Records are not compressed. A range of a tensor is read in place where it is contiguous, else through a mapping that is closed
again after each read.
"""

from __future__ import annotations

import math
import zipfile
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.blocks import place
from lossctl.errors import UnreadableFile
from lossctl.files.npy import Header, NpyPart
from lossctl.files.values import reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lossctl.blocks import NumPyArray, Part
    from lossctl.files.stored import Stored
    from lossctl.shapes import Shape

# The fixed part of a record's own header, and where in it the lengths of name and extra field stand.
LOCAL = 30
LENGTHS = slice(26, 30)
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


def records(stored: Stored) -> dict[int, int]:
    """Return the size of each record of an archive by the place where its bytes begin.

    Raises: UnreadableFile if it is damaged, compressed, or of the other byte order, which torch does not survive.
    """
    try:
        with zipfile.ZipFile(stored.stream()) as archive:
            members = archive.infolist()
            for member in members:
                _check(archive, member, stored)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError, OSError) as error:
        message = f"{stored.name} is a damaged archive: {reason(error)}."
        raise UnreadableFile(message, hint=WRITE_AGAIN) from error
    return {_begin(stored, member): member.file_size for member in members}


def _check(archive: zipfile.ZipFile, member: zipfile.ZipInfo, stored: Stored) -> None:
    if member.compress_type != zipfile.ZIP_STORED or member.header_offset + member.file_size > stored.size:
        message = f"{stored.name} was not written by torch: '{member.filename}' is compressed or cut short."
        raise UnreadableFile(message, hint=WRITE_AGAIN)
    if member.filename.lower().endswith("byteorder") and archive.read(member) != b"little":
        message = f"{stored.name} was written by a computer of another byte order."
        raise UnreadableFile(message, hint="Write it there as .safetensors or .npy, which lossctl reads everywhere.")


def _begin(stored: Stored, member: zipfile.ZipInfo) -> int:
    lengths = stored.part(member.header_offset, LOCAL).head(LOCAL)[LENGTHS]
    return member.header_offset + LOCAL + int.from_bytes(lengths[:2], "little") + int.from_bytes(lengths[2:], "little")


def placed(stored: Stored, tensor: Any, kind: np.dtype[Any], sizes: Mapping[int, int]) -> Part:
    """Return a tensor on the device "meta" as ranges of the file; `sizes` is what `records` gives.

    Raises: UnreadableFile if the archive holds no such bytes.
    """
    shape, strides = tuple(tensor.shape), tuple(step * kind.itemsize for step in tensor.stride())
    begin = getattr(tensor.untyped_storage(), "_checkpoint_offset", None)
    first = tensor.storage_offset() * kind.itemsize
    total = math.prod(shape) * kind.itemsize
    last = first + sum((size - 1) * step for size, step in zip(shape, strides, strict=True)) + kind.itemsize if total else 0
    if begin is None or begin not in sizes or last > sizes[begin] or (0 in strides and total > REPEATED):
        message = f"{stored.name} claims a tensor of {total} bytes that it does not hold."
        raise UnreadableFile(message, hint=WRITE_AGAIN)
    data = stored.part(begin + first, total)
    for order, fortran in ((1, False), (-1, True)):
        if not total or _packed(shape[::order], strides[::order], kind.itemsize):
            return NpyPart(data, Header(shape, fortran, kind, 0))
    return Strided(replace(data, size=last - first), shape, strides, kind)


def _packed(shape: Shape, strides: tuple[int, ...], item: int) -> bool:
    """Whether elements stand in C order without gaps; the stride of an axis of size 1 means nothing."""
    expected = [item * math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    return all(size == 1 or step == wanted for size, step, wanted in zip(shape, strides, expected, strict=True))
