"""Lovász's extension: against what other libraries print in float32, and against its definition as an integral."""

import numpy as np
import pytest
from ask import ask, value

from lossctl.errors import NoSuchReduction
from lossctl.request.options import Options

PRINTED = 1e-7
P, T = np.array([[0.9, 0.4], [0.2, 0.6]]), [[1, 0], [0, 1]]
SCORES, CLASSES = np.array([[2.0, 0, 1], [0, 1, 3]]), [0, 2]


def softmax(scores):
    powers = np.exp(scores)
    return powers / powers.sum(axis=1, keepdims=True)


def lovasz(errors, truth):
    """The Lovász extension by its definition: the loss of the set of errors above a level, integrated over levels."""
    levels = np.unique([0.0, *errors[errors > 0]])
    sets = [errors > low for low in levels[:-1]]
    losses = [wrong.sum() / (wrong | truth).sum() for wrong in sets]
    return float(np.dot(np.diff(levels), losses))


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    return rng.normal(size=(6, 4, 5)), np.where(np.arange(6)[:, None, None] == 3, 0, rng.integers(0, 2, size=(6, 4, 5)))


@pytest.fixture
def maps():
    rng = np.random.default_rng(1)
    return softmax(rng.normal(size=(6, 4, 3, 5))), rng.integers(0, 3, size=(6, 3, 5))


def test_lovasz_as_printed():
    assert value("lovasz_hinge", np.log(P / (1 - P)), T) == pytest.approx(0.39635652, abs=PRINTED)
    assert value("lovasz_softmax", softmax(SCORES), CLASSES) == pytest.approx(0.26761299, abs=PRINTED)
    assert value("lovasz_softmax", softmax(SCORES), CLASSES, classes="all") == pytest.approx(0.21647374, abs=PRINTED)


@pytest.mark.parametrize("backend", ["numpy", "torch"])
@pytest.mark.parametrize("per_image", [False, True])
def test_lovasz_hinge_by_its_definition(per_image, backend, images):
    scores, target = images
    scores[0, 0] = scores[0, 1]  # ties
    errors = 1 - (2 * target - 1) * scores
    alone = [lovasz(e.ravel(), t.ravel() > 0) for e, t in zip(errors, target, strict=True)]
    wanted = np.mean(alone) if per_image else lovasz(errors.ravel(), target.ravel() > 0)
    found = value("lovasz_hinge", scores, target, per_image=per_image, options=Options(backend=backend))
    assert found == pytest.approx(wanted, rel=1e-13)


@pytest.mark.parametrize("per_image", [False, True])
@pytest.mark.parametrize("classes", ["present", "all"])
def test_lovasz_softmax_by_its_definition(classes, per_image, maps):
    def of(pred, target):
        costs = [lovasz(np.abs((target == c) - pred[:, c]).ravel(), (target == c).ravel()) for c in range(pred.shape[1])]
        return np.mean([cost for c, cost in enumerate(costs) if classes == "all" or (target == c).any()])

    pred, target = maps
    target[2] = 1
    wanted = np.mean([of(pred[[i]], target[[i]]) for i in range(len(pred))]) if per_image else of(pred, target)
    assert value("lovasz_softmax", pred, target, classes=classes, per_image=per_image) == pytest.approx(wanted, rel=1e-13)


def test_lovasz_belongs_to_the_batch(images):
    with pytest.raises(NoSuchReduction, match="all samples together"):
        ask("lovasz_hinge", *images, options=Options(per_sample=True))
