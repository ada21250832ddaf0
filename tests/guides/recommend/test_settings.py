"""Parameters from data, by hand; and the lines that they are filled into."""

import math

import numpy as np
import pytest

from lossctl.guides.recommend import deriving as settings
from lossctl.guides.recommend.advice import advise
from lossctl.guides.recommend.deriving import Derived, command, derive, keras_line, objectives, torch_line
from lossctl.guides.recommend.knowledge import expressions
from lossctl.losses import catalogue
from lossctl.sources.readers import Memory


def derived(loss, facts=None, **answers):
    return {one.param: one.value for one in derive(loss, facts or {}, {"task": "regression", **answers})}


@pytest.mark.parametrize(
    ("function", "facts", "answers", "expected"),
    [
        ("huber_width_of_residuals", {"residual_mad": 2.0, "mad": 9.0}, {}, 2.69),
        ("huber_width_of_target", {"mad": 2.0}, {}, 2.69),
        ("huber_width_of_target", {"mad": 0.0}, {}, None),
        ("tukey_width", {"residual_mad": 1.0, "mad": 9.0}, {}, 4.685),
        ("cauchy_width", {"mad": 1.0}, {}, 1.686),
        ("welsch_width", {"mad": 1.0}, {}, 2.111),
        ("cost_ratio", {}, {"over_cost": 2.0, "under_cost": 6.0}, 3.0),
        ("cost_quantile", {}, {"over_cost": 2.0, "under_cost": 6.0}, 0.75),
        ("cost_of_over", {}, {"over_cost": 2.0, "under_cost": 6.0}, 0.25),
        ("cost_quantile", {}, {"over_cost": 2.0}, None),
        ("negatives_per_positive", {"positive_share": 0.2}, {}, 4.0),
        ("negatives_per_positive_by_label", {"column_means": [0.5, 0.2]}, {}, [1.0, 4.0]),
        ("negatives_per_positive_by_label", {"column_means": [0.5, 0.0]}, {}, None),
        ("balanced_weights", {"class_counts": [30, 10]}, {}, [2 / 3, 2.0]),
        ("balanced_weights", {"class_counts": [0, 30, 10]}, {}, None),
        ("class_counts", {"class_counts": [30, 10]}, {}, [30.0, 10.0]),
        ("first_quantile", {}, {"quantiles": [0.9]}, 0.9),
        ("all_quantiles", {}, {}, [0.05, 0.5, 0.95]),
        ("outside_interval", {}, {"quantiles": [0.1, 0.9]}, 0.2),
        ("outside_interval", {}, {"quantiles": [0.1]}, None),
        ("poisson_power", {}, {}, 1.0),
        ("middle_power", {}, {}, 1.5),
        ("rates_or_logarithms", {"pred_low": 0.5, "pred_mean": 3.0, "mean": 3.0}, {}, 0.0),
        ("rates_or_logarithms", {"pred_low": 0.5, "pred_mean": math.log(3), "mean": 3.0}, {}, None),
        ("rates_or_logarithms", {"pred_low": -0.5, "pred_mean": 3.0, "mean": 3.0}, {}, None),
        ("rates_or_logarithms", {"pred_low": 0.5, "pred_mean": 1e6, "mean": 1e6}, {}, 0.0),
        ("compound_power", {"zero_share": 0.0, "mean": 1.0, "std": 1.0}, {}, None),
    ],
)
def test_a_function(function, facts, answers, expected):
    found = settings.FUNCTIONS[function](facts, answers)
    assert found is None if expected is None else found == pytest.approx(expected)


@pytest.mark.parametrize("shape", [0.5, 1.0, 4.0])
def test_the_compound_power_is_that_of_the_distribution(shape):
    rate, scale = 1.2, 3.0
    mean = rate * shape * scale
    variance = rate * shape * (1 + shape) * scale**2
    facts = {"zero_share": math.exp(-rate), "mean": mean, "std": math.sqrt(variance)}
    assert settings.compound_power(facts, {}) == pytest.approx((shape + 2) / (shape + 1))


@pytest.mark.parametrize(
    ("width", "weight"), [("CAUCHY", lambda u: 1 / (1 + u * u / 2)), ("WELSCH", lambda u: math.exp(-u * u / 2))]
)
def test_widths_keep_95_percent_of_the_efficiency_on_normal_errors(width, weight):
    c = getattr(settings, width)
    z = np.linspace(-9, 9, 20_001)
    density = np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    psi = np.array([one * weight(one / c) for one in z])
    slope = np.gradient(psi, z)
    step = z[1] - z[0]
    efficiency = (slope * density).sum() ** 2 * step / (psi * psi * density).sum()
    assert efficiency == pytest.approx(0.95, abs=0.003)


def test_the_errors_go_before_the_target():
    assert derived("huber", {"residual_mad": 1.0, "mad": 9.0}) == {"delta": 1.345}
    assert derived("huber", {"mad": 1.0}) == {"delta": 1.345}
    assert derived("huber") == {}


def test_costs_go_before_balance():
    facts = {"positive_share": 0.1}
    assert derived("bce_with_logits", facts, task="binary", imbalance="yes") == {"pos_weight": 9.0}
    assert derived("bce_with_logits", facts, task="binary", imbalance="no") == {}
    both = {"imbalance": "yes", "over_cost": 1.0, "under_cost": 3.0}
    assert derived("bce_with_logits", facts, task="binary", **both) == {"pos_weight": 3.0}


@pytest.mark.parametrize(
    ("loss", "facts", "answers", "line", "torch", "keras"),
    [
        (
            "huber",
            {"mad": 1.0},
            {},
            "huber:delta=1.345 PRED TARGET",
            "nn.HuberLoss(delta=1.345)",
            "keras.losses.Huber(delta=1.345)",
        ),
        ("kl_div", {}, {}, "kl_div PRED TARGET --reduction batchmean", "nn.KLDivLoss(reduction='batchmean')", ""),
        (
            "cross_entropy",
            {"class_counts": [30, 10]},
            {"task": "multiclass", "imbalance": "yes"},
            "cross_entropy:weight=0.6667,2 PRED TARGET",
            "nn.CrossEntropyLoss(weight=torch.tensor([0.6667, 2]))",
            "keras.losses.SparseCategoricalCrossentropy(from_logits=True)",
        ),
        ("giou", {}, {}, "giou PRED TARGET", "torchvision.ops.generalized_box_iou_loss(pred, target, reduction='mean')", ""),
        ("ctc", {}, {}, "ctc PRED TARGET INPUT_LENGTHS TARGET_LENGTHS", "nn.CTCLoss()", ""),
        ("dice", {}, {}, "dice PRED TARGET", "smp.losses.DiceLoss(mode='binary', from_logits=False)", "keras.losses.Dice()"),
        ("zlpr", {}, {}, "zlpr PRED TARGET", "timm.loss.ZlprLoss()", ""),
    ],
)
def test_lines(loss, facts, answers, line, torch, keras):  # noqa: PLR0913, PLR0917 - three lines of three things
    found = derive(loss, facts, {"task": "regression", **answers})
    one = catalogue()[loss]
    assert command(one, found, ()) == f"lossctl compute {line}"
    assert torch_line(one, found) == torch
    assert keras_line(one, found) == keras


def test_torch_lines_of_all_recommended_losses_make_the_module():
    import torch

    names = {"torch": torch, "nn": torch.nn}

    rng = np.random.default_rng(0)
    for target in (rng.normal(0, 1, 200), rng.choice(3, 200, p=[0.8, 0.15, 0.05]), (rng.random(200) < 0.1).astype(int)):
        for choice in advise({}, target=Memory(target, "target")).choices:
            line = choice.as_dict()["torch"]
            if line and line.startswith("nn."):
                assert isinstance(eval(line, names), torch.nn.Module)  # noqa: S307 - our own line


@pytest.mark.parametrize("name", expressions())
def test_an_expression_in_torch_gives_what_the_catalogue_gives(name):
    import torch

    loss = catalogue()[name]
    names = [argument.name for argument in loss.signature.inputs]
    for example in loss.examples:
        given = [Derived(param, value, "", "", "") for param, value in example.keywords.items()]
        arrays = {word: torch.tensor(value, dtype=torch.float64) for word, value in zip(names, example.inputs, strict=True)}
        if loss.signature.inputs[-1].word.index:
            arrays["target"] = arrays["target"].long()
        line = torch_line(loss, given)
        found = eval(line, {"torch": torch, "F": torch.nn.functional, "math": math} | arrays)  # noqa: S307 - our own line
        assert float(found) == pytest.approx(example.value, rel=2e-5, abs=1e-9)


def test_files_with_odd_names_are_quoted():
    assert command(catalogue()["mse"], [], ["my pred.npy", "t.npy"]) == "lossctl compute mse 'my pred.npy' t.npy"


def test_objectives_of_boosted_trees():
    assert objectives(catalogue()["gamma_deviance"]) == {"lightgbm": "gamma", "xgboost": "reg:gamma"}
    assert objectives(catalogue()["ctc"]) == {}
