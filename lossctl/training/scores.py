"""What the task's usual scores say of outputs, and the error of each row that verdicts are about.

Outputs are what stands before every loss's own reading: raw scores (n, C) of classes, one raw score (n,) of the second of two
classes, raw scores (n, L) of labels, or numbers in the target's units. A class is the one with the largest score; a label, or
the second class, applies above 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.backends import BACKENDS
from lossctl.binding import bind
from lossctl.block import Selection
from lossctl.blocks import Memory
from lossctl.engine import evaluate
from lossctl.errors import BadParameter, near
from lossctl.facts.sample import ranked_above
from lossctl.losses import LOSSES
from lossctl.spec import Options
from lossctl.training.tasks import BINARY, CLASSES, LABELS, REGRESSION

if TYPE_CHECKING:
    from collections.abc import Callable

    from lossctl.blocks import NumPyArray
    from lossctl.training.tasks import Task


@dataclass(frozen=True)
class Score:
    """A score of outputs against the coded target; `higher` says that more is better."""

    name: str
    higher: bool
    of: Callable[[Task, NumPyArray, NumPyArray], float]


def decided(task: Task, outputs: NumPyArray) -> NumPyArray:
    """The classes or labels that outputs stand for; numbers stand for themselves."""
    if task.name == REGRESSION:
        return outputs
    return outputs.argmax(axis=1) if task.name == CLASSES else (outputs > 0).astype(np.int64)


# Which loss of the catalogue gives each row's error, and what it is called.
ERRORS = {
    REGRESSION: ("mse", "squared errors"),
    CLASSES: ("zero_one", "wrong classes"),
    BINARY: ("zero_one", "wrong classes"),
    LABELS: ("hamming", "shares of wrong labels"),
}


def errors(task: Task, outputs: NumPyArray, target: NumPyArray) -> NumPyArray:
    """The error (n,) of each row: 0 or 1 for a class, the share of wrong labels, or the squared error."""
    samples = _evaluated(ERRORS[task.name][0], task, outputs, target, per_sample=True).samples
    return np.asarray(samples[1], np.float64)


def _evaluated(name: str, task: Task, outputs: NumPyArray, target: NumPyArray, **how: Any) -> Any:
    readers = {"pred": Memory(decided(task, outputs), "pred"), "target": Memory(target, "target")}
    options = Options(nan="propagate", domain="ignore", jobs=1, **how)
    return evaluate([bind(LOSSES.get(name), readers, {}, options)], BACKENDS.get("numpy")(), options, Selection())[0]


def _by_loss(name: str, *, less_than_one: bool = False) -> Callable[[Task, NumPyArray, NumPyArray], float]:
    """A score that is a loss of the catalogue, or what it lacks of 1."""

    def score(task: Task, outputs: NumPyArray, target: NumPyArray) -> float:
        value = float(_evaluated(name, task, outputs, target).value)
        return 1 - value if less_than_one else value

    return score


def auc(_: Task, outputs: NumPyArray, target: NumPyArray) -> float:
    """The chance that a row with the label has a larger score than one without, ties counting half; the mean over labels.

    Labels that all rows have, or none, are left out; NaN where no other is left.
    """
    columns = zip(np.atleast_2d(outputs.T), np.atleast_2d(target.T), strict=True)
    areas = [ranked_above(scores, labels == 1) for scores, labels in columns]
    found = [area for area in areas if area is not None]
    return float(np.mean(found)) if found else math.nan


def f1(task: Task, outputs: NumPyArray, target: NumPyArray) -> float:
    """2 TP / (2 TP + FP + FN): of the second of two classes, else the mean over classes or labels.

    A class or label that neither the target nor the model has is left out if it is a class, and counts 0 if it is a label.
    """
    given = decided(task, outputs)
    codes = range(task.outputs) if task.name == CLASSES else (1,)
    pairs = [(given == code, target == code) for code in codes]
    if task.name == LABELS:
        pairs = list(zip(given.T == 1, target.T == 1, strict=True))
    found = [_overlap(one, other) for one, other in pairs]
    if task.name == CLASSES:
        found = [each for each in found if not math.isnan(each)]
    return float(np.mean(np.nan_to_num(found)))


def _overlap(one: NumPyArray, other: NumPyArray) -> float:
    total = int(one.sum() + other.sum())
    return 2 * int((one & other).sum()) / total if total else math.nan


ACCURACY = Score("accuracy", higher=True, of=_by_loss("zero_one", less_than_one=True))
AUC, F1 = Score("auc", higher=True, of=auc), Score("f1", higher=True, of=f1)
SCORES: dict[str, tuple[Score, ...]] = {
    REGRESSION: (Score("r2", higher=True, of=_by_loss("r2")), Score("rmse", higher=False, of=_by_loss("rmse"))),
    CLASSES: (ACCURACY, F1),
    BINARY: (ACCURACY, AUC, F1),
    LABELS: (F1, AUC),
}


def scores_of(task: Task, first: str = "") -> tuple[Score, ...]:
    """The scores of a task, the one that is asked for first.

    Raises: BadParameter for a score that the task does not have.
    """
    known = {score.name: score for score in SCORES[task.name]}
    if first and first not in known:
        message = f"--score knows no '{first}' for {task.name}."
        raise BadParameter(message, hint=near(first, known, "scores"))
    chosen = known.pop(first) if first else known.pop(next(iter(known)))
    return chosen, *known.values()
