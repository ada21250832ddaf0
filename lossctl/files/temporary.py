"""Unnamed copies of what does not lie in a file that can be read at any place, and what the system says of files."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

from lossctl.errors import MissingFile, UnreadableFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from lossctl.files.stored import Stored

# Large enough that opening a path for each buffer costs nothing.
BUFFER = 1 << 20
# What a temporary copy leaves free, or a twentieth of a small folder.
SPARE = 64 << 20
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


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
        message = "a temporary copy cannot leave the process that made it"
        raise TypeError(message)

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
        message = f"There is no file {name}."
        raise MissingFile(message) from error
    except PermissionError as error:
        message = f"{name} may not be read: permission denied."
        raise MissingFile(message, hint=f"See who may read it: ls -l '{name}'.") from error
    except OSError as error:
        if error.errno in FULL:
            raise _no_room(name) from error
        message = f"{name} could not be read: {error.strerror or error}."
        raise UnreadableFile(message) from error


def _no_room(name: str) -> UnreadableFile:
    import tempfile

    message = f"{name} does not fit: the folder for temporary files, '{tempfile.gettempdir()}', is full."
    return UnreadableFile(message, hint="Name a folder with more room: TMPDIR=/path lossctl …")
