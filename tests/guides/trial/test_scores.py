"""The usual scores: by hand, and as scikit-learn gives them where it is installed."""

import math
from functools import partial

import made
import numpy as np
import pytest
from sklearn import metrics

from lossctl.errors import BadParameter
from lossctl.guides.trial.data import Task, understand
from lossctl.guides.trial.running import TASK_SCORES as SCORES
from lossctl.guides.trial.running import errors, scores_of

CLASSES, BINARY = (
    Task("classification", 3, wide=True, classes=("a", "b", "c")),
    Task("binary", 1, wide=False, classes=("0", "1")),
)
LABELS, NUMBERS = Task("multilabel", 2, wide=True), Task("regression", 1, wide=False)


def value(task, name, outputs, target):
    return scores_of(task, name)[0].of(task, np.asarray(outputs, float), np.asarray(target))


def test_accuracy_of_classes():
    outputs = [[3, 1, 2], [0, 0, 1], [0, 5, 1], [9, 0, 0]]
    assert value(CLASSES, "accuracy", outputs, [0, 2, 0, 1]) == 0.5
    assert errors(CLASSES, np.array(outputs, float), np.array([0, 2, 0, 1])).tolist() == [0, 0, 1, 1]


def test_f1_of_classes_leaves_out_a_class_that_nobody_has():
    outputs = np.eye(3)[[0, 0, 1, 1]]
    assert value(CLASSES, "f1", outputs, [0, 1, 1, 1]) == pytest.approx((2 / 3 + 4 / 5) / 2)


def test_binary_scores():
    assert value(BINARY, "accuracy", [0.1, -3, 2, 0], [1, 0, 0, 0]) == 0.75
    assert value(BINARY, "auc", [1, 0, 1, 2], [1, 0, 0, 1]) == 0.875
    assert value(BINARY, "f1", [1, -1, 1, -1], [1, 1, 0, 0]) == 0.5
    assert value(BINARY, "f1", [-1, -1], [0, 0]) == 0


def test_label_scores():
    outputs, target = [[1, -1], [1, 1], [-1, -1]], [[1, 0], [0, 1], [0, 1]]
    assert value(LABELS, "f1", outputs, target) == pytest.approx(2 / 3)
    assert errors(LABELS, np.array(outputs, float), np.array(target)).tolist() == [0, 0.5, 0.5]
    assert value(LABELS, "auc", [[1, 5], [0, 6]], [[1, 0], [0, 0]]) == 1
    assert math.isnan(value(LABELS, "auc", [[1, 5], [0, 6]], [[1, 0], [1, 0]]))


def test_scores_of_numbers():
    assert value(NUMBERS, "r2", [1, 2, 4], [1.0, 2, 3]) == pytest.approx(0.5)
    assert value(NUMBERS, "rmse", [1, 2, 4], [1.0, 2, 3]) == pytest.approx(math.sqrt(1 / 3))
    assert errors(NUMBERS, np.array([1.0, 5]), np.array([1.0, 2])).tolist() == [0, 9]


def test_the_score_that_is_asked_for_leads():
    assert [score.name for score in scores_of(BINARY)] == ["accuracy", "auc", "f1"]
    assert [score.name for score in scores_of(BINARY, "auc")] == ["auc", "accuracy", "f1"]
    with pytest.raises(BadParameter, match="knows no 'r2' for binary"):
        scores_of(BINARY, "r2")


THEIRS = {
    "accuracy": lambda m, task, outputs, target: m.accuracy_score(target, task(outputs)),
    "f1": lambda m, task, outputs, target: m.f1_score(target, task(outputs), average="macro", zero_division=0),
    "auc": lambda m, _, outputs, target: m.roc_auc_score(target, outputs),
    "r2": lambda m, _, outputs, target: m.r2_score(target, outputs),
    "rmse": lambda m, _, outputs, target: m.root_mean_squared_error(target, outputs),
}


def above_zero(outputs):
    return (outputs > 0).astype(int)


@pytest.mark.parametrize(("task", "name"), [(task, score.name) for task, scores in SCORES.items() for score in scores])
def test_scikit_learn_agrees(task, name):
    found, target = understand(made.MADE[task]()[1])
    random = np.random.default_rng(3)
    outputs = random.normal(size=(len(target), found.outputs) if found.wide else len(target)).round(1)
    decided = partial(np.argmax, axis=1) if task == "classification" else above_zero
    wanted = THEIRS[name](metrics, decided, outputs, target)
    if (task, name) == ("binary", "f1"):
        wanted = metrics.f1_score(target, decided(outputs))
    assert value(found, name, outputs, target) == pytest.approx(float(wanted), rel=1e-12)
