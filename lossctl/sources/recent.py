"""What was decoded last: a small memory that all files and threads share, so that a chunk is decoded once.

Threads take blocks in ascending order and a chunk holds several, so the threads are within a few chunks of one another. The
memory grows with the number of cores, since as many blocks are being worked on.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING

from lossctl.errors import LossctlError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lossctl.sources.readers import NumPyArray

    Decode = Callable[[list[int]], dict[int, NumPyArray]]


# Two columns of the largest chunk that comes here, and two blocks of two columns of float64 for each thread.
KEPT = (64 << 20) + (8 << 20) * (os.cpu_count() or 1)
# Where one chunk ends and another begins, threads want both.
FEWEST = 2


@dataclass
class _Chunk:
    lock: Lock = field(default_factory=Lock)
    columns: dict[int, NumPyArray] = field(default_factory=dict)
    asked: frozenset[int] = frozenset()
    size: int = 0


class Recent:
    """Columns of chunks; the chunk that was asked for longest ago goes first."""

    def __init__(self, limit: int = KEPT) -> None:
        """Begin empty; `limit` is in bytes."""
        self.limit = limit
        self._lock = Lock()
        self._chunks: OrderedDict[tuple[object, int], _Chunk] = OrderedDict()
        self._gone: list[object] = []

    def columns(self, owner: object, number: int, wanted: Sequence[int], decode: Decode) -> list[NumPyArray]:
        """Return columns of a chunk of `owner`; other threads that want them wait while `decode` makes them.

        Columns that were read from the chunk before are decoded along: they will be asked for.
        """
        chunk = self._chunk(owner, number)
        with chunk.lock:
            missing = set(wanted) - chunk.columns.keys()
            if missing:
                decoded = _decoded(decode, missing, self._before(owner, number) - chunk.columns.keys())
                fresh = sum(column.nbytes for position, column in decoded.items() if position not in chunk.columns)
                chunk.columns |= decoded
                self._make_room(chunk, fresh)
            chunk.asked |= set(wanted)
            return [chunk.columns[position] for position in wanted]

    def _chunk(self, owner: object, number: int) -> _Chunk:
        with self._lock:
            self._drop_gone()
            chunk = self._chunks.setdefault((owner, number), _Chunk())
            self._chunks.move_to_end((owner, number))
            return chunk

    def _before(self, owner: object, number: int) -> frozenset[int]:
        with self._lock:
            chunk = self._chunks.get((owner, number - 1))
            return chunk.asked if chunk else frozenset()

    def _make_room(self, newest: _Chunk, fresh: int) -> None:
        with self._lock:
            newest.size += fresh
            total = sum(chunk.size for chunk in self._chunks.values())
            for key in list(self._chunks)[:-FEWEST]:
                if total <= self.limit:
                    break
                total -= self._chunks.pop(key).size

    def forget(self, owner: object) -> None:
        """Drop the chunks of `owner`.

        The garbage collector calls this from wherever it happens to run, also from under the lock. Then whoever takes the
        lock next does it.
        """
        self._gone.append(owner)
        if self._lock.acquire(blocking=False):
            try:
                self._drop_gone()
            finally:
                self._lock.release()

    def _drop_gone(self) -> None:
        while self._gone:
            owner = self._gone.pop()
            for key in [key for key in self._chunks if key[0] is owner]:
                del self._chunks[key]


def _decoded(decode: Decode, missing: set[int], others: frozenset[int]) -> dict[int, NumPyArray]:
    """Decode columns together; a fault in one that nobody has asked for yet is for later."""
    if others:
        try:
            return decode(sorted(missing | others))
        except LossctlError:
            pass
    return decode(sorted(missing))


RECENT = Recent()
