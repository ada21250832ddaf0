"""What can be trained under, the value of a batch, and the value on held-out rows."""

import made
import numpy as np
import pytest
import torch

from lossctl.errors import LossctlError, NoGradient, NotFinite, OutOfDomain, UsageError
from lossctl.guides.trial.running import candidate
from lossctl.losses import LOSSES
from lossctl.losses.backends import BACKENDS
from lossctl.sources.readers import Memory

TORCH = BACKENDS.get("torch")()


def made_of(name, given, tensors=None, **params):
    loss = LOSSES.get(name)
    known = {parameter.name: parameter.default for parameter in loss.signature.parameters} | params
    return candidate(name, loss, known, tensors or {}, given)


def test_the_batch_and_the_engine_agree_on_every_loss():
    """The mean that is differentiated is the mean that `compute` gives."""
    names = ("cross_entropy", "mse", "perplexity", "generalized_dice", "crammer_singer_hinge", "bce", "multilabel_margin")
    given = made.data(*made.classes())
    raw = torch.randn((len(given.test), 3), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for name in names:
        one = made_of(name, given)
        batch = one.objective(TORCH, raw, TORCH.give(one.seen(given.test.target)))
        assert float(batch) == pytest.approx(one.value(raw.numpy(), given.test.target), rel=1e-12), name


def test_weights_of_classes_count_on_both_sides():
    given = made.data(*made.classes())
    weight = {"weight": Memory(np.array([1.0, 2, 5]), "weight")}
    one = made_of("cross_entropy", given, weight)
    raw = torch.randn((len(given.test), 3), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    target = torch.tensor(given.test.target)
    wanted = torch.nn.functional.cross_entropy(raw, target, weight=torch.tensor([1.0, 2, 5], dtype=torch.float64))
    assert float(one.objective(TORCH, raw, target)) == pytest.approx(float(wanted), rel=1e-12)
    assert one.value(raw.numpy(), given.test.target) == pytest.approx(float(wanted), rel=1e-12)


@pytest.mark.parametrize(
    ("name", "task", "error", "says"),
    [
        ("zero_one", "classification", NoGradient, "changes in steps"),
        ("r2", "regression", UsageError, "higher is better"),
        ("explained_variance", "regression", UsageError, "higher is better"),
        ("d2_pinball", "regression", UsageError, "higher is better"),
        ("gaussian_nll", "regression", UsageError, "takes pred, target, var"),
        ("l2_penalty", "regression", UsageError, "takes pred, for the task penalty"),
        ("hinge_embedding", "binary", UsageError, "for the task embedding"),
        ("msle", "regression", OutOfDomain, "outside of > -1"),
        ("gamma_deviance", "regression", OutOfDomain, "outside of > 0"),
        ("multi_pinball", "regression", UsageError, "one predicted quantile a column"),
    ],
)
def test_what_cannot_train_is_refused_with_the_reason(name, task, error, says):
    given = made.data(*made.MADE[task]())
    with pytest.raises(error) as refused:
        made_of(name, given)
    assert says in refused.value.message


def test_weights_by_row_are_refused():
    given = made.data(*made.numbers())
    with pytest.raises(UsageError, match="for each row of each batch"):
        made_of("mse", given, {"weight": Memory(np.ones(len(given.train)), "weight")})


def test_a_loss_of_somebody_else_s_that_does_not_fit_is_refused():
    given = made.data(*made.classes())
    with pytest.raises(LossctlError):
        made.candidates("torch.nn:HuberLoss", given)


def test_a_loss_without_a_finite_slope_at_the_start_is_refused(tmp_path):
    path = tmp_path / "steep.py"
    path.write_text(
        "import torch\ndef steep(pred, target):\n    return torch.sqrt((0 * pred).sum()) + (target - target).sum()\n"
    )
    with pytest.raises(NotFinite, match="no finite gradient"):
        made.candidates(f"{path}:steep", made.data(*made.numbers()))
