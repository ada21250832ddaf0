"""Ways that are only faster: each gives what the plain way gives, and torch's derivative where torch follows."""

import math
from functools import partial

import numpy as np
import pytest
import torch

from lossctl.checking.checks import Drawn, gradients, twin_gradients
from lossctl.engine.binding import bind
from lossctl.engine.values import SHORT, cast
from lossctl.losses import catalogue, numerics
from lossctl.losses.loss import scalars
from lossctl.losses.numerics import at_least, at_most, either, log_of_one_and, picked, power, share, sigmoid, square_root
from lossctl.request.options import Options
from lossctl.sources.readers import Memory

ODD = [math.nan, math.inf, -math.inf, 0.0, -0.0, 5e-324, 1.0]
RNG = np.random.default_rng(3)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_either_is_where(dtype):
    yes, no = (RNG.permutation(np.array(ODD * 4, dtype)).reshape(4, -1) for _ in range(2))
    condition = RNG.random(yes.shape) < 0.5
    found = either(np, condition, yes, no)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found.view(np.uint8), np.where(condition, yes, no).view(np.uint8))


def test_either_follows_gradients():
    yes, no = (torch.arange(3.0, requires_grad=True) for _ in range(2))
    either(torch, torch.tensor([True, False, True]), yes, no).sum().backward()
    assert (yes.grad.tolist(), no.grad.tolist()) == ([1, 0, 1], [0, 1, 0])


def test_bounds_keep_what_is_not_a_number():
    x = np.array(ODD)
    np.testing.assert_array_equal(at_least(np, x, 0.5), np.maximum(x, 0.5))
    np.testing.assert_array_equal(at_most(np, x, 0.5), np.minimum(x, 0.5))


@pytest.mark.parametrize("slow", [True, False])
@pytest.mark.parametrize(("dtype", "ulps"), [(np.float64, 3), (np.float32, 3)])
def test_log_of_one_and_is_exact_to_a_few_units_however_small(monkeypatch, slow, dtype, ulps):
    monkeypatch.setattr(numerics, "slow_log1p", lambda _: slow)
    info = np.finfo(dtype)
    x = np.concatenate([np.geomspace(float(info.tiny) * 4, float(info.max) / 4, 20001), np.linspace(0, 3, 20001)]).astype(dtype)
    exact = np.log1p(x.astype(np.longdouble))
    np.testing.assert_allclose(log_of_one_and(np, x).astype(np.longdouble), exact, rtol=ulps * float(info.eps))


@pytest.mark.parametrize("slow", [True, False])
def test_log_of_one_and_has_the_same_ends(monkeypatch, slow):
    monkeypatch.setattr(numerics, "slow_log1p", lambda _: slow)
    x = np.array([-1 + 2**-53, -0.5, -0.0, 0.0, np.inf])
    np.testing.assert_allclose(log_of_one_and(np, x), np.log1p(x), rtol=1e-15)
    assert np.isnan(log_of_one_and(np, np.array([np.nan, 1.0]))).tolist() == [True, False]


def test_slow_log1p_asks_for_both(monkeypatch):
    ways = {"log": {"dd": {"current": "X86_V3"}}, "log1p": {"dd": {"current": "baseline(X86_V2)"}}}
    monkeypatch.setattr("numpy.lib.introspect.opt_func_info", lambda **_: ways)
    ask = numerics.slow_log1p.__wrapped__
    assert ask("d") is True
    ways["log1p"]["dd"]["current"] = "X86_V4"
    assert ask("d") is False
    ways.update({name: {"dd": {"current": "baseline(NEON)"}} for name in ways})
    assert ask("d") is False


def test_sigmoid_is_exact_at_both_ends():
    x = np.array([-700.0, -40.0, 0.0, 40.0, 1000.0, -1000.0, np.inf, -np.inf])
    wanted = [math.exp(-700), math.exp(-40) / (1 + math.exp(-40)), 0.5, 1.0, 1.0, 0.0, 1.0, 0.0]
    with np.errstate(over="ignore"):
        np.testing.assert_allclose(sigmoid(np, x), wanted, rtol=1e-15)


def test_sigmoid_has_a_gradient_where_it_is_0():
    x = torch.tensor([-1000.0, 0.0, 1000.0], dtype=torch.float64, requires_grad=True)
    sigmoid(torch, x).sum().backward()
    assert x.grad.tolist() == [0.0, 0.25, 0.0]


def test_parts_of_nothing_are_nothing():
    with np.errstate(divide="ignore"):
        found = share(np, np.array([0.0, 1.0, 1.0]), np.array([0.0, 2.0, 0.0]))
    np.testing.assert_array_equal(found, [0.0, 0.5, np.inf])
    assert np.isnan(share(np, np.array([np.nan]), np.array([1.0])))
    assert square_root(np, np.array([0.0, 4.0])).tolist() == [0.0, 2.0]
    assert power(np, np.array([0.0, 4.0]), 0.5).tolist() == [0.0, 2.0]


@pytest.mark.parametrize("function", [square_root, partial(power, exponent=0.5)])
def test_roots_have_gradient_0_at_0(function):
    x = torch.tensor([0.0, 4.0], requires_grad=True)
    (function(torch, x) if function is square_root else power(torch, x, 0.5)).sum().backward()
    assert x.grad.tolist() == [0.0, 0.25]


@pytest.mark.parametrize("lie", [np.ascontiguousarray, np.asfortranarray, lambda a: np.repeat(a, 2, axis=1)[:, ::2]])
def test_picked_finds_the_entry_at_each_label(lie):
    rows, index = RNG.normal(size=(6, 4)), RNG.integers(0, 4, 6)
    np.testing.assert_array_equal(picked(np, lie(rows), index), rows[np.arange(6), index])


def test_picked_finds_it_on_further_axes():
    rows, index = RNG.normal(size=(6, 4, 3)), RNG.integers(0, 4, (6, 3))
    np.testing.assert_array_equal(picked(np, rows, index), np.take_along_axis(rows, index[:, None], axis=1)[:, 0])


@pytest.mark.parametrize(("name", "shape", "order"), [("mse", (9, 3), "C"), ("cross_entropy", (9, 3), "F")])
@pytest.mark.parametrize("given", ["C", "F"])
def test_short_rows_that_are_reduced_lie_by_column(name, shape, order, given):
    bound = tied(name, np.asarray(RNG.normal(size=shape), order=given))
    array = cast(bound.slots[0].reader.array, bound.slots[0], Options())
    assert array.flags[f"{order}_CONTIGUOUS"]


def test_long_rows_lie_by_row():
    bound = tied("cross_entropy", RNG.normal(size=(9, SHORT + 1)))
    assert cast(bound.slots[0].reader.array, bound.slots[0], Options()).flags.c_contiguous


def tied(name, pred):
    target = pred if name == "mse" else np.zeros(len(pred), int)
    return bind(catalogue()[name], {"pred": Memory(pred), "target": Memory(target)}, scalars(catalogue()[name], {}), Options())


class Counted:
    """NumPy, with the calls counted that go over all elements."""

    def __init__(self):
        self.calls = []

    def __getattr__(self, name):
        self.calls.append(name)
        return getattr(np, name)


@pytest.mark.parametrize(
    ("name", "most"),
    [("mse", 0), ("huber", 1), ("smooth_l1", 1), ("l1", 1), ("log_cosh", 4), ("bce_with_logits", 5), ("bce", 4), ("hinge", 2)],
)
def test_plain_losses_choose_no_element_by_where(name, most):
    xp, loss = Counted(), catalogue()[name]
    pred, target = RNG.random(8), (RNG.random(8) < 0.5).astype(float)
    loss.terms(xp, pred, target, **scalars(loss, {}), **{tensor.name: None for tensor in loss.signature.tensors})
    calls = [call for call in xp.calls if call != "inf"]
    assert "where" not in calls
    assert len(calls) <= most


@pytest.mark.parametrize(
    ("name", "params"), [("huber", {"delta": 0.5}), ("smooth_l1", {"beta": 0.5}), ("huber", {"delta": 2.0})]
)
def test_gradients_at_kinks_are_torch_s(name, params):
    pred = np.array([0.0, 0.5, -0.5, 2.0, -2.0, 0.25, 9.0])
    drawn = Drawn({"pred": pred, "target": np.zeros(7)}, {}, scalars(catalogue()[name], params))
    found, wanted = (find(catalogue()[name], drawn) for find in (gradients, lambda *all_: twin_gradients(*all_)[1]))
    for key in found:
        np.testing.assert_allclose(found[key], wanted[key], rtol=1e-15)
