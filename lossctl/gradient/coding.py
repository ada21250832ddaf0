"""Whose gradient is whose: the class or the group of each place of a block, and the gradient arranged to fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lossctl.gradient.shares import Shares

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lossctl.binding import Bound, Slot
    from lossctl.block import Block
    from lossctl.blocks import NumPyArray

Coded = tuple["NumPyArray", "NumPyArray"]


@dataclass(frozen=True)
class ByGroup:
    """Each sample's group; `axis` is the samples' in the gradient."""

    codes: NumPyArray
    axis: int

    def code(self, gradient: NumPyArray, block: Block) -> Coded:
        """Put samples first; those that do not count are in no group."""
        codes = np.asarray(self.codes[block.start : block.stop], np.int64)
        return np.moveaxis(gradient, self.axis, 0), codes if block.rows is None else np.where(block.rows, codes, -1)


@dataclass(frozen=True)
class ByClass:
    """The class that is right for each place, from the target; places whose target is no class have none."""

    bound: Bound
    slot: Slot

    def code(self, gradient: NumPyArray, block: Block) -> Coded:
        """Put the scores of one place last."""
        target = block.backend.take(block.ready(self.slot, self.bound))
        if self.slot.input.word.index:
            count = self.bound.dims["c"][0]
            known = np.where((target >= 0) & (target < count), target, -1)
            gradient = np.moveaxis(gradient, 1, -1)
        else:
            known = np.where(target == 1, 1, np.where((target == 0) | (target == -1), 0, -1))
        if block.selection.by_element and known.shape == block.mask().shape:
            known = np.where(block.mask(), known, -1)
        return gradient, self._wide(known.astype(np.int64), block)

    @staticmethod
    def _wide(codes: NumPyArray, block: Block) -> NumPyArray:
        if block.rows is None:
            return codes
        wide = np.full((len(block.rows), *codes.shape[1:]), -1, codes.dtype)
        wide[block.rows] = codes
        return wide


def by_class(bound: Bound, name: str) -> tuple[Shares, ByClass] | None:
    """Shares of the classes, where the gradient is by scores and the target says the class of each place."""
    slots = {slot.input.name: slot for slot in bound.slots}
    target = slots.get("target")
    if name != bound.loss.signature.inputs[0].name or target is None or target.axis != 0 or slots[name].axis != 0:
        return None
    word, scores = target.input.word, slots[name]
    if word.shifts and scores.input.word.shape == "n c *d" and word.shape in {"n", "n *d"}:
        return Shares([str(number) for number in range(bound.dims["c"][0])]), ByClass(bound, target)
    binary = (word.domain.low, word.domain.high) == (0, 1) or bool(word.domain.values)
    if binary and not word.index and target.reader.shape == scores.reader.shape:
        low = "-1" if word.domain.low < 0 or -1 in word.domain.values else "0"
        return Shares([low, "1"]), ByClass(bound, target)
    return None


def by_group(bound: Bound, name: str, names: Sequence[str], codes: NumPyArray) -> tuple[Shares, ByGroup] | None:
    """Shares of the groups, where the input has samples."""
    axis = next(slot.axis for slot in bound.slots if slot.input.name == name)
    return None if axis is None else (Shares(names, pulling=True), ByGroup(codes, axis))
