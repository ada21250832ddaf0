"""The best constant prediction is what theory says it is, and skill is the score that others know under another name."""

import numpy as np
import pytest
from tied import ALL, NUMPY, PLAIN, beside, chosen, constant, tie

from lossctl.comparison.constant import SEARCHED, between, constants, minimum
from lossctl.request.options import Options

RNG = np.random.default_rng(5)
SKEWED = np.exp(RNG.normal(size=501))
NEAR = SKEWED * np.exp(0.2 * RNG.normal(size=501))
COUNTS = RNG.poisson(2.5, 400).astype(float)
SIDES = (RNG.uniform(size=300) < 0.2).astype(float)
LABELS = RNG.choice(4, 200, p=[0.5, 0.3, 0.15, 0.05])
SCORES = RNG.normal(size=(200, 4)) + 2 * np.eye(4)[LABELS]


def median_by_inverse(target):
    order = np.sort(target)
    weights = np.cumsum(1 / order)
    return order[np.searchsorted(weights, weights[-1] / 2)]


@pytest.mark.parametrize(
    ("name", "params", "wanted"),
    [
        ("mse", {}, SKEWED.mean()),
        ("rmse", {}, SKEWED.mean()),
        ("l1", {}, np.median(SKEWED)),
        ("pinball", {"q": 0.9}, np.quantile(SKEWED, 0.9, method="inverted_cdf")),
        ("gamma_deviance", {}, SKEWED.mean()),
        ("poisson_deviance", {}, SKEWED.mean()),
        ("poisson_nll", {"log_input": True}, np.log(SKEWED.mean())),
        ("msle", {}, np.expm1(np.log1p(SKEWED).mean())),
        ("mape", {}, median_by_inverse(SKEWED)),
        ("mspe", {}, (1 / SKEWED).sum() / (SKEWED**-2).sum()),
    ],
)
def test_numbers(name, params, wanted):
    pred = np.log(NEAR) if name == "poisson_nll" else NEAR
    found = constant(tie(name, pred, SKEWED, **params))
    assert found.prediction.tolist() == pytest.approx([wanted], rel=1e-6)


def test_poisson_of_counts_is_the_logarithm_of_their_mean():
    found = constant(tie("poisson_nll", np.zeros(400), COUNTS))
    assert found.prediction[0] == pytest.approx(np.log(COUNTS.mean()), rel=1e-6)


def test_a_small_spread_around_a_large_mean_is_resolved():
    target = 1e6 + RNG.normal(size=500)
    found = constant(tie("mse", target, target))
    assert found.prediction[0] == pytest.approx(target.mean(), abs=1e-6)
    assert found.loss == pytest.approx(target.var(), rel=1e-9)


def test_two_classes_have_their_base_rate():
    rate = SIDES.mean()
    pred = np.full(300, 0.4)
    assert constant(tie("bce", pred, SIDES)).prediction[0] == pytest.approx(rate, rel=1e-6)
    assert constant(tie("bce_with_logits", pred, SIDES)).prediction[0] == pytest.approx(np.log(rate / (1 - rate)), rel=1e-6)
    assert constant(tie("hinge", pred, 2 * SIDES - 1)).prediction[0] == pytest.approx(-1, rel=1e-6)


def test_one_class_in_a_thousand_is_found():
    rare = np.zeros(20_000)
    rare[:20] = 1
    found = constant(tie("bce", np.full(20_000, 0.1), rare))
    assert found.prediction[0] == pytest.approx(1e-3, rel=1e-5)


def test_skill_of_mse_is_r_squared_and_of_l1_its_namesake():
    one, two, three = beside(tie("mse", NEAR, SKEWED), tie("l1", NEAR, SKEWED), tie("pinball", NEAR, SKEWED, q=0.9))
    squares = ((NEAR - SKEWED) ** 2).sum() / ((SKEWED - SKEWED.mean()) ** 2).sum()
    sizes = np.abs(NEAR - SKEWED).sum() / np.abs(SKEWED - np.median(SKEWED)).sum()
    (known,) = beside(tie("d2_pinball", NEAR, SKEWED, q=0.9))
    assert one.skill == pytest.approx(1 - squares, rel=1e-12)
    assert two.skill == pytest.approx(1 - sizes, rel=1e-9)
    assert three.skill == pytest.approx(known.outcome.value, rel=1e-6)
    assert known.skill is None


@pytest.mark.parametrize(
    ("probabilities", "labels", "wanted"),
    [
        # scikit-learn's user guide on d2_log_loss_score.
        ([[0.5, 0.25, 0.25]] * 4, [0, 0, 1, 2], 0.0),
        ([[0.98, 0.01, 0.01], [0.01, 0.98, 0.01], [0.01, 0.01, 0.98]], [0, 1, 2], 0.981),
        ([[0.1, 0.6, 0.3], [0.1, 0.6, 0.3], [0.4, 0.5, 0.1]], [0, 1, 2], -0.552),
    ],
)
@pytest.mark.parametrize("name", ["cross_entropy", "nll", "log_loss"])
def test_skill_of_cross_entropy_is_mcfadden_s_r_squared(name, probabilities, labels, wanted):
    pred = np.asarray(probabilities) if name == "log_loss" else np.log(probabilities)
    (found,) = beside(tie(name, pred, np.asarray(labels)))
    shares = np.bincount(labels) / len(labels)
    own = -np.log(np.asarray(probabilities)[np.arange(len(labels)), labels]).mean()
    assert found.skill == pytest.approx(wanted, abs=1e-3)
    assert found.skill == pytest.approx(1 - own / -(shares * np.log(shares)).sum(), abs=1e-12)


def test_classes_have_the_logarithms_of_their_shares():
    found = constant(tie("cross_entropy", SCORES, LABELS))
    shares = np.bincount(LABELS) / len(LABELS)
    assert np.exp(found.prediction) == pytest.approx(shares)
    assert found.loss == pytest.approx(-(shares * np.log(shares)).sum())


@pytest.mark.parametrize("params", [{"weight": [1.0, 2.0, 3.0, 4.0]}, {"label_smoothing": 0.2}, {"ignore_index": 1}])
def test_no_scores_beside_the_constant_are_better(params):
    found = constant(tie("cross_entropy", SCORES, LABELS, **params))
    for _ in range(50):
        moved = found.prediction + 0.05 * RNG.normal(size=4)
        (other,) = beside(tie("cross_entropy", np.tile(moved, (200, 1)), LABELS, **params))
        assert other.outcome.value > found.loss


def test_soft_labels_and_pixels_have_their_mean_share():
    soft = RNG.dirichlet([1, 2, 3], (20, 5)).transpose(0, 2, 1)
    found = constant(tie("cross_entropy", RNG.normal(size=(20, 3, 5)), soft))
    assert np.exp(found.prediction) == pytest.approx(soft.mean(axis=(0, 2)))


def test_weights_and_masks_count():
    weights, mask = RNG.uniform(size=501), (RNG.uniform(size=501) < 0.5).astype(float)
    bound = tie("mse", NEAR, SKEWED)
    found = constant(bound, selection=chosen(weights=weights))
    assert found.prediction[0] == pytest.approx(np.average(SKEWED, weights=weights), rel=1e-6)
    kept = SKEWED[mask == 1]
    found = constant(bound, selection=chosen(mask=mask))
    assert found.prediction[0] == pytest.approx(kept.mean(), rel=1e-6)
    assert found.loss == pytest.approx(kept.var(), rel=1e-9)


def test_weights_and_masks_count_for_classes():
    weights, mask = RNG.uniform(size=200), (RNG.uniform(size=(200)) < 0.5).astype(float)
    bound = tie("cross_entropy", SCORES, LABELS)
    found = np.exp(constant(bound, selection=chosen(weights=weights)).prediction)
    assert found == pytest.approx(np.bincount(LABELS, weights) / weights.sum())
    found = np.exp(constant(bound, selection=chosen(mask=mask)).prediction)
    assert found == pytest.approx(np.bincount(LABELS, mask) / mask.sum())


def test_the_samples_that_the_prediction_skips_are_skipped():
    pred, target = NEAR.copy(), SKEWED.copy()
    pred[:100], target[50:150] = np.nan, np.nan
    options = Options(nan="skip")
    found = constant(tie("mse", pred, target, options), options)
    assert found.prediction[0] == pytest.approx(SKEWED[150:].mean(), rel=1e-6)
    assert found.loss == pytest.approx(SKEWED[150:].var(), rel=1e-9)


@pytest.mark.parametrize("name", ["r2", "max_error", "zero_one", "hinge_embedding", "wasserstein_critic"])
def test_some_losses_have_no_best_constant(name):
    target = np.where(np.arange(20) % 3, 1.0, -1.0)
    pred = np.arange(20) if name == "zero_one" else np.linspace(0, 1, 20)
    target = np.arange(20) % 2 if name == "zero_one" else target
    assert constant(tie(name, pred, target)) is None


def test_many_targets_are_searched_in_part_and_judged_in_full():
    target = RNG.normal(size=3 * SEARCHED)
    bound = tie("mse", np.zeros(len(target)), target)
    found = constant(bound)
    assert 0 < abs(found.prediction[0] - target.mean()) < 0.01
    assert found.loss == pytest.approx(((target - found.prediction[0]) ** 2).mean(), rel=1e-12)
    other = constants([bound], NUMPY, PLAIN, ALL, seed=1)[0]
    assert other.prediction[0] != found.prediction[0]


def test_a_constant_target_leaves_no_skill_to_have():
    (found,) = beside(tie("mse", [1.0, 2.0], [3.0, 3.0]))
    assert found.constant.prediction[0] == pytest.approx(3)
    assert found.skill is None


def test_minimum_follows_the_function_downhill_from_a_wrong_start():
    found, at = minimum(lambda x: (x - 7.3) ** 2, list(range(11)), 1)
    assert (found, at) == (pytest.approx(7.3), 7)


@pytest.mark.parametrize("function", [lambda x: abs(x - 0.3), lambda x: (x - 0.3) ** 4, lambda x: -np.exp(-((x - 0.3) ** 2))])
def test_between_finds_kinks_and_flat_minima(function):
    assert between(function, 0.0, 1.0, (function(0.5), 0.5)) == pytest.approx(0.3, abs=1e-3)
