"""Blocks on several threads: NumPy works outside the interpreter's lock, so that threads share nothing and cost little.

Lane k of J takes blocks k, k + J, k + 2J … Results come back in the order of blocks, and of several failures the one in the
earliest block is raised, so that nothing that is said depends on how many lanes there are.
"""

from __future__ import annotations

import os
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Item = TypeVar("Item")
Result = TypeVar("Result")

# Starting threads costs about as much as a handful of blocks.
FEW = 8


def lanes(jobs: int) -> int:
    """How many threads `--jobs` means; 0 and less are one a core."""
    return jobs if jobs > 0 else os.cpu_count() or 1


def in_lanes(work: Callable[[Item], Result], items: Sequence[Item], jobs: int) -> list[Result]:
    """Apply `work` to every item, on `jobs` threads where there are enough items."""
    count = min(lanes(jobs), len(items))
    if count == 1 or len(items) < FEW:
        return [work(item) for item in items]
    return _threaded(work, items, count)


def _threaded(work: Callable[[Item], Result], items: Sequence[Item], count: int) -> list[Result]:
    results: list[Any] = [None] * len(items)
    failures: dict[int, BaseException] = {}

    def lane(first: int) -> None:
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
