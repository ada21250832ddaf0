"""Arrays that stand end to end in one .npy, or come so through a pipe: `cat a.npy b.npy`, or numpy.save into an open file."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from numpy.lib.format import MAGIC_PREFIX

from lossctl.files.arrays import Arrays
from lossctl.files.npy import WRITE_AGAIN, Npy, one_npy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lossctl.blocks import Part
    from lossctl.files.stored import Stored


def open_appended(stored: Stored) -> Arrays:
    """Open arrays one after another: `#1`, `#2`, … and the fields of records as `#2.pred`; what is no array ends them.

    Raises: UnreadableFile if one is cut short, damaged, or holds Python objects.
    """
    members = [member for number, array in enumerate(_one_by_one(stored), 1) for member in _members(number, array)]
    return Arrays(stored, members, WRITE_AGAIN)


def _one_by_one(stored: Stored) -> Iterator[Npy]:
    start, number = 0, 1
    while stored.part(start, stored.size - start).head(len(MAGIC_PREFIX)) == MAGIC_PREFIX:
        array = one_npy(replace(stored.part(start, stored.size - start), name=f"{stored.name}:#{number}"))
        yield array
        start, number = start + array.header.size, number + 1


def _members(number: int, array: Npy) -> Iterator[tuple[str, Part]]:
    if array.names is None:
        yield f"#{number}", array.unchecked(0)
    for position, field in enumerate(array.names or ()):
        yield f"#{number}.{field}", array.unchecked(position)
