"""fsspec's file systems, one a protocol and process, and what they raise in one sentence.

Credentials and endpoints are those of the stores' own tools (AWS_PROFILE, AWS_ENDPOINT_URL, GOOGLE_APPLICATION_CREDENTIALS) and
of fsspec's configuration (FSSPEC_S3_ANON=true). Protocols that lead to other ones or read files that say what to open are left
out; so is chaining, since `::` is where a key begins.
"""

from __future__ import annotations

import errno
import os
import time
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from lossctl.errors import LossctlError, MissingExtra, MissingFile, UnreadableFile, UsageError
from lossctl.files.address import ADDRESS, WEB, scheme_of, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
    found = ADDRESS.match(url)
    host = found["host"].rpartition("@")[2].lower() if found else ""
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
    if any(isinstance(one, TimeoutError) or "Timeout" in type(one).__name__ for one in chain):
        return f"{where} did not answer in time"
    if any("SSL" in type(one).__name__ or "Certificate" in type(one).__name__ for one in chain):
        return f"no encrypted connection to {where} that can be trusted"
    said = next((_system(one) for one in reversed(chain) if isinstance(one, OSError) and one.strerror), "")
    return f"{said} ({where})" if said else f"the connection to {where} failed ({type(error).__name__})"


def _system(error: OSError) -> str:
    """The system's own word for a fault, without what a library has put around it."""
    known = error.errno in errno.errorcode
    return os.strerror(error.errno) if known and error.errno else str(error.strerror)
