"""Losses of many labels, counts of mistakes, columns of probabilities, and pairs of vectors."""

import math

import numpy as np
import pytest
from ask import ask, none, value

from lossctl.checking.checks import Drawn, gradients
from lossctl.errors import BadParameter, NotFinite, OutOfDomain, ShapeMismatch
from lossctl.losses import LOSSES
from lossctl.losses.loss import scalars
from lossctl.request.options import Options

rng = np.random.default_rng(6)
# Scores are rounded so that some are equal.
SCORES, TAGS = np.round(2 * rng.normal(size=(40, 5))) / 2, rng.integers(0, 2, size=(40, 5))
LABELS = rng.integers(0, 5, size=40)


def test_asymmetric_multilabel_sums_over_labels_and_is_a_focal_loss_without_clip():
    found = none("asymmetric_multilabel", SCORES, TAGS, gamma_neg=2, gamma_pos=2, clip=0)
    assert found.shape == (40,)
    np.testing.assert_allclose(found, none("focal", SCORES, TAGS, alpha=-1).sum(axis=1), rtol=1e-12)


def test_negatives_below_the_clip_cost_nothing():
    assert value("asymmetric_multilabel", [[-5.0, -3.0]], [[0, 0]]) == 0


def two_way(scores, on, tp, tn):
    """Kobayashi's formula with loops, for scores that are not far out."""
    means = []
    for rows, marks in ((scores, on), (scores.T, on.T)):
        values = []
        for row, mark in zip(rows, marks == 1, strict=True):
            if mark.any():
                off = tn * math.log(sum(math.exp(s / tn) for s in row[~mark])) if (~mark).any() else -math.inf
                values.append(math.log1p(math.exp(off + tp * math.log(sum(math.exp(-s / tp) for s in row[mark])))))
        means.append(sum(values) / max(1, len(values)))
    return sum(means)


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_two_way_by_loops(backend):
    tags = TAGS.copy()
    tags[0], tags[1], tags[:, 2] = 0, 1, 0
    found = value("two_way", SCORES, tags, tp=3, tn=0.5, options=Options(backend=backend))
    assert found == pytest.approx(two_way(SCORES, tags, 3, 0.5), rel=1e-12)


def test_two_way_has_a_gradient_where_no_label_holds_or_all_do():
    arrays = {"pred": SCORES[:3], "target": np.array([[0] * 5, [1] * 5, [1, 0, 0, 1, 0]], float)}
    assert np.isfinite(gradients(LOSSES.get("two_way"), Drawn(arrays, {}, {"tp": 4.0, "tn": 1.0}))["pred"]).all()


def test_label_ranking_by_pairs():
    for scores, tags, found in zip(SCORES, TAGS, none("label_ranking", SCORES, TAGS), strict=True):
        pairs = [scores[i] <= scores[j] for i in np.flatnonzero(tags) for j in np.flatnonzero(tags == 0)]
        assert found == pytest.approx(np.mean(pairs) if pairs else 0, abs=1e-12)


def test_coverage_by_ranks():
    for scores, tags, found in zip(SCORES, TAGS, none("coverage_error", SCORES, TAGS), strict=True):
        assert found == ((scores >= scores[tags == 1].min()).sum() if tags.any() else 0)


@pytest.mark.parametrize("k", [1, 2, 5, 9])
def test_top_k_by_a_stable_sort_from_behind(k):
    order = np.argsort(SCORES, axis=1, kind="stable")[:, ::-1][:, :k]
    wanted = [float(label not in best) for label, best in zip(LABELS, order, strict=True)]
    assert none("top_k_error", SCORES, LABELS, k=k).tolist() == wanted


def test_counts_of_mistakes():
    found = SCORES.argmax(axis=1)
    wrong = (found != LABELS).mean()
    assert value("zero_one", found, LABELS) == wrong
    assert value("hamming", found, LABELS) == wrong
    assert value("error_rate", TAGS, np.roll(TAGS, 1)) == (np.roll(TAGS, 1) != TAGS).any(axis=1).mean()
    assert value("hamming", TAGS, np.roll(TAGS, 1)) == (np.roll(TAGS, 1) != TAGS).mean()


@pytest.mark.parametrize("name", ["log_loss", "brier"])
def test_one_column_is_the_probability_of_class_one(name):
    p, y = rng.uniform(size=8), rng.integers(0, 2, size=8)
    wanted = value(name, np.stack([1 - p, p], axis=1), y)
    assert value(name, p, y) == pytest.approx(wanted, rel=1e-13)
    assert value(name, p[:, None], y) == pytest.approx(wanted, rel=1e-13)
    assert value(name, p, y + 1, options=Options(label_offset=-1)) == pytest.approx(wanted, rel=1e-13)


@pytest.mark.parametrize("name", ["log_loss", "brier"])
def test_columns_that_do_not_fit_their_labels(name):
    with pytest.raises(OutOfDomain, match=r"class 2, but 2 classes are 0\.\.1"):
        ask(name, [0.1, 0.7], [0, 2])
    with pytest.raises(ShapeMismatch):
        ask(name, [[0.1, 0.9], [0.5, 0.5]], [[0, 1], [1, 0]])
    with pytest.raises(ShapeMismatch):
        ask(name, np.full((2, 2, 3), 0.5), [0, 1])
    with pytest.raises(ShapeMismatch):
        ask(name, 0.5, 1)


def test_brier_of_two_classes_is_the_squared_error():
    p, y = rng.uniform(size=8), rng.integers(0, 2, size=8)
    assert value("brier", p, y) == pytest.approx(value("mse", p, y), rel=1e-13)
    assert value("brier", p, y, scale="half") == value("brier", p, y)


@pytest.mark.parametrize("name", ["crammer_singer_hinge", "multiclass_perceptron", "top_k_error"])
def test_scores_of_classes_want_one_label_a_sample(name):
    with pytest.raises(ShapeMismatch):
        ask(name, np.zeros((2, 3)), np.zeros((2, 5), int))


def test_crammer_singer_is_the_largest_of_the_shortfalls():
    for scores, label, found in zip(SCORES, LABELS, none("crammer_singer_hinge", SCORES, LABELS), strict=True):
        assert found == max(0, 1 + max(s for c, s in enumerate(scores) if c != label) - scores[label])


def test_signs_other_than_one_and_minus_one():
    assert value("hinge", [0.5, -2.0], [0, 1]) == value("hinge", [0.5, -2.0], [-1, 1])
    with pytest.raises(OutOfDomain, match="outside of"):
        ask("hinge", [0.5], [2])


FIRST, SECOND = rng.normal(size=(9, 3)), rng.normal(size=(9, 3))
SAME = rng.integers(0, 2, size=9)


@pytest.mark.parametrize("similar", [0, 1])
@pytest.mark.parametrize("half", [False, True])
def test_contrastive_by_either_label(similar, half):
    d = np.linalg.norm(FIRST - SECOND, axis=1)
    y = (similar == SAME).astype(float)
    wanted = (y * d**2 + (1 - y) * np.maximum(0, 2.5 - d) ** 2) * (0.5 if half else 1)
    found = none("contrastive", FIRST, SECOND, SAME, margin=2.5, similar_label=similar, half=half)
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_contrastive_refuses_a_label_for_similar_pairs_that_there_is_not():
    with pytest.raises(BadParameter, match="0 or 1"):
        ask("contrastive", FIRST, SECOND, SAME, similar_label=2)


def test_the_gradient_of_pairs_at_one_place_is_zero():
    arrays = {"input1": FIRST[:2], "input2": FIRST[:2].copy(), "target": np.array([0.0, 1.0])}
    found = gradients(LOSSES.get("contrastive"), Drawn(arrays, {}, {"margin": 1.0, "similar_label": 1, "half": False}))
    assert not found["input1"].any()


def test_cosines():
    np.testing.assert_allclose(none("negative_cosine", [[0, 0], [3, 4]], [[1, 2], [6, 8]]), [0, -1])
    np.testing.assert_allclose(1 + none("negative_cosine", FIRST, SECOND), none("cosine_distance", FIRST, SECOND))


@pytest.mark.parametrize("length", [1e-300, 1e-170, 1e-9, 1e-7, 1.0, 1e170, 1e300])
def test_short_and_long_vectors_have_their_direction(length):
    first, second = np.multiply([[3, 4], [3, 4], [3, 4]], length), np.multiply([[6, 8], [-3, -4], [4, -3]], length)
    np.testing.assert_allclose(none("cosine_distance", first, second), [0, 2, 1], atol=1e-15)
    # One row finds another among three: ln sum e^(cos - own cos), the cosines of (3, 4) being 1, -1 and 0.
    right = math.log(math.exp(1) + math.exp(-1) + 1)
    assert none("info_nce", first, second, temperature=1)[0] == pytest.approx(right - 1, rel=1e-14)
    # Keras divides by 1e-7 at least.
    damped = min(1.0, 5 * length / 1e-7) * min(1.0, 10 * length / 1e-7)
    assert none("negative_cosine", first, second)[0] == pytest.approx(-damped, rel=1e-14)


@pytest.mark.parametrize("name", ["cosine_distance", "negative_cosine", "info_nce"])
def test_a_zero_vector_has_a_cosine_of_0_and_a_gradient(name):
    arrays = {"pred": np.array([[0.0, 0.0], [3.0, 4.0]]), "target": np.array([[3.0, 4.0], [0.0, 0.0]])}
    loss = LOSSES.get(name)
    if name != "info_nce":
        assert none(name, *arrays.values()).tolist() == ([1.0, 1.0] if name == "cosine_distance" else [0.0, 0.0])
    found = gradients(loss, Drawn(arrays, {}, scalars(loss, {})))
    assert all(np.isfinite(one).all() for one in found.values())
    if name != "negative_cosine":
        assert not found["pred"][0].any()


def test_measures_of_distributions_at_their_ends():
    apart, same = ([[1, 0]], [[0, 1]]), ([[0.3, 0.7]], [[0.3, 0.7]])
    for name, largest in {"js_div": math.log(2), "hellinger": 1, "total_variation_dist": 1}.items():
        assert value(name, *apart) == pytest.approx(largest, rel=1e-14)
    for name in ("js_div", "hellinger", "total_variation_dist", "bhattacharyya", "renyi", "chi2"):
        assert value(name, *same) == pytest.approx(0, abs=1e-15)
    assert math.isfinite(value("bhattacharyya", *apart))


def test_a_divergence_that_is_infinite_says_so():
    with pytest.raises(NotFinite, match="chi2 is inf"):
        ask("chi2", [[1.0, 0.0]], [[0.5, 0.5]])


def test_cosine_similarity_is_that_of_keras():
    # Keras calculates in float32.
    assert value("negative_cosine", [[0.9, 0.2], [0.4, 0.7]], np.eye(2)) == pytest.approx(-0.92221510, abs=1e-7)


def test_the_root_is_taken_over_all_columns():
    # scikit-learn averages a root a column: 4.72359.
    assert value("rmse", [[1, 2], [3, 10]], np.zeros((2, 2))) == pytest.approx(5.33854, abs=5e-6)


def test_large_labels_that_are_stored_as_floats_are_refused_for_their_size_and_fractions_for_what_they_are():
    with pytest.raises(OutOfDomain, match=r"at most 2\^53, since larger ones are rounded"):
        ask("zero_one", [2.0**53 + 2], [2.0**53 + 2])
    with pytest.raises(OutOfDomain, match="a whole number"):
        ask("zero_one", [1.5], [1.0])
    assert value("zero_one", [2.0**53], [2.0**53]) == 0
