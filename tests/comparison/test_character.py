"""What is measured of a loss is what is known of it."""

import pytest

from lossctl.comparison.character import Character, character
from lossctl.losses import LOSSES, catalogue
from lossctl.losses.loss import Array, loss, scalars
from lossctl.losses.words import Positive, Real
from lossctl.request.lookup import look_up


def of(name, **params):
    one = LOSSES.get(name)
    return character(one, scalars(one, params))


@pytest.mark.parametrize(
    ("name", "params", "robust", "convex", "estimates"),
    [
        ("mse", {}, "no", "yes", "mean"),
        ("l1", {}, "yes", "yes", "median"),
        ("huber", {}, "yes", "yes", "between median and mean"),
        ("huber", {"delta": 1e-4}, "yes", "yes", "median"),
        ("huber", {"delta": 100}, "yes", "yes", "mean"),
        ("pinball", {"q": 0.9}, "yes", "yes", "quantile 0.9"),
        ("pinball", {"q": 0.25}, "yes", "yes", "quantile 0.25"),
        ("expectile", {"tau": 0.8}, "no", "yes", "expectile 0.8"),
        ("tukey", {}, "redescending", "no", "mode-like"),
        ("cauchy", {}, "redescending", "no", "mode-like"),
        ("cauchy", {"scale": 1000}, "redescending", "no", "mean"),
        ("welsch", {}, "redescending", "no", "mode-like"),
        ("log_cosh", {}, "yes", "yes", "between median and mean"),
        ("mape", {}, "no", "yes", "median weighted by 1 / target"),
        ("msle", {}, "no", "no", "geometric mean of 1 + target, minus 1"),
        ("poisson_deviance", {}, "no", "yes", "mean"),
        ("poisson_nll", {}, "no", "yes", "log of the mean"),
        ("gamma_deviance", {}, "no", "no", "mean"),
        ("barron", {"alpha": 2}, "no", "yes", "mean"),
        ("barron", {"alpha": -2}, "redescending", "no", "mode-like"),
        ("bce", {}, "no", "yes", "class probabilities"),
        ("bce_with_logits", {}, "yes", "yes", "class probabilities"),
        ("focal", {}, "yes", "no", "most likely class"),
        ("hinge", {}, "yes", "yes", "most likely class"),
        ("squared_hinge", {}, "no", "yes", "class probabilities"),
        ("exponential", {}, "no", "yes", "class probabilities"),
        ("cross_entropy", {}, "yes", "yes", "class probabilities"),
        ("nll", {}, "yes", "yes", "class probabilities"),
        ("brier", {}, "yes", "yes", "class probabilities"),
        ("log_loss", {}, "no", "yes", "class probabilities"),
        ("multi_margin", {}, "yes", "yes", "most likely class"),
        ("rmse", {}, None, None, "mean"),
        ("wape", {}, None, None, "median"),
        ("top_k_error", {"k": 1}, None, "no", "most likely class"),
    ],
)
def test_known_losses(name, params, robust, convex, estimates):
    found = of(name, **params)
    assert (found.says, found.says_convex, found.estimates) == (robust, convex, estimates)


@pytest.mark.parametrize("name", ["r2", "giou", "info_nce", "ctc", "triplet_margin", "js_div", "zero_one", "margin_ranking"])
def test_other_losses_have_no_character_here(name):
    assert of(name) == Character()


@pytest.mark.parametrize("one", catalogue().values(), ids=lambda one: one.name)
def test_every_loss_is_measured_without_torch(one, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    found = character(one, scalars(one, {}))
    assert found.redescending in {None, False} or found.robust


def test_loss_of_somebody_else_s_is_measured_too():
    huber = look_up("torch.nn:HuberLoss")
    found = character(huber, scalars(huber, {"delta": 2.0}))
    assert (found.says, found.says_convex, found.estimates) == ("yes", "yes", "between median and mean")


def test_loss_of_somebody_else_s_that_takes_no_numbers_has_no_character():
    entropy = look_up("torch.nn:CrossEntropyLoss")
    assert character(entropy, scalars(entropy, {})) == Character()


def test_a_fault_in_our_own_loss_is_not_hidden():
    @loss("regression", source="here")
    def broken(xp, pred: Real, target: Real, *, scale: Positive = 1.0) -> Array:
        return xp.missing(pred, target, scale)

    with pytest.raises(AttributeError):
        character(broken, {"scale": 1.0})


def test_parameters_count_as_typed():
    @loss("regression", source="here")
    def leaning(xp, pred: Real, target: Real, *, up: Positive = 1.0) -> Array:
        return xp.where(pred < target, up, 1.0) * (pred - target) ** 2

    assert character(leaning, {"up": 1.0}).estimates == "mean"
    assert not character(leaning, {"up": 9.0}).estimates
    assert character(leaning, {"up": 9.0}).convex is True
