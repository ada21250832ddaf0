"""Which of two readings of a first row makes inputs equally long, where the row itself leaves it open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lossctl.files.heading import EVEN, RULE, WEAK

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lossctl.files.heading import Heading

# What it costs to turn a reading round.
COSTS = {EVEN: 0, WEAK: 1, RULE: 2}

# The files of an input whose headings are in doubt, and its length as they are read now.
Entry = tuple[frozenset[str], int]


def ways(tables: Mapping[str, Heading], entries: Sequence[Entry]) -> list[frozenset[str]]:
    """Return which files to read the other way, so that all entries have one length; nothing where that cannot be.

    Several ways are equally likely, the one with the least changes first. That is so only where a reading is EVEN.
    """
    found: dict[int, frozenset[str]] = {}
    for length in {length for one in entries for length in (one[1], _turned_length(tables, one))}:
        turned = _turned(tables, entries, length)
        if turned is not None:
            found[length] = turned
    if not found:
        return []
    costs = {length: max((COSTS[tables[path].doubt] for path in turned), default=0) for length, turned in found.items()}
    even = any(tables[path].doubt == EVEN for paths, _ in entries for path in paths)
    least = max(min(costs.values()), COSTS[WEAK] if even else 0)
    best = sorted((turned for length, turned in found.items() if costs[length] <= least), key=len)
    return best if even else best[:1]


def _turned_length(tables: Mapping[str, Heading], entry: Entry) -> int:
    """The length of an input whose files are all read the other way: a header is one sample less."""
    paths, length = entry
    return length + sum(1 if tables[path].header else -1 for path in paths)


def _turned(tables: Mapping[str, Heading], entries: Sequence[Entry], wanted: int) -> frozenset[str] | None:
    """The files to read the other way for all entries to be of the length `wanted`; None where none would do."""
    kept: set[str] = set()
    turned: set[str] = set()
    for paths, length in entries:
        if length == wanted:
            kept |= paths
        elif _turned_length(tables, (paths, length)) == wanted:
            turned |= paths
        else:
            return None
    return None if kept & turned else frozenset(turned)
