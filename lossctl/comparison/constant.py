"""The best constant prediction for a loss on these targets, beside which a prediction's skill is seen.

It is one number for all elements, looked for on at most 100,000 samples, which the seed chooses, and then judged on all of
them in one pass with every other loss's. For class scores it is what the frequencies of the classes say, which cross entropy
likes best. A loss of labels, pairs, boxes, sequences or all samples together has none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.backends import BACKENDS
from lossctl.blocks import Broadcast, Memory, Wrapped
from lossctl.comparison.classes import best_scores
from lossctl.comparison.curves import elementwise, of_classes
from lossctl.comparison.minimum import minimum
from lossctl.comparison.trial import Drawn, trials
from lossctl.engine import reduced
from lossctl.errors import LossctlError
from lossctl.fold import fold
from lossctl.lanes import in_lanes
from lossctl.signature import ANY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lossctl.binding import Bound
    from lossctl.block import Backend, Selection
    from lossctl.blocks import NumPyArray, Reader
    from lossctl.signature import Domain
    from lossctl.spec import Options
    from lossctl.statistics.arrays import Floats

QUANTILES = 61
# Scores and logarithms beyond this are as good as infinite.
FARTHEST = 15.0
# How far inside of an edge that is not in a domain itself.
INSIDE = 1e-12


@dataclass(frozen=True, eq=False)
class Constant:
    """The prediction, a number or one a class (c,), and the reduced loss that it has on all samples."""

    prediction: Floats
    loss: float


@dataclass(frozen=True)
class Holed(Wrapped):
    """A constant that is NaN where the prediction is not finite, so that `--nan skip` leaves out the same samples."""

    constant: Reader

    @property
    def shape(self) -> tuple[int, ...]:
        """The prediction's shape."""
        return self.inner.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The constant's type."""
        return self.constant.dtype

    def read(self, start: int, stop: int, axis: int = 0) -> NumPyArray:
        """Return a range of the constant with the prediction's holes."""
        holes = ~np.isfinite(self.inner.read(start, stop, axis))
        return np.where(holes, np.nan, self.constant.read(start, stop, axis))

    def place(self, index: tuple[int, ...]) -> str:
        """Say it with the prediction's own index."""
        return self.inner.place(index)


def constants(
    bounds: Sequence[Bound], backend: Backend, options: Options, selection: Selection, seed: int = 0
) -> list[Constant | None]:
    """The best constant of each loss, or None where there is none; the losses themselves must have been computed before."""
    drawn = Drawn(seed)
    found = in_lanes(lambda bound: best(bound, options, selection, drawn), bounds, options.jobs)
    pairs = [(number, one) for number, one in enumerate(found) if one is not None]
    placed = [_placed(bounds[number], one, options) for number, one in pairs]
    losses = _losses(placed, backend, options, selection)
    result: list[Constant | None] = [None] * len(bounds)
    for (number, one), loss in zip(pairs, losses, strict=True):
        result[number] = None if loss is None else Constant(one.reshape(-1), loss)
    return result


def best(bound: Bound, options: Options, selection: Selection, drawn: Drawn) -> NumPyArray | None:
    """The best constant prediction for one loss, with as many axes as predictions have, or None where there is none."""
    plain = BACKENDS.get("numpy")()
    try:
        if of_classes(bound.loss) and not bound.loss.whole:
            return best_scores(bound, options, selection, plain)
        if not _searched(bound):
            return None
        few, more = trials(bound, options, selection, plain, drawn)
    except LossctlError:
        # What a loss does not take it has refused before; a constant in its place has no say.
        return None
    grid = candidates(bound, few.targets)
    losses = [few.loss(one) for one in grid]
    if not grid or not np.isfinite(losses).any():
        return None
    found, at = minimum(more.loss, grid, int(np.argmin(losses)))
    shape = next(slot.reader.shape for slot in bound.slots if slot.input.name == "pred")
    open_end = at in {0, len(grid) - 1} and not _is_edge(grid[at], _domain(bound))
    return None if open_end else np.full((1,) * len(shape), found)


def _searched(bound: Bound) -> bool:
    """Whether a number is predicted for a number; distances of pairs are no such thing."""
    return elementwise(bound.loss) and not bound.loss.whole and bound.loss.task != "embedding"


def _domain(bound: Bound) -> Domain:
    word = bound.loss.signature.inputs[0].word
    return ANY if bound.params.get(word.free_if) is True else word.domain


def _is_edge(place: float, domain: Domain) -> bool:
    return abs(place - domain.low) <= INSIDE or abs(place - domain.high) <= INSIDE


def candidates(bound: Bound, targets: NumPyArray) -> list[float]:
    """Ascending candidates inside the domain: quantiles of the targets, a step beyond them, and scores or logarithms."""
    if not targets.size:
        return []
    signature, domain = bound.loss.signature, _domain(bound)
    quantiles = np.quantile(targets, np.linspace(0, 1, QUANTILES))
    beyond = max(float(np.ptp(quantiles)), float(np.abs(quantiles).max()), 1.0)
    parts = [quantiles, quantiles[[0, -1]] + [-beyond, beyond]]
    classes = signature.inputs[1].word.domain
    if classes.values or classes.high == 1:
        parts.append(np.linspace(-FARTHEST, FARTHEST, QUANTILES) if domain == ANY else np.linspace(0, 1, QUANTILES))
    if bound.params.get(signature.inputs[0].word.free_if) is True:
        logs = np.log(quantiles[quantiles > 0])
        parts += [logs, np.asarray([-FARTHEST, float(logs.max(initial=0.0)) + 1])]
    inside = (domain.low + (INSIDE if domain.open_low else 0.0), domain.high)
    return np.unique(np.clip(np.concatenate(parts), *inside)).tolist()  # type: ignore[no-any-return]


def _placed(bound: Bound, constant: NumPyArray, options: Options) -> Bound:
    """The loss with a constant in the prediction's place."""
    slots = []
    for slot in bound.slots:
        reader = slot.reader
        if slot.input.name == "pred":
            steady = Broadcast(Memory(constant, reader.name), reader.shape)
            reader = Holed(reader, steady) if options.nan == "skip" else steady
        slots.append(replace(slot, reader=reader))
    return replace(bound, slots=tuple(slots))


def _losses(placed: Sequence[Bound], backend: Backend, options: Options, selection: Selection) -> list[float | None]:
    """The reduced losses of all constants in one pass; one that a loss refuses has none."""
    tallies = fold([replace(one, optional=True) for one in placed], backend, options, selection)
    pairs = zip(placed, tallies, strict=True)
    found = [
        math.nan if tally.unfit else float(reduced(one, tally.sums.finish(), tally.n, options.reduction))
        for one, tally in pairs
    ]
    return [loss if math.isfinite(loss) else None for loss in found]
