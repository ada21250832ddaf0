"""Gradients of other people's losses: their own backward, through our command."""

import foreign
import numpy as np
import pytest
import torch
from differentiating import answered, printed
from golden import ROOT

from lossctl.errors import NoGradient, OutOfDomain, PluginFailed, UsageError

HERE = ROOT / "tests" / "others.py"
REAL, OTHER = foreign.REAL, foreign.OTHER

# What is typed, and what torch has for it.
MODULES = {
    "torch.nn:HuberLoss:delta=2": (torch.nn.HuberLoss(delta=2), REAL, OTHER),
    "torch.nn:SmoothL1Loss": (torch.nn.SmoothL1Loss(), REAL, OTHER),
    "torch.nn:BCELoss": (torch.nn.BCELoss(), foreign.SHARE, foreign.ONES.astype(float)),
    "torch.nn:CrossEntropyLoss:label_smoothing=0.1": (torch.nn.CrossEntropyLoss(label_smoothing=0.1), REAL, foreign.CLASSES),
    "torch.nn:KLDivLoss": (torch.nn.KLDivLoss(), foreign.LOGS, foreign.SHARE),
    "torch.nn:SoftMarginLoss": (torch.nn.SoftMarginLoss(), REAL, foreign.ONES * 2.0 - 1),
    "torch.nn:GaussianNLLLoss": (torch.nn.GaussianNLLLoss(), REAL, OTHER, foreign.VARIANCE),
    "torch.nn:TripletMarginLoss:margin=3": (torch.nn.TripletMarginLoss(margin=3), REAL, OTHER, foreign.THIRD),
}


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", list(MODULES))
@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")
def test_modules_of_torch(name, reduction, save):
    module, *arrays = MODULES[name]
    paths = save(**{f"input{number}": array for number, array in enumerate(arrays)})
    found = answered(name, *paths, "--reduction", reduction)["gradient"]
    module.reduction = "mean" if reduction == "mean" else "sum"
    leaf, *rest = (torch.from_numpy(np.array(array)) for array in arrays)
    (wanted,) = torch.autograd.grad(module(leaf.requires_grad_(), *rest), leaf)
    np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-12, atol=1e-15)


@pytest.fixture
def pair(save):
    return save(pred=REAL, target=OTHER)


def test_a_class_with_a_weight(pair, save):
    save(w=foreign.SHARE)
    found = answered(f"{HERE}:Scaled:alpha=3,weight=@w.npy", *pair)["gradient"]
    np.testing.assert_allclose(found, 6 * foreign.SHARE * (REAL - OTHER) / REAL.size, rtol=1e-12)


def test_its_own_reductions(pair):
    for reduction, factor in (("mean", 1 / REAL.size), ("sum", 1.0)):
        found = answered(f"{HERE}:halved", *pair, "--reduction", reduction)["gradient"]
        np.testing.assert_allclose(found, factor * (REAL - OTHER), rtol=1e-12)


def test_a_wrong_backward_is_what_is_answered(pair):
    found = answered(f"{HERE}:one_wrong_backward", *pair)["gradient"]
    np.testing.assert_allclose(found, (REAL - OTHER) / REAL.size, rtol=1e-12)


def test_by_both_inputs_and_by_the_order_of_samples(pair):
    document = answered(f"{HERE}:ordered", *pair, "--wrt", "all")
    wanted = np.zeros_like(REAL)
    wanted[0] = 2 * (REAL - OTHER)[0] / REAL.shape[1]
    np.testing.assert_allclose(document["gradient"]["pred"], wanted, rtol=1e-12)
    np.testing.assert_allclose(document["gradient"]["target"], -wanted, rtol=1e-12)


def test_a_word_makes_values_be_checked(save):
    found = answered(f"{HERE}:worded", *save(pred=foreign.SHARE, target=foreign.ONES.astype(float)))["gradient"]
    np.testing.assert_allclose(found, np.sign(foreign.SHARE - foreign.ONES) / REAL.size, rtol=1e-12)


REFUSED = {
    "with_numpy": NoGradient,
    "plain_number": NoGradient,
    "detached": PluginFailed,
    "raises": OutOfDomain,
    "exits": PluginFailed,
    "endless": PluginFailed,
}


@pytest.mark.parametrize("name", list(REFUSED))
def test_what_has_no_backward_is_refused(pair, name):
    with pytest.raises(REFUSED[name], match=name):
        printed(f"{HERE}:{name}", *pair)


def test_a_parameter_of_theirs_is_no_real_number_to_us(pair):
    with pytest.raises(NoGradient, match="somebody else's"):
        printed("torch.nn:HuberLoss:delta=2", *pair, "--wrt", "param:delta")


def test_code_in_a_spec_needs_leave(pair, folder):
    inputs = "{pred: pred.npy, target: target.npy}"
    (folder / "spec.yaml").write_text(f"terms:\n- {{name: a, loss: 'torch.nn:MSELoss', inputs: {inputs}}}\n")
    with pytest.raises(UsageError, match="would run code"):
        printed("spec.yaml")
    np.testing.assert_allclose(answered("spec.yaml", "--allow-code")["gradient"], 2 * (REAL - OTHER) / REAL.size, rtol=1e-12)
    assert pair
