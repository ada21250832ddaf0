"""Bytes that can be read at any place, any number of times, from any thread.

A path is opened for each read and closed again: two hundred inputs hold no descriptors, and nothing is left open on an
error. Reads are positioned and go into fresh arrays, because pages of a kept mapping count as the process's own memory.
"""

from __future__ import annotations

import io
import os
import stat
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import IO, TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np

from lossctl.errors import InputError, MissingFile, UnreadableFile

if TYPE_CHECKING:
    import mmap
    from collections.abc import Iterator
    from pathlib import Path

    from lossctl.blocks import NumPyArray

# Large enough that opening a path for each buffer costs nothing.
BUFFER = 1 << 20


class Temporary:
    """An anonymous file that vanishes with the last reference to it."""

    def __init__(self) -> None:
        """Create the file in the system's temporary folder."""
        import tempfile

        with tempfile.TemporaryFile() as file:
            self.descriptor = os.dup(file.fileno())

    def __del__(self) -> None:
        if hasattr(self, "descriptor"):
            os.close(self.descriptor)

    def writer(self) -> IO[bytes]:
        """Open the file for writing; use it in a `with`, which flushes it."""
        return open(self.descriptor, "wb", closefd=False)


@dataclass(frozen=True)
class Stored:
    """A file, a part of one, or a temporary copy: `size` bytes from `start` on. Messages call it `name`."""

    name: str
    size: int
    path: str = ""
    temporary: Temporary | None = None
    start: int = 0

    @contextmanager
    def _opened(self) -> Iterator[int]:
        if self.temporary:
            yield self.temporary.descriptor
            return
        with explained(self.name):
            descriptor = os.open(self.path, os.O_RDONLY)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def part(self, start: int, size: int) -> Stored:
        """Return `size` bytes from `start` on."""
        return replace(self, start=self.start + start, size=size)

    @property
    def openable(self) -> str:
        """A path for libraries that open files themselves; "" where there is none that means these very bytes."""
        if self.start:
            return ""
        return f"/dev/fd/{self.temporary.descriptor}" if self.temporary else self.path

    def some(self, view: memoryview, offset: int) -> int:
        """Read bytes at `offset` into `view`, as many as one read gives; 0 at the end.

        Raises: MissingFile or UnreadableFile with the system's reason.
        """
        room = max(0, min(len(view), self.size - offset))
        with self._opened() as descriptor, explained(self.name):
            return os.preadv(descriptor, [view[:room]], self.start + offset) if room else 0

    def fill(self, array: NumPyArray, offset: int) -> None:
        """Fill a C-contiguous `array` with the bytes at `offset`.

        Raises: UnreadableFile if there are not enough of them.
        """
        view = array.reshape(-1).view(np.uint8).data
        done = 0
        with self._opened() as descriptor:
            while done < len(view):
                with explained(self.name):
                    got = os.preadv(descriptor, [view[done:]], self.start + offset + done)
                if not got:
                    message = f"{self.name} ended while it was being read: another program has shortened it."
                    raise UnreadableFile(message, hint="Run again when the file is complete.")
                done += got

    @contextmanager
    def mapped(self) -> Iterator[mmap.mmap]:
        """Map the whole underlying file; no view of it may outlive the `with`."""
        import mmap

        with self._opened() as descriptor, mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ) as pages:
            yield pages

    def stream(self, buffer: int = BUFFER) -> BinaryIO:
        """Return a seekable binary stream over the bytes. It holds nothing open."""
        return cast("BinaryIO", io.BufferedReader(_Window(self), buffer))

    def head(self, size: int) -> bytes:
        """Return the first `size` bytes, fewer if there are fewer."""
        return self.stream(size).read(size)

    def sha256(self) -> str:
        """Return the SHA-256 of the bytes in hexadecimal, read as a stream."""
        return sha256([self])


class _Window(io.RawIOBase):
    """The raw side of `Stored.stream`."""

    def __init__(self, stored: Stored) -> None:
        self._stored = stored
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._stored.size}[whence]
        if base + offset < 0:
            raise OSError(22, "negative seek position")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        got = self._stored.some(memoryview(buffer).cast("B"), self._at)
        self._at += got
        return got


def sha256(parts: list[Stored]) -> str:
    """Return the SHA-256 of all bytes in order, as `cat parts… | sha256sum` would."""
    import hashlib

    digest = hashlib.sha256()
    for part in parts:
        stream = part.stream()
        while piece := stream.read(BUFFER):
            digest.update(piece)
    return digest.hexdigest()


def stored(path: Path, name: str) -> Stored:
    """Return the bytes of `path`; a pipe such as `<(command)` is copied to a temporary file first.

    Raises: MissingFile if it is not there or may not be read, InputError for a directory.
    """
    with explained(name):
        status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        message = f"{name} is a directory, not a file."
        raise InputError(message, hint=f"Name a file in it, or several of one kind: '{name.rstrip('/')}/*.npy'.")
    if stat.S_ISREG(status.st_mode):
        return filled(Stored(name, status.st_size, str(path)))
    if not stat.S_ISFIFO(status.st_mode):
        message = f"{name} is a device, not a file."
        raise InputError(message, hint="Name a file, or pipe one in as the input '-'.")
    with explained(name), path.open("rb") as pipe:
        return spooled(pipe, name)


def filled(content: Stored) -> Stored:
    """Return `content` if there is any.

    Raises: UnreadableFile.
    """
    if not content.size:
        hint = "Pipe a file into it: lossctl compute mse - target.npy < pred.npy." if content.name == "-" else ""
        message = f"{titled(content.name)} is empty: it holds no byte."
        raise UnreadableFile(message, hint=hint or "Write it again, or name another.")
    return content


def titled(name: str) -> str:
    """The name of an input at the beginning of a sentence."""
    return "Standard input" if name == "-" else name


def spooled(stream: IO[bytes], name: str) -> Stored:
    """Copy a stream that can be read once to a temporary file.

    Raises: UnreadableFile if nothing comes.
    """
    import shutil

    temporary = Temporary()
    with explained(name), temporary.writer() as copy:
        shutil.copyfileobj(stream, copy, BUFFER)
    return filled(Stored(name, os.fstat(temporary.descriptor).st_size, temporary=temporary))


@contextmanager
def explained(name: str) -> Iterator[None]:
    """Turn the system's errors about `name` into ours.

    Raises: MissingFile, or UnreadableFile where the file is there and reading fails.
    """
    try:
        yield
    except FileNotFoundError as error:
        message = f"There is no file {name}."
        raise MissingFile(message) from error
    except PermissionError as error:
        message = f"{name} may not be read: permission denied."
        raise MissingFile(message, hint=f"See who may read it: ls -l '{name}'.") from error
    except OSError as error:
        message = f"{name} could not be read: {error.strerror or error}."
        raise UnreadableFile(message) from error
