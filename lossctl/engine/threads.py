"""Blocks on several threads: NumPy works outside the interpreter's lock, so that threads share nothing and cost little.

Thread k of J takes blocks k, k + J, k + 2J … Results come back in the order of blocks, and of several failures the one in the
earliest block is raised, so that nothing that is said depends on how many threads there are.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from threading import Condition, Thread
from typing import Any, TypeVar

from lossctl.progress import watch
from lossctl.sources.stored import kept_open

Item = TypeVar("Item")
Result = TypeVar("Result")

# Starting threads costs about as much as a handful of blocks.
FEW = 8
# Blocks that a thread may be ahead of the slowest.
AHEAD = 16


def lanes(jobs: int) -> int:
    """How many threads `--jobs` means; 0 and less are one a core."""
    return jobs if jobs > 0 else os.cpu_count() or 1


def in_lanes(work: Callable[[Item], Result], items: Sequence[Item], jobs: int) -> list[Result]:
    """Apply `work` to every item, on `jobs` threads where there are enough items."""
    count = min(lanes(jobs), len(items))
    watch().begin("computing", len(items))
    watched = partial(_watched, work)
    if count == 1 or len(items) < FEW:
        with kept_open():
            return [watched(item) for item in items]
    return _threaded(watched, items, count)


def _watched(work: Callable[[Item], Result], item: Item) -> Result:
    result = work(item)
    watch().step()
    return result


def _threaded(work: Callable[[Item], Result], items: Sequence[Item], count: int) -> list[Result]:
    results: list[Any] = [None] * len(items)
    failures: dict[int, BaseException] = {}

    def lane(first: int) -> None:
        with kept_open():
            for number in range(first, len(items), count):
                if any(number > failed for failed in list(failures)):
                    return
                try:
                    results[number] = work(items[number])
                except Exception as error:  # noqa: BLE001 - raised again below, in the order of blocks
                    failures[number] = error
                    return

    threads = [Thread(target=lane, args=(first,)) for first in range(count)]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    except BaseException:
        # Ctrl-C: no lane begins another block.
        failures[-1] = KeyboardInterrupt()
        raise
    if failures:
        raise failures[min(failures)]
    return results


@dataclass
class InOrder:
    """Hands parts on in the order of blocks, whichever thread is done first; none gets far ahead of the others."""

    take: Callable[[Any], None]
    waiting: dict[int, Any] = field(default_factory=dict)
    following: int = 0
    over: bool = False
    turn: Condition = field(default_factory=Condition)

    def add(self, number: int, part: Any) -> None:
        """Hand on this part and those that have waited for it, once its turn is near: parts that wait take memory."""
        with self.turn:
            self.turn.wait_for(lambda: self.over or number < self.following + AHEAD)
            self.waiting[number] = part
            while self.following in self.waiting:
                self.take(self.waiting.pop(self.following))
                self.following += 1
            self.turn.notify_all()

    def stop(self) -> None:
        """Let nobody wait any longer, since some part will never come."""
        with self.turn:
            self.over = True
            self.turn.notify_all()


def in_turn(work: Callable[[Item], Result], items: Sequence[Item], jobs: int, take: Callable[[Result], None]) -> None:
    """Apply `work` as `in_lanes` does, and hand each result to `take` in the order of items, so that few are ever held.

    `take` runs on one thread at a time, whichever that is.
    """
    turns = InOrder(take)

    def run(item: tuple[int, Item]) -> None:
        number, one = item
        try:
            turns.add(number, work(one))
        except BaseException:
            turns.stop()
            raise

    try:
        in_lanes(run, list(enumerate(items)), jobs)
    finally:
        turns.stop()
