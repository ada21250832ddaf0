"""What takes an array in ranges: in memory, or in a file by positioned writes from any thread, with nothing kept in memory.

The first bytes of the formats that are written in place are made here: what NumPy and safetensors want to know before the
numbers.
"""

from __future__ import annotations

import errno
import io
import math
import mmap
import os
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.lib import format as npy

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lossctl.sources.readers import NumPyArray, Shape


@dataclass(frozen=True)
class Field:
    """One array to be written. `name` is its member's name in archives, and begins the names of its columns in tables.

    Raises: ValueError where `dtype` is no boolean, integer or float of at most eight bytes.
    """

    name: str
    shape: Shape
    dtype: np.dtype[Any]

    def __post_init__(self) -> None:
        if self.dtype.kind not in "biuf" or self.dtype.itemsize > np.dtype(np.float64).itemsize:
            raise ValueError(f"{self.name} cannot be written as {self.dtype}")

    @property
    def stored(self) -> np.dtype[Any]:
        """The type in the byte order that files have, whatever this computer's is."""
        return self.dtype.newbyteorder("<")

    @property
    def nbytes(self) -> int:
        """How many bytes the array takes."""
        return math.prod(self.shape) * self.dtype.itemsize


class Sink(Protocol):
    """Takes an array in ranges."""

    def put(self, array: NumPyArray, start: int, axis: int = 0) -> None:
        """Write `array`, all other axes whole, at [start, start + len) along `axis`; a 0-d array with `start` 0.

        Several threads may put disjoint ranges. What is never put is 0.
        Raises: ValueError where it does not fit.
        """


class MemorySink:
    """Takes an array into memory: it is `array`."""

    def __init__(self, field: Field) -> None:
        """Begin with zeros."""
        self.field = field
        self.array: NumPyArray = np.zeros(field.shape, field.dtype)

    def put(self, array: NumPyArray, start: int, axis: int = 0) -> None:
        """Copy a range."""
        fit(self.field, array.shape, start, axis)
        length = array.shape[axis] if array.ndim else 1
        where = (slice(None),) * axis + (slice(start, start + length),) if array.ndim else ()
        self.array[where] = array


def fit(field: Field, shape: Shape, start: int, axis: int) -> None:
    """Refuse a range that the field does not have, which would come to stand among other samples.

    Raises: ValueError.
    """
    full, part = field.shape or (1,), shape or (1,)
    fits = len(shape) == len(field.shape) and 0 <= axis < len(full) and 0 <= start <= full[axis] - part[axis]
    if not fits or (full[:axis], full[axis + 1 :]) != (part[:axis], part[axis + 1 :]):
        raise ValueError(f"{shape} at {start} along axis {axis} is no part of {field.name}, {field.shape}")


BUFFER = 1 << 20
# A range along a later axis touches each row of those before it: short rows are written through a mapping of many of them,
# since a system call for each would cost more, and longer ones one by one.
SHORT = 1 << 16
# Pages of a mapping count as the process's own memory.
WINDOW = 16 << 20
# What file systems say that cannot reserve space.
UNABLE = {errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS, errno.ENODEV}


class Place:
    """An opened file under a descriptor of its own, which is closed when it is given up and nobody writes any more.

    After Ctrl-C a thread may still be at it, whose bytes would hit whatever file has got the number in the meantime.
    """

    def __init__(self, file: Any, size: int) -> None:
        """Reserve `size` bytes, so that a full disk is found before anything is computed.

        A hole would also be found too late: writing to one through a mapping kills the process where there is no space.
        Raises: OSError.
        """
        self._lock = threading.Lock()
        self._users = 1
        self._descriptor = os.dup(file.fileno())
        try:
            _reserve(self._descriptor, size)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give the file up, and the space that it takes where it has no name. It may be closed again."""
        with self._lock:
            descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            self._leave(descriptor)

    def __del__(self) -> None:
        if hasattr(self, "_descriptor"):
            self.close()

    @contextmanager
    def _used(self) -> Iterator[int]:
        with self._lock:
            descriptor = self._descriptor
            if descriptor < 0:
                raise ValueError("the file has been given up, or is whole")
            self._users += 1
        try:
            yield descriptor
        finally:
            self._leave(descriptor)

    def _leave(self, descriptor: int) -> None:
        with self._lock:
            self._users -= 1
            if not self._users:
                os.close(descriptor)

    def write(self, content: bytes | memoryview, offset: int) -> None:
        """Write all of `content` at `offset`."""
        view = memoryview(content)
        with self._used() as descriptor:
            while view:
                done = os.pwrite(descriptor, view, offset)
                view, offset = view[done:], offset + done

    def read(self, offset: int, size: int) -> bytearray:
        """Read `size` bytes at `offset`.

        Raises: OSError where the file has become shorter.
        """
        content = bytearray(size)
        view = memoryview(content)
        with self._used() as descriptor:
            while view:
                got = os.preadv(descriptor, [view], offset)
                if not got:
                    raise OSError(errno.EIO, "its temporary file ended early")
                view, offset = view[got:], offset + got
        return content

    def spread(self, rows: NumPyArray, offset: int, distance: int) -> None:
        """Write `rows`, shape (n, k), at distances of `distance` bytes, through a mapping that is closed again."""
        skipped = offset % mmap.ALLOCATIONGRANULARITY
        length = skipped + (len(rows) - 1) * distance + rows.shape[1] * rows.itemsize
        with self._used() as descriptor, mmap.mmap(descriptor, length, offset=offset - skipped) as pages:
            view: NumPyArray = np.ndarray(rows.shape, rows.dtype, pages, skipped, (distance, rows.itemsize))
            view[...] = rows
            # The mapping cannot be closed while it is looked at.
            del view


def _reserve(descriptor: int, size: int) -> None:
    os.ftruncate(descriptor, size)
    if size and hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(descriptor, 0, size)
        except OSError as error:
            if error.errno not in UNABLE:
                raise


@dataclass(frozen=True)
class StoredSink:
    """A field in C order at `offset` of a file."""

    field: Field
    place: Place
    offset: int

    def put(self, array: NumPyArray, start: int, axis: int = 0) -> None:
        """Write a range into the file.

        Raises: ValueError where it does not fit or comes too late, OSError where the file cannot be written.
        """
        fit(self.field, array.shape, start, axis)
        if not array.size:
            return
        outer = math.prod(array.shape[:axis])
        rows = np.ascontiguousarray(array, self.field.stored).reshape(outer, -1)
        row = self.field.nbytes // outer
        first = self.offset + (start * (row // self.field.shape[axis]) if array.ndim else 0)
        self._write(rows, first, row)

    def _write(self, rows: NumPyArray, first: int, distance: int) -> None:
        if len(rows) > 1 and distance <= SHORT:
            step = WINDOW // distance
            for start in range(0, len(rows), step):
                self.place.spread(rows[start : start + step], first + start * distance, distance)
            return
        for number, row in enumerate(rows):
            self.place.write(row.view(np.uint8).data, first + number * distance)

    def rows(self, start: int, stop: int) -> NumPyArray:
        """Read samples back, their elements side by side: shape (stop - start, k). A 0-d array is one sample."""
        width = math.prod(self.field.shape[1:])
        row = width * self.field.dtype.itemsize
        content = self.place.read(self.offset + start * row, (stop - start) * row)
        return np.frombuffer(content, self.field.stored).reshape(stop - start, width)

    def pieces(self) -> Iterator[bytearray]:
        """Read all bytes back in order."""
        for start in range(0, self.field.nbytes, BUFFER):
            yield self.place.read(self.offset + start, min(BUFFER, self.field.nbytes - start))


def packed(fields: Sequence[Field], start: int = 0) -> tuple[list[int], int]:
    """Place fields without gaps from `start` on; return where each begins, and where the last ends.

    Wide types come first, so that all are aligned where `start` is.
    """
    offsets, end = [0] * len(fields), start
    for position in sorted(range(len(fields)), key=lambda i: -fields[i].dtype.itemsize):
        offsets[position] = end
        end += fields[position].nbytes
    return offsets, end


def stored(file: Any, fields: Sequence[Field], head: bytes = b"") -> list[StoredSink]:
    """Lay out `head` and the fields in an empty file.

    Raises: OSError where there is no space for them.
    """
    offsets, size = packed(fields, len(head))
    place = Place(file, size)
    place.write(head, 0)
    return [StoredSink(field, place, offset) for field, offset in zip(fields, offsets, strict=True)]


# The header's own length, little-endian, and what the numbers are aligned to.
LENGTH = 8
KINDS = {"b": "BOOL", "i": "I", "u": "U", "f": "F"}


def npy_head(fields: Sequence[Field]) -> bytes:
    """Return the magic and the header of an .npy that holds the only field."""
    (field,) = fields
    stream = io.BytesIO()
    descr = npy.dtype_to_descr(field.stored)
    npy.write_array_header_1_0(stream, {"descr": descr, "fortran_order": False, "shape": field.shape})
    return stream.getvalue()


def safetensors_head(fields: Sequence[Field]) -> bytes:
    """Return the length and the header of a .safetensors, whose numbers follow as `packed` lays them out."""
    import json

    offsets, _ = packed(fields)
    header = {
        field.name: {"dtype": _kind(field), "shape": field.shape, "data_offsets": [offset, offset + field.nbytes]}
        for field, offset in zip(fields, offsets, strict=True)
    }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % LENGTH)
    return len(text).to_bytes(LENGTH, "little") + text


def _kind(field: Field) -> str:
    kind = KINDS[field.dtype.kind]
    return kind if kind == "BOOL" else f"{kind}{8 * field.dtype.itemsize}"
