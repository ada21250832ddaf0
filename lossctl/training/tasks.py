"""What is to be learnt: numbers, one class of several, one of two, or any number of labels; by the target's values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from lossctl.errors import BadParameter, OutOfDomain, ShapeMismatch, near

if TYPE_CHECKING:
    from lossctl.blocks import NumPyArray

REGRESSION, CLASSES, BINARY, LABELS = "regression", "classification", "binary", "multilabel"
TASKS = (REGRESSION, CLASSES, BINARY, LABELS)
# Whole numbers are labels where there are at most so many of them, and ten rows for each.
MOST, ROWS = 100, 10
PAIR, MATRIX = 2, 2


@dataclass(frozen=True)
class Task:
    """What a model's outputs stand for: `outputs` numbers a row, in one axis of their own if `wide`.

    `classes` are the names of the classes in the order of their codes; labels and numbers have none.
    """

    name: str
    outputs: int
    wide: bool
    classes: tuple[str, ...] = ()

    @property
    def says(self) -> str:
        """The task with its size, for people."""
        if self.name == CLASSES:
            return f"classification of {len(self.classes)} classes"
        if self.name == BINARY:
            return f"binary classification of {self.classes[0]} and {self.classes[1]}"
        if self.name == LABELS:
            return f"{self.outputs} labels, any number of which apply"
        return f"regression of {self.outputs} numbers" if self.wide else "regression"


def understand(target: NumPyArray, wanted: str = "") -> tuple[Task, NumPyArray]:
    """Find the task that a target of numbers or text, shape (n,) or (n, k), is for, unless it is said; and code the target.

    Classes are coded 0..C-1 in their sorted order, labels 0 or 1; numbers stay float64.
    Raises: BadParameter for a task that there is none of; OutOfDomain for a target that does not vary; ShapeMismatch where
    target and task do not fit.
    """
    if wanted and wanted not in TASKS:
        message = f"--task knows no '{wanted}'."
        raise BadParameter(message, hint=near(wanted, TASKS, "tasks"))
    if target.ndim == MATRIX and target.shape[1] == 1:
        target = target[:, 0]
    if target.ndim not in {1, MATRIX}:
        message = f"The target has shape {target.shape}; it must be (N,), or (N, K) for several numbers or labels."
        raise ShapeMismatch(message, hint="Give one row a sample.")
    if not target.size or (target == target[:1]).all():
        message = f"The target is {target.flat[0]} in all {len(target)} rows: there is nothing to learn." if target.size else ""
        raise OutOfDomain(message or "The target is empty.", hint="Give a target that varies.")
    task, coded = CODED[wanted or _inferred(target)](target)
    return task, coded


def _inferred(target: NumPyArray) -> str:
    """The task by the values alone."""
    if target.dtype.kind == "U":
        return CLASSES if len(np.unique(target)) > PAIR else BINARY
    if target.ndim == MATRIX:
        return REGRESSION if not _is_hot(target) else CLASSES if _is_one_hot(target) else LABELS
    different = len(np.unique(target))
    few = different <= max(PAIR, min(MOST, len(target) // ROWS))
    if not few or (target != np.floor(target)).any():
        return REGRESSION
    return BINARY if different == PAIR else CLASSES


def _is_hot(target: NumPyArray) -> bool:
    return target.dtype.kind != "U" and bool(((target == 0) | (target == 1)).all())


def _is_one_hot(target: NumPyArray) -> bool:
    return _is_hot(target) and bool((target.sum(axis=1) == 1).all())


def _numbers(target: NumPyArray) -> tuple[Task, NumPyArray]:
    if target.dtype.kind == "U":
        raise ShapeMismatch("The target is text, and --task regression needs numbers.", hint="Use --task classification.")
    wide = target.ndim == MATRIX
    return Task(REGRESSION, target.shape[1] if wide else 1, wide), target.astype(np.float64)


def _classes(target: NumPyArray) -> tuple[Task, NumPyArray]:
    if target.ndim == MATRIX:
        if not _is_one_hot(target):
            message = f"The target has shape {target.shape}, and --task classification needs one label a row."
            raise ShapeMismatch(message, hint="Give labels, or one-hot rows; for several labels use --task multilabel.")
        named = tuple(str(place) for place in range(target.shape[1]))
        return Task(CLASSES, len(named), wide=True, classes=named), target.argmax(axis=1)
    names, codes = np.unique(target, return_inverse=True)
    if target.dtype.kind != "U" and len(names) > max(PAIR, len(target) // 2):
        message = f"The target has {len(names)} different values in {len(target)} rows: too many to be classes."
        raise OutOfDomain(message, hint="Use --task regression.")
    return Task(CLASSES, len(names), wide=True, classes=tuple(_named(name) for name in names.tolist())), codes.astype(np.int64)


def _named(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _binary(target: NumPyArray) -> tuple[Task, NumPyArray]:
    task, codes = _classes(target)
    if len(task.classes) != PAIR:
        message = f"The target has {len(task.classes)} classes, and --task binary needs two."
        raise ShapeMismatch(message, hint="Use --task classification.")
    return replace(task, name=BINARY, outputs=1, wide=False), codes


def _labels(target: NumPyArray) -> tuple[Task, NumPyArray]:
    if target.ndim != MATRIX or not _is_hot(target):
        message = f"The target has shape {target.shape}, and --task multilabel needs a column of 0 and 1 for each label."
        raise ShapeMismatch(message, hint="Name the columns: table.csv:label_*.")
    return Task(LABELS, target.shape[1], wide=True), target.astype(np.int64)


CODED = {REGRESSION: _numbers, CLASSES: _classes, BINARY: _binary, LABELS: _labels}
