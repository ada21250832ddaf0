import itertools
import math

import numpy as np
import pytest
from ask import ask, none, value
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lossctl.errors import BadParameter, LossctlError, OutOfDomain, ShapeMismatch
from lossctl.request.options import Options

moderate = arrays(np.float64, 5, elements=st.floats(-1e3, 1e3))


@pytest.mark.parametrize("name", ["mse", "l1", "huber"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_element_weights_are_torch_s(name, weighted, reduction):
    import torch

    pred, target, weight = np.random.default_rng(0).uniform(0, 3, size=(3, 4, 5))
    given = {"weight": weight} if weighted else {}
    function = getattr(torch.nn.functional, f"{name}_loss")
    wanted = function(
        torch.tensor(pred), torch.tensor(target), **{n: torch.tensor(t) for n, t in given.items()}, reduction=reduction
    )
    found = value(name, pred, target, **given, options=Options(reduction=reduction))
    np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-13)


def test_huber_divides_weighted_errors_by_their_number_and_mse_by_their_weight():
    assert value("mse", [0.5, 0.5], [0, 0], weight=[1, 3]) == 0.25
    assert value("huber", [0.5, 0.5], [0, 0], weight=[1, 3]) == 0.25


def test_element_weights_do_not_broadcast():
    with pytest.raises(ShapeMismatch, match=r"weight \(weight\) has shape \(2,\)"):
        ask("mse", np.ones((3, 2)), np.ones((3, 2)), weight=[1, 2])


@given(moderate, moderate)
def test_huber_of_a_wide_delta_is_half_of_mse(pred, target):
    assert value("huber", pred, target, delta=1e6) == pytest.approx(value("mse", pred, target) / 2, rel=1e-12)


@given(moderate, moderate)
def test_rmse_is_the_root_of_mse(pred, target):
    assert value("rmse", pred, target) == math.sqrt(value("mse", pred, target))


@given(moderate, moderate)
def test_losses_of_an_error_do_not_care_which_is_which(pred, target):
    for name in ("mse", "l1", "huber", "rmse"):
        assert value(name, pred, target) == value(name, target, pred)


@pytest.mark.parametrize("delta", [0, -1, "nan", "inf", "wide"])
def test_huber_without_a_delta(delta):
    with pytest.raises(BadParameter, match="'delta' takes a number > 0"):
        ask("huber", [1], [0], delta=delta)


def every_shape(longest):
    return [shape for rank in range(longest + 1) for shape in itertools.product((1, 2, 3), repeat=rank)]


def torch_gaussian(pred, target, var, **more):
    """What torch says; None where it refuses the shape."""
    import torch

    try:
        return torch.nn.functional.gaussian_nll_loss(
            torch.tensor(pred), torch.tensor(target), torch.tensor(var), **more
        ).numpy()
    except ValueError:
        return None


def our_gaussian(pred, target, var):
    try:
        return none("gaussian_nll", pred, target, var)
    except ShapeMismatch:
        return None


@pytest.mark.parametrize("shape", every_shape(3)[1:], ids=str)
def test_gaussian_var_takes_the_shapes_that_torch_takes(shape):
    rng = np.random.default_rng(0)
    pred, target = rng.normal(size=(2, *shape))
    # torch takes a plain number too, which here is an array without axes.
    for beside in every_shape(4)[1:]:
        var = rng.uniform(0.5, 2, size=beside)
        wanted, found = torch_gaussian(pred, target, var, reduction="none"), our_gaussian(pred, target, var)
        assert (found is None) == (wanted is None), beside
        if wanted is not None and found is not None:
            np.testing.assert_allclose(found, wanted, rtol=1e-13, err_msg=str(beside))


@pytest.mark.parametrize("shape", [(), (3,), (3, 2), (2, 3, 4)])
def test_gaussian_var_may_be_a_single_number(shape):
    pred, target = np.random.default_rng(0).normal(size=(2, *shape))
    wanted = torch_gaussian(pred, target, np.full(shape, 2.5), full=True)
    assert value("gaussian_nll", pred, target, 2.5, full=True) == pytest.approx(float(wanted), rel=1e-14)


def test_gaussian_var_is_raised_to_eps():
    assert value("gaussian_nll", [1.0], [1.0], [0.0], eps=0.01) == pytest.approx(0.5 * math.log(0.01))


def test_gaussian_var_is_no_logarithm():
    with pytest.raises(OutOfDomain, match=r"var \(var\) at \[1\] is -0\.5, outside of >= 0"):
        ask("gaussian_nll", [1, 2], [1, 2], [1, -0.5])


@pytest.mark.parametrize(
    "pair", [((2, 1), (2,)), ((2,), (1,)), ((2, 3), (3,)), ((2, 3), (3, 2)), ((1,), ()), ((2, 3), (2, 3, 1))]
)
@pytest.mark.parametrize("name", ["mse", "l1", "huber", "rmse", "kl_div", "bce_with_logits", "dice"])
def test_shapes_that_merely_broadcast_are_refused(name, pair):
    with pytest.raises(ShapeMismatch, match=r"pred \(pred\) has shape .* and target \(target\) has shape"):
        ask(name, np.zeros(pair[0]), np.zeros(pair[1]))


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint64, np.int64, np.float16, np.float32, ">f4", ">i2", np.longdouble])
@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_any_type_is_calculated_in_float64(dtype, backend):
    # uint8 would wrap 0 - 100 to 156, int8 would overflow 100 * 100, float16 ends at 65504 and holds no 1/3.
    pred, target = np.array([0, 100, 7], dtype), np.array([100, 0, 6], dtype)
    assert value("mse", pred, target, options=Options(backend=backend)) == 20001 / 3


def test_true_and_false_are_1_and_0():
    assert value("mse", np.array([True, False]), np.array([False, False])) == 0.5


def test_float16_errors_do_not_overflow():
    assert value("mse", np.array([3e4], np.float16), np.array([-3e4], np.float16)) == 60000.0**2
    with pytest.raises(LossctlError, match="mse is inf, although every input is finite"):
        ask("mse", np.array([3e4], np.float16), np.array([-3e4], np.float16), options=Options(dtype="native"))
