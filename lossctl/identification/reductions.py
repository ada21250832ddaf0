"""What is made of one trial's sums: means, sums, means of batch means, and what people do to a loss before they report it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lossctl.engine import reduced
from lossctl.errors import LossctlError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from lossctl.identification.passes import Batches, Gathered, Trial
    from lossctl.loss import Loss

# Units of information.
BITS, DIGITS = math.log(2), math.log(10)
# Beyond this the exponential is no float64.
LARGEST = 700
LOGS = frozenset({
    "cross_entropy", "nll", "bce", "bce_with_logits", "log_loss", "binary_crossentropy_prob", "categorical_crossentropy_prob",
    "soft_target_ce", "kl_div", "kl_div_prob", "js_div", "label_smoothing_ce", "renyi", "distillation_kl",
})  # fmt: skip
SQUARES = frozenset({"mse", "msle", "mspe", "relative_mse", "js_div", "brier"})
SHARES = frozenset({"mspe", "rmspe", "wape", "zero_one", "hamming", "top_k_error", "nrmse", "label_ranking"})


@dataclass(frozen=True)
class Reduced:
    """A number made of sums: what departs from the mean, how `compute` is told (None: it cannot be), and Python around it."""

    value: float
    says: tuple[str, ...] = ()
    reduction: str | None = "mean"
    code: str = "{}"


@dataclass(frozen=True)
class After:
    """Something done to a loss after it was reduced."""

    says: str
    run: Callable[[float], float]
    code: str
    suits: Callable[[Loss], bool]


def _root(value: float) -> float:
    return math.sqrt(value) if value >= 0 else math.nan


def _exp(value: float) -> float:
    return math.inf if value > LARGEST else math.exp(value)


AFTER = (
    After("halved", lambda x: x / 2, "{} / 2", lambda loss: loss.task in {"regression", "embedding"} or loss.name == "brier"),
    After("doubled", lambda x: x * 2, "2 * {}", lambda loss: loss.task in {"regression", "embedding"} or loss.name == "brier"),
    After("in percent", lambda x: x * 100, "100 * {}", lambda loss: loss.name in SHARES or loss.task == "segmentation"),
    After("negated", lambda x: -x, "-{}", lambda _: True),
    After("in bits, base 2", lambda x: x / BITS, "{} / math.log(2)", lambda loss: loss.name in LOGS),
    After("to base 10", lambda x: x / DIGITS, "{} / math.log(10)", lambda loss: loss.name in LOGS),
    After("the square root of it", _root, "math.sqrt({})", lambda loss: loss.name in SQUARES),
    After("the exponential of it: perplexity", _exp, "math.exp({})", lambda loss: loss.name in LOGS),
    After(
        "1 minus it",
        lambda x: 1 - x,
        "1 - {}",
        lambda loss: loss.task in {"segmentation", "detection"} or loss.name in SHARES | {"cosine_distance", "r2_loss"},
    ),
)


def reductions(trial: Trial, found: Gathered, spare: int) -> Iterable[Reduced]:
    """Every number that may have been made of these sums, with at most `spare` things done besides taking the mean."""
    bound, sums = trial.bound, found.sums.finish()
    mean = _reduce(trial, sums, found.n, "mean")
    if mean is None:
        return
    yield Reduced(mean)
    if spare:
        others = list(_others(trial, sums, found))
        yield from others
        yield from _after(bound.loss, Reduced(mean))
        yield from _corrected(bound.loss, mean, found.elements)
        if spare > 1:
            yield from (after for one in others for after in _after(bound.loss, one))
            yield from (after for one in _after(bound.loss, Reduced(mean)) for after in _after(bound.loss, one) if _new(after))
        for size, batches in found.batches.items():
            yield from _of_batches(size, batches, found.n, spare)


def _new(after: Reduced) -> bool:
    """Whether two things done one after the other are worth a try: a part of accuracy in percent, not half of a double."""
    return after.says == ("1 minus it", "in percent")


def _reduce(trial: Trial, sums: Mapping[str, float], n: int, reduction: str) -> float | None:
    try:
        return float(reduced(trial.bound, sums, n, reduction))
    except (LossctlError, ZeroDivisionError):
        return None


def _others(trial: Trial, sums: Mapping[str, float], found: Gathered) -> Iterable[Reduced]:
    """Sums, and sums divided by something else than the mean divides by."""
    has = trial.bound.loss.reductions
    if "sum" not in has or "value" not in sums:
        return
    yield Reduced(sums["value"], ("summed",), "sum")
    if found.n:
        batchmean = "batchmean" if "batchmean" in has else None
        says = "summed within samples, mean over samples"
        yield Reduced(sums["value"] / found.n, (says,), batchmean, "{} / len(pred)")
    if found.elements and sums["weight"] != found.elements:
        says = "divided by the number of elements, not by the weights"
        yield Reduced(sums["value"] / found.elements, (says,), None)


def _after(loss: Loss, one: Reduced) -> Iterable[Reduced]:
    for after in AFTER:
        if after.suits(loss) and math.isfinite(one.value):
            yield Reduced(after.run(one.value), (*one.says, after.says), None, after.code.format(one.code))


def _corrected(loss: Loss, mean: float, elements: int) -> Iterable[Reduced]:
    """Squared errors divided by n - 1."""
    if loss.name in {"mse", "rmse"} and elements > 1:
        factor = elements / (elements - 1)
        value = mean * (factor if loss.name == "mse" else math.sqrt(factor))
        yield Reduced(value, ("divided by n - 1",), None)


def _of_batches(size: int, batches: Batches, n: int, spare: int) -> Iterable[Reduced]:
    """What a loop over batches makes of their means."""
    rest = 0.0 if math.isnan(batches.rest) else batches.rest
    total, count = batches.total + rest, batches.full + (not math.isnan(batches.rest))
    means = f"mean of the means of batches of {size}"
    yield Reduced(total / count, (means,), None)
    if spare > 1:
        if batches.full and count > batches.full:
            yield Reduced(batches.total / batches.full, (means, "the smaller last one dropped"), None)
        yield Reduced(total, (f"batches of {size}", "their means added up"), None)
        yield Reduced(total / n, (f"batches of {size}", "their means added up, divided by the number of samples"), None)
        yield Reduced(batches.last, (f"batches of {size}", "the last one alone"), None)
