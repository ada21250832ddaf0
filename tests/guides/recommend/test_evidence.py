"""What a prediction says of losses: skill beside the best constant, and what few samples carry."""

import math

import numpy as np
import pytest

from lossctl.guides.recommend.advice import advise
from lossctl.guides.recommend.deriving import Derived, evidence, known_of
from lossctl.losses import catalogue
from lossctl.request.options import Options
from lossctl.sources.readers import Memory

RNG = np.random.default_rng(5)
X = RNG.normal(0, 1, 400)
Y = 2 * X + RNG.normal(0, 0.5, 400)


def judged(loss, pred, target, **params):
    derived = [Derived(name, value, "", "", "") for name, value in params.items()]
    pred, target = Memory(np.asarray(pred), "pred"), Memory(np.asarray(target), "target")
    return evidence(catalogue()[loss], derived, known_of(target, pred), pred, target, Options(nan="skip"))


def test_the_skill_of_squared_error_is_r2():
    found = judged("mse", 2 * X, Y)
    residual = Y - 2 * X
    assert found.value == pytest.approx(np.mean(residual**2))
    assert found.constant == pytest.approx(np.var(Y))
    assert found.skill == pytest.approx(1 - np.mean(residual**2) / np.var(Y))


def test_the_best_constant_of_absolute_error_is_the_median():
    assert judged("l1", 2 * X, Y).constant == pytest.approx(np.mean(np.abs(Y - np.median(Y))), rel=1e-6)


def test_the_best_constant_of_the_pinball_loss_is_the_quantile():
    q = np.quantile(Y, 0.9)
    expected = np.mean(np.where(q < Y, 0.9 * (Y - q), 0.1 * (q - Y)))
    assert judged("pinball", 2 * X, Y, q=0.9).constant == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(("loss", "pred"), [("bce_with_logits", X), ("bce", 1 / (1 + np.exp(-X)))])
def test_the_best_constant_of_cross_entropy_is_the_entropy(loss, pred):
    labels = (np.arange(400) % 5 == 0).astype(int)
    assert judged(loss, pred, labels).constant == pytest.approx(-(0.2 * math.log(0.2) + 0.8 * math.log(0.8)), rel=1e-6)


@pytest.mark.parametrize("loss", ["cross_entropy", "nll"])
def test_the_best_constant_of_classes_is_their_frequencies(loss):
    labels = np.repeat([0, 1, 2], [200, 100, 100])
    scores = RNG.normal(0, 1, (400, 3))
    scores -= np.log(np.exp(scores).sum(axis=1, keepdims=True))
    expected = 0.5 * math.log(2) + 0.5 * math.log(4)
    assert judged(loss, scores, labels).constant == pytest.approx(expected)


def test_the_best_constant_rate_is_the_mean_also_as_a_logarithm():
    counts = RNG.poisson(3, 300)
    mean = counts.mean()
    expected = mean - mean * math.log(mean)
    assert judged("poisson_nll", np.full(300, 1.0), counts).constant == pytest.approx(expected, rel=1e-6)
    assert judged("poisson_nll", np.full(300, 3.0), counts, log_input=0.0).constant == pytest.approx(expected, rel=1e-6)


def test_one_outlier_in_a_hundred_carries_squared_error_and_its_gradient():
    target = np.r_[np.ones(99), 100.0] + np.tile([0.0, 0.001], 50)
    errors = target - 2
    found = judged("mse", np.full(100, 2.0), target)
    squares = np.sort(errors**2)
    assert found.top_loss == pytest.approx(squares[-1] / squares.sum())
    assert found.top_gradient == pytest.approx(np.abs(errors).max() / np.abs(errors).sum())
    assert judged("l1", np.full(100, 2.0), target).top_gradient == pytest.approx(0.01)


def test_a_loss_of_other_inputs_says_which():
    found = judged("gaussian_nll", X, Y)
    assert found.value is None
    assert found.refused == "it takes pred, target, var"


def test_a_loss_that_does_not_take_the_prediction_says_why():
    found = judged("gamma_deviance", X, np.abs(Y) + 1)
    assert found.value is None
    assert "> 0" in found.refused


@pytest.mark.parametrize("loss", ["nll", "cross_entropy"])
def test_probabilities_are_not_taken_for_scores_or_logarithms(loss):
    chances = RNG.dirichlet([1, 1, 1], 400)
    found = judged(loss, chances, np.arange(400) % 3)
    assert found.value is None
    assert "and the prediction holds" in found.refused


def test_a_loss_without_values_by_sample_has_no_share_of_them():
    chances, mask = RNG.random((3, 8, 8)), (RNG.random((3, 8, 8)) < 0.3).astype(float)
    found = judged("dice", chances, mask)
    assert found.value is not None
    assert found.top_loss is None


def test_samples_with_nan_are_left_out():
    assert judged("mse", np.r_[2 * X, 0.0], np.r_[Y, math.nan]).value == pytest.approx(np.mean((Y - 2 * X) ** 2))


def test_the_best_constant_of_very_many_samples_is_judged_on_all_of_them():
    target = np.tile(Y, 100)
    assert judged("mse", np.tile(2 * X, 100), target).constant == pytest.approx(np.var(Y))


def test_what_is_not_recommended_but_popular_is_judged_too():
    target = 2 * X + RNG.standard_t(1, 400)
    advice = advise({}, target=Memory(target, "target"), pred=Memory(2 * X, "pred"))
    shares = {one.loss: one.top_loss for one in advice.evidence}
    assert "mse" not in {choice.name for choice in advice.choices}
    assert shares["mse"] > 1.5 * shares["huber"]
