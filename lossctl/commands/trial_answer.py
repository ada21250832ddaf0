"""A trial put into rows for people and one document for machines."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from lossctl import __version__
from lossctl.report import Report
from lossctl.training.scores import ERRORS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lossctl.training.data import Data
    from lossctl.training.trial import Over, Plan, Trained

MATRIX = "held-out loss: trained under the row, evaluated under the column"


@dataclass(frozen=True)
class Tried:
    """Everything that a trial has found. `left` are losses that were left out, and why; `names` are those of the features."""

    data: Data
    plan: Plan
    trained: Sequence[Trained]
    left: Mapping[str, str]
    names: Sequence[str]
    footer: str
    timed: bool = False


def report(tried: Tried, inputs: Sequence[Mapping[str, Any]]) -> Report:
    """Put a trial into a report: one row a loss, and below it every loss under every other."""
    lead, *others = tried.plan.scores
    columns = [lead.name, "sd", "worst", *(score.name for score in others), "steps"]
    columns += ["difference", "low", "high", "p", "verdict"] if len(tried.trained) > 1 else []
    columns += ["diverged"] if any(one.diverged for one in tried.trained) else []
    columns += ["lr"] if tried.plan.tune else []
    columns += ["seconds"] if tried.timed else []
    rows = [{name: row[name] for name in ("loss", *columns)} for row in (_row(tried, one) for one in tried.trained)]
    return Report(("loss", *columns), rows, _document(tried, inputs), bare=lead.name, more=[_matrix(tried)])


def _row(tried: Tried, one: Trained) -> dict[str, Any]:
    lead = tried.plan.scores[0]
    over = one.scores[lead.name]
    judged = one.judged
    return {
        "loss": one.candidate.label,
        **{name: _known(each.mean) for name, each in one.scores.items()},
        "sd": _known(over.sd),
        "worst": _known(over.worst(higher=lead.higher)),
        "steps": _known(one.steps.mean),
        "difference": _known(judged.difference),
        "low": _known(judged.low),
        "high": _known(judged.high),
        "p": _known(judged.adjusted),
        "verdict": judged.verdict,
        "diverged": len(one.diverged),
        "lr": one.lr,
        "seconds": sum(run.seconds for run in one.runs) / len(one.runs),
    }


def _known(number: float) -> float | None:
    return None if math.isnan(number) else number


def _matrix(tried: Tried) -> Report:
    labels = [one.candidate.label for one in tried.trained]
    rows = [{"trained under": one.candidate.label, **{name: _under(one, name) for name in labels}} for one in tried.trained]
    return Report(("trained under", *labels), rows, title=MATRIX)


def _under(one: Trained, label: str) -> float | None:
    """The mean over seeds, where the outputs of all runs that ended can be evaluated under a loss."""
    return None if label in one.unread else _known(one.under[label].mean)


def _document(tried: Tried, inputs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
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
        "results": [_entry(tried, one) for one in tried.trained],
        "left_out": [{"loss": label, "reason": reason} for label, reason in tried.left.items()],
    }


def _entry(tried: Tried, one: Trained) -> dict[str, Any]:
    lead = tried.plan.scores[0]
    judged = {name: value for name, value in asdict(one.judged).items() if name not in {"adjusted", "verdict"}}
    found = {
        "loss": one.candidate.label,
        "name": one.candidate.loss.name,
        "params": dict(one.candidate.params),
        "head": one.candidate.wiring.head,
        "target": one.candidate.wiring.target,
        "lr": one.lr,
        "scores": {name: _over(over) for name, over in one.scores.items()},
        "worst": one.scores[lead.name].worst(higher=lead.higher),
        "steps_to_converge": _over(one.steps),
        "curves": [list(run.scores) for run in one.runs],
        "diverged": [{"seed": run.seed, "step": run.diverged} for run in one.diverged],
        "evaluated": {label: _evaluated(one, label) for label in one.under},
        **judged,
        "p_adjusted": one.judged.adjusted,
        "verdict": one.judged.verdict,
    }
    return found | ({"seconds": [run.seconds for run in one.runs]} if tried.timed else {})


def _over(over: Over) -> dict[str, Any]:
    return {"mean": over.mean, "sd": over.sd, "values": list(over.values)}


def _evaluated(one: Trained, label: str) -> dict[str, Any]:
    if label in one.unread:
        return {"mean": None, "reason": one.unread[label]}
    return _over(one.under[label])
