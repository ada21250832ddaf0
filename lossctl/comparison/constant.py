"""The best constant prediction for a loss on these targets, beside which a prediction's skill is seen.

It is one number for all elements, looked for on at most 100,000 samples, which the seed chooses, and then judged on all of
them in one pass with every other loss's. For class scores it is what the frequencies of the classes say, which cross entropy
likes best. A loss of labels, pairs, boxes, sequences or all samples together has none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.comparison.character import elementwise, of_classes
from lossctl.engine.block import Block, Selection
from lossctl.engine.fold import counted, fold, unreduced
from lossctl.engine.reduce import reduced
from lossctl.engine.threads import in_lanes
from lossctl.errors import LossctlError
from lossctl.losses.backends import BACKENDS, Backend
from lossctl.losses.loss import ANY, Domain
from lossctl.sources.readers import Broadcast, Memory, NumPyArray, Reader, Wrapped, cuts, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lossctl.engine.binding import Bound, Slot
    from lossctl.request.options import Options
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
    drawn = ConstantSamples(seed)
    found = in_lanes(lambda bound: best(bound, options, selection, drawn), bounds, options.jobs)
    pairs = [(number, one) for number, one in enumerate(found) if one is not None]
    placed = [_placed(bounds[number], one, options) for number, one in pairs]
    losses = _losses(placed, backend, options, selection)
    result: list[Constant | None] = [None] * len(bounds)
    for (number, one), loss in zip(pairs, losses, strict=True):
        result[number] = None if loss is None else Constant(one.reshape(-1), loss)
    return result


def best(bound: Bound, options: Options, selection: Selection, drawn: ConstantSamples) -> NumPyArray | None:
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
    losses = [few.loss(item) for item in grid]
    if not grid or not np.isfinite(losses).any():
        return None
    result, at = minimum(more.loss, grid, int(np.argmin(losses)))
    shape = next(slot.reader.shape for slot in bound.slots if slot.input.name == "pred")
    open_end = at in {0, len(grid) - 1} and not _is_edge(grid[at], _domain(bound))
    return None if open_end else np.full((1,) * len(shape), result)


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
    tallies = fold([replace(item, optional=True) for item in placed], backend, options, selection)
    pairs = zip(placed, tallies, strict=True)
    result = [
        math.nan if tally.unfit else float(reduced(one, tally.sums.finish(), tally.n, options.reduction))
        for one, tally in pairs
    ]
    return [loss if math.isfinite(loss) else None for loss in result]


# A class that is never seen gets this probability, since the logarithm of 0 spoils every mean.
LEAST = 1e-30


def best_scores(bound: Bound, options: Options, selection: Selection, backend: Backend) -> NumPyArray | None:
    """Constant scores, log-probabilities or probabilities of the shape of one sample's, its further axes of size 1.

    They are the frequencies of the classes, weighted as samples and classes are, and smoothed as the loss smooths labels.
    Raises: what reading the labels raises.
    """
    slots = {slot.input.name: slot for slot in bound.slots}
    (classes,) = bound.dims["c"]
    counts = np.zeros(classes)
    size = max(1, math.prod(slots["target"].reader.shape) // max(1, bound.n))
    for span in cuts(bound.n, size):
        block = Block(*span, options, selection, backend)
        block.select([bound])
        counts += _counts(block, bound, slots["target"], classes)
    shares = _smoothed(counts, bound, slots)
    if not shares.sum() > 0:
        return None
    word = bound.loss.signature.inputs[0].word
    shares /= shares.sum()
    result = shares if word.domain.high == 1 else np.log(np.maximum(shares, LEAST))
    shape = slots["pred"].reader.shape
    return (result if shape[1] == classes else result[1:]).reshape(1, -1, *(1,) * (len(shape) - 2))


def _smoothed(counts: Floats, bound: Bound, slots: dict[str, Slot]) -> Floats:
    smooth = float(bound.params.get("label_smoothing", bound.params.get("smoothing", 0.0)))
    counts = (1 - smooth) * counts + smooth * counts.sum() / len(counts)
    weights = [whole(slot.reader) for slot in slots.values() if slot.input.word.shape == "c"]
    return counts * math.prod(weights) if weights else counts


def _counts(block: Block, bound: Bound, slot: Slot, classes: int) -> Floats:
    """How often each class is meant in one block, by weight; soft labels mean several classes in part."""
    target = np.asarray(block.backend.take(block.ready(slot, bound)))
    labels = target if slot.input.word.index else np.moveaxis(target, 1, -1)
    counts = np.ones(labels.shape if slot.input.word.index else labels.shape[:-1])
    if slot.input.word.index and "ignore_index" in bound.params:
        counts[labels == bound.params["ignore_index"]] = 0.0
    weights = block.weights()
    if weights is not None:
        counts *= weights.reshape(-1, *(1,) * (counts.ndim - 1))
    if block.selection.by_element:
        counts *= block.mask()
    if not slot.input.word.index:
        return np.asarray(np.tensordot(counts, labels, axes=counts.ndim))
    kept = counts > 0
    return np.asarray(np.bincount(labels[kept].astype(np.int64), counts[kept], classes), np.float64)


# So many samples are searched, and about so many of them first.
SEARCHED, FIRST = 100_000, 2_000


@dataclass
class ConstantSamples:
    """The samples that constants are tried on, the same for all losses: what is read of a source is read once."""

    seed: int = 0
    rows: dict[int, NumPyArray] = field(default_factory=dict)
    taken: dict[tuple[int, int | None], tuple[Reader, Memory]] = field(default_factory=dict)

    def take(self, reader: Reader, axis: int | None, n: int) -> Memory:
        """The chosen ones of `n` samples along `axis`, or all of what has no sample axis."""
        key = (id(reader), axis)
        if key not in self.taken:
            array = whole(reader) if axis is None else _read(reader, axis, self._rows(n), n)
            # The reader is kept too: its number may not be given to another one.
            self.taken[key] = reader, Memory(array, reader.name)
        return self.taken[key][1]

    def _rows(self, n: int) -> NumPyArray:
        if n not in self.rows:
            rng = np.random.Generator(np.random.Philox(self.seed))
            self.rows[n] = np.sort(rng.choice(n, SEARCHED, replace=False)) if n > SEARCHED else np.arange(n)
        return self.rows[n]


def _read(reader: Reader, axis: int, rows: NumPyArray, n: int) -> NumPyArray:
    """Read some samples, block by block."""
    if len(rows) == n:
        return reader.read(0, n, axis)
    parts = []
    for start, stop in cuts(n, max(1, math.prod(reader.shape) // n)):
        inside = rows[np.searchsorted(rows, start) : np.searchsorted(rows, stop)]
        parts.append(np.take(reader.read(start, stop, axis), inside - start, axis=axis))
    return np.concatenate(parts, axis=axis)


@dataclass(frozen=True)
class LossOnSamples:
    """One loss with its inputs checked and cast."""

    bound: Bound
    block: Block
    arrays: dict[str, Any]

    @property
    def targets(self) -> NumPyArray:
        """The finite targets that count."""
        result = np.asarray(self.arrays["target"], np.float64).reshape(-1)
        return result[np.isfinite(result)]

    def loss(self, constant: float) -> float:
        """The mean loss of a constant prediction; infinite where the loss refuses it, or is no number."""
        arrays = {**self.arrays, "pred": np.full_like(self.arrays["pred"], constant)}
        try:
            terms = unreduced(self.bound, arrays, np, lambda: self.block.index)
        except LossctlError:
            return math.inf
        terms = {"weight": np.ones_like(next(iter(terms.values())))} | terms
        with np.errstate(all="ignore"):
            sums = {name: np.sum(term, dtype=np.float64) for name, term in counted(terms, self.block).items()}
        result = float(reduced(self.bound, sums, self.block.kept, "mean"))
        return math.inf if math.isnan(result) else result


def trials(
    bound: Bound, options: Options, selection: Selection, backend: Backend, drawn: ConstantSamples
) -> tuple[LossOnSamples, LossOnSamples]:
    """The loss on a few samples at even distances of those that were drawn, and on all of these.

    Raises: what reading and checking inputs raises.
    """
    n = min(bound.n, SEARCHED)
    every = replace(bound, n=n, slots=tuple(replace(s, reader=drawn.take(s.reader, s.axis, bound.n)) for s in bound.slots))
    given = (selection.weights, selection.mask)
    weights, mask = (None if item is None else drawn.take(item, 0, bound.n) for item in given)
    step = -(-n // FIRST)
    few = replace(bound, n=-(-n // step), slots=tuple(replace(s, reader=_thin(s.reader, s.axis, step)) for s in every.slots))
    thin = Selection(weights and _thin(weights, 0, step), mask and _thin(mask, 0, step))
    pairs = ((few, thin), (every, Selection(weights, mask)))
    first, second = (_trial(one, options, part, backend) for one, part in pairs)
    return first, second


def _thin(reader: Reader, axis: int | None, step: int) -> Memory:
    array = whole(reader)
    return Memory(array if axis is None else array[(slice(None),) * axis + (slice(None, None, step),)], reader.name)


def _trial(bound: Bound, options: Options, selection: Selection, backend: Backend) -> LossOnSamples:
    block = Block(0, bound.n, options, selection, backend)
    block.select([bound])
    return LossOnSamples(bound, block, {slot.input.name: block.ready(slot, bound) for slot in bound.slots})


GOLDEN = (3 - math.sqrt(5)) / 2
# A minimum is flat: its place is known to the square root of what a float64 resolves, in parts of where it was looked for.
PRECISE, TINY = 1e-8, 4e-16
STEPS = 60
# A value and its place.
Point = tuple[float, float]


def minimum(function: Callable[[float], float], grid: Sequence[float], at: int) -> tuple[float, int]:
    """Start at a candidate of an ascending grid. Return the place of the minimum, and the number of the best candidate."""
    known: dict[int, float] = {}

    def value(place: int) -> float:
        known.setdefault(place, function(grid[place]))
        return known[place] if known[place] == known[place] else math.inf

    while True:
        best = min((place for place in (at, at - 1, at + 1) if 0 <= place < len(grid)), key=value)
        if best == at:
            break
        at = best
    low, high = grid[max(at - 1, 0)], grid[min(at + 1, len(grid) - 1)]
    return between(function, low, high, (value(at), grid[at])), at


def between(function: Callable[[float], float], low: float, high: float, start: Point) -> float:
    """Brent's method (1973, chapter 5): parabolas through the three best points, and golden sections where they fail.

    `start` is a value and its place between `low` and `high`. No digits are returned that are not known.
    """
    known = PRECISE * (high - low)
    best = second = third = start
    last = before = 0.0
    for _ in range(STEPS):
        x = best[1]
        near = known + TINY * abs(x)
        if max(x - low, high - x) <= 2 * near:
            break
        step = _vertex(best, second, third)
        if not (abs(step) < abs(before) / 2 and low < x + step < high):
            last = (high if x < (low + high) / 2 else low) - x
            step = GOLDEN * last
        before, last = last, step
        place = x + (step if abs(step) >= near else math.copysign(near, (low + high) / 2 - x))
        result = (function(place), place)
        outer = x if result[0] < best[0] else place
        inner = place if result[0] < best[0] else x
        low, high = (max(low, outer), high) if outer < inner else (low, min(high, outer))
        best, second, third = _ranked(result, best, second, third)
    return round(best[1], math.ceil(-math.log10(known))) if known else best[1]


def _ranked(found: Point, best: Point, second: Point, third: Point) -> tuple[Point, Point, Point]:
    """The three best points, the oldest first among equals: at the bottom rounding alone tells them apart."""
    if found[0] < best[0]:
        return found, best, second
    if found[0] <= second[0] or second == best:
        return best, found, second
    return best, second, found if found[0] <= third[0] or third in {best, second} else third


def _vertex(best: Point, second: Point, third: Point) -> float:
    """The step from the best point to the lowest of the parabola through all three; NaN where there is none."""
    right, left = best[1] - second[1], best[1] - third[1]
    one, other = right * (best[0] - third[0]), left * (best[0] - second[0])
    if one == other or not math.isfinite(one - other):
        return math.nan
    return -(right * one - left * other) / (2 * (one - other))
