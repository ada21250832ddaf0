"""Bytes that can be read at any place, any number of times, from any thread.

Two hundred inputs hold no descriptors, and nothing is left open on an error. Reads are positioned and go into fresh arrays,
because pages of a kept mapping count as the process's own memory.
"""

from __future__ import annotations

import io
import os
import stat
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import IO, TYPE_CHECKING, BinaryIO, cast

import numpy as np

from lossctl.descriptors import read_at
from lossctl.errors import InputError, UnreadableFile
from lossctl.files.address import is_address
from lossctl.files.temporary import BUFFER, Temporary, explained
from lossctl.files.window import Window
from lossctl.touched import reads, reads_stream
from lossctl.watch import watch

if TYPE_CHECKING:
    import mmap
    from collections.abc import Iterator
    from pathlib import Path

    from lossctl.blocks import NumPyArray

__all__ = ["BUFFER", "Stored", "Temporary", "explained", "filled", "sha256", "spooled", "stored", "titled"]


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
    def remote(self) -> bool:
        """Whether the bytes lie at an address, where `stream` reads what is needed and `openable` copies all of them."""
        return self.temporary is not None and self.temporary.remote

    @property
    def openable(self) -> str:
        """A path for libraries that open files themselves; "" where there is none that means these very bytes."""
        if self.start:
            return ""
        return f"/dev/fd/{self.temporary.descriptor}" if self.temporary else self.path

    def _read(self, view: memoryview, at: int) -> int:
        """Read bytes into a view, as many as one read gives."""
        return self.temporary.read(view, at) if self.temporary else read_at(self.path, view, at)

    def some(self, view: memoryview, offset: int) -> int:
        """Read bytes at `offset` into `view`, as many as one read gives; 0 at the end.

        Raises: MissingFile or UnreadableFile with the system's reason.
        """
        room = max(0, min(len(view), self.size - offset))
        with explained(self.name):
            got = self._read(view[:room], self.start + offset) if room else 0
        watch().read(got)
        return got

    def fill(self, array: NumPyArray, offset: int) -> None:
        """Fill a C-contiguous `array` with the bytes at `offset`.

        Raises: UnreadableFile if there are not enough of them.
        """
        view = array.reshape(-1).view(np.uint8).data
        done = 0
        with explained(self.name):
            while done < len(view):
                got = self._read(view[done:], self.start + offset + done)
                if not got:
                    message = f"{self.name} ended while it was being read: another program has shortened it."
                    raise UnreadableFile(message, hint="Run again when the file is complete.")
                done += got
        watch().read(done)

    @contextmanager
    def mapped(self) -> Iterator[mmap.mmap]:
        """Map the whole underlying file; no view of it may outlive the `with`."""
        import mmap

        with self._opened() as descriptor, mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ) as pages:
            yield pages

    def stream(self, buffer: int = 0) -> BinaryIO:
        """Return a seekable binary stream over the bytes, read ahead by `buffer`. It holds nothing open."""
        return cast(
            "BinaryIO", io.BufferedReader(Window(self), buffer or (self.temporary.buffer if self.temporary else BUFFER))
        )

    def head(self, size: int) -> bytes:
        """Return the first `size` bytes, fewer if there are fewer."""
        content = memoryview(bytearray(max(0, min(size, self.size))))
        done = 0
        while done < len(content) and (got := self.some(content[done:], done)):
            done += got
        return bytes(content[:done])

    def sha256(self) -> str:
        """Return the SHA-256 of the file as it lies there, packed or not, in hexadecimal."""
        return sha256([self])


def sha256(parts: list[Stored]) -> str:
    """Return the SHA-256 of all files as they lie there, in order, as `cat parts… | sha256sum` would."""
    import hashlib

    digest = hashlib.sha256()
    for part in parts:
        stream = ((part.temporary and part.temporary.origin) or part).stream()
        while piece := stream.read(BUFFER):
            digest.update(piece)
    return digest.hexdigest()


def stored(path: Path, name: str) -> Stored:
    """Return the bytes of `path`, or of the address that `name` is; what is compressed is unpacked.

    A pipe such as `<(command)` is copied to a temporary file first.

    Raises: MissingFile if it is not there or may not be read, InputError for a directory; UnreadableFile if it is damaged.
    """
    from lossctl.files.compressed import plain

    if is_address(name):
        from lossctl.files.remote import fetched

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
    """Copy a stream that can be read once to a temporary file; what is compressed is unpacked.

    Raises: UnreadableFile if nothing comes, or it is damaged.
    """
    from lossctl.files.compressed import plain

    reads_stream(stream)
    temporary = Temporary()
    return plain(filled(Stored(name, temporary.take(_pieces(stream, name), name), temporary=temporary)))


def _pieces(stream: IO[bytes], name: str) -> Iterator[bytes]:
    with explained(name):
        while piece := stream.read(BUFFER):
            yield piece
