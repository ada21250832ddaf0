"""Facts of prediction and target together: against NumPy, SciPy and by hand."""

import numpy as np
import pytest
from arrays import one_hot, scores, softmax
from scipy import stats

from lossctl.guides.facts import Fit, facts_of, facts_of_both, fitting, pair_facts
from lossctl.sources.readers import Memory


def pair(pred, target):
    return pair_facts(Memory(np.asarray(pred)), Memory(np.asarray(target)))


@pytest.mark.parametrize(
    ("pred", "target", "fit"),
    [
        ((5,), (5,), Fit()),
        ((), (), Fit()),
        ((5, 1), (5,), Fit()),
        ((5, 3), (5, 3), Fit()),
        ((5, 3), (5,), Fit(1)),
        ((5, 3), (5, 1), Fit(1)),
        ((5, 3, 4, 4), (5, 4, 4), Fit(1)),
        ((5, 7, 3), (5, 7), Fit(2)),
        ((5, 3), (5, 4), None),
        ((5,), (5, 3), None),
        ((5,), (6,), None),
        ((5, 3, 3, 2), (5,), None),
    ],
)
def test_shapes_fit(pred, target, fit):
    assert fitting(pred, target) == fit


def test_nothing_is_read_where_shapes_do_not_fit():
    found = pair(np.zeros(3), np.zeros(4))
    assert found.values == {"fits": False, "same_shape": False}
    with pytest.raises(ValueError, match="do not fit"):
        facts_of_both(Memory(np.zeros(3)), Memory(np.zeros(4)))


def test_residuals_are_numpy_s_and_scipy_s():
    rng = np.random.default_rng(0)
    target = rng.normal(10, 3, 2000)
    pred = target + rng.gamma(2, size=2000)
    found, apart = pair(pred, target), pred - target
    assert found["bias"] == pytest.approx(apart.mean())
    assert found["mse"] == pytest.approx((apart**2).mean())
    assert found["mae"] == pytest.approx(abs(apart).mean())
    assert found["residual_skew"] == pytest.approx(stats.skew(apart))
    assert found["residual_mad"] == pytest.approx(1.4826 * stats.median_abs_deviation(apart))
    assert found["correlation"] == pytest.approx(np.corrcoef(pred, target)[0, 1])
    assert found["r2"] == pytest.approx(1 - (apart**2).sum() / ((target - target.mean()) ** 2).sum())
    assert found["heteroscedasticity"] == pytest.approx(stats.spearmanr(pred, abs(apart)).statistic)
    assert found["top_1_percent_mse"] == pytest.approx(np.sort(apart**2)[-20:].sum() / (apart**2).sum())


def test_errors_that_grow_with_the_prediction_are_seen():
    rng = np.random.default_rng(0)
    pred = rng.uniform(1, 100, 3000)
    noise = rng.normal(size=3000)
    assert pair(pred, pred + noise * pred)["heteroscedasticity"] > 0.4
    assert abs(pair(pred, pred + noise)["heteroscedasticity"]) < 0.1


def test_a_few_outliers_carry_the_squared_error():
    apart = np.random.default_rng(0).normal(size=1000)
    apart[:10] = 1000
    found = pair(apart, np.zeros(1000))
    assert found["top_1_percent_mse"] > 0.99
    assert found["residual_outlier_share"] >= 0.01
    assert found["r2"] is None
    assert found["correlation"] is None


def test_missing_values_are_left_out_of_both():
    found = pair([1.0, np.nan, 3, 4], [1.0, 2, np.inf, 6])
    assert (found["valid"], found["bias"], found["mse"], found["equal_share"]) == (2, -1, 2, 0.5)


@pytest.mark.parametrize("axis", [1, 2])
def test_the_highest_score_is_the_decision(axis):
    rng = np.random.default_rng(0)
    pred, target = rng.normal(size=(50, 3, 6)), rng.integers(0, 3 if axis == 1 else 6, (50, 6 if axis == 1 else 3))
    found = pair(pred, target)
    assert found["class_axis"] == axis
    assert found["accuracy"] == pytest.approx((pred.argmax(axis=axis) == target).mean())
    assert found["bias"] is None


def test_labels_outside_of_the_classes_are_counted():
    found = pair(np.eye(3)[[0, 1, 2, 0]], [0, 1, 3, -100])
    assert (found["labels_outside"], found["valid"], found["accuracy"]) == (2, 2, 1)


def test_probabilities_of_two_classes():
    found = pair([0.9, 0.2, 0.4, 0.0], [1, 0, 1, 0])
    assert (found["accuracy"], found["auc"], found["saturated_share"], found["majority_share"]) == (0.75, 1, 0.25, 0.5)


def test_scores_of_two_classes_are_cut_at_0():
    found = pair([2.0, -1, 0.4, -3], [1, 0, 1, 1])
    assert (found["accuracy"], found["auc"], found["saturated_share"]) == (0.75, pytest.approx(2 / 3), None)
    assert pair([2.0, -1, 0.4, -3], [1, -1, 1, 1])["accuracy"] == 0.75


def test_labels_against_labels():
    assert pair([0, 1, 2, 2], [0, 1, 1, 2])["accuracy"] == 0.75


def test_rows_against_one_hot_rows():
    rng = np.random.default_rng(0)
    pred, target = softmax(scores(rng, 60)), one_hot(rng, 60)
    assert pair(pred, target)["accuracy"] == pytest.approx((pred.argmax(axis=1) == target.argmax(axis=1)).mean())


def test_one_pass_gives_the_facts_of_each_too():
    rng = np.random.default_rng(0)
    pred, target = Memory(scores(rng, 60)), Memory(rng.integers(0, 4, 60))
    first, second, _ = facts_of_both(pred, target)
    assert (first, second) == (facts_of(pred), facts_of(target))


def test_many_pairs_are_sampled_at_the_same_places():
    pred = np.random.default_rng(0).normal(size=200_000)
    found = pair(pred, pred - 2)
    assert found["sampled"] is True
    assert (found["residual_median"], found["residual_mad"]) == (pytest.approx(2), pytest.approx(0, abs=1e-12))
