"""Derivatives by scalar parameters, compared with differences of the whole value.

Formulas that take a parameter through `float` or `math` lose it for autograd without a word, so every one is compared.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from lossctl.backends import BACKENDS
from lossctl.engine import evaluate
from lossctl.errors import LossctlError
from lossctl.gradient.differences import FACTORS, WRONG, Line, judge
from lossctl.signature import ANY, Number
from lossctl.sums import exact_sum

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lossctl.binding import Bound
    from lossctl.engine import Outcome
    from lossctl.gradient.job import Job
    from lossctl.signature import Domain

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
            found = exact_sum(lost) / weight if weight else 0.0
            numeric = _better(job, number, name, float(outcome.value), found)
            if numeric is not None:
                job.numbers[number, name] = [numeric * weight]
                whose = "" if len(job.terms) == 1 else f" of {job.names[number]}"
                say(f"dL/d{name}{whose} is taken by central differences: autograd gives {found:.6g}, and they {numeric:.6g}")


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
    words = (one.word for one in bound.loss.signature.parameters if one.name == name)
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
