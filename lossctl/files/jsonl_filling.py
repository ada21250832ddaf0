"""Columns of a .jsonl on their way into one array."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from lossctl.blocks import Memory
from lossctl.files.npy import NpyPart
from lossctl.files.spool import Group, Spool

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lossctl.blocks import NumPyArray, Part
    from lossctl.files.jsonl_values import Column


class Filling:
    """Takes the rows of a group, piece by piece."""

    def __init__(self, group: Group, columns: Sequence[Column], positions: Sequence[int], name: str) -> None:
        """Begin empty; a column of lists is kept as one column for each element of a list."""
        self.group = group
        self._shape = () if group.block else columns[positions.index(group.positions[0])].shape
        size = math.prod(self._shape)
        self._rows = 0
        self._spool = Spool(Group(tuple(range(size)), block=True) if self._shape else group, name) if size else None

    def add(self, arrays: Sequence[NumPyArray]) -> None:
        """Add some rows, given as one array for each column of the group."""
        rows = len(arrays[0])
        self._rows += rows
        if self._spool and rows:
            self._spool.add(list(arrays[0].reshape(rows, -1).T) if self._shape else arrays)

    def done(self) -> Part:
        """Return everything as one array."""
        shape = (self._rows, *self._shape)
        part = self._spool.done() if self._spool else Memory(np.empty(shape))
        if isinstance(part, NpyPart) and self._shape:
            return replace(part, header=replace(part.header, shape=shape))
        return Memory(part.array.reshape(shape)) if isinstance(part, Memory) and self._shape else part
