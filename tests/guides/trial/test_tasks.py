"""What is to be learnt, by the target's values."""

import numpy as np
import pytest

from lossctl.errors import BadParameter, OutOfDomain, ShapeMismatch
from lossctl.guides.trial.data import understand

HOT = np.eye(3)[np.arange(30) % 3]


@pytest.mark.parametrize(
    ("target", "task", "says"),
    [
        (np.linspace(0, 1, 40), "regression", "regression"),
        (np.arange(40.0), "regression", "regression"),
        (np.arange(60.0) % 3, "classification", "classification of 3 classes"),
        (np.arange(60.0) % 2, "binary", "binary classification of 0 and 1"),
        (np.arange(60.0) % 2 * 2 - 1, "binary", "binary classification of -1 and 1"),
        (np.array(["b", "a", "c"] * 9), "classification", "classification of 3 classes"),
        (np.array(["no", "yes"] * 9), "binary", "binary classification of no and yes"),
        (HOT, "classification", "classification of 3 classes"),
        (1 - HOT, "multilabel", "3 labels, any number of which apply"),
        (HOT * 0.5, "regression", "regression of 3 numbers"),
    ],
)
def test_the_values_say_the_task(target, task, says):
    found, _ = understand(target)
    assert (found.name, found.says) == (task, says)


def test_classes_are_coded_in_sorted_order():
    task, coded = understand(np.array([5.0, 7.0, 1.5, 5.0] * 10), "classification")
    assert task.classes == ("1.5", "5", "7")
    assert coded[:4].tolist() == [1, 2, 0, 1]
    assert understand(HOT)[1][:4].tolist() == [0, 1, 2, 0]
    assert understand(np.array(["no", "yes"] * 9))[1][:2].tolist() == [0, 1]


def test_many_whole_numbers_are_no_labels_unless_it_is_said():
    ages = np.arange(60.0) % 30
    assert understand(ages)[0].name == "regression"
    assert understand(ages, "classification")[0].outputs == 30


def test_two_classes_may_be_seen_as_classes():
    task, _ = understand(np.arange(40.0) % 2, "classification")
    assert (task.name, task.outputs, task.wide) == ("classification", 2, True)


def test_a_column_is_a_vector():
    assert understand(np.linspace(0, 1, 40)[:, None])[1].shape == (40,)


@pytest.mark.parametrize(
    ("target", "wanted", "error", "says"),
    [
        (np.ones(30), "", OutOfDomain, "nothing to learn"),
        (np.array(["a"] * 30), "", OutOfDomain, "is a in all 30 rows"),
        (np.zeros((0,)), "", OutOfDomain, "empty"),
        (np.arange(30.0), "ranking", BadParameter, "knows no 'ranking'"),
        (np.array(["a", "b"] * 9), "regression", ShapeMismatch, "text"),
        (np.arange(30.0) % 3, "binary", ShapeMismatch, "3 classes"),
        (np.arange(30.0) % 3, "multilabel", ShapeMismatch, "column of 0 and 1"),
        (1 - HOT, "classification", ShapeMismatch, "one label a row"),
        (np.linspace(0, 1, 30), "classification", OutOfDomain, "too many"),
        (np.zeros((4, 2, 2)), "", ShapeMismatch, "(4, 2, 2)"),
    ],
)
def test_a_target_that_does_not_fit_is_refused(target, wanted, error, says):
    with pytest.raises(error) as refused:
        understand(target, wanted)
    assert says in refused.value.message
