"""By how much the terms of a loss change when elements of one input are moved.

Terms are subtracted element by element before anything is added up, so that nothing cancels however many samples there are.
Samples that do not see one another are moved together, each by its own step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.errors import LossctlError, PluginFailed
from lossctl.pieces import unreduced

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lossctl.block import Block
    from lossctl.blocks import NumPyArray
    from lossctl.gradient.passes import Differentiated

# How far two values of the same inputs may lie apart.
SAME = 1e-12
# Parts of an input that single precision does not see, and that it does.
UNSEEN, SEEN = 1e-10, 1e-5


@dataclass(frozen=True)
class Probe:
    """A loss on samples in memory, as NumPy arrays, with its terms as they are."""

    one: Differentiated
    arrays: Mapping[str, NumPyArray]
    axes: Mapping[str, int | None]
    weights: NumPyArray | None
    mask: NumPyArray | None
    base: Mapping[str, NumPyArray]

    def unit(self, name: str) -> float:
        """The rounding of values: a loss of somebody else's may calculate in single precision, whatever it returns."""
        single, double = (float(np.finfo(kind).eps) for kind in (np.float32, np.float64))
        if self.one.bound.loss.origin == "lossctl":
            return double
        values = self.arrays[name]
        steps = np.random.default_rng(0).uniform(size=values.shape) * np.maximum(1.0, np.abs(values))
        (small, _), (large, size) = (self.change({name: values + part * steps}, None) for part in (UNSEEN, SEEN))
        return single if abs(large[0]) > UNSEEN * size[0] and not small[0] else double

    @property
    def weight(self) -> float:
        """How much a single value counts for in the loss: what is calculated on the way to it is rounded by as much."""
        slopes = {name: abs(slope) for name, slope in self.one.slopes.sums.items() if name in self.base}
        return max((size / (1 if self.base[name].ndim else self.one.bound.n) for name, size in slopes.items()), default=0.0)

    def change(self, moved: Mapping[str, NumPyArray], rows: NumPyArray | None) -> tuple[NumPyArray, NumPyArray]:
        """By how much the loss changes through each of some samples, and the size of what does; all at once without rows."""
        try:
            terms = self._terms(moved, rows)
        except LossctlError:
            nothing = np.full(1 if rows is None else len(rows), np.nan)
            return nothing, nothing
        total: list[Any] = [0.0, 0.0]
        for name, slope in self.one.slopes.sums.items():
            if name in terms:
                base = self.base[name] if rows is None else self.base[name][rows]
                found = np.asarray(terms[name], np.float64)
                step = self._counted(np.where(found == base, 0.0, found - base), rows)
                total[0] = total[0] + slope * _added(step, rows)
                total[1] = total[1] + abs(slope) * _added(np.where(step != 0, np.abs(base), 0.0), rows)
        return total[0], total[1]

    def _terms(self, moved: Mapping[str, NumPyArray], rows: NumPyArray | None) -> dict[str, NumPyArray]:
        arrays = {name: _taken(array, rows, self.axes[name]) for name, array in self.arrays.items() if name not in moved}
        return unreduced(self.one.bound, {**arrays, **moved}, np)

    def _counted(self, step: NumPyArray, rows: NumPyArray | None) -> NumPyArray:
        """Weigh and mask changes as the terms are."""
        if self.mask is not None:
            step = np.where(_taken(self.mask, rows, 0), step, 0.0)
        if self.weights is None:
            return step
        return np.asarray(step * np.reshape(_taken(self.weights, rows, 0), (-1, *(1,) * (step.ndim - 1))))


def probe(one: Differentiated, block: Block) -> Probe:
    """Read the samples of a block, and calculate the loss on them as they are.

    Raises: PluginFailed for a loss that has another value every time.
    """
    block.select(one.peers or (one.bound,))
    arrays = {slot.input.name: block.ready(slot, one.bound) for slot in one.bound.slots}
    axes = {slot.input.name: slot.axis for slot in one.bound.slots}
    mask = block.mask() if block.selection.by_element else None
    base, again = (unreduced(one.bound, arrays, np) for _ in range(2))
    if not all(np.allclose(base[name], again[name], rtol=SAME, atol=0, equal_nan=True) for name in base):
        message = f"{one.bound.loss.name} gives another value for the same inputs every time: differences say nothing of it."
        raise PluginFailed(message, hint="Leave out --check, or make it give the same value.")
    return Probe(one, arrays, axes, block.weights(), mask, {name: np.asarray(term) for name, term in base.items()})


def _taken(array: NumPyArray, rows: NumPyArray | None, axis: int | None) -> NumPyArray:
    return array if rows is None or axis is None else np.take(array, rows, axis=axis)


def _added(step: NumPyArray, rows: NumPyArray | None) -> NumPyArray:
    """What changes add up to: for each sample, or for all of them."""
    return np.asarray(step.sum().reshape(1) if rows is None else step.reshape(len(step), -1).sum(axis=1))
