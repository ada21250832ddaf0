"""A trial: every loss over every seed, what each comes to under all others, and who is better."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from lossctl.errors import LossctlError
from lossctl.training.data import VALIDATION, divide
from lossctl.training.judging import judge
from lossctl.training.running import converged, train
from lossctl.training.scores import errors

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lossctl.training.candidates import Candidate
    from lossctl.training.data import Data
    from lossctl.training.judging import Judged
    from lossctl.training.running import Budget, Run
    from lossctl.training.scores import Score

# Learning rates that `tune` tries, as multiples of the given one; of equal ones the first wins.
RATES = (1.0, 0.3, 3.0, 0.1, 10.0)
TUNING_SEED = 0


@dataclass(frozen=True)
class Over:
    """A number over seeds: NaN in `values` where a run has none, and it is left out of the rest."""

    values: tuple[float, ...]

    @property
    def known(self) -> list[float]:
        """Those that there are."""
        return [value for value in self.values if math.isfinite(value)]

    @property
    def mean(self) -> float:
        """The mean over seeds."""
        return math.fsum(self.known) / len(self.known) if self.known else math.nan

    @property
    def sd(self) -> float:
        """The standard deviation over seeds, of one less than there are."""
        return float(np.std(self.known, ddof=1)) if len(self.known) > 1 else math.nan

    def worst(self, *, higher: bool) -> float:
        """The worst of the seeds."""
        if not self.known:
            return math.nan
        return min(self.known) if higher else max(self.known)


@dataclass(frozen=True)
class Trained:
    """One loss and its runs; `scores` by name, `under` by the label of the loss that the outputs are evaluated under.

    `unread` says why a loss could not be evaluated on some run's outputs.
    """

    candidate: Candidate
    lr: float
    runs: tuple[Run, ...]
    scores: dict[str, Over]
    steps: Over
    under: dict[str, Over]
    unread: dict[str, str]
    judged: Judged

    @property
    def diverged(self) -> list[Run]:
        """The runs that did not get to the end."""
        return [run for run in self.runs if run.diverged is not None]


@dataclass(frozen=True)
class Plan:
    """How a trial goes: the budget of each run, the seeds, the scores with the leading one first, and whether to tune."""

    budget: Budget
    seeds: int
    scores: tuple[Score, ...]
    tune: bool = False

    def steps(self, losses: int) -> int:
        """How many steps all runs together take."""
        return losses * self.budget.steps * (self.seeds + len(RATES) * self.tune)


def hold(candidates: Sequence[Candidate], data: Data, plan: Plan, tick: Callable[[int], None]) -> list[Trained]:
    """Train the model under every loss with every seed, evaluate it, and judge each loss against the first."""
    # What torch imports for the first optimizer of a process is no loss's time.
    train(candidates[0], data, replace(plan.budget, steps=1), 0, plan.scores[0], lambda _: None)
    rates = [tuned(one, data, plan, tick) if plan.tune else plan.budget.lr for one in candidates]
    everything = [
        tuple(train(one, data, replace(plan.budget, lr=lr), seed, plan.scores[0], tick) for seed in range(plan.seeds))
        for one, lr in zip(candidates, rates, strict=True)
    ]
    judged = judge([_errors(runs, data) for runs in everything])
    rows = zip(candidates, rates, everything, judged, strict=True)
    return [_looked_at(one, lr, runs, said, candidates, data, plan) for one, lr, runs, said in rows]


def tuned(one: Candidate, data: Data, plan: Plan, tick: Callable[[int], None]) -> float:
    """The learning rate with the best leading score on a validation part of the training rows, with one seed."""
    inner = divide(data.train.features, data.train.target, data.task, VALIDATION, purpose="validation")
    rates = [factor * plan.budget.lr for factor in RATES]
    found = [train(one, inner, replace(plan.budget, lr=lr), TUNING_SEED, plan.scores[0], tick).final for lr in rates]
    sign = 1 if plan.scores[0].higher else -1
    gains = [-math.inf if math.isnan(score) else sign * score for score in found]
    return rates[gains.index(max(gains))]


def _errors(runs: Sequence[Run], data: Data) -> np.ndarray | None:
    """The errors (n,) of held-out rows, averaged over seeds; None where a run diverged."""
    found = [errors(data.task, run.outputs, data.test.target) for run in runs if run.outputs is not None]
    return np.mean(found, axis=0) if len(found) == len(runs) else None


def _looked_at(  # noqa: PLR0913, PLR0917 - everything that is known of one loss
    one: Candidate, lr: float, runs: tuple[Run, ...], judged: Judged, others: Sequence[Candidate], data: Data, plan: Plan
) -> Trained:
    """Score the outputs of all runs, and evaluate them under every loss."""
    higher = plan.scores[0].higher
    steps = [None if run.diverged is not None else converged(plan.budget.looks, run.scores, higher=higher) for run in runs]
    scores = {score.name: Over(tuple(_scored(score, run, data) for run in runs)) for score in plan.scores}
    found = {other.label: [_valued(other, one, run, data) for run in runs] for other in others}
    under = {label: Over(tuple(value for value, _ in pairs)) for label, pairs in found.items()}
    unread = {label: why for label, pairs in found.items() for _, why in pairs if why}
    return Trained(one, lr, runs, scores, Over(tuple(_or_nan(step) for step in steps)), under, unread, judged)


def _or_nan(step: int | None) -> float:
    return math.nan if step is None else float(step)


def _scored(score: Score, run: Run, data: Data) -> float:
    return math.nan if run.outputs is None else score.of(data.task, run.outputs, data.test.target)


def _valued(other: Candidate, one: Candidate, run: Run, data: Data) -> tuple[float, str]:
    """The value of a run's outputs under another loss, or why it has none."""
    if run.outputs is None:
        return math.nan, ""
    try:
        return other.value(run.outputs, data.test.target, trained=one.wiring), ""
    except LossctlError as error:
        return math.nan, error.message
