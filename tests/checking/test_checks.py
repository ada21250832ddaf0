"""CHECKS x LOSSES: a new loss adds these tests and no test code. And each check fails on a loss that breaks its promise."""

from dataclasses import replace

import golden
import pytest

from lossctl.checking.checks import CHECKS, run_check
from lossctl.losses import LOSSES, catalogue
from lossctl.losses.loss import loss
from lossctl.losses.words import Real


@pytest.mark.parametrize("name", list(catalogue()))
@pytest.mark.parametrize("check", list(CHECKS))
def test_loss_keeps_its_promise(check, name):
    result, detail = run_check(CHECKS[check], LOSSES.get(name))
    assert result in {"passed", "skipped"}, detail


def broken(**traits):
    return loss("regression", source="none", **traits)


@broken()
def coupled(xp, pred: Real, target: Real):
    """Depends on which samples are together."""
    return (pred - xp.mean(pred)) ** 2 + target


@broken()
def leaky(xp, pred: Real, target: Real):  # noqa: ARG001
    """Writes into its input."""
    pred -= target
    return pred * pred


@broken()
def hidden(xp, pred: Real, target: Real):
    """Hides a part of its value from the gradient."""
    return (pred - target) ** 2 + xp.floor(xp.abs(pred) * 1e9) * 1e-9


@broken()
def infinite(xp, pred: Real, target: Real):  # noqa: ARG001
    """Overflows far out."""
    return xp.exp(xp.abs(pred))


@broken()
def ordered(xp, pred: Real, target: Real):
    """Weighs samples by their place."""
    return xp.cumulative_sum(xp.ones_like(pred), axis=0) * (pred - target) ** 2


@broken(torch="mse_loss")
def mistaken(xp, pred: Real, target: Real):
    """Is not what it says.

    example: [1], [0] -> 2
    """
    return xp.abs(pred - target)


@broken()
def numpy_only(xp, pred: Real, target: Real):
    """Uses what only NumPy has."""
    return xp.ascontiguousarray(pred - target)


@broken(spreads=True)
def forgetful(xp, pred: Real, target: Real):
    """Hides a NaN, although it says that it does not."""
    return xp.where(xp.isfinite(pred), pred - target, xp.zeros_like(pred)) ** 2


@broken(whole=True)
def random_sum(xp, pred: Real, target: Real):  # noqa: ARG001
    """Gives another unreduced array than the one that it sums."""
    random_sum.calls.append(1)
    return abs(pred - target) * len(random_sum.calls)


object.__setattr__(random_sum, "calls", [])


@pytest.mark.parametrize(
    ("check", "wrong"),
    [
        ("doc", ordered),
        ("example", mistaken),
        ("cuts", coupled),
        ("permutation", ordered),
        ("reductions", random_sum),
        ("backends", numpy_only),
        ("strict", leaky),
        ("twin", mistaken),
        ("gradient", hidden),
        ("spread", forgetful),
        ("edges", infinite),
    ],
)
def test_check_fails_on_a_loss_that_breaks_its_promise(check, wrong):
    assert run_check(CHECKS[check], wrong)[0] == "failed"


def test_every_check_has_a_loss_that_breaks_it():
    marks = test_check_fails_on_a_loss_that_breaks_its_promise.pytestmark
    assert {check for check, _ in marks[0].args[1]} == set(CHECKS)


def test_a_loss_that_is_not_additive_must_say_whole():
    assert run_check(CHECKS["cuts"], coupled)[0] == "failed"
    assert run_check(CHECKS["cuts"], replace(coupled, whole=True))[0] == "skipped"


@pytest.mark.parametrize("name", ["mse", "cross_entropy"])
def test_without_torch_a_loss_breaks_no_promise(name, tmp_path):
    prelude = "sys.modules['torch'] = None"
    done = golden.run({"argv": f"verify {name} -f csv", "prelude": prelude}, tmp_path)
    assert (done.code, done.stderr, "failed" in done.stdout) == (0, "", False)
    skipped = [line.split(",", 3) for line in done.stdout.splitlines() if "'torch', which is not installed" in line]
    assert [(check, result) for _, check, result, _ in skipped] == [
        ("backends", "skipped"),
        ("twin", "skipped"),
        ("gradient", "skipped"),
    ]
