"""Losses of classes, labels and pairs: other libraries' printed values, and formulas written again here.

Printed values were computed in float32, so that their eighth digit is a rounded one.
"""

import itertools
import math

import numpy as np
import pytest
from ask import none, value

from lossctl.losses import LOSSES
from lossctl.losses.backends import BACKENDS
from lossctl.request.options import Options

PRINTED = 3e-7
Z, Y = [[1, 2, 3], [0, -1, 2]], [2, 1]
HINGE = [0.5, 0.5, 2, -1, 1], [1, -1, -1, -1, -1]
KERAS = [[0.9, 0.2], [0.4, 0.7]], [[1, 0], [0, 1]]
MANY = [[2, -1, 0.5]], [[1, 0, 1]]
RANKED = [[0.75, 0.5, 1], [1, 0.2, 0.1]], [[1, 0, 0], [0, 0, 1]]
rng = np.random.default_rng(5)
SCORES, LABELS = 2 * rng.normal(size=(9, 4)), rng.integers(0, 4, size=9)
BITS, TAGS = rng.integers(0, 2, size=9), np.eye(4)[LABELS] + np.eye(4)[(LABELS + 1) % 4]


def log_softmax(z):
    return z - np.log(np.exp(z).sum(axis=1, keepdims=True))


LOGP = log_softmax(SCORES)
PROBS, HOT = np.exp(LOGP), np.eye(4)[LABELS]
OTHERS = rng.dirichlet(np.ones(4), size=9)
RIGHT = PROBS[np.arange(9), LABELS]


# torchvision 0.29.2, Keras 3.15.1, optax 0.2.8, scikit-learn 1.9.1 and timm 1.0.31.
@pytest.mark.parametrize("backend", ["numpy", "torch"])
@pytest.mark.parametrize(
    ("name", "inputs", "params", "printed"),
    [
        ("focal", ([0, 2, -3], [1, 0, 0]), {}, [0.0433217, 1.2375587, 8.19624e-5]),
        ("focal", ([0, 2, -3], [1, 0, 0]), {"alpha": -1}, [0.17328680, 1.65007806, 1.0928322e-4]),
        ("hinge", HINGE, {}, [0.5, 1.5, 3, 0, 2]),
        ("perceptron", (HINGE[0][:3], HINGE[1][:3]), {}, [0, 0.5, 2]),
        ("multiclass_perceptron", (Z, Y), {}, [0, 3]),
        ("crammer_singer_hinge", (Z, Y), {}, [0, 4]),
        ("sparsemax", (Z, Y), {}, [0, 3]),
        ("poly_cross_entropy", (Z, Y), {}, [1.07712, 5.08583]),
        ("categorical_hinge", KERAS, {}, [0.3, 0.7]),
        ("binary_crossentropy_prob", ([0.0], [1.0]), {}, [16.118096]),
    ],
)
def test_values_that_other_libraries_print_for_each_sample(backend, name, inputs, params, printed):
    digits = 5e-6 if name == "poly_cross_entropy" else PRINTED
    assert none(name, *inputs, options=Options(backend=backend), **params) == pytest.approx(printed, rel=digits, abs=5e-8)


@pytest.mark.parametrize("backend", ["numpy", "torch"])
@pytest.mark.parametrize(
    ("name", "inputs", "params", "printed"),
    [
        ("focal", ([0, 2, -3], [1, 0, 0]), {}, 0.42698744),
        ("categorical_hinge", KERAS, {}, 0.5),
        ("binary_crossentropy_prob", KERAS, {}, 0.29900116),
        ("categorical_crossentropy_prob", KERAS, {}, 0.32632798),
        ("generalized_cross_entropy", (KERAS[0], [0, 1]), {}, 0.21465667541541067),
        ("log_loss", ([0.1, 0.7], [0, 1]), {}, 0.23101773),
        ("log_loss", ([[0.9, 0.1], [0.3, 0.7]], [0, 1]), {}, 0.23101773),
        ("brier", ([0.1, 0.7], [0, 1]), {}, 0.05),
        ("brier", ([0.1, 0.7], [0, 1]), {"scale": "full"}, 0.10),
        ("label_smoothing_ce", ([[1, 2, 3]], [2]), {}, 0.50760591),
        ("soft_target_ce", ([[1, 2, 3]], [[0.2, 0.3, 0.5]]), {}, 1.10760593),
        ("asymmetric_multilabel", MANY, {}, 0.19468132),
        ("asymmetric_single", ([[1, 2, 3]], [0]), {}, 2.04762077),
        ("zlpr", MANY, {}, 0.86821854),
        ("two_way", MANY, {}, 1.03264749),
        ("label_ranking", RANKED, {}, 0.75),
        ("coverage_error", RANKED, {}, 2.5),
    ],
)
def test_means_that_other_libraries_print(backend, name, inputs, params, printed):
    assert value(name, *inputs, options=Options(backend=backend), **params) == pytest.approx(printed, rel=PRINTED)


def test_a_probability_of_zero_costs_what_scikit_learn_says_in_each_precision():
    assert value("log_loss", [0.0], [1]) == pytest.approx(36.04, abs=5e-3)
    assert value("log_loss", [0.0], [1], options=Options(dtype="f32")) == pytest.approx(15.94, abs=5e-3)


def bce(z, t):
    return np.logaddexp(0, z) - t * z


def focal(z, t, alpha, gamma):
    p = 1 / (1 + np.exp(-z))
    pt = p * t + (1 - p) * (1 - t)
    return (alpha * t + (1 - alpha) * (1 - t)) * (1 - pt) ** gamma * bce(z, t), pt


SIGN = 2 * BITS - 1
X, SOFT = SCORES[:, 0], OTHERS[:, 1]
MIDDLE = (PROBS + OTHERS) / 2
# Name, inputs, parameters, and the value of each sample by a formula of its own.
FORMULAS = [
    ("focal", (X, SOFT), {"alpha": 0.3, "gamma": 1.5}, focal(X, SOFT, 0.3, 1.5)[0]),
    ("poly_binary", (X, SOFT), {}, bce(X, SOFT) + 2 * (1 - focal(X, SOFT, 0.5, 1)[1])),
    ("focal_multiclass", (SCORES, LABELS), {"gamma": 3}, -((1 - RIGHT) ** 3) * np.log(RIGHT)),
    ("focal_multiclass", (SCORES, LABELS), {"alpha": [1, 2, 3, 4]}, -(LABELS + 1) * (1 - RIGHT) ** 2 * np.log(RIGHT)),
    ("poly_cross_entropy", (SCORES, LABELS), {"epsilon": -1}, -np.log(RIGHT) - (1 - RIGHT)),
    ("hinge", (X, BITS), {"margin": 2}, np.maximum(0, 2 - SIGN * X)),
    ("squared_hinge", (X, SIGN), {"margin": 2}, np.maximum(0, 2 - SIGN * X) ** 2),
    ("exponential", (X, SIGN), {}, np.exp(-SIGN * X)),
    ("wasserstein_critic", (X, SIGN), {}, -SIGN * X),
    ("categorical_hinge", (SCORES, HOT), {}, np.maximum(0, 1 + ((1 - HOT) * SCORES).max(1) - (HOT * SCORES).sum(1))),
    ("binary_crossentropy_prob", (SOFT, BITS), {"label_smoothing": 0.2},
     -(0.8 * BITS + 0.1) * np.log(SOFT) - (0.9 - 0.8 * BITS) * np.log(1 - SOFT)),
    ("categorical_crossentropy_prob", (PROBS, HOT), {"label_smoothing": 0.2}, -((0.8 * HOT + 0.05) * LOGP).sum(1)),
    ("log_loss", (PROBS, LABELS), {}, -np.log(RIGHT)),
    ("brier", (PROBS, LABELS), {}, ((PROBS - HOT) ** 2).sum(1)),
    ("brier", (PROBS, LABELS), {"scale": "half"}, ((PROBS - HOT) ** 2).sum(1) / 2),
    ("generalized_cross_entropy", (PROBS, LABELS), {"q": 0.7}, (1 - RIGHT**0.7) / 0.7),
    ("soft_target_ce", (SCORES, OTHERS), {}, -(OTHERS * LOGP).sum(1)),
    ("symmetric_ce", (SCORES, LABELS), {}, -0.1 * np.log(RIGHT) + 4 * (1 - RIGHT)),
    ("bootstrapping", (SCORES, LABELS), {}, -((0.95 * HOT + 0.05 * PROBS) * LOGP).sum(1)),
    ("bootstrapping", (SCORES, LABELS), {"beta": 0.8, "hard": True},
     -((0.8 * HOT + 0.2 * np.eye(4)[SCORES.argmax(1)]) * LOGP).sum(1)),
    ("logit_adjusted", (SCORES, LABELS), {"counts": [1, 2, 3, 4], "tau": 2},
     -log_softmax(SCORES + 2 * np.log([0.1, 0.2, 0.3, 0.4]))[np.arange(9), LABELS]),
    ("zlpr", (SCORES, TAGS), {},
     np.log1p((np.exp(SCORES) * (1 - TAGS)).sum(1)) + np.log1p((np.exp(-SCORES) * TAGS).sum(1))),
    ("js_div", (PROBS, OTHERS), {},
     0.5 * (PROBS * np.log(PROBS / MIDDLE) + OTHERS * np.log(OTHERS / MIDDLE)).sum(1)),
    ("renyi", (PROBS, OTHERS), {"alpha": 3}, np.log((OTHERS**3 / PROBS**2).sum(1)) / 2),
    ("renyi", (PROBS, OTHERS), {"alpha": 1}, (OTHERS * np.log(OTHERS / PROBS)).sum(1)),
    ("kl_div_prob", (PROBS, OTHERS), {}, (OTHERS * np.log(OTHERS / PROBS)).sum(1)),
    ("hellinger", (PROBS, OTHERS), {}, np.sqrt(1 - np.sqrt(PROBS * OTHERS).sum(1))),
    ("bhattacharyya", (PROBS, OTHERS), {}, -np.log(np.sqrt(PROBS * OTHERS).sum(1))),
    ("total_variation_dist", (PROBS, OTHERS), {}, np.maximum(0, PROBS - OTHERS).sum(1)),
    ("chi2", (PROBS, OTHERS), {}, (OTHERS**2 / PROBS).sum(1) - 1),
    ("cosine_distance", (SCORES, OTHERS), {},
     1 - (SCORES * OTHERS).sum(1) / np.linalg.norm(SCORES, axis=1) / np.linalg.norm(OTHERS, axis=1)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "inputs", "params", "wanted"), FORMULAS, ids=lambda x: x if isinstance(x, str) else "")
def test_each_sample_by_a_formula_of_its_own(name, inputs, params, wanted):
    np.testing.assert_allclose(none(name, *inputs, **params), wanted, rtol=1e-9, atol=1e-12)


def test_focal_without_focus_or_balance_is_binary_cross_entropy():
    assert value("focal", SCORES, OTHERS, gamma=0, alpha=-1) == pytest.approx(
        value("bce_with_logits", SCORES, OTHERS), rel=1e-14
    )


def test_focal_of_two_classes_is_focal_of_their_difference():
    two = np.stack([np.zeros(9), X], axis=1)
    np.testing.assert_allclose(none("focal_multiclass", two, BITS), none("focal", X, BITS, alpha=-1), rtol=1e-12)
    np.testing.assert_allclose(none("ce", two, BITS), none("bce_with_logits", X, BITS), rtol=1e-12)


def test_focal_is_exact_where_almost_nothing_is_missed():
    assert value("focal", [-40.0], [0], alpha=-1) == pytest.approx(math.exp(-40) ** 3, rel=1e-12)


def test_label_smoothing_mixes_cross_entropy_with_that_against_no_class():
    found = value("label_smoothing_ce", SCORES, LABELS, smoothing=0.3)
    assert found == pytest.approx(value("ce", SCORES, LABELS, label_smoothing=0.3), rel=1e-14)
    assert found == pytest.approx(0.7 * value("ce", SCORES, LABELS) - 0.3 * LOGP.mean(), rel=1e-14)


def test_distillation_is_t_squared_times_torch_s_batchmean():
    import torch

    student, teacher = torch.tensor(SCORES), torch.tensor(OTHERS)
    divergence = torch.nn.functional.kl_div(
        torch.log_softmax(student / 3, 1), torch.log_softmax(teacher / 3, 1), reduction="batchmean", log_target=True
    )
    assert value("distillation_kl", SCORES, OTHERS, temperature=3) == pytest.approx(9 * float(divergence), rel=1e-12)


def projected(z):
    """The nearest point of the simplex, by trying every set of classes that it may lie on."""
    faces = []
    for size in range(1, len(z) + 1):
        for chosen in itertools.combinations(range(len(z)), size):
            point = np.zeros(len(z))
            point[list(chosen)] = z[list(chosen)] - (z[list(chosen)].sum() - 1) / size
            if (point >= 0).all():
                faces.append(point)
    return min(faces, key=lambda point: float(((point - z) ** 2).sum()))


def test_sparsemax_is_the_loss_of_the_projection_onto_the_simplex():
    # The Fenchel-Young loss of half the squared norm: the conjugate at z, less its value at the label.
    for z, y, found in zip(SCORES, LABELS, none("sparsemax", SCORES, LABELS), strict=True):
        p = projected(z)
        assert found == pytest.approx(z @ p - p @ p / 2 + 0.5 - z[y], abs=1e-12)


def test_ignored_labels_count_for_nothing():
    ignored, kept = np.where(LABELS == 1, 255, LABELS), LABELS != 1
    for name in ("focal_multiclass", "poly_cross_entropy", "label_smoothing_ce", "symmetric_ce", "bootstrapping", "sparsemax",
                 "logit_adjusted", "perplexity", "asymmetric_single"):  # fmt: skip
        assert value(name, SCORES, ignored, ignore_index=255) == pytest.approx(
            value(name, SCORES[kept], LABELS[kept]), rel=1e-12
        )
    for name in ("log_loss", "brier", "generalized_cross_entropy"):
        assert value(name, PROBS, ignored, ignore_index=255) == pytest.approx(value(name, PROBS[kept], LABELS[kept]), rel=1e-12)


def test_perplexity_is_pooled_before_it_is_raised():
    assert value("perplexity", SCORES, LABELS) == pytest.approx(math.exp(value("ce", SCORES, LABELS)), rel=1e-14)


@pytest.mark.parametrize(("name", "gradient"), [("hinge", -1.0), ("perceptron", -1.0), ("squared_hinge", 0.0)])
def test_the_gradient_at_the_kink_is_that_of_torch_s_clamp(name, gradient):
    backend = BACKENDS.get("torch")()
    pred = backend.torch.tensor([0.0 if name == "perceptron" else 1.0], requires_grad=True)
    LOSSES.get(name).terms(
        backend.xp, pred, backend.torch.ones(1), **({} if name == "perceptron" else {"margin": 1.0})
    ).sum().backward()
    assert pred.grad.tolist() == [gradient]
