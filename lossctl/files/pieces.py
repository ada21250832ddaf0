"""Large text files in pieces of whole lines, worked on by several threads, with few of them in memory."""

from __future__ import annotations

import os
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from lossctl.errors import UnreadableFile
from lossctl.watch import watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from lossctl.files.stored import Stored

Given = TypeVar("Given")

PIECE = 1 << 20
# Longer lines are no samples, but whole documents.
LONGEST_LINE = 1 << 26
THREADS = 4
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Piece:
    """Whole lines of a file; the first of them has the number `line`, from 1."""

    line: int
    content: bytes


def pieces(stored: Stored) -> Iterator[Piece]:
    """Cut a file at line ends, without its byte order mark.

    Raises: UnreadableFile with a line that is too long to be held in memory.
    """
    watch().begin(f"reading {stored.name}", stored.size, of_bytes=True)
    stream = stored.stream(PIECE)
    stream.seek(len(BOM) * (stored.head(len(BOM)) == BOM))
    line = 1
    while content := stream.read(PIECE):
        rest = stream.readline(LONGEST_LINE)
        if len(rest) == LONGEST_LINE:
            number = line + content.count(b"\n")
            message = f"{stored.name}, line {number}, is longer than {LONGEST_LINE >> 20} MiB."
            raise UnreadableFile(message, hint="One sample stands on a line of its own.")
        content += rest
        yield Piece(line, content)
        line += content.count(b"\n")


def ahead(work: Callable[[Given], Any], given: Iterable[Given]) -> Iterator[Any]:
    """Call `work` on threads, and give its results in order; no more than one piece for each thread waits."""
    from concurrent.futures import ThreadPoolExecutor

    threads = min(THREADS, os.cpu_count() or 1)
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Any] = deque()
        for piece in given:
            waiting.append(pool.submit(work, piece))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
