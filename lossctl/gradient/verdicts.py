"""What a check says of each gradient: whether it is right, where it is worst, and where the loss has kinks.

Derivatives by scalar parameters are compared with differences of the whole value: formulas that take a parameter through
`float` or `math` lose it for autograd without a word.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.engine.reduce import Outcome, evaluate, reduced
from lossctl.errors import LossctlError
from lossctl.gates import Check
from lossctl.gradient.checking import OF_SAMPLE, ComparedGradient, Place, compare
from lossctl.gradient.differences import FACTORS, KINK, OK, RTOL, STEEP, UNSETTLED, WRONG, Line, judge
from lossctl.gradient.passes import slopes
from lossctl.losses.backends import BACKENDS
from lossctl.losses.loss import ANY, Domain, Number
from lossctl.statistics.sums import exact_sum

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lossctl.engine.binding import Bound
    from lossctl.gradient.gathering import Gradient, GradientSource, Job
    from lossctl.sources.readers import NumPyArray


# How far a derivative may lie from differences before these are taken. Sums of many samples have many small kinks.
TOLERATED = 1e-4
# Each size of steps takes six passes over the data.
STEPS = FACTORS[:4]


def settle(job: Job, outcomes: Sequence[Outcome], weights: Sequence[float], say: Callable[[str], None]) -> None:
    """Put differences in place of derivatives by parameters that autograd has lost, and say so; all are weighted.

    Raises: what a pass over the data raises.
    """
    for number, (term, outcome, weight) in enumerate(zip(job.terms, outcomes, weights, strict=True)):
        for name in term.params:
            lost = job.numbers.get((number, name), [0.0])
            result = exact_sum(lost) / weight if weight else 0.0
            numeric = _better(job, number, name, float(outcome.value), result)
            if numeric is not None:
                job.numbers[number, name] = [numeric * weight]
                whose = "" if len(job.terms) == 1 else f" of {job.names[number]}"
                say(f"dL/d{name}{whose} is taken by central differences: autograd gives {result:.6g}, and they {numeric:.6g}")


def _better(job: Job, number: int, name: str, value: float, found: float) -> float | None:
    """The derivative by differences where it is not what autograd found; at a kink any slope between both will do."""
    at = job.terms[number].bound.params[name]
    if not math.isfinite(at) or not math.isfinite(value):
        return None

    def change(_: object, steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.asarray([_value(job, number, name, at + float(steps[0])) - value]), np.asarray([abs(value)])

    domain = _domain(job.terms[number].bound, name)
    line = Line(np.asarray([float(at)]), change, domain.low, domain.high, factors=STEPS, sure=TOLERATED)
    judged = judge(line, np.asarray([found]), np.asarray([0.0]))
    if judged.kinds[0] != WRONG or judged.relative[0] <= TOLERATED:
        return None
    slopes = (judged.numeric[0], (judged.left[0] + judged.right[0]) / 2)
    return float(next((slope for slope in slopes if math.isfinite(slope)), math.nan))


def _domain(bound: Bound, name: str) -> Domain:
    words = (parameter.word for parameter in bound.loss.signature.parameters if parameter.name == name)
    return next((word.domain for word in words if isinstance(word, Number)), ANY)


def _value(job: Job, number: int, name: str, moved: float) -> float:
    """The loss with another value of the parameter; NaN where there is none."""
    bounds = [term.bound for term in job.terms]
    bounds[number] = replace(bounds[number], params={**bounds[number].params, name: moved})
    # Under `--nan skip` losses leave out samples together.
    alone = job.options.nan != "skip"
    asked = bounds[number : number + 1] if alone else bounds
    try:
        outcomes = evaluate(asked, BACKENDS.get("numpy")(), job.options, job.selection)
    except LossctlError:
        return math.nan
    return float(outcomes[0 if alone else number].value)


# Kinks that are listed.
LISTED = 10


@dataclass(frozen=True)
class Spotted:
    """One comparison to be shown: where, the gradient, and the slopes; `error` is relative, infinite for a NaN."""

    term: str
    at: list[int]
    analytic: float
    numeric: float
    left: float
    right: float
    error: float


@dataclass(frozen=True)
class TermCheck:
    """The check of one term by one input, and of the slopes of its reduction."""

    term: str
    own: bool
    compared: ComparedGradient
    sums: Sequence[Spotted]

    def count(self, kind: int) -> int:
        """How many elements are of one kind."""
        return int((self.compared.judged.kinds == kind).sum())

    def spotted(self, number: int) -> Spotted:
        """One element, with all that is said of it."""
        judged, gradient = self.compared.judged, float(self.compared.gradient[number])
        numbers = (float(item[number]) for item in (judged.numeric, judged.left, judged.right, judged.relative))
        return Spotted(self.term, self.compared.at(number), gradient, *numbers)

    def worst(self) -> Spotted | None:
        """The element that is farthest off: one that is wrong, if any is."""
        kinds = self.compared.judged.kinds
        for chosen in (kinds == WRONG, kinds == OK):
            if chosen.any():
                return self.spotted(int(np.argmax(np.where(chosen, self.compared.judged.relative, -1.0))))
        return None

    def first(self, kind: int) -> Spotted | None:
        """The first element of a kind."""
        result = np.nonzero(self.compared.judged.kinds == kind)[0]
        return self.spotted(int(result[0])) if result.size else None

    def kinks(self) -> list[Spotted]:
        """The first kinks."""
        return [self.spotted(int(number)) for number in np.nonzero(self.compared.judged.kinds == KINK)[0][:LISTED]]


@dataclass(frozen=True)
class GradientVerdict:
    """The check of one gradient, by every term that sees its source."""

    name: str
    parts: Sequence[TermCheck]

    @property
    def passed(self) -> bool | None:
        """Whether nothing is wrong; None where no element could be decided."""
        if any(part.count(WRONG) or part.sums for part in self.parts):
            return False
        return None if self.checked and (self._count(STEEP) == self.checked or self._count(UNSETTLED)) else True

    @property
    def checked(self) -> int:
        """How many elements were moved."""
        return sum(len(part.compared.gradient) for part in self.parts)

    @property
    def unchecked(self) -> int:
        """How many of them have no slope to compare the gradient with."""
        return self._count(STEEP) + self._count(UNSETTLED)

    def _count(self, kind: int) -> int:
        return sum(part.count(kind) for part in self.parts)

    def _worst(self) -> tuple[TermCheck, Spotted] | None:
        result = [(part, spot) for part in self.parts if (spot := part.worst()) is not None]
        return max(result, key=lambda one: (one[0].count(WRONG) > 0, one[1].error), default=None)

    def facts(self) -> dict[str, Any]:
        """The entry of the machine-readable result."""
        worst = self._worst()
        kinks = [self._kink(kink) for part in self.parts for kink in part.kinks()][:LISTED]
        facts = {
            "verdict": {True: "ok", False: "wrong", None: "undecided"}[self.passed],
            "checked": self.checked,
            "of": sum(math.prod(part.compared.spot.slot.reader.shape) for part in self.parts),
            "worst_relative_error": worst[1].error if worst else 0.0,
            "at": worst[1].at if worst else [],
            "analytic": worst[1].analytic if worst else None,
            "numeric": worst[1].numeric if worst else None,
            "kinks": kinks,
            "kinks_count": self._count(KINK),
            "steep_count": self.unchecked,
        }
        return facts | ({"term": worst[0].term} if worst and len(self.parts) > 1 else {})

    def _kink(self, spotted: Spotted) -> dict[str, Any]:
        term = {"term": spotted.term} if len(self.parts) > 1 else {}
        return {**term, "at": spotted.at, "left": spotted.left, "right": spotted.right, "gradient": spotted.analytic}

    def check(self) -> Check:
        """The entry among the gates."""
        worst = self._worst()
        error = worst[1].error if worst else 0.0
        return Check(self.name, "gradient", RTOL, error, self.passed, self._says())

    def _says(self) -> str:
        wrong = [part for part in self.parts if part.count(WRONG) or part.sums]
        if wrong:
            return "; ".join(_fault(part, self.name) for part in wrong)
        if self.passed is None and self.unchecked == self.checked:
            return f"undecided: none of the {self.checked} elements of {self.name} has a slope to compare the gradient with"
        if self.passed is None:
            one = next(spot for part in self.parts if (spot := part.first(UNSETTLED)) is not None)
            where = f"{self._count(UNSETTLED)} of {self.checked} elements of {self.name}, the first at {one.at}"
            return (
                f"undecided: at the edge of the domain the slopes at {where}, do not settle; it takes {one.analytic:.3g} there"
            )
        worst = self._worst()
        error = f", relative error at most {worst[1].error:.1e}" if worst else ""
        rest = f"; {self.unchecked} more have no slope to compare with" if self.unchecked else ""
        count = self.checked - self.unchecked
        return f"gate passed: the gradient by {self.name} agrees with central differences at {count} elements{error}{rest}"

    def notes(self) -> list[str]:
        """What people should know: where kinks are, and what is compared by other means."""
        kinks = [kink for part in self.parts for kink in part.kinks()]
        more = f", and {self._count(KINK) - 1} more" if self._count(KINK) > 1 else ""
        result = [f"{self.name}{_kink_says(kinks[0])}{more}"] if kinks else []
        if any(part.compared.by_scores for part in self.parts):
            result.append(
                f"{self.name} is checked by its raw scores: torch's gradient by log-probabilities is that plus e^pred"
            )
        return result


def _kink_says(spotted: Spotted) -> str:
    slopes = f"slopes {spotted.left:.3g} and {spotted.right:.3g}"
    return f"{spotted.at} is at a kink: {slopes}, the gradient takes {spotted.analytic:.3g}"


def _fault(part: TermCheck, name: str) -> str:
    """What is wrong: an element, or else the slope of the reduction."""
    gives = "it is" if part.own else "its own backward gives"
    worst = part.worst()
    if part.count(WRONG) and worst is not None:
        numeric = f"{worst.numeric:.6g}" if not math.isnan(worst.numeric) else f"{worst.left:.6g} and {worst.right:.6g}"
        where = f"the gradient of {part.term} by {name} is wrong at {worst.at}"
        return f"{where}: {gives} {worst.analytic:.6g}, central differences {numeric}"
    one = part.sums[0]
    where = f"the reduction of {part.term} has a wrong slope by the sum of '{one.term}'"
    return f"{where}: {gives} {one.analytic:.6g}, central differences {one.numeric:.6g}"


def check(job: Job, outcomes: Sequence[Outcome], gradients: Mapping[str, Gradient]) -> dict[str, GradientVerdict]:
    """Check every gradient, term by term.

    Raises: PluginFailed for a loss that has another value every time; TooLarge.
    """
    return {source.name: _verdict(job, outcomes, source, gradients[source.name]) for source in job.sources()}


def _verdict(job: Job, outcomes: Sequence[Outcome], source: GradientSource, gradient: Gradient) -> GradientVerdict:
    wanted = [gradient.profile.at, *gradient.profile.places]
    parts = [_part(job, outcomes[number], number, name, wanted) for number, name in source.seen]
    return GradientVerdict(source.name, parts)


def _part(job: Job, outcome: Outcome, number: int, name: str, wanted: Sequence[Place]) -> TermCheck:
    one = job.terms[number]
    compared = compare(one, name, job.options, job.selection, wanted)
    sums = wrong_slopes(one.bound, outcome, job.options.reduction, job.backend)
    return TermCheck(job.names[number], one.bound.loss.origin == "lossctl", compared, sums)


def wrong_slopes(bound: Bound, outcome: Outcome, reduction: str, backend: Any) -> list[Spotted]:
    """The sums by which the slope of the reduction is wrong; only the mean has a formula of its own."""
    if reduction != "mean":
        return []
    result = slopes(bound, outcome.sums, outcome.n, reduction, (), backend).sums
    floor = OF_SAMPLE * max((abs(slope * (outcome.sums[name] or 1.0)) for name, slope in result.items()), default=0.0)
    wrong = []
    for name, slope in result.items():
        scale = abs(outcome.sums[name]) or 1.0
        line = Line(np.asarray([outcome.sums[name] / scale]), _finished(bound, outcome, name, scale))
        judged = judge(line, np.asarray([slope * scale]), np.asarray([floor]))
        if judged.kinds[0] == WRONG:
            wrong.append(Spotted(name, [], slope, float(judged.numeric[0]) / scale, 0.0, 0.0, float(judged.relative[0])))
    return wrong


def _finished(bound: Bound, outcome: Outcome, name: str, scale: float) -> Callable[..., tuple[NumPyArray, NumPyArray]]:
    """How the mean changes with one of its sums, by parts of it."""
    before = reduced(bound, outcome.sums, outcome.n, "mean")

    def change(_: NumPyArray, steps: NumPyArray) -> tuple[NumPyArray, NumPyArray]:
        moved = {**outcome.sums, name: outcome.sums[name] + float(steps[0]) * scale}
        after = reduced(bound, moved, outcome.n, "mean")
        return np.atleast_1d(after - before), np.atleast_1d(np.abs(before))

    return change
