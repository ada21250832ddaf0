"""What each word of a loss makes of raw outputs and of targets."""

import made
import numpy as np
import pytest
import torch

from lossctl.errors import LossctlError, UsageError
from lossctl.guides.trial.data import Task
from lossctl.guides.trial.heads import Scale, hot, listed, wire
from lossctl.losses import LOSSES

CLASSES = Task("classification", 3, wide=True, classes=("a", "b", "c"))
BINARY = Task("binary", 1, wide=False, classes=("no", "yes"))
LABELS, NUMBERS = Task("multilabel", 3, wide=True), Task("regression", 1, wide=False)
RAW = torch.tensor([[1.0, -2.0, 0.5], [0.0, 3.0, 1.0]], dtype=torch.float64)
Z = torch.tensor([1.5, -2.0], dtype=torch.float64)
CODES = {"classification": np.array([0, 2]), "binary": np.array([1, 0]), "multilabel": np.array([[1, 0, 1], [0, 0, 0]])}
TWO = torch.stack([-Z / 2, Z / 2], 1)


def wired(name, task, **params):
    loss = LOSSES.get(name)
    known = {parameter.name: parameter.default for parameter in loss.signature.parameters} | params
    return wire(loss, known, task, Scale.of(task, np.array([1.0, 2, 3, 4, 10])))


@pytest.mark.parametrize(
    ("name", "pred", "target"),
    [
        ("cross_entropy", RAW, [0, 2]),
        ("multi_margin", RAW, [0, 2]),
        ("nll", RAW.log_softmax(1), [0, 2]),
        ("brier", RAW.softmax(1), [0, 2]),
        ("generalized_cross_entropy", RAW.softmax(1), [0, 2]),
        ("kl_div", RAW.log_softmax(1), [[1, 0, 0], [0, 0, 1]]),
        ("js_div", RAW.softmax(1), [[1, 0, 0], [0, 0, 1]]),
        ("soft_target_ce", RAW, [[1, 0, 0], [0, 0, 1]]),
        ("bce_with_logits", RAW, [[1, 0, 0], [0, 0, 1]]),
        ("bce", RAW.sigmoid(), [[1, 0, 0], [0, 0, 1]]),
        ("mse", RAW, [[1, 0, 0], [0, 0, 1]]),
        ("hinge", RAW, [[1, -1, -1], [-1, -1, 1]]),
        ("multilabel_margin", RAW, [[0, -1, -1], [2, -1, -1]]),
    ],
)
def test_classes(name, pred, target):
    found = wired(name, CLASSES)
    assert torch.equal(found.train(RAW), pred)
    assert torch.equal(found.read(found.stand(RAW)), pred)
    assert found.view(CODES["classification"]).tolist() == target


@pytest.mark.parametrize(
    ("name", "pred", "target"),
    [
        ("bce_with_logits", Z, [1, 0]),
        ("bce", Z.sigmoid(), [1, 0]),
        ("dice", Z.sigmoid(), [1, 0]),
        ("hinge", Z, [1, -1]),
        ("soft_margin", Z, [1, -1]),
        ("mse", Z + 0.5, [1, 0]),
        ("cross_entropy", TWO, [1, 0]),
        ("nll", TWO.log_softmax(1), [1, 0]),
        ("log_loss", TWO.softmax(1), [1, 0]),
        ("kl_div", TWO.log_softmax(1), [[0, 1], [1, 0]]),
        ("zlpr", Z[:, None], [[1], [0]]),
    ],
)
def test_two_classes(name, pred, target):
    found = wired(name, BINARY)
    assert torch.equal(found.train(Z), pred)
    assert found.view(CODES["binary"]).tolist() == target


def test_softmax_and_sigmoid_of_one_score_agree():
    assert torch.allclose(wired("log_loss", BINARY).train(Z)[:, 1], wired("bce", BINARY).train(Z))


@pytest.mark.parametrize(
    ("name", "pred", "target"),
    [
        ("bce_with_logits", RAW, [[1, 0, 1], [0, 0, 0]]),
        ("zlpr", RAW, [[1, 0, 1], [0, 0, 0]]),
        ("multilabel_soft_margin", RAW, [[1, 0, 1], [0, 0, 0]]),
        ("hinge", RAW, [[1, -1, 1], [-1, -1, -1]]),
        ("mse", RAW + 0.5, [[1, 0, 1], [0, 0, 0]]),
        ("multilabel_margin", RAW, [[0, 2, -1], [-1, -1, -1]]),
    ],
)
def test_labels(name, pred, target):
    found = wired(name, LABELS)
    assert torch.equal(found.train(RAW), pred)
    assert found.view(CODES["multilabel"]).tolist() == target


# Of 1, 2, 3, 4, 10: median 3, interquartile range 2, mean 4.
@pytest.mark.parametrize(
    ("name", "params", "train", "stand"),
    [
        ("mse", {}, Z * 2 + 3, Z * 2 + 3),
        ("huber", {}, Z * 2 + 3, Z * 2 + 3),
        ("gamma_deviance", {}, torch.nn.functional.softplus(Z) * 4, torch.nn.functional.softplus(Z) * 4),
        ("keras_poisson", {}, torch.nn.functional.softplus(Z) * 4, torch.nn.functional.softplus(Z) * 4),
        ("poisson_nll", {"log_input": True}, Z + np.log(4), Z.exp() * 4),
        ("poisson_nll", {"log_input": False}, torch.nn.functional.softplus(Z) * 4, torch.nn.functional.softplus(Z) * 4),
        ("msle", {}, torch.nn.functional.softplus(Z) * 5 - 1, torch.nn.functional.softplus(Z) * 5 - 1),
    ],
)
def test_numbers(name, params, train, stand):
    found = wired(name, NUMBERS, **params)
    assert torch.allclose(found.train(Z), train)
    assert torch.allclose(found.stand(Z), stand)
    assert torch.allclose(found.read(found.stand(Z)), found.train(Z))
    assert found.view(np.array([1.0, 2])).tolist() == [1, 2]


def test_each_column_of_numbers_has_a_scale_of_its_own():
    scale = Scale.of(NUMBERS, np.array([[0.0, 100], [1, 300], [2, 500], [3, 700]]))
    assert (scale.centre.tolist(), scale.spread.tolist()) == ([1.5, 400], [1.5, 300])
    assert Scale.of(NUMBERS, np.array([0.0, 0, 0, 0, 9])).spread == pytest.approx(3.6)


@pytest.mark.parametrize(
    ("name", "task", "says"),
    [
        ("cross_entropy", LABELS, "it takes raw scores, one a class"),
        ("poisson_deviance", CLASSES, "it takes numbers > 0"),
        ("cross_entropy", NUMBERS, "it takes raw scores"),
        ("hinge_embedding", NUMBERS, "its target holds 1 or -1"),
        ("distillation_kl", CLASSES, "its target holds raw scores"),
        ("wasserstein", NUMBERS, "it takes draws"),
    ],
)
def test_a_loss_that_does_not_fit_is_refused_with_the_reason(name, task, says):
    with pytest.raises(UsageError) as refused:
        wired(name, task)
    assert says in refused.value.message
    assert task.says in refused.value.message


def test_codes_as_marks():
    assert hot(BINARY, CODES["binary"], "columns").tolist() == [[0, 1], [1, 0]]
    assert hot(BINARY, CODES["binary"], "labelled").tolist() == [[1], [0]]
    assert listed(np.array([[0, 1, 1], [0, 0, 0], [1, 1, 1]])).tolist() == [[1, 2, -1], [-1, -1, -1], [0, 1, 2]]


@pytest.mark.parametrize("task", ["classification", "binary", "multilabel", "regression"])
def test_every_loss_of_the_catalogue_is_taken_or_refused(task):
    """Whatever is taken has a finite value and a gradient; nothing ends in an error that is not ours."""
    x, y = made.MADE[task](60)
    data = made.data(x, abs(y) if task == "regression" else y)
    taken = []
    for name in LOSSES.rows():
        try:
            taken += made.candidates(name, data)
        except LossctlError:
            continue
    names = {one.loss.name for one in taken}
    assert {"mse", "l1", "huber"} <= names
    assert not names & {"zero_one", "r2", "triplet_margin", "l1_penalty", "gaussian_nll", "info_nce"}
    assert len(names) > {"classification": 60, "binary": 60, "multilabel": 40, "regression": 35}[task]
