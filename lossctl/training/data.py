"""Rows to learn from and rows to judge by, and features on one scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lossctl.errors import BadParameter, NothingLeft, OutOfDomain, ShapeMismatch
from lossctl.statistics.draws import Draws
from lossctl.training.tasks import BINARY, CLASSES

if TYPE_CHECKING:
    from lossctl.blocks import NumPyArray
    from lossctl.training.tasks import Task

# Fewer rows say nothing of any loss.
LEAST = 20
# Of the training part, for the choice of a learning rate.
VALIDATION = 0.2


@dataclass(frozen=True)
class Part:
    """Features (n, p) as the model sees them, and the coded target (n,) or (n, k)."""

    features: NumPyArray
    target: NumPyArray

    def __len__(self) -> int:
        return len(self.target)


@dataclass(frozen=True)
class Data:
    """What is trained on, what is held out, and the numbers of the columns that do not vary and were left out."""

    task: Task
    train: Part
    test: Part
    dropped: tuple[int, ...] = ()


def divide(features: NumPyArray, target: NumPyArray, task: Task, share: float, *, purpose: str = "trial") -> Data:
    """Hold out a share of the rows, by class where there are classes, and put features (n, p) on one scale.

    Each column has mean 0 and standard deviation 1 in the training part. The same rows are held out on every run.
    Raises: ShapeMismatch for too few rows; BadParameter for a share that leaves one part empty; OutOfDomain for a class with a
    single row; NothingLeft where no column varies.
    """
    if not 0 < share < 1:
        message = f"--test-share is {share:g}, and must lie between 0 and 1."
        raise BadParameter(message, hint="Its default is 0.3.")
    if len(target) < LEAST:
        message = f"There are {len(target)} rows, too few to train on some and judge by others."
        raise ShapeMismatch(message, hint=f"Give at least {LEAST}.")
    order = np.argsort(Draws().words(f"{purpose} split", 0, len(target)), kind="stable")
    strata = target if task.name in {CLASSES, BINARY} else np.zeros(len(target), np.int64)
    held = np.zeros(len(target), bool)
    for code in np.unique(strata):
        held[_held_out(order[strata[order] == code], share, task, int(code))] = True
    kept, scaled = _standardised(features, ~held)
    train, test = (Part(scaled[rows], target[rows]) for rows in (~held, held))
    return Data(task, train, test, tuple(np.flatnonzero(~kept).tolist()))


def _held_out(rows: NumPyArray, share: float, task: Task, code: int) -> NumPyArray:
    """The share of rows that are held out, at least one, and not all."""
    if len(rows) == 1:
        message = f"Class {task.classes[code]} has a single row, which cannot be both trained on and held out."
        raise OutOfDomain(message, hint="Give more rows of it, or leave it out.")
    return rows[: min(max(1, round(share * len(rows))), len(rows) - 1)]


def _standardised(features: NumPyArray, train: NumPyArray) -> tuple[NumPyArray, NumPyArray]:
    """Which columns vary in the training part, and those on one scale."""
    seen = features[train]
    kept = seen.max(axis=0) > seen.min(axis=0)
    if not kept.any():
        message = f"None of the {features.shape[1]} feature columns varies: there is nothing to learn from."
        raise NothingLeft(message, hint="Give features that vary.")
    seen = seen[:, kept]
    return kept, (features[:, kept] - seen.mean(axis=0)) / seen.std(axis=0)
