"""Arrays in files by positioned writes: ranges in any order, from any thread, with nothing kept in memory."""

from __future__ import annotations

import errno
import math
import mmap
import os
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.sinks.sink import fit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lossctl.blocks import NumPyArray
    from lossctl.sinks.sink import Field

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
                message = "the file has been given up, or is whole"
                raise ValueError(message)
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
