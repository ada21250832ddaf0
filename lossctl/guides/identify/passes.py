"""The pass over the data: every trial adds its terms to its own sums, and to those of the batches that code may have made.

The same inputs are read in several ways: as they are, swapped, squeezed, broadcast, or through what somebody's code often does
to an array before the loss sees it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.engine.block import Block
from lossctl.engine.fold import counted, elements_of, unreduced
from lossctl.engine.reduce import reduced
from lossctl.engine.threads import in_turn
from lossctl.errors import LossctlError
from lossctl.losses.backends import BACKENDS
from lossctl.losses.numerics import log_softmax
from lossctl.sources import readers
from lossctl.sources.readers import BLOCK, Wrapped, cuts, keep_memory
from lossctl.statistics.sums import Sums

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lossctl.guides.identify.grids import LabelCounts
    from lossctl.losses.loss import Loss
    from lossctl.request.options import Options
    from lossctl.sources.readers import NumPyArray, Reader, Shape

    Function = Callable[[NumPyArray], NumPyArray]
    from collections.abc import Sequence

    from lossctl.engine.binding import Bound
    from lossctl.engine.block import Selection
    from lossctl.guides.identify.grids import Variation
    from lossctl.losses.backends import Backend
    from lossctl.sources.readers import NumPyArray


BOTH = 2


@dataclass(frozen=True)
class Mapped(Wrapped):
    """A reader whose blocks go through `function`, which must not mix samples: they are on axis 0."""

    function: Function
    shape: Shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """What every function here returns."""
        return np.dtype(np.float64)

    def read(self, start: int, stop: int, axis: int = 0) -> NumPyArray:
        """Return a range of the mapped array."""
        part = self.inner.read(start, stop, 0) if axis == 0 else self.inner.read(0, self.inner.shape[0], 0)
        with np.errstate(all="ignore"):
            mapped = self.function(part).astype(np.float64, copy=False)
        return mapped if axis == 0 else mapped[(slice(None),) * axis + (slice(start, stop),)]

    def place(self, index: tuple[int, ...]) -> str:
        """Say it with the inner reader's own index, as far as the mapped array has one."""
        known = index[: len(self.inner.shape)]
        return self.inner.place((*known, *(0 for _ in self.inner.shape[len(known) :])))


def softmax(scores: NumPyArray) -> NumPyArray:
    """Softmax over axis 1."""
    return np.asarray(np.exp(log_softmaxed(scores)))


def log_softmaxed(scores: NumPyArray) -> NumPyArray:
    """Log-softmax over axis 1."""
    return np.asarray(log_softmax(np, scores.astype(np.float64), axis=1))


def sigmoid(scores: NumPyArray) -> NumPyArray:
    """The logistic function, without overflow."""
    return np.asarray(np.exp(-np.logaddexp(0, -scores.astype(np.float64))))


def one_hot(classes: int) -> Function:
    """A function from labels to their indicators on axis 1; a label that is no class has none."""

    def run(labels: NumPyArray) -> NumPyArray:
        shape = (1, classes, *(1,) * (labels.ndim - 1))
        indicators: NumPyArray = np.expand_dims(labels, 1) == np.arange(classes).reshape(shape)
        return indicators.astype(np.float64)

    return run


def largest(scores: NumPyArray) -> NumPyArray:
    """The class of the largest score."""
    return np.asarray(np.argmax(scores, axis=1))


def halves(array: NumPyArray) -> NumPyArray:
    """Rounded to float16."""
    return array.astype(np.float16)


def signed(labels: NumPyArray) -> NumPyArray:
    """Labels 0 and 1 as -1 and 1."""
    return np.asarray(BOTH * labels.astype(np.float64) - 1)


def second(columns: NumPyArray) -> NumPyArray:
    """The second of two columns: the score of class 1."""
    return columns[:, 1]


def above(threshold: float) -> Function:
    """The decision at a threshold, as label 0 or 1."""
    return lambda scores: (scores > threshold).astype(np.float64)


Readers = Mapping[str, "Reader"]
# Broadcasting to more pairs than this is tried with few losses, and to more than MOST_PAIRS with none.
PAIRS, MOST_PAIRS = 4_000_000, 120_000_000
SIMPLE = ("mse", "l1", "rmse")
ERRORS = ("mse", "l1", "rmse", "huber", "smooth_l1")
# Scores of classes have samples and classes as axes; with more axes the classes may stand last.
CLASSES = 2


@dataclass(frozen=True)
class InputReading:
    """One way to read the inputs.

    `says` is what departs from reading them as they are, `cost` how many things that is, `told` whether an option of
    `compute` reads so, `code` what stands for an input in Python, and `deep` whether parameters are changed besides.
    """

    options: Options
    says: tuple[str, ...] = ()
    readers: Readers = field(default_factory=dict)
    told: bool = True
    code: Mapping[str, str] = field(default_factory=dict)
    suits: Callable[[Loss], bool] = lambda _: True
    deep: bool = False
    swapped: bool = False
    half: bool = False

    @property
    def cost(self) -> int:
        """How many things depart."""
        return len(self.says)

    def of(self, own: Readers) -> dict[str, Reader]:
        """The readers of one loss, read this way."""
        seen = {**own, **self.readers}
        return {**seen, "pred": seen["target"], "target": seen["pred"]} if self.swapped else seen


def readings(own: Readers, options: Options, labels: LabelCounts) -> list[InputReading]:
    """Every way of reading that shapes and labels allow, the plain one first."""
    ways = [InputReading(options, deep=True), *_seen_otherwise(own, options)]
    if set(own) >= {"pred", "target"}:
        pred, target = own["pred"], own["target"]
        ways += [*_swapped(options), *_pred_through(pred, options), *_target_through(pred, target, options, labels)]
    if "var" in own:
        ways += _variances(own["var"], options)
    return [*ways, _halved(own, options)]


def _seen_otherwise(own: Readers, options: Options) -> Iterable[InputReading]:
    """What an option of `compute` does."""
    if any(1 in reader.shape[1:] for reader in own.values()) and not options.squeeze:
        yield InputReading(replace(options, squeeze=True), ("axes of size 1 dropped",), deep=True)
    common = readers.broadcast(*(reader.shape for reader in own.values()))
    if common and any(reader.shape != common for reader in own.values()) and prod(common) <= MOST_PAIRS:
        few = SIMPLE if prod(common) > PAIRS else ()
        yield _broadcast(options, common, few)
    first = next(iter(own.values())).shape
    if len(first) > CLASSES and options.class_dim is None:
        view = replace(options, class_dim=-1)
        yield InputReading(view, ("classes on the last axis",), deep=True, suits=_has_classes)
    for step, how in ((-1, "less"), (1, "more")):
        view = replace(options, label_offset=options.label_offset + step)
        yield InputReading(view, (f"labels one {how}",), code={"target": f"target + {step}"}, suits=_has_labels)


def _broadcast(options: Options, common: tuple[int, ...], few: tuple[str, ...]) -> InputReading:
    says = f"broadcast to {' x '.join(map(str, common))}: all pairs"
    suits = (lambda loss: loss.name in few) if few else _elementwise
    return InputReading(replace(options, broadcast=True), (says,), suits=suits)


def _swapped(options: Options) -> Iterable[InputReading]:
    yield InputReading(
        options, ("pred and target swapped",), code={"pred": "target", "target": "pred"}, suits=_is_pair, swapped=True
    )


def _pred_through(pred: Reader, options: Options) -> Iterable[InputReading]:
    """What code does to the scores, or forgets that it did."""
    rows: list[tuple[str, Callable[[Any], Any], str, Callable[[Loss], bool]]] = [
        ("softmax before it", softmax, "pred.softmax(1)", _has_classes),
        ("log_softmax before it", log_softmaxed, "pred.log_softmax(1)", _takes_logs),
        ("sigmoid before it", sigmoid, "pred.sigmoid()", _is_binary),
        ("the logarithm of pred", np.log, "pred.log()", _takes_logs),
        ("the exponential of pred", np.exp, "pred.exp()", _takes_rates),
    ]
    for says, function, code, suits in rows:
        if function not in {softmax, log_softmaxed} or len(pred.shape) >= CLASSES:
            yield _through(options, (says,), {"pred": (pred, function)}, {"pred": code}, suits)
    yield from _decisions(pred, options)


def _decisions(pred: Reader, options: Options) -> Iterable[InputReading]:
    if len(pred.shape) >= CLASSES:
        shape = (pred.shape[0], *pred.shape[2:])
        view = {"pred": Mapped(pred, largest, shape)}
        yield InputReading(
            options, ("the class of the largest score",), view, code={"pred": "pred.argmax(1)"}, suits=_counts, told=False
        )
    for threshold in (0.5, 0.0):
        function = above(threshold)
        says, code = f"decided at {threshold:g}", {"pred": f"pred > {threshold:g}"}
        yield _through(options, (says,), {"pred": (pred, function)}, code, _counts)
    if len(pred.shape) == CLASSES and pred.shape[1] == CLASSES:
        view = {"pred": Mapped(pred, second, pred.shape[:1])}
        yield InputReading(
            options, ("the second column alone",), view, code={"pred": "pred[:, 1]"}, suits=_is_binary, told=False
        )


def _target_through(pred: Reader, target: Reader, options: Options, labels: LabelCounts) -> Iterable[InputReading]:
    """What code does to the target, with the scores as they are or through what goes with it."""
    if labels.present in ([0], [1], [0, 1]):
        view = {"target": (target, signed)}
        yield _through(options, ("labels 0 and 1 as -1 and 1",), view, {"target": "2 * target - 1"}, _takes_signs)
    if len(pred.shape) >= CLASSES and target.shape == (pred.shape[0], *pred.shape[2:]) and labels.are_classes:
        # Labels as rows of indicators, against scores or what a softmax or sigmoid makes of them.
        hot = {"target": Mapped(target, one_hot(pred.shape[1]), pred.shape)}
        code = {"target": "one_hot(target)"}
        says = "labels as one-hot rows"
        yield InputReading(options, (says,), hot, told=False, code=code, suits=_takes_hot)
        for before, function, spoken in (
            ("softmax before it", softmax, "pred.softmax(1)"),
            ("sigmoid before it", sigmoid, "pred.sigmoid()"),
        ):
            both = {**hot, "pred": Mapped(pred, function, pred.shape)}
            yield InputReading(options, (before, says), both, told=False, code={**code, "pred": spoken}, suits=_takes_hot)
    if pred.shape == target.shape:
        yield from _both_through(pred, target, options)


def _both_through(pred: Reader, target: Reader, options: Options) -> Iterable[InputReading]:
    """What is done to both alike: logarithms of amounts, distributions of scores."""
    logs = {"pred": (pred, np.log), "target": (target, np.log)}
    yield _through(options, ("logarithms of both",), logs, {"pred": "pred.log()", "target": "target.log()"}, _is_error)
    if len(pred.shape) >= CLASSES:
        dense = {"target": (target, softmax), "pred": (pred, log_softmaxed)}
        code = {"pred": "pred.log_softmax(1)", "target": "target.softmax(1)"}
        says = "log_softmax of pred, softmax of target"
        yield _through(options, (says,), dense, code, lambda loss: loss.name == "kl_div")


def _through(
    options: Options,
    says: tuple[str, ...],
    through: Mapping[str, tuple[Reader, Callable[[Any], Any]]],
    code: Mapping[str, str],
    suits: Callable[[Loss], bool],
) -> InputReading:
    """A reading through functions that keep the shape."""
    view = {name: Mapped(reader, function, reader.shape) for name, (reader, function) in through.items()}
    return InputReading(options, says, view, told=False, code=code, suits=suits)


def _variances(var: Reader, options: Options) -> Iterable[InputReading]:
    rows = [("var is a standard deviation", np.square, "var ** 2"), ("var is a logarithm", np.exp, "var.exp()")]
    for says, function, code in rows:
        yield _through(options, (says,), {"var": (var, function)}, {"var": code}, lambda _: True)


def _halved(own: Readers, options: Options) -> InputReading:
    floats = {name: (reader, halves) for name, reader in own.items() if reader.dtype.kind == "f"}
    code = {name: f"{name}.half()" for name in floats}
    return replace(_through(options, ("float16",), floats, code, lambda _: True), half=True)


def _shape(loss: Loss) -> list[str]:
    return loss.signature.inputs[0].word.shape.split()


def _has_classes(loss: Loss) -> bool:
    return "c" in _shape(loss) and "t" not in _shape(loss)


def _has_labels(loss: Loss) -> bool:
    return any(argument.word.shifts for argument in loss.signature.inputs)


def _is_pair(loss: Loss) -> bool:
    return {argument.name for argument in loss.signature.inputs} >= {"pred", "target"}


def _elementwise(loss: Loss) -> bool:
    return _shape(loss) == ["n", "*d"] and not loss.whole


def _is_binary(loss: Loss) -> bool:
    return _shape(loss) == ["n", "*d"] and (loss.task in {"classification", "segmentation"} or loss.name in ERRORS)


def _takes_logs(loss: Loss) -> bool:
    return loss.signature.inputs[0].word.logs


def _takes_rates(loss: Loss) -> bool:
    return loss.name in {*ERRORS, "poisson_nll", "keras_poisson", "poisson_deviance", "gamma_deviance"}


def _takes_signs(loss: Loss) -> bool:
    return any(argument.word.domain.values and -1.0 in argument.word.domain.values for argument in loss.signature.inputs)


def _takes_hot(loss: Loss) -> bool:
    elementwise = _elementwise(loss) and (
        loss.task in {"classification", "segmentation", "distribution"} or loss.name in ERRORS
    )
    return elementwise or loss.name in {"cross_entropy", "soft_target_ce", "categorical_crossentropy_prob", "kl_div_prob"}


def _is_error(loss: Loss) -> bool:
    return loss.name in ERRORS


def _counts(loss: Loss) -> bool:
    return loss.name in {"zero_one", "hamming"}


# Batch sizes that people use.
BATCHES = (8, 16, 32, 50, 64, 100, 128, 200, 256, 500, 512, 1000, 1024)

# Sums of whole numbers below this are exact in any block.
LARGEST = 2**30


@dataclass(frozen=True)
class Trial:
    """One loss with parameters, on one reading of the inputs."""

    bound: Bound
    reading: InputReading
    change: Variation


@dataclass
class Batches:
    """Means of batches of one size: the sum of those that are full, how many, the smaller last one, and the last of all."""

    total: float = 0.0
    full: int = 0
    rest: float = math.nan
    last: float = math.nan

    def merge(self, other: Batches) -> None:
        """Take in what a later block has gathered."""
        self.total += other.total
        self.full += other.full
        self.rest, self.last = other.rest, other.last


@dataclass
class TrialSums:
    """What one trial came to: sums of its terms, samples, elements, batches by size, or why there is nothing."""

    sums: Sums = field(default_factory=Sums)
    n: int = 0
    elements: int = 0
    batches: dict[int, Batches] = field(default_factory=dict)
    failed: LossctlError | None = None

    def merge(self, other: TrialSums) -> None:
        """Take in what a later block has gathered."""
        self.failed = self.failed or other.failed
        self.sums.merge(other.sums)
        self.n += other.n
        self.elements += other.elements
        for size, batches in other.batches.items():
            self.batches.setdefault(size, Batches()).merge(batches)


def gather(trials: Sequence[Trial], selection: Selection, jobs: int) -> list[TrialSums]:
    """Fold every trial over its arrays; what cannot be computed says why and stops none of the others.

    Trials that read alike and are cut alike share blocks. Raises: ShapeMismatch for weights or a mask of another length.
    """
    keep_memory()
    sums = [TrialSums() for _ in trials]
    for (_, n, step), members in _together(trials, sums).items():
        selection.check(n)
        own = [trials[member] for member in members]
        sizes = _sizes(n, step, own[0].reading, selection)
        work = partial(_work, own, BACKENDS.get("numpy")(), selection, sizes)
        # A block of exactly `step` elements of one element each is `step` samples.
        spans = list(cuts(n, 1 if step else 0, block=step or BLOCK))
        in_turn(work, spans, jobs, partial(_take, [sums[member] for member in members]))
    return sums


def _take(totals: Sequence[TrialSums], parts: Sequence[TrialSums]) -> None:
    for total, part in zip(totals, parts, strict=True):
        total.merge(part)


def _together(trials: Sequence[Trial], sums: Sequence[TrialSums]) -> dict[tuple[int, int, int], list[int]]:
    """Trials by reading, number of samples, and samples to a block: a power of two, so that batches are not cut."""
    passes: dict[tuple[int, int, int], list[int]] = {}
    for number, trial in enumerate(trials):
        try:
            elements = elements_of(trial.bound, trial.reading.options)
        except LossctlError as error:
            sums[number].failed = error
            continue
        step = 1 << (max(1, BLOCK // elements).bit_length() - 1) if elements else 0
        passes.setdefault((id(trial.reading), trial.bound.n, step), []).append(number)
    return passes


def _sizes(n: int, step: int, reading: InputReading, selection: Selection) -> tuple[int, ...]:
    """The batch sizes that blocks do not cut; where samples are left out, nobody knows the batches."""
    if selection.mask is not None or reading.options.nan == "skip" or not step:
        return ()
    return tuple(size for size in BATCHES if size < n and (step >= n or step % size == 0))


def _work(
    trials: Sequence[Trial], backend: Backend, selection: Selection, sizes: tuple[int, ...], span: tuple[int, int]
) -> list[TrialSums]:
    block = Block(*span, trials[0].reading.options, selection, backend)
    block.select([trial.bound for trial in trials])
    return [_one(trial.bound, block, sizes) for trial in trials]


def _one(bound: Bound, block: Block, sizes: tuple[int, ...]) -> TrialSums:
    """One block of one trial."""
    xp = block.backend.xp
    try:
        arrays = {slot.input.name: block.ready(slot, bound) for slot in bound.slots}
        terms = unreduced(bound, arrays, xp, lambda: block.index)
        terms.setdefault("weight", xp.ones_like(next(iter(terms.values()))))
        terms = counted(terms, block)
    except LossctlError as error:
        return TrialSums(failed=error)
    sums = TrialSums(n=block.kept, elements=prod(next(iter(terms.values())).shape))
    with np.errstate(all="ignore"):
        for name, term in terms.items():
            sums.sums.add(name, block.backend.total(term))
        if sizes and not bound.loss.whole:
            rows = {name: np.reshape(term, (len(term), -1)) for name, term in terms.items()}
            samples = {name: row.sum(axis=1, dtype=np.float64) for name, row in rows.items()}
            sums.batches = _batches(bound, samples, sizes)
    return sums


def _batches(bound: Bound, samples: Mapping[str, NumPyArray], sizes: tuple[int, ...]) -> dict[int, Batches]:
    count = len(next(iter(samples.values())))
    # Weights that are all alike, as they nearly always are, need not be added up.
    alike = {name: float(term[0]) for name, term in samples.items() if count and _is_level(term)}
    by_size = {}
    for size in sizes if count else ():
        starts = np.arange(0, count, size)
        sums = {name: _added(term, starts, alike.get(name)) for name, term in samples.items()}
        means = reduced(bound, sums, 1, "mean")
        full = count // size
        rest = float(means[full]) if count % size else math.nan
        by_size[size] = Batches(float(means[:full].sum()), full, rest, float(means[-1]))
    return by_size


def _is_level(term: NumPyArray) -> bool:
    """Whether all numbers are one whole number, so that their sums are exact products."""
    return bool(term[0] == np.floor(term[0])) and abs(term[0]) < LARGEST and bool((term == term[0]).all())


def _added(term: NumPyArray, starts: NumPyArray, level: float | None) -> NumPyArray:
    if level is None:
        return np.add.reduceat(term, starts)
    return np.diff(starts, append=len(term)) * level
