"""Files that one thread reads many times stay open while its work lasts.

Without this a path is opened for each read and closed again. Opening and closing take as long as reading a small block, and
each of them lets another thread of the interpreter in.
"""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from threading import local
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

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
