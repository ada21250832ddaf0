"""A reader through a function: what somebody's code did to an array before the loss saw it.

The ways to read the same inputs: as they are, swapped, squeezed, broadcast, or through what code often does to them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.losses.numerics import log_softmax
from lossctl.sources import shapes
from lossctl.sources.readers import Wrapped

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lossctl.guides.identify.grids import LabelCounts
    from lossctl.losses.loss import Loss
    from lossctl.request.spec import Options
    from lossctl.sources.readers import NumPyArray, Reader
    from lossctl.sources.shapes import Shape


if TYPE_CHECKING:
    Function = Callable[[NumPyArray], NumPyArray]

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
    common = shapes.broadcast(*(reader.shape for reader in own.values()))
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
    return shapes.tokens(loss.signature.inputs[0].word.shape)


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
