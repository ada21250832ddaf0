"""Which rows are held out, and features on one scale."""

import made
import numpy as np
import pytest

from lossctl.errors import BadParameter, NothingLeft, OutOfDomain, ShapeMismatch


def test_each_class_is_held_out_in_its_share():
    codes = np.repeat([0, 1, 2], [100, 20, 10])
    found = made.data(made.features(130), codes)
    assert np.bincount(found.test.target).tolist() == [30, 6, 3]
    assert np.bincount(found.train.target).tolist() == [70, 14, 7]


def test_every_row_is_in_one_part():
    x = np.arange(50.0)[:, None]
    found = made.data(x, np.linspace(0, 1, 50))
    assert sorted([*found.train.target, *found.test.target]) == np.linspace(0, 1, 50).tolist()
    assert len(found.test) == 15


def test_the_same_rows_are_held_out_whatever_the_features():
    y = np.linspace(0, 1, 50)
    first, second = (made.data(made.features(50, seed=seed), y).test.target for seed in (0, 1))
    assert first.tolist() == second.tolist()
    assert first.tolist() != y[-15:].tolist()


def test_features_are_standardised_by_the_training_part_alone():
    x, y = made.numbers()
    found = made.data(x * [1, 100, 1e-3] + [0, 5, 7], y)
    assert np.allclose(found.train.features.mean(axis=0), 0)
    assert np.allclose(found.train.features.std(axis=0), 1)
    assert np.abs(found.test.features.mean(axis=0)).max() > 1e-6


def test_columns_that_do_not_vary_are_left_out():
    x, y = made.numbers()
    x[:, 1] = 0.1
    found = made.data(x, y)
    assert found.dropped == (1,)
    assert found.train.features.shape[1] == found.test.features.shape[1] == 2


@pytest.mark.parametrize(
    ("x", "y", "share", "error", "says"),
    [
        (made.features(19), np.arange(19) / 7, 0.3, ShapeMismatch, "19 rows"),
        (made.features(30), np.arange(30) / 7, 1.0, BadParameter, "--test-share is 1"),
        (made.features(30), np.arange(30) / 7, float("nan"), BadParameter, "--test-share is nan"),
        (np.ones((30, 2)), np.arange(30) / 7, 0.3, NothingLeft, "None of the 2"),
        (made.features(30), np.array(["b"] * 29 + ["rare"]), 0.3, OutOfDomain, "Class rare has a single row"),
    ],
)
def test_data_that_cannot_be_divided_is_refused(x, y, share, error, says):
    with pytest.raises(error) as refused:
        made.data(x, y, share=share)
    assert says in refused.value.message
