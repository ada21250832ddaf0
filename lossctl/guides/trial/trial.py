"""A trial: every loss over every seed, what each comes to under all others, and who is better.

Each loss is set against the first: paired tests and intervals over held-out rows, with errors averaged over seeds.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl import __version__
from lossctl.errors import LossctlError
from lossctl.guides.trial.data import VALIDATION, Data, divide
from lossctl.guides.trial.running import ERRORS, Budget, Score, TrainedLoss, TrainingRun, converged, errors, train
from lossctl.report import Report
from lossctl.statistics.arrays import Draws
from lossctl.statistics.flips import flip_test
from lossctl.statistics.intervals import bootstrap_mean, interval
from lossctl.statistics.power import verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lossctl.sources.readers import NumPyArray


ALPHA = 0.05
# Intervals need fewer resamples than p-values: their ends move by 1 % of their width.
RESAMPLED = 1_999


@dataclass(frozen=True)
class JudgedTraining:
    """What is said of one loss: mean difference of errors to the first, its interval, p, max-T p, and a word."""

    difference: float = math.nan
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan
    adjusted: float = math.nan
    verdict: str = "not tested"


BASELINE = JudgedTraining(verdict="baseline")
DIVERGED = JudgedTraining(verdict="diverged")


def judge(errors: Sequence[NumPyArray | None]) -> list[JudgedTraining]:
    """Judge the errors (n,) of each loss; None stands for a loss that diverged, and is not tested."""
    base, *others = errors
    first = DIVERGED if base is None else BASELINE
    able = [place for place, other in enumerate(others) if other is not None]
    verdicts = [JudgedTraining() if other is not None else DIVERGED for other in others]
    if base is None or not able:
        return [first, *verdicts]
    differences = np.stack([np.asarray(others[place]) - base for place in able], axis=1)
    test = flip_test(differences)
    ends = interval(bootstrap_mean(differences, Draws(RESAMPLED)), 1 - ALPHA)
    for column, place in enumerate(able):
        said = (test.difference, ends.low, ends.high, test.p, test.adjusted)
        difference, low, high, p, adjusted = (float(each[column]) for each in said)
        word = verdict(difference, adjusted, ALPHA, identical=bool(test.identical[column]))
        verdicts[place] = JudgedTraining(difference, low, high, p, adjusted, word)
    return [first, *verdicts]


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

    candidate: TrainedLoss
    lr: float
    runs: tuple[TrainingRun, ...]
    scores: dict[str, Over]
    steps: Over
    under: dict[str, Over]
    unread: dict[str, str]
    judged: JudgedTraining

    @property
    def diverged(self) -> list[TrainingRun]:
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


def train_all(candidates: Sequence[TrainedLoss], data: Data, plan: Plan, tick: Callable[[int], None]) -> list[Trained]:
    """Train the model under every loss with every seed, evaluate it, and judge each loss against the first."""
    # What torch imports for the first optimizer of a process is no loss's time.
    train(candidates[0], data, replace(plan.budget, steps=1), 0, plan.scores[0], lambda _: None)
    rates = [tuned(candidate, data, plan, tick) if plan.tune else plan.budget.lr for candidate in candidates]
    everything = [
        tuple(train(candidate, data, replace(plan.budget, lr=lr), seed, plan.scores[0], tick) for seed in range(plan.seeds))
        for candidate, lr in zip(candidates, rates, strict=True)
    ]
    judged = judge([_errors(runs, data) for runs in everything])
    rows = zip(candidates, rates, everything, judged, strict=True)
    return [_looked_at(candidate, lr, runs, said, candidates, data, plan) for candidate, lr, runs, said in rows]


def tuned(candidate: TrainedLoss, data: Data, plan: Plan, tick: Callable[[int], None]) -> float:
    """The learning rate with the best leading score on a validation part of the training rows, with one seed."""
    inner = divide(data.train.features, data.train.target, data.task, VALIDATION, purpose="validation")
    rates = [factor * plan.budget.lr for factor in RATES]
    finals = [train(candidate, inner, replace(plan.budget, lr=lr), TUNING_SEED, plan.scores[0], tick).final for lr in rates]
    sign = 1 if plan.scores[0].higher else -1
    gains = [-math.inf if math.isnan(score) else sign * score for score in finals]
    return rates[gains.index(max(gains))]


def _errors(runs: Sequence[TrainingRun], data: Data) -> np.ndarray | None:
    """The errors (n,) of held-out rows, averaged over seeds; None where a run diverged."""
    by_seed = [errors(data.task, run.outputs, data.test.target) for run in runs if run.outputs is not None]
    return np.mean(by_seed, axis=0) if len(by_seed) == len(runs) else None


def _looked_at(  # noqa: PLR0913, PLR0917 - everything that is known of one loss
    candidate: TrainedLoss,
    lr: float,
    runs: tuple[TrainingRun, ...],
    judged: JudgedTraining,
    others: Sequence[TrainedLoss],
    data: Data,
    plan: Plan,
) -> Trained:
    """Score the outputs of all runs, and evaluate them under every loss."""
    higher = plan.scores[0].higher
    steps = [None if run.diverged is not None else converged(plan.budget.looks, run.scores, higher=higher) for run in runs]
    scores = {score.name: Over(tuple(_scored(score, run, data) for run in runs)) for score in plan.scores}
    valued = {other.label: [_valued(other, candidate, run, data) for run in runs] for other in others}
    under = {label: Over(tuple(value for value, _ in pairs)) for label, pairs in valued.items()}
    unread = {label: why for label, pairs in valued.items() for _, why in pairs if why}
    return Trained(candidate, lr, runs, scores, Over(tuple(_or_nan(step) for step in steps)), under, unread, judged)


def _or_nan(step: int | None) -> float:
    return math.nan if step is None else float(step)


def _scored(score: Score, run: TrainingRun, data: Data) -> float:
    return math.nan if run.outputs is None else score.of(data.task, run.outputs, data.test.target)


def _valued(other: TrainedLoss, candidate: TrainedLoss, run: TrainingRun, data: Data) -> tuple[float, str]:
    """The value of a run's outputs under another loss, or why it has none."""
    if run.outputs is None:
        return math.nan, ""
    try:
        return other.value(run.outputs, data.test.target, trained=candidate.wiring), ""
    except LossctlError as error:
        return math.nan, error.message


MATRIX = "held-out loss: trained under the row, evaluated under the column"


@dataclass(frozen=True)
class TrialFindings:
    """Everything that a trial has found. `left` are losses that were left out, and why; `names` are those of the features."""

    data: Data
    plan: Plan
    trained: Sequence[Trained]
    left: Mapping[str, str]
    names: Sequence[str]
    footer: str
    timed: bool = False


def report(tried: TrialFindings, inputs: Sequence[Mapping[str, Any]]) -> Report:
    """Put a trial into a report: one row a loss, and below it every loss under every other."""
    lead, *others = tried.plan.scores
    columns = [lead.name, "sd", "worst", *(score.name for score in others), "steps"]
    columns += ["difference", "low", "high", "p", "verdict"] if len(tried.trained) > 1 else []
    columns += ["diverged"] if any(loss.diverged for loss in tried.trained) else []
    columns += ["lr"] if tried.plan.tune else []
    columns += ["seconds"] if tried.timed else []
    rows = [{name: row[name] for name in ("loss", *columns)} for row in (_row(tried, loss) for loss in tried.trained)]
    labels = [loss.candidate.label for loss in tried.trained]
    by_label = {loss.candidate.label: {name: _under(loss, name) for name in labels} for loss in tried.trained}
    evaluated = [{"trained under": label, **values} for label, values in by_label.items()]
    matrix = Report(("trained under", *labels), evaluated, title=MATRIX)
    return Report(("loss", *columns), rows, _document(tried, inputs), bare=lead.name, more=[matrix])


def _row(tried: TrialFindings, loss: Trained) -> dict[str, Any]:
    lead = tried.plan.scores[0]
    over = loss.scores[lead.name]
    judged = loss.judged
    return {
        "loss": loss.candidate.label,
        **{name: _known(each.mean) for name, each in loss.scores.items()},
        "sd": _known(over.sd),
        "worst": _known(over.worst(higher=lead.higher)),
        "steps": _known(loss.steps.mean),
        "difference": _known(judged.difference),
        "low": _known(judged.low),
        "high": _known(judged.high),
        "p": _known(judged.adjusted),
        "verdict": judged.verdict,
        "diverged": len(loss.diverged),
        "lr": loss.lr,
        "seconds": sum(run.seconds for run in loss.runs) / len(loss.runs),
    }


def _known(number: float) -> float | None:
    return None if math.isnan(number) else number


def _under(loss: Trained, label: str) -> float | None:
    """The mean over seeds, where the outputs of all runs that ended can be evaluated under a loss."""
    return None if label in loss.unread else _known(loss.under[label].mean)


def _document(tried: TrialFindings, inputs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The machine-readable trial. Times differ from run to run and stand in it only on demand."""
    data, plan = tried.data, tried.plan
    return {
        "schema": "lossctl/trial/1",
        "version": __version__,
        "command": "trial",
        "inputs": list(inputs),
        "task": data.task.name,
        "classes": list(data.task.classes),
        "rows": {"train": len(data.train), "test": len(data.test)},
        "features": {"used": data.train.features.shape[1], "constant": [tried.names[column] for column in data.dropped]},
        "budget": {**asdict(plan.budget), "tuned": plan.tune},
        "seeds": list(range(plan.seeds)),
        "score": {"name": plan.scores[0].name, "higher_is_better": plan.scores[0].higher},
        "looks": plan.budget.looks,
        "verdicts_on": ERRORS[data.task.name][1],
        "covers": tried.footer,
        "results": [_entry(tried, loss) for loss in tried.trained],
        "left_out": [{"loss": label, "reason": reason} for label, reason in tried.left.items()],
    }


def _entry(tried: TrialFindings, loss: Trained) -> dict[str, Any]:
    lead = tried.plan.scores[0]
    judged = {name: value for name, value in asdict(loss.judged).items() if name not in {"adjusted", "verdict"}}
    entry = {
        "loss": loss.candidate.label,
        "name": loss.candidate.loss.name,
        "params": dict(loss.candidate.params),
        "head": loss.candidate.wiring.head,
        "target": loss.candidate.wiring.target,
        "lr": loss.lr,
        "scores": {name: _over(over) for name, over in loss.scores.items()},
        "worst": loss.scores[lead.name].worst(higher=lead.higher),
        "steps_to_converge": _over(loss.steps),
        "curves": [list(run.scores) for run in loss.runs],
        "diverged": [{"seed": run.seed, "step": run.diverged} for run in loss.diverged],
        "evaluated": {label: _evaluated(loss, label) for label in loss.under},
        **judged,
        "p_adjusted": loss.judged.adjusted,
        "verdict": loss.judged.verdict,
    }
    return entry | ({"seconds": [run.seconds for run in loss.runs]} if tried.timed else {})


def _over(over: Over) -> dict[str, Any]:
    return {"mean": over.mean, "sd": over.sd, "values": list(over.values)}


def _evaluated(loss: Trained, label: str) -> dict[str, Any]:
    if label in loss.unread:
        return {"mean": None, "reason": loss.unread[label]}
    return _over(loss.under[label])
