"""The gradient of a loss against differences of its values, on a part of the data that fits into memory.

The gradient at an element is the sum over terms of c dterm, with c = dL/dS for the sum S of a term. Both factors are checked:
the terms on samples, the slopes c on the reduction. Everything is calculated in float64.

torch's gradient of ctc by log-probabilities is the derivative plus e^pred. Both are compared by the raw scores instead, of
which this difference has no part: g - softmax(pred) sum(g).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.backends import BACKENDS
from lossctl.block import Block
from lossctl.gradient.differences import STEEP, Judged, Line, judge, settle_edges
from lossctl.gradient.passes import differentiate
from lossctl.gradient.probing import probe
from lossctl.gradient.sampling import cost_of, positions, sample_of, sampled, source_place
from lossctl.signature import ANY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lossctl.binding import Bound, Slot
    from lossctl.block import Selection
    from lossctl.blocks import NumPyArray
    from lossctl.gradient.passes import Differentiated
    from lossctl.gradient.probing import Probe
    from lossctl.signature import Domain
    from lossctl.spec import Options

Place = tuple[int, ...]
# Sizes below this part of the largest of the sample count as that large; so do those below a part of a slope of 1.
OF_SAMPLE, OF_VALUE = 1e-3, 1e-6
# So near to the edge of its domain bce has torch's convention in place of a derivative.
EDGE = 1e-12
# Losses of others with torch's convention for log-probabilities.
TORCHS_CTC = ("CTCLoss", "ctc_loss")


@dataclass(frozen=True)
class Compared:
    """A gradient compared: for each element that was moved what came of it, its gradient, and its place in the source."""

    judged: Judged
    gradient: NumPyArray
    by_scores: bool
    spot: Spot

    def at(self, number: int) -> list[int]:
        """The place of an element in the source."""
        return self.spot.source(number)


@dataclass(frozen=True)
class Cube:
    """An input with samples first, (samples, ...), and its gradient; where samples see one another, all data are one sample.

    `scores` holds softmax probabilities along the last axis where the input is moved by raw scores: one of them up by a step,
    and all by its probability down.
    """

    values: NumPyArray
    gradient: NumPyArray
    axis: int | None
    scores: NumPyArray | None

    def moved(self, rows: NumPyArray, index: Place, steps: NumPyArray) -> NumPyArray:
        """Some samples with one element of each moved, as the loss takes them."""
        found, every = self.values[rows], _every(index)
        if self.scores is not None:
            found[every[:-1]] -= (steps * self.scores[rows][every])[:, None]
        found[every] += steps
        return found[0] if self.axis is None else np.moveaxis(found, 0, self.axis)


def _every(index: Place) -> tuple[Any, ...]:
    """An element of every sample."""
    return (slice(None), *index)


@dataclass(frozen=True)
class Spot:
    """Finds elements by their numbers: which elements of a sample were moved, and which samples those are in the source."""

    slot: Slot
    cube: Cube
    columns: NumPyArray
    samples: NumPyArray

    def source(self, number: int) -> list[int]:
        """The place in the source of an element that was moved."""
        row, column = divmod(number, len(self.columns))
        index = [int(i) for i in np.unravel_index(self.columns[column], self.cube.values.shape[1:])]
        if self.cube.axis is not None:
            index.insert(self.cube.axis, 0)
        elif self.slot.axis is not None:
            row, index[self.slot.axis] = index[self.slot.axis], 0
        return source_place(self.slot, int(self.samples[row]) if len(self.samples) else 0, index)


@np.errstate(all="ignore")
def compare(one: Differentiated, name: str, options: Options, selection: Selection, wanted: Iterable[Place]) -> Compared:
    """Compare the gradient of `one` by the input `name`, on samples of which those with the wanted elements are some.

    Raises: PluginFailed for a loss that has another value every time; TooLarge; and what the loss raises.
    """
    options = replace(options, dtype="f64")
    slot = _slot(one.bound, name)
    rows = [row for place in wanted if (row := sample_of(slot, place)) is not None]
    part = sampled(replace(one, inputs=(name,), params=()), options, selection, rows)
    span = (0, part.one.bound.n, options, part.selection)
    block = Block(*span, BACKENDS.get("torch")(), alone=True)
    gradient = differentiate(part.one, block).seen[name]
    measured = probe(part.one, Block(*span, BACKENDS.get("numpy")(), alone=True))
    whole = one.bound.loss.whole or slot.axis is None
    gradient = gradient if slot.axis is None else block.narrow(gradient, slot.axis)
    cube = _cube(one.bound, slot, measured.arrays[name], gradient, whole=whole)
    flat = _flat(cube.gradient)
    columns = positions(flat, cost=cost_of(part.one), together=not whole)
    judged = _judged(measured, cube, slot, columns)
    spot = Spot(slot, cube, columns, part.rows[block.index])
    return Compared(judged, flat[:, columns].reshape(-1), cube.scores is not None, spot)


def _flat(array: NumPyArray) -> NumPyArray:
    return array.reshape(len(array), prod(array.shape[1:]))


def _slot(bound: Bound, name: str) -> Slot:
    return next(slot for slot in bound.slots if slot.input.name == name)


def _cube(bound: Bound, slot: Slot, values: NumPyArray, gradient: NumPyArray, *, whole: bool) -> Cube:
    axis = None if whole else slot.axis
    values, gradient = (
        np.asarray(one, np.float64)[None] if axis is None else np.moveaxis(np.asarray(one, np.float64), axis, 0)
        for one in (values, gradient)
    )
    if not _torchs_ctc(bound, slot):
        return Cube(values, gradient, axis, None)
    scores = np.exp(values - values.max(axis=-1, keepdims=True, initial=-np.inf))
    scores /= scores.sum(axis=-1, keepdims=True)
    return Cube(values, gradient - scores * gradient.sum(axis=-1, keepdims=True), axis, scores)


def _torchs_ctc(bound: Bound, slot: Slot) -> bool:
    """Whether the gradient by this input is that by raw scores, as torch's ctc has it."""
    others = bound.loss.origin.startswith("torch.") and bound.loss.origin.endswith(TORCHS_CTC)
    first = bound.loss.signature.inputs[0].name
    return slot.input.name == first and (bound.loss.torch == "ctc_loss" or others)


def _judged(measured: Probe, cube: Cube, slot: Slot, columns: NumPyArray) -> Judged:
    """Move one element after another, of all samples at once where they do not see one another."""
    bound, domain = measured.one.bound, _domain(measured.one.bound, slot)
    sizes = _flat(np.where(np.isfinite(cube.gradient), np.abs(cube.gradient), 0.0)).max(axis=1, initial=0.0)
    floor = np.clip(OF_SAMPLE * sizes, OF_VALUE * measured.weight, OF_SAMPLE * measured.weight)
    # An infinite score stays where it is, and what is rounded beside it is of the size of the others.
    known = np.where(np.isfinite(cube.values), cube.values, 0.0)
    reach = measured.weight * np.abs(_flat(known)).max(axis=1, initial=0.0)
    unit = measured.unit(slot.input.name)
    found = []
    for column in columns:
        index = tuple(int(i) for i in np.unravel_index(column, cube.values.shape[1:]))
        at, gradient = known[_every(index)], cube.gradient[_every(index)]

        def change(rows: NumPyArray, steps: NumPyArray, index: Place = index) -> tuple[NumPyArray, NumPyArray]:
            moved = {slot.input.name: cube.moved(rows, index, steps)}
            return measured.change(moved, None if cube.axis is None else rows)

        line = Line(at, change, domain.low, domain.high, unit, reach)
        judged = judge(line, gradient, floor)
        settle_edges(line, judged, gradient)
        convention = _by_convention(at, bound, slot, domain) & np.isfinite(gradient)
        judged.kinds[convention & (judged.kinds >= STEEP)] = STEEP
        found.append(judged)
    return Judged.joined(found)


def _domain(bound: Bound, slot: Slot) -> Domain:
    word = slot.input.word
    return ANY if word.loose or bound.params.get(word.free_if) is True else word.domain


def _by_convention(at: NumPyArray, bound: Bound, slot: Slot, domain: Domain) -> NumPyArray:
    """Where torch has a convention in place of a derivative: bce's at 0 and 1, and for variances below `eps`."""
    clamped = bound.loss.torch == "binary_cross_entropy"
    near = clamped & (np.minimum(np.abs(at - domain.low), np.abs(domain.high - at)) <= EDGE)
    least: float = bound.params.get("eps", 0.0) if slot.input.word.rule == "variance" else -np.inf
    return np.asarray(near | (at < least))
