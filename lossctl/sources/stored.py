"""Bytes that can be read at any place, any number of times, from any thread; and unnamed copies of what cannot.

Two hundred inputs hold no descriptors, and nothing is left open on an error. Reads are positioned and go into fresh arrays,
because pages of a kept mapping count as the process's own memory. While the work of a thread lasts, the few files that it
reads most recently stay open: opening and closing a path take as long as reading a small block, and each lets another thread
of the interpreter in. What files were when they were read is noted, to tell later whether they are still the same.
"""

from __future__ import annotations

import errno
import io
import os
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import local
from typing import IO, TYPE_CHECKING, Any, BinaryIO, cast

from lossctl.errors import MissingFile, UnreadableFile
from lossctl.progress import WATCHING

if TYPE_CHECKING:
    import mmap
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from lossctl.sources.readers import NumPyArray

# Large enough that opening a path for each buffer costs nothing.
BUFFER = 1 << 20
# What a temporary copy leaves free, or a twentieth of a small folder.
SPARE = 64 << 20
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}

# Files that a thread holds open: two hundred inputs must not use up what a process may have, nor a hundred threads.
MOST = 4


class Own(local):
    """What each thread holds open, by path; None outside of its work."""

    files: dict[str, int] | None = None


_own = Own()


@contextmanager
def kept_open() -> Iterator[None]:
    """Let this thread hold open what it reads, until the outermost block ends."""
    if _own.files is not None:
        yield
        return
    files = _own.files = {}
    try:
        yield
    finally:
        _own.files = None
        _let_go(files, len(files))


def read_at(path: str, view: memoryview, at: int) -> int:
    """Read bytes of a file from `at` on into `view`, as many as one read gives; 0 at the end.

    Raises: OSError.
    """
    if _own.files is not None:
        return os.preadv(_held(_own.files, path), [view], at)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.preadv(descriptor, [view], at)
    finally:
        os.close(descriptor)


def _held(files: dict[str, int], path: str) -> int:
    """The open file; where there are too many, the one that was opened first is closed."""
    if path not in files:
        if len(files) >= MOST:
            _let_go(files, 1)
        try:
            files[path] = os.open(path, os.O_RDONLY)
        except OSError as error:
            if error.errno != errno.EMFILE:
                raise
            _let_go(files, MOST)
            files[path] = os.open(path, os.O_RDONLY)
    return files[path]


def _let_go(files: dict[str, int], count: int) -> None:
    for path in list(files)[:count]:
        os.close(files.pop(path))


class Temporary:
    """An anonymous file that vanishes with the last reference to it.

    `origin` is the file that it is an unpacked copy of, `buffer` what a stream over it
    should read at a time, and `remote` whether they lie at an address.
    """

    origin: Stored | None = None
    buffer = BUFFER
    remote = False
    _descriptor = -1

    def __init__(self) -> None:
        """Create the file in the system's temporary folder."""
        import tempfile

        with tempfile.TemporaryFile() as file:
            self._descriptor = os.dup(file.fileno())

    def __del__(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)

    def __reduce__(self) -> Any:
        # The number of a descriptor means another file in another process.
        raise TypeError("a temporary copy cannot leave the process that made it")

    @property
    def descriptor(self) -> int:
        """The open file."""
        return self._descriptor

    def read(self, view: memoryview, at: int) -> int:
        """Read bytes from `at` on into `view`, as many as one read gives; 0 at the end."""
        return os.preadv(self.descriptor, [view], at)

    def writer(self) -> IO[bytes]:
        """Open the file for writing; use it in a `with`, which flushes it."""
        return open(self._descriptor, "wb", closefd=False)

    @contextmanager
    def filling(self, name: str) -> Iterator[Callable[[bytes], None]]:
        """Yield what writes a copy of `name`, piece by piece.

        Raises: UnreadableFile before the temporary folder is full.
        """
        what = f"The temporary copy of {name}"

        with explained(what), self.writer() as copy:

            def write(piece: bytes) -> None:
                with explained(what):
                    _check_room(self._descriptor)
                    copy.write(piece)

            yield write

    def take(self, pieces: Iterable[bytes], name: str) -> int:
        """Write everything that comes, which is a copy of `name`, and return how much it was."""
        with self.filling(name) as write:
            for piece in pieces:
                write(piece)
        return os.fstat(self._descriptor).st_size


def _check_room(descriptor: int) -> None:
    """Leave others a little room: what unpacks without end must not take the last byte of a disk."""
    room = os.fstatvfs(descriptor)
    if room.f_bavail * room.f_frsize < min(SPARE, room.f_blocks * room.f_frsize // 20):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@contextmanager
def explained(name: str) -> Iterator[None]:
    """Turn the system's errors about `name` into ours.

    Raises: MissingFile, or UnreadableFile where the file is there and reading fails.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise MissingFile(f"There is no file {name}.") from error
    except PermissionError as error:
        message = f"{name} may not be read: permission denied."
        raise MissingFile(message, hint=f"See who may read it: ls -l '{name}'.") from error
    except OSError as error:
        if error.errno in FULL:
            raise _no_room(name) from error
        raise UnreadableFile(f"{name} could not be read: {error.strerror or error}.") from error


def _no_room(name: str) -> UnreadableFile:
    import tempfile

    message = f"{name} does not fit: the folder for temporary files, '{tempfile.gettempdir()}', is full."
    return UnreadableFile(message, hint="Name a folder with more room: TMPDIR=/path lossctl …")


class Window(io.RawIOBase):
    """Reads from where it stands; it holds nothing open."""

    def __init__(self, stored: Stored) -> None:
        """Stand at the first byte."""
        self._stored = stored
        self._at = 0

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Stand elsewhere; behind the end nothing is read.

        Raises: OSError for a place before the first byte.
        """
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._stored.size}[whence]
        if base + offset < 0:
            raise OSError(22, "negative seek position")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Read some bytes into `buffer` and say how many; 0 at the end."""
        got = self._stored.some(memoryview(buffer).cast("B"), self._at)
        self._at += got
        return got


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
        if WATCHING:
            WATCHING[-1].read(got)
        return got

    def fill(self, array: NumPyArray, offset: int) -> None:
        """Fill a C-contiguous `array` with the bytes at `offset`.

        Raises: UnreadableFile if there are not enough of them.
        """
        view = array.reshape(-1).view("u1").data
        done = 0
        with explained(self.name):
            while done < len(view):
                got = self._read(view[done:], self.start + offset + done)
                if not got:
                    message = f"{self.name} ended while it was being read: another program has shortened it."
                    raise UnreadableFile(message, hint="Run again when the file is complete.")
                done += got
        if WATCHING:
            WATCHING[-1].read(done)

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


# Files of so many bytes together are hashed to the last byte. Each of many parts would otherwise read what all of them read.
WHOLE = 256 << 20
# Of more, so many stretches of so many bytes are, evenly spread with both ends; a request to a server takes longer.
STRETCH, STRETCHES, REMOTE = 64 << 10, 256, 16


@dataclass(frozen=True)
class Seen:
    """The size of one or several files in bytes, the SHA-256 of what was looked at, and whether that was everything.

    `modified` is when the last of them was written, in nanoseconds, where not everything was looked at and this is known.
    """

    size: int
    sha256: str
    whole: bool
    modified: int | None = None


def seen(files: Sequence[Stored]) -> Seen:
    """Look at files, as they lie there, in their order."""
    import hashlib

    origins = [(file.temporary and file.temporary.origin) or file for file in files]
    size = sum(file.size for file in origins)
    remote = any(file.remote for file in origins)
    whole = size <= WHOLE and not remote
    digest = hashlib.sha256()
    for file in origins:
        spans = [(0, file.size)] if whole else _spread(file.size, (REMOTE if remote else STRETCHES) // len(origins))
        for start, stop in spans:
            stream = file.part(start, stop - start).stream()
            while piece := stream.read(BUFFER):
                digest.update(piece)
    return Seen(size, digest.hexdigest(), whole, None if whole else _modified(origins))


def _spread(size: int, count: int) -> list[tuple[int, int]]:
    """Stretches of a file: the first, the last, and others between them."""
    count = max(2, count)
    last = max(0, size - STRETCH)
    starts = sorted({last * number // (count - 1) for number in range(count)})
    return [(start, min(size, start + STRETCH)) for start in starts]


def _modified(files: Sequence[Stored]) -> int | None:
    times = []
    for file in files:
        if file.temporary:
            return None
        with explained(file.name):
            times.append(os.stat(file.path).st_mtime_ns)  # noqa: PTH116 - the path is text here
    return max(times, default=None)
