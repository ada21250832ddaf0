"""Which candidates agree with a reported number, in which order, and how many would by chance.

Of one trial's sums come means, sums, means of batch means, and what people do to a loss before they report it. A number agrees
with whatever rounds to it, as it was typed. A candidate is also written as others would: the line of PyTorch, Keras or
scikit-learn that gives the number.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from functools import cache
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.engine.reduce import reduced
from lossctl.errors import BadParameter, LossctlError
from lossctl.losses import Rules
from lossctl.losses.loss import Loss, scalars
from lossctl.losses.names import FRAMEWORKS, PREFIXES, RULES
from lossctl.request.spec import parse_losses

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from lossctl.guides.identify.passes import Batches, Trial, TrialSums
    from lossctl.sources.readers import NumPyArray


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


def reductions(trial: Trial, trial_sums: TrialSums, spare: int) -> Iterable[Reduced]:
    """Every number that may have been made of these sums, with at most `spare` things done besides taking the mean."""
    bound, sums = trial.bound, trial_sums.sums.finish()
    mean = _reduce(trial, sums, trial_sums.n, "mean")
    if mean is None:
        return
    yield Reduced(mean)
    if spare:
        others = list(_others(trial, sums, trial_sums))
        yield from others
        yield from _after(bound.loss, Reduced(mean))
        # Squared errors divided by n - 1.
        if bound.loss.name in {"mse", "rmse"} and trial_sums.elements > 1:
            factor = trial_sums.elements / (trial_sums.elements - 1)
            value = mean * (factor if bound.loss.name == "mse" else math.sqrt(factor))
            yield Reduced(value, ("divided by n - 1",), None)
        if spare > 1:
            yield from (after for reduced in others for after in _after(bound.loss, reduced))
            yield from (
                after for reduced in _after(bound.loss, Reduced(mean)) for after in _after(bound.loss, reduced) if _new(after)
            )
        for size, batches in trial_sums.batches.items():
            yield from _of_batches(size, batches, trial_sums.n, spare)


def _new(after: Reduced) -> bool:
    """Whether two things done one after the other are worth a try: a part of accuracy in percent, not half of a double."""
    return after.says == ("1 minus it", "in percent")


def _reduce(trial: Trial, sums: Mapping[str, float], n: int, reduction: str) -> float | None:
    try:
        return float(reduced(trial.bound, sums, n, reduction))
    except (LossctlError, ZeroDivisionError):
        return None


def _others(trial: Trial, sums: Mapping[str, float], trial_sums: TrialSums) -> Iterable[Reduced]:
    """Sums, and sums divided by something else than the mean divides by."""
    has = trial.bound.loss.reductions
    if "sum" not in has or "value" not in sums:
        return
    yield Reduced(sums["value"], ("summed",), "sum")
    if trial_sums.n:
        batchmean = "batchmean" if "batchmean" in has else None
        says = "summed within samples, mean over samples"
        yield Reduced(sums["value"] / trial_sums.n, (says,), batchmean, "{} / len(pred)")
    if trial_sums.elements and sums["weight"] != trial_sums.elements:
        says = "divided by the number of elements, not by the weights"
        yield Reduced(sums["value"] / trial_sums.elements, (says,), None)


def _after(loss: Loss, reduced: Reduced) -> Iterable[Reduced]:
    for after in AFTER:
        if after.suits(loss) and math.isfinite(reduced.value):
            yield Reduced(after.run(reduced.value), (*reduced.says, after.says), None, after.code.format(reduced.code))


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


# Sums taken in another order differ by this much; no number was ever typed with more digits on purpose.
NOISE = 1e-9
# How far apart two calculations in float32 may be.
SINGLE = 2e-6


@dataclass(frozen=True)
class Reported:
    """A reported number: all within `half` of `value` round to it."""

    text: str
    value: float
    half: float
    digits: int

    def agrees(self, value: float) -> bool:
        """Whether a value would be written so; infinities agree by their sign, and nan with nan."""
        if not math.isfinite(self.value):
            return value == self.value or (math.isnan(value) and math.isnan(self.value))
        return abs(value - self.value) <= max(self.half * (1 + NOISE), NOISE * abs(self.value))

    def agrees_singly(self, value: float) -> bool:
        """Whether a value agrees as far as float32 carries, although more digits were typed."""
        return math.isfinite(self.value) and abs(value - self.value) <= SINGLE * abs(self.value)

    def error(self, value: float) -> float:
        """How far off a value is as a share of the number; absolute where that is 0."""
        if self.agrees(value) and not math.isfinite(self.value):
            return 0.0
        return abs(value - self.value) / (abs(self.value) or 1.0)


def read_reported(text: str, rtol: float = 0.0) -> Reported:
    """Read a number with the digits that it was typed with; `rtol` widens what agrees.

    A whole 0 is exactly 0, since it would else agree with everything below a half.

    Raises: BadParameter for what is no number.
    """
    try:
        typed = Decimal(text.strip())
    except InvalidOperation:
        raise BadParameter(f"--value takes a number, not '{text}'.", hint="For example: --value 0.3655") from None
    if not math.isfinite(rtol):
        raise BadParameter(f"--rtol is {rtol}, with which everything agrees.", hint="Give a number such as 1e-3.")
    if not typed.is_finite():
        return Reported(text, float(typed), 0.0, 0)
    exponent = int(typed.as_tuple().exponent)
    exact = typed == 0 and exponent >= 0
    half = 0.0 if exact else float(Decimal((0, (5,), exponent - 1)))
    digits = 0 if exact else len(typed.as_tuple().digits)
    return Reported(text, float(typed), max(half, rtol * abs(float(typed))), digits)


# Values that agree to this many digits are one number.
SAME = 10
# How far around a number values are counted, as a factor, to say how dense they are.
AROUND = 1.5


@dataclass(frozen=True)
class Candidate:
    """One number that the data give: the trial, what was made of it, and everything that departs from the plain reading."""

    trial: Trial
    reduced: Reduced
    says: tuple[str, ...]

    @property
    def value(self) -> float:
        """The number."""
        return self.reduced.value

    @property
    def cost(self) -> int:
        """How many things depart."""
        return len(self.says)


@dataclass
class Match:
    """A candidate, how far off it is, the chance of such a match, and other ways to the same number."""

    candidate: Candidate
    error: float
    agrees: bool
    chance: float | None = None
    same: list[Candidate] = field(default_factory=list)


@dataclass(frozen=True)
class Ranked:
    """What agrees, best first; the nearest of the rest; how many candidates, and different values, were tried.

    `chance` is how many of these values would agree with any number of this size by chance.
    """

    matches: Sequence[Match]
    nearest: Sequence[Match]
    tried: int
    distinct: int
    chance: float | None


def rank(candidates: Sequence[Candidate], reported: Reported) -> Ranked:
    """Rank candidates: fewest departures first, then what people know, then the nearest."""
    singly = [
        candidate
        for candidate in candidates
        if not reported.agrees(candidate.value) and reported.agrees_singly(candidate.value)
    ]
    agreeing = [candidate for candidate in candidates if reported.agrees(candidate.value)]
    agreeing += [replace(candidate, says=(*candidate.says, "float32, as far as it carries")) for candidate in singly]
    crowd = Crowd.of(candidates, reported)
    matches = _grouped(sorted(agreeing, key=lambda candidate: _key(candidate, reported)), reported)
    for match in matches:
        match.chance = crowd.chance(match.candidate.cost)
    others = sorted(
        (candidate for candidate in candidates if math.isfinite(candidate.value)),
        key=lambda candidate: reported.error(candidate.value),
    )
    distinct = len({_rounded(candidate.value) for candidate in candidates})
    return Ranked(matches, [] if matches else _grouped(others, reported), len(candidates), distinct, crowd.chance())


def _key(candidate: Candidate, reported: Reported) -> tuple[int, int, float]:
    return (
        candidate.cost,
        _unknown(candidate.trial.bound.loss.name, candidate.trial.bound.loss.torch),
        round(reported.error(candidate.value), 12),
    )


def _unknown(name: str, torch: str) -> int:
    """How little a loss is known: torch has it, others have it, or only books do."""
    return 0 if torch or name == "rmse" else 2 - (_frameworks()[name] > 0)


@cache
def _frameworks() -> Counter[str]:
    return Counter(ours.partition(":")[0] for table in FRAMEWORKS.values() for ours in table.values())


def _rounded(value: float) -> str:
    # Adding 0 makes -0 the same as 0.
    return f"{value + 0.0:.{SAME}g}"


def _grouped(ordered: Sequence[Candidate], reported: Reported) -> list[Match]:
    """One match for each different number; what is not finite stands for itself."""
    matches: dict[str, Match] = {}
    for number, candidate in enumerate(ordered):
        key = _rounded(candidate.value) if math.isfinite(candidate.value) else str(number)
        if key in matches:
            matches[key].same.append(candidate)
        else:
            matches[key] = Match(candidate, reported.error(candidate.value), reported.agrees(candidate.value))
    return list(matches.values())


@dataclass(frozen=True)
class Crowd:
    """The values around a reported number, each once with its fewest departures, and the share that would agree by chance."""

    costs: NumPyArray
    share: float | None

    @staticmethod
    def of(candidates: Sequence[Candidate], reported: Reported) -> Crowd:
        """Count the values of the same sign within a factor of AROUND of the number."""
        size = abs(reported.value)
        if not (size and math.isfinite(size) and reported.half):
            return Crowd(np.zeros(0), None)
        near: dict[str, int] = {}
        for candidate in candidates:
            if candidate.value * reported.value > 0 and size / AROUND < abs(candidate.value) < size * AROUND:
                key = _rounded(candidate.value)
                near[key] = min(near.get(key, candidate.cost), candidate.cost)
        # Values of losses are spread evenly over orders of magnitude rather than over numbers.
        width = min(2 * reported.half / size, 2 * math.log(AROUND))
        return Crowd(np.array(list(near.values())), width / (2 * math.log(AROUND)))

    def chance(self, cost: int | None = None) -> float | None:
        """How many values would agree by chance, of those with at most `cost` departures."""
        if self.share is None:
            return None
        return self.share * float(self.costs.size if cost is None else (self.costs <= cost).sum())


# Those whose names are called with (target, pred), and what is put behind the name first.
OTHERS = {"keras": "()", "sklearn": ""}


def lines(candidate: Candidate) -> list[str]:
    """Lines of Python that give the candidate's value; none where there is no such call."""
    return [*_torch(candidate), *_other_names(candidate)]


def _torch(candidate: Candidate) -> Iterable[str]:
    loss, reduced = candidate.trial.bound.loss, candidate.reduced
    if not loss.torch or not _plain(candidate):
        return
    names = [_spoken(argument.name, candidate.trial) for argument in loss.signature.inputs]
    params = [f"{name}={value!r}" for name, value in _changed(candidate.trial).items()]
    params += [f"{name}=torch.tensor({list(values)})" for name, values in candidate.trial.change.tensors.items()]
    how = {"summed": "sum", "summed within samples, mean over samples": "sum"}.get(next(iter(reduced.says), ""), "mean")
    params += [] if how == "mean" else [f"reduction={how!r}"]
    yield reduced.code.format(f"torch.nn.functional.{loss.torch}({', '.join([*names, *params])})")


def _plain(candidate: Candidate) -> bool:
    """Whether one call gives it: no loop over batches, no option of ours that changes how arrays are read."""
    says, reading = candidate.reduced.says, candidate.trial.reading
    loop = any("batches" in departure or "divided by" in departure for departure in says) or reading.half
    return not loop and (not reading.cost or bool(reading.code) or reading.options.broadcast)


def _spoken(name: str, trial: Trial) -> str:
    return trial.reading.code.get(name, name)


def _changed(trial: Trial) -> dict[str, Any]:
    own = {parameter.name: parameter.default for parameter in trial.bound.loss.signature.parameters}
    return {name: value for name, value in trial.bound.params.items() if value != own[name]}


def _other_names(candidate: Candidate) -> Iterable[str]:
    """What other frameworks have with exactly these parameters."""
    trial = candidate.trial
    if candidate.reduced.says or trial.change.tensors or (trial.reading.cost and not trial.reading.code):
        return
    target, pred = _spoken("target", trial), _spoken("pred", trial)
    for framework, call in OTHERS.items():
        for theirs, ours in FRAMEWORKS[framework].items():
            (asked,) = parse_losses(ours)
            loss = trial.bound.loss
            rules = RULES.get(framework, {}).get(theirs, Rules())
            if not _theirs(rules, trial.bound.shape):
                continue
            if asked.name == loss.name and scalars(loss, asked.params) == dict(trial.bound.params):
                yield f"{PREFIXES[framework][0]}.{theirs}{call}({target}, {pred})"


def _theirs(rules: Rules, shape: tuple[int, ...]) -> bool:
    """Whether a framework's name gives our number for predictions of this shape."""
    return not (rules.one_column and prod(shape[1:]) != 1) and not (rules.classes_last and len(shape) > 2)  # noqa: PLR2004
