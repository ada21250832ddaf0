"""Bytes over http and https, by the session of fsspec's file system: it would take a whole file for the range it asked for."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from lossctl.errors import UnreadableFile
from lossctl.files.address import shown
from lossctl.files.temporary import BUFFER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

PART, PAST_THE_END = 206, 416


def size(files: Any, url: str) -> int | None:
    """How many bytes there are; None where the server does not say, or gives no ranges."""
    return _run(files, _size, url)  # type: ignore[no-any-return]


def part(files: Any, url: str, start: int, stop: int) -> bytes:
    """Return a range of bytes.

    Raises: UnreadableFile if the server gives something else.
    """
    return _run(files, _part, url, start, stop)  # type: ignore[no-any-return]


def whole(files: Any, url: str, write: Callable[[bytes], Any]) -> None:
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


async def _size(files: Any, url: str) -> int | None:
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
