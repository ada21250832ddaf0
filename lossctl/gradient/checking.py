"""The gradient of a loss against differences of its values, on a part of the data that fits into memory.

The part is a few samples and the elements to move, drawn with a fixed seed, so that a check can be repeated; the samples with
the largest gradient, and the first whose gradient is not finite, are always among them. Terms are subtracted element by
element before anything is added up, so that nothing cancels however many samples there are. Samples that do not see one
another are moved together, each by its own step.

The gradient at an element is the sum over terms of c dterm, with c = dL/dS for the sum S of a term. Both factors are checked:
the terms on samples, the slopes c on the reduction. Everything is calculated in float64. torch's gradient of ctc by
log-probabilities is the derivative plus e^pred; both are compared by the raw scores instead, of which this difference has no
part: g - softmax(pred) sum(g).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.engine.block import Block, Selection
from lossctl.engine.fold import elements_of, unreduced
from lossctl.errors import LossctlError, PluginFailed
from lossctl.gradient.differences import STEEP, JudgedSlope, Line, judge, settle_edges
from lossctl.gradient.passes import Differentiated, back, differentiate
from lossctl.losses.backends import BACKENDS
from lossctl.losses.loss import ANY, Domain
from lossctl.sources.readers import Memory, NumPyArray, Reader

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lossctl.engine.binding import Bound, Slot
    from lossctl.request.options import Options


# Samples, and numbers in them, that are looked at: each is calculated some hundred times.
SAMPLES, NUMBERS = 1000, 1 << 18
# Samples are read in runs, since a read of one costs as much as one of many.
RUN = 20
# Elements of each sample that are moved, and of data that cannot be cut; fewer where each calculation goes through so many
# numbers that all of them would be more than WORK.
TOGETHER, SINGLE, FEWEST = 64, 200, 4
WORK_TOGETHER, WORK_SINGLE = 1 << 24, 1 << 22
SEED = 0


@dataclass(frozen=True)
class CheckedSamples:
    """A loss on some of its samples, whose numbers in the file are `rows`."""

    one: Differentiated
    selection: Selection
    rows: NumPyArray


def sampled(differentiated: Differentiated, options: Options, selection: Selection, wanted: Iterable[int]) -> CheckedSamples:
    """Read a part of the samples, the wanted ones among them; all of them where the loss couples them.

    Raises: TooLarge.
    """
    bound = differentiated.bound
    loss = replace(bound.loss, guard=None)
    if bound.loss.whole:
        elements_of(bound, options)
        return CheckedSamples(replace(differentiated, bound=replace(bound, loss=loss)), selection, np.arange(bound.n))
    rows = _rows(bound.n, min(SAMPLES, max(1, NUMBERS // max(1, bound.elements))), wanted)
    slots = tuple(_part(slot, rows) for slot in bound.slots)
    weights, mask = (None if reader is None else _picked(reader, rows, 0) for reader in (selection.weights, selection.mask))
    peers = tuple(
        replace(peer, slots=tuple(_part(slot, rows) for slot in peer.slots), n=len(rows)) for peer in differentiated.peers
    )
    part = replace(differentiated, bound=replace(bound, loss=loss, slots=slots, n=len(rows)), peers=peers)
    return CheckedSamples(part, Selection(weights, mask), rows)


def _rows(n: int, most: int, wanted: Iterable[int]) -> NumPyArray:
    """Which samples: all if there are few, else short runs spread over the file."""
    if n <= most:
        return np.arange(n)
    first = list(dict.fromkeys(wanted))[:most]
    run = min(RUN, most)
    edges = np.linspace(0, n, max(1, most // run) + 1).astype(np.int64)
    starts = np.random.default_rng(SEED).integers(edges[:-1], np.maximum(edges[1:] - run, edges[:-1]) + 1)
    spread = np.setdiff1d(np.add.outer(starts, np.arange(run)).reshape(-1), first)
    return np.union1d(np.asarray(first, np.int64), spread[spread < n][: most - len(first)])


def _part(slot: Slot, rows: NumPyArray) -> Slot:
    return slot if slot.axis is None else replace(slot, reader=_picked(slot.reader, rows, slot.axis))


def _picked(reader: Reader, rows: NumPyArray, axis: int) -> Memory:
    """Some samples of an array, read run by run."""
    runs = np.split(rows, np.nonzero(np.diff(rows) != 1)[0] + 1)
    parts = [reader.read(int(run[0]), int(run[-1]) + 1, axis) if len(run) else reader.read(0, 0, axis) for run in runs]
    return Memory(np.concatenate(parts, axis=axis), reader.name)


def sample_of(slot: Slot, place: tuple[int, ...]) -> int | None:
    """The sample that an element of the source belongs to, where it belongs to one."""
    if slot.axis is None or not place:
        return None
    axis = back(slot.reader, np.zeros(_one(slot)), 0, slot.axis).axis
    return None if axis is None else place[axis]


def source_place(slot: Slot, sample: int, index: Sequence[int]) -> list[int]:
    """Where an element of the input, as the loss sees it, lies in the source; `index` is 0 on the sample axis."""
    one = np.zeros(_one(slot))
    one[tuple(index)] = 1.0
    placed = back(slot.reader, one, sample, slot.axis)
    result = [int(i) for i in np.unravel_index(int(np.argmax(placed.array)), placed.array.shape)]
    if placed.axis is not None:
        result[placed.axis] += placed.start
    return result


def _one(slot: Slot) -> tuple[int, ...]:
    """The shape of one sample of an input."""
    return tuple(1 if axis == slot.axis else size for axis, size in enumerate(slot.reader.shape))


def positions(gradient: NumPyArray, *, cost: int, together: bool) -> NumPyArray:
    """Which columns of a gradient (samples, elements) to move: the largest and what is not finite first, others by chance.

    `cost` is how many numbers one calculation goes through, `together` whether it moves all samples.
    """
    most, work = (TOGETHER, WORK_TOGETHER) if together else (SINGLE, WORK_SINGLE)
    count = gradient.shape[1]
    most = min(count, most, max(FEWEST, work // max(1, cost)))
    if count <= most:
        return np.arange(count)
    sizes = np.where(np.isfinite(gradient), np.abs(gradient), np.inf).max(axis=0, initial=0.0)
    largest = np.argsort(-sizes, kind="stable")[: (most + 1) // 2]
    others = np.setdiff1d(np.arange(count), largest)
    return np.union1d(largest, np.random.default_rng(SEED).choice(others, most - len(largest), replace=False))


def cost_of(differentiated: Differentiated) -> int:
    """How many numbers one calculation goes through."""
    bound = differentiated.bound
    return sum(prod(slot.reader.shape) for slot in bound.slots) + (bound.n**2 if bound.loss.pairs else 0)


# How far two values of the same inputs may lie apart.
SAME = 1e-12
# Parts of an input that single precision does not see, and that it does.
UNSEEN, SEEN = 1e-10, 1e-5


@dataclass(frozen=True)
class MovedLoss:
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
                result = np.asarray(terms[name], np.float64)
                step = self._counted(np.where(result == base, 0.0, result - base), rows)
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


def probe(differentiated: Differentiated, block: Block) -> MovedLoss:
    """Read the samples of a block, and calculate the loss on them as they are.

    Raises: PluginFailed for a loss that has another value every time.
    """
    block.select(differentiated.peers or (differentiated.bound,))
    arrays = {slot.input.name: block.ready(slot, differentiated.bound) for slot in differentiated.bound.slots}
    axes = {slot.input.name: slot.axis for slot in differentiated.bound.slots}
    mask = block.mask() if block.selection.by_element else None
    base, again = (unreduced(differentiated.bound, arrays, np) for _ in range(2))
    if not all(np.allclose(base[name], again[name], rtol=SAME, atol=0, equal_nan=True) for name in base):
        name = differentiated.bound.loss.name
        message = f"{name} gives another value for the same inputs every time: differences say nothing of it."
        raise PluginFailed(message, hint="Leave out --check, or make it give the same value.")
    return MovedLoss(
        differentiated, arrays, axes, block.weights(), mask, {name: np.asarray(term) for name, term in base.items()}
    )


def _taken(array: NumPyArray, rows: NumPyArray | None, axis: int | None) -> NumPyArray:
    return array if rows is None or axis is None else np.take(array, rows, axis=axis)


def _added(step: NumPyArray, rows: NumPyArray | None) -> NumPyArray:
    """What changes add up to: for each sample, or for all of them."""
    return np.asarray(step.sum().reshape(1) if rows is None else step.reshape(len(step), -1).sum(axis=1))


Place = tuple[int, ...]
# Sizes below this part of the largest of the sample count as that large; so do those below a part of a slope of 1.
OF_SAMPLE, OF_VALUE = 1e-3, 1e-6
# So near to the edge of its domain bce has torch's convention in place of a derivative.
EDGE = 1e-12
# Losses of others with torch's convention for log-probabilities.
TORCHS_CTC = ("CTCLoss", "ctc_loss")


@dataclass(frozen=True)
class ComparedGradient:
    """A gradient compared: for each element that was moved what came of it, its gradient, and its place in the source."""

    judged: JudgedSlope
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
        result, every = self.values[rows], _every(index)
        if self.scores is not None:
            result[every[:-1]] -= (steps * self.scores[rows][every])[:, None]
        result[every] += steps
        return result[0] if self.axis is None else np.moveaxis(result, 0, self.axis)


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
def compare(
    differentiated: Differentiated, name: str, options: Options, selection: Selection, wanted: Iterable[Place]
) -> ComparedGradient:
    """Compare the gradient of `one` by the input `name`, on samples of which those with the wanted elements are some.

    Raises: PluginFailed for a loss that has another value every time; TooLarge; and what the loss raises.
    """
    options = replace(options, dtype="f64")
    slot = _slot(differentiated.bound, name)
    rows = [row for place in wanted if (row := sample_of(slot, place)) is not None]
    part = sampled(replace(differentiated, inputs=(name,), params=()), options, selection, rows)
    span = (0, part.one.bound.n, options, part.selection)
    block = Block(*span, BACKENDS.get("torch")(), alone=True)
    gradient = differentiate(part.one, block).seen[name]
    measured = probe(part.one, Block(*span, BACKENDS.get("numpy")(), alone=True))
    whole = differentiated.bound.loss.whole or slot.axis is None
    gradient = gradient if slot.axis is None else block.narrow(gradient, slot.axis)
    cube = _cube(differentiated.bound, slot, measured.arrays[name], gradient, whole=whole)
    flat = _flat(cube.gradient)
    columns = positions(flat, cost=cost_of(part.one), together=not whole)
    judged = _judged(measured, cube, slot, columns)
    spot = Spot(slot, cube, columns, part.rows[block.index])
    return ComparedGradient(judged, flat[:, columns].reshape(-1), cube.scores is not None, spot)


def _flat(array: NumPyArray) -> NumPyArray:
    return array.reshape(len(array), prod(array.shape[1:]))


def _slot(bound: Bound, name: str) -> Slot:
    return next(slot for slot in bound.slots if slot.input.name == name)


def _cube(bound: Bound, slot: Slot, values: NumPyArray, gradient: NumPyArray, *, whole: bool) -> Cube:
    axis = None if whole else slot.axis
    values, gradient = (
        np.asarray(item, np.float64)[None] if axis is None else np.moveaxis(np.asarray(item, np.float64), axis, 0)
        for item in (values, gradient)
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


def _judged(measured: MovedLoss, cube: Cube, slot: Slot, columns: NumPyArray) -> JudgedSlope:
    """Move one element after another, of all samples at once where they do not see one another."""
    bound, domain = measured.one.bound, _domain(measured.one.bound, slot)
    sizes = _flat(np.where(np.isfinite(cube.gradient), np.abs(cube.gradient), 0.0)).max(axis=1, initial=0.0)
    floor = np.clip(OF_SAMPLE * sizes, OF_VALUE * measured.weight, OF_SAMPLE * measured.weight)
    # An infinite score stays where it is, and what is rounded beside it is of the size of the others.
    known = np.where(np.isfinite(cube.values), cube.values, 0.0)
    reach = measured.weight * np.abs(_flat(known)).max(axis=1, initial=0.0)
    unit = measured.unit(slot.input.name)
    result = []
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
        result.append(judged)
    return JudgedSlope.joined(result)


def _domain(bound: Bound, slot: Slot) -> Domain:
    word = slot.input.word
    return ANY if word.loose or bound.params.get(word.free_if) is True else word.domain


def _by_convention(at: NumPyArray, bound: Bound, slot: Slot, domain: Domain) -> NumPyArray:
    """Where torch has a convention in place of a derivative: bce's at 0 and 1, and for variances below `eps`."""
    clamped = bound.loss.torch == "binary_cross_entropy"
    near = clamped & (np.minimum(np.abs(at - domain.low), np.abs(domain.high - at)) <= EDGE)
    least: float = bound.params.get("eps", 0.0) if slot.input.word.rule == "variance" else -np.inf
    return np.asarray(near | (at < least))
