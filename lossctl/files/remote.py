"""Bytes at an address: ranges are read where they are needed; the whole is copied only where a file is, or there are no ranges.

Short reads go by pieces of 1 MiB, of which the last few are kept, so that headers and directories of archives cost a request or
two; long ones are one request each. A pickled one is its address and size, and finds its file system anew.
"""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from lossctl.errors import InputError, MissingFile, UnreadableFile
from lossctl.files import web
from lossctl.files.address import WEB, scheme_of, shown
from lossctl.files.protocols import explained_address, filesystem, patiently
from lossctl.files.stored import Stored
from lossctl.files.temporary import BUFFER, Temporary

if TYPE_CHECKING:
    from collections.abc import Iterator

PIECE, KEPT = 1 << 20, 16
# The most that one request asks for: within the time that a silent server is given.
LONGEST = 16 << 20
GLOB = frozenset("*?[")
# What servers give in place of a file, and how far white space and a mark may push it.
PAGE, LONG = (b"<!doctype html", b"<html"), 256
# File systems without threads of their own, such as ftp, hold one connection.
_LOCK = threading.Lock()


class Remote(Temporary):
    """Bytes at an address. It is copied to a file once something needs one."""

    # Short reads go by pieces, which are the buffer; a larger one here would be filled anew at every place of a parquet file.
    buffer = 1 << 16
    remote = True

    def __init__(self, url: str, size: int) -> None:
        """Read nothing yet."""
        self.url = url
        self.size = size
        self._copy: Temporary | None = None
        self._copying = threading.Lock()

    def __reduce__(self) -> Any:
        return Remote, (self.url, self.size)

    @property
    def descriptor(self) -> int:
        """A temporary copy of everything, made when it is first asked for."""
        with self._copying:
            self._copy = self._copy or copied(self.url)
            return self._copy.descriptor

    def read(self, view: memoryview, at: int) -> int:
        """Read bytes from `at` on into `view`, as many as one request or one piece gives.

        Raises: MissingFile or UnreadableFile with the reason of the server.
        """
        if self._copy:
            return self._copy.read(view, at)
        stop = min(at + min(len(view), LONGEST), self.size)
        if stop <= at:
            return 0
        if len(view) >= PIECE:
            found = _fetch(self.url, at, stop)
        else:
            first = at // PIECE * PIECE
            found = _piece(self, first)[at - first : stop - first]
        view[: len(found)] = found
        return len(found)


@lru_cache(maxsize=KEPT)
def _piece(remote: Remote, first: int) -> bytes:
    return _fetch(remote.url, first, min(first + PIECE, remote.size))


def _fetch(url: str, start: int, stop: int) -> bytes:
    if scheme_of(url) in WEB:
        return patiently(lambda: web.part(filesystem(url), url, start, stop), url)
    with _alone(url) as files:
        found: bytes = patiently(lambda: files.cat_file(url, start=start, end=stop), url)
    if len(found) > stop - start:
        message = f"{shown(url)} could not be read: it gives other bytes than it is asked for."
        raise UnreadableFile(message, hint="Copy it here first.")
    return found


@contextmanager
def _alone(url: str) -> Iterator[Any]:
    """Yield the file system, to one thread at a time where it has no threads of its own."""
    files = filesystem(url)
    with nullcontext() if files.async_impl else _LOCK:
        yield files


def fetched(url: str) -> Stored:
    """Return the bytes at an address; where a server gives no ranges, or no length, a temporary copy of them.

    Raises: MissingFile, UnreadableFile, MissingExtra, UsageError.
    """
    size = _size(url)
    held = copied(url) if size is None else Remote(url, size)
    found = Stored(shown(url), os.fstat(held.descriptor).st_size if size is None else size, temporary=held)
    if scheme_of(url) in WEB and found.head(LONG).lstrip().lower().startswith(PAGE):
        message = f"{found.name} is a web page, not data."
        raise UnreadableFile(message, hint="Give the address of the file itself; it may also want a login, or a query.")
    return found


def _size(url: str) -> int | None:
    if scheme_of(url) in WEB:
        return patiently(lambda: web.size(filesystem(url), url), url)
    with _alone(url) as files:
        found = patiently(lambda: files.info(url), url)
    if found["type"] == "directory":
        message = f"{shown(url)} is a folder, not a file."
        raise InputError(message, hint="Name a file in it.")
    return found["size"]  # type: ignore[no-any-return]


def copied(url: str) -> Temporary:
    """Copy everything at an address to a temporary file.

    Raises: MissingFile, UnreadableFile.
    """
    copy = Temporary()
    with copy.filling(shown(url)) as write, _alone(url) as files, explained_address(url):
        if scheme_of(url) in WEB:
            web.whole(files, url, write)
        else:
            with files.open(url, "rb") as file:
                while piece := file.read(BUFFER):
                    write(piece)
    return copy


def listing(url: str) -> tuple[str, ...] | list[str]:
    """Find what an address of an object store means: a file, or those that a pattern matches, as a tuple of addresses.

    For a folder, a list of the paths of all files below it, as seen from it.

    Raises: MissingFile if nothing matches; what a store refuses.
    """
    with _alone(url) as files, explained_address(url):
        if GLOB & set(url):
            return _matching(files, url)
        if not url.endswith("/") and files.info(url)["type"] != "directory":
            return (url,)
        top = files._strip_protocol(url).rstrip("/")  # noqa: SLF001 - fsspec has no public name for it
        inner = (name.removeprefix(top).strip("/") for name in files.find(url))
        return [name for name in inner if name]


def _matching(files: Any, url: str) -> tuple[str, ...]:
    found = files.glob(url, detail=True)
    names = sorted(name for name, facts in found.items() if facts["type"] != "directory")
    if not names:
        message = f"No file matches '{shown(url)}'."
        raise MissingFile(message, hint="Check the address.")
    return tuple(files.unstrip_protocol(name) for name in names)
