"""Bytes at an address: ranges are read where they are needed; the whole is copied only where a file is, or there are no ranges.

Short reads go by pieces of 1 MiB, of which the last few are kept, so that headers and directories of archives cost a request or
two; long ones are one request each. A pickled one is its address and size, and finds its file system anew.

Addresses are read by fsspec's file systems, one a protocol and process, and what they raise is said in one sentence.
Credentials and endpoints are those of the stores' own tools (AWS_PROFILE, AWS_ENDPOINT_URL, GOOGLE_APPLICATION_CREDENTIALS) and
of fsspec's configuration (FSSPEC_S3_ANON=true). Protocols that lead to other ones or read files that say what to open are left
out; so is chaining, since `::` is where a key begins. Over http and https ranges go through the session of fsspec's file
system: it would take a whole file for the range it asked for.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from functools import lru_cache
from typing import Any, TypeVar
from urllib.parse import quote

from lossctl.errors import InputError, LossctlError, MissingExtra, MissingFile, UnreadableFile, UsageError
from lossctl.sources.source import ADDRESS, WEB, scheme_of, shown
from lossctl.sources.stored import BUFFER, Stored, Temporary

T = TypeVar("T")
# Seconds without a connection, and without a byte on one.
CONNECT, SILENCE = 10, 30
PAUSES = (0.2, 1.0)
TRIES = 3
S3 = frozenset({"s3", "s3a"})
INDIRECT = "asynclocal async_wrapper asyncwrapper blockcache cached dask dir filecache generic libarchive reference"
REFUSED = frozenset(f"{INDIRECT} simplecache tar zip".split())
# Extras of ours hold these; others go by their own names.
OURS = frozenset({"fsspec", "aiohttp", "s3fs"})
LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
FORBIDDEN, GONE = frozenset({401, 403, 407}), frozenset({404, 410})
BUSY = frozenset({429, 500, 502, 503, 504})


def filesystem(url: str) -> Any:
    """Return fsspec's file system for an address.

    Raises: MissingExtra if fsspec or what it needs is not installed, UsageError for a protocol that it does not know.
    """
    return opened(scheme_of(url), host_of(url) in LOOPBACK, os.getpid())


def host_of(url: str) -> str:
    """The host that an address names, without port, name and password."""
    address = ADDRESS.match(url)
    host = address["host"].rpartition("@")[2].lower() if address else ""
    return host[: host.find("]") + 1] if host.startswith("[") else host.partition(":")[0]


@lru_cache(maxsize=64)
def opened(protocol: str, loopback: bool, process: int) -> Any:  # noqa: FBT001 - a part of the key, like the process
    """Return the one file system of a protocol in a process; proxies are not asked about `loopback`.

    Raises: what `filesystem` raises.
    """
    del process
    purpose = f"Reading {protocol}:// addresses"
    try:
        import fsspec
    except ImportError as error:
        raise MissingExtra("fsspec", purpose, "'lossctl[remote]'") from error
    if protocol in REFUSED or protocol not in fsspec.available_protocols():
        message = f"'{protocol}://' is no protocol that lossctl reads."
        raise UsageError(
            message, hint="It reads https, http, s3, gs, az, abfs, hdfs, hf, ftp, and most others that fsspec knows."
        )
    try:
        files = fsspec.filesystem(protocol, **_settings(protocol, loopback=loopback))
    except ImportError as error:
        cause = error.__cause__ if isinstance(error.__cause__, ImportError) else error
        module = (cause.name or protocol).partition(".")[0]
        raise MissingExtra(module, purpose, "'lossctl[remote]'" if module in OURS else module) from error
    if protocol in S3:
        files.retries = TRIES
    return files


def _settings(protocol: str, *, loopback: bool) -> dict[str, Any]:
    """Bounded times. A proxy of the environment is used, but not for this very machine."""
    if protocol in WEB:
        import aiohttp

        times = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT, sock_read=SILENCE)
        # Bytes are read as they lie there: unpacking on the way would leave ranges without a meaning.
        client = {"timeout": times, "trust_env": not loopback, "auto_decompress": False}
        return {"client_kwargs": client, "encoded": True}
    if protocol in S3:
        from fsspec.config import conf

        # s3fs tries again itself, and botocore below it would too: together for many minutes.
        configured = conf.get(protocol, {}).get("config_kwargs", {})
        return {"config_kwargs": {"retries": {"total_max_attempts": 1}, **configured}}
    return {}


def patiently(work: Callable[[], T], url: str) -> T:
    """Do `work`, again after a pause where only the connection failed.

    Raises: MissingFile, UnreadableFile, MissingExtra in one sentence.
    """
    for pause in PAUSES:
        try:
            return work()
        except Exception as error:
            if not _passes(error):
                raise _said(error, url) from error
        time.sleep(pause)
    with explained_address(url):
        return work()


@contextmanager
def explained_address(url: str) -> Iterator[None]:
    """Turn whatever a file system raises into ours.

    Raises: MissingFile, UnreadableFile.
    """
    try:
        yield
    except LossctlError:
        raise
    except Exception as error:
        raise _said(error, url) from error


def _passes(error: BaseException) -> bool:
    """Whether the same may work in a moment."""
    refused = isinstance(getattr(error, "os_error", error), ConnectionRefusedError)
    return getattr(error, "status", 0) in BUSY or (isinstance(error, ConnectionError) and not refused)


def _said(error: BaseException, url: str) -> LossctlError:
    """One sentence; never what the library says, which may repeat the address with its secrets."""
    if isinstance(error, LossctlError):
        return error
    name, status = shown(url), getattr(error, "status", 0)
    if status in GONE or isinstance(error, FileNotFoundError | IsADirectoryError):
        pattern = scheme_of(url) in WEB and "*" in url
        hint = "Web servers have no patterns, object stores do; name each file." if pattern else "Check the address."
        return MissingFile(f"There is no file {name}.", hint=hint)
    unknown = "Credentials" in type(error).__name__
    if status in FORBIDDEN or unknown or isinstance(error, PermissionError):
        said = f"the server answers {status}" if status else "there are no credentials" if unknown else "permission denied"
        hint = "Give the credentials as the tools of the store do, or an address that needs none."
        if scheme_of(url) in S3:
            hint = "Name your profile, AWS_PROFILE=name, or read a public bucket with FSSPEC_S3_ANON=true."
        return MissingFile(f"{name} may not be read: {said}.", hint=hint)
    return UnreadableFile(f"{name} could not be read: {_reason(error, status, url)}.", hint="Check the address, or try again.")


def _reason(error: BaseException, status: int, url: str) -> str:
    if status:
        return f"the server answers {status}"
    where = host_of(url) if scheme_of(url) in WEB else f"the {scheme_of(url)} server"
    chain: list[BaseException] = [error]
    while (
        cause := getattr(chain[-1], "os_error", None) or chain[-1].__cause__ or chain[-1].__context__
    ) and cause not in chain:
        chain.append(cause)
    if any(isinstance(item, TimeoutError) or "Timeout" in type(item).__name__ for item in chain):
        return f"{where} did not answer in time"
    if any("SSL" in type(item).__name__ or "Certificate" in type(item).__name__ for item in chain):
        return f"no encrypted connection to {where} that can be trusted"
    said = next((_system(item) for item in reversed(chain) if isinstance(item, OSError) and item.strerror), "")
    return f"{said} ({where})" if said else f"the connection to {where} failed ({type(error).__name__})"


def _system(error: OSError) -> str:
    """The system's own word for a fault, without what a library has put around it."""
    known = error.errno in errno.errorcode
    return os.strerror(error.errno) if known and error.errno else str(error.strerror)


PART, PAST_THE_END = 206, 416


def _web_size(files: Any, url: str) -> int | None:
    """How many bytes there are; None where the server does not say, or gives no ranges."""
    return _run(files, _answered_size, url)  # type: ignore[no-any-return]


def _web_part(files: Any, url: str, start: int, stop: int) -> bytes:
    """Return a range of bytes.

    Raises: UnreadableFile if the server gives something else.
    """
    return _run(files, _part, url, start, stop)  # type: ignore[no-any-return]


def _web_whole(files: Any, url: str, write: Callable[[bytes], Any]) -> None:
    """Hand everything to `write`, in pieces."""
    _run(files, _whole, url, write)


def _run(files: Any, work: Any, url: str, *more: Any) -> Any:
    from fsspec.asyn import sync

    return sync(files.loop, work, files, url, *more)


@asynccontextmanager
async def _answer(files: Any, url: str, span: str = "") -> AsyncIterator[Any]:
    session = await files.set_session()
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={span}"} if span else {})
    address = files.encode_url(quote(url, safe="/%:?#[]@!$&'()*+,;=~"))
    async with session.get(address, headers=headers) as answer:
        if answer.status != PAST_THE_END:
            answer.raise_for_status()
        yield answer


async def _answered_size(files: Any, url: str) -> int | None:
    async with _answer(files, url, "0-0") as answer:
        said = answer.headers.get("Content-Range", "").rpartition("/")[2]
        ranged = answer.status in {PART, PAST_THE_END} and "Content-Encoding" not in answer.headers
        return int(said) if ranged and said.isdecimal() else None


async def _part(files: Any, url: str, start: int, stop: int) -> bytes:
    async with _answer(files, url, f"{start}-{stop - 1}") as answer:
        begins = answer.headers.get("Content-Range", "").startswith(f"bytes {start}-")
        if answer.status != PART or not begins or (answer.content_length or 0) > stop - start:
            message = f"{shown(url)} could not be read: the server no longer gives the bytes that it is asked for."
            raise UnreadableFile(message, hint="The file may have been replaced; run again.")
        return await answer.read()  # type: ignore[no-any-return]


async def _whole(files: Any, url: str, write: Callable[[bytes], Any]) -> None:
    async with _answer(files, url) as answer:
        async for piece in answer.content.iter_chunked(BUFFER):
            write(piece)


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
            content = _fetch(self.url, at, stop)
        else:
            first = at // PIECE * PIECE
            content = _piece(self, first)[at - first : stop - first]
        view[: len(content)] = content
        return len(content)


@lru_cache(maxsize=KEPT)
def _piece(remote: Remote, first: int) -> bytes:
    return _fetch(remote.url, first, min(first + PIECE, remote.size))


def _fetch(url: str, start: int, stop: int) -> bytes:
    if scheme_of(url) in WEB:
        return patiently(lambda: _web_part(filesystem(url), url, start, stop), url)
    with _alone(url) as files:
        content: bytes = patiently(lambda: files.cat_file(url, start=start, end=stop), url)
    if len(content) > stop - start:
        message = f"{shown(url)} could not be read: it gives other bytes than it is asked for."
        raise UnreadableFile(message, hint="Copy it here first.")
    return content


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
    content = Stored(shown(url), os.fstat(held.descriptor).st_size if size is None else size, temporary=held)
    if scheme_of(url) in WEB and content.head(LONG).lstrip().lower().startswith(PAGE):
        message = f"{content.name} is a web page, not data."
        raise UnreadableFile(message, hint="Give the address of the file itself; it may also want a login, or a query.")
    return content


def _size(url: str) -> int | None:
    if scheme_of(url) in WEB:
        return patiently(lambda: _web_size(filesystem(url), url), url)
    with _alone(url) as files:
        facts = patiently(lambda: files.info(url), url)
    if facts["type"] == "directory":
        raise InputError(f"{shown(url)} is a folder, not a file.", hint="Name a file in it.")
    return facts["size"]  # type: ignore[no-any-return]


def copied(url: str) -> Temporary:
    """Copy everything at an address to a temporary file.

    Raises: MissingFile, UnreadableFile.
    """
    copy = Temporary()
    with copy.filling(shown(url)) as write, _alone(url) as files, explained_address(url):
        if scheme_of(url) in WEB:
            _web_whole(files, url, write)
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
    matches = files.glob(url, detail=True)
    names = sorted(name for name, facts in matches.items() if facts["type"] != "directory")
    if not names:
        raise MissingFile(f"No file matches '{shown(url)}'.", hint="Check the address.")
    return tuple(files.unstrip_protocol(name) for name in names)
