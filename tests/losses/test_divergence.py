import itertools
import math

import numpy as np
import pytest
from ask import ask, value
from hypothesis import given
from hypothesis import strategies as st

from lossctl.errors import BadParameter, LossctlError, NoSuchReduction, OutOfDomain, ShapeMismatch
from lossctl.request.options import Options

draws = st.lists(st.integers(-5, 5).map(float) | st.floats(-10, 10), min_size=1, max_size=7)
masses = st.floats(0.01, 10)


@pytest.mark.parametrize("shape", [(), (5,), (4, 5), (2, 3, 4), (1, 2, 3)], ids=str)
@pytest.mark.parametrize("log_target", [False, True])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none", "batchmean"])
@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")
def test_kl_div_is_torch_s(shape, log_target, reduction):
    import torch

    rng = np.random.default_rng(0)
    pred, target = np.log(rng.uniform(0.1, 1, size=shape)), np.asarray(rng.uniform(0, 1, size=shape))
    if shape:
        target[..., 0] = 0
    target = np.log(target + 0.1) if log_target else target
    wanted = torch.nn.functional.kl_div(torch.tensor(pred), torch.tensor(target), reduction=reduction, log_target=log_target)
    found = value("kl_div", pred, target, log_target=log_target, options=Options(reduction=reduction))
    np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-12, atol=1e-14)


def test_batchmean_divides_by_the_batch_after_squeezing_too():
    pred, target = np.log([[0.2, 0.8]]), [[0.5, 0.5]]
    wanted = 0.5 * math.log(0.5 / 0.2) + 0.5 * math.log(0.5 / 0.8)
    for squeeze in (True, False):
        found = value("kl_div", pred, target, options=Options(reduction="batchmean", squeeze=squeeze))
        assert found == pytest.approx(wanted, rel=1e-14)


def test_only_log_target_may_be_negative():
    assert value("kl_div", [-1.0], [-1.0], log_target=True) == 0
    with pytest.raises(OutOfDomain, match=r"target \(target\) at \[0\] is -1, outside of >= 0"):
        ask("kl_div", [-1.0], [-1.0])


def test_no_other_loss_has_batchmean():
    with pytest.raises(NoSuchReduction, match="mse has no reduction 'batchmean'"):
        ask("mse", [1], [1], options=Options(reduction="batchmean"))


def by_quadrature(u, v, u_weights, v_weights, p):
    """Integrate |F^-1 - G^-1|^p from level to level, the plain way."""
    sides = []
    for draws_, weights in ((u, u_weights), (v, v_weights)):
        pairs = sorted(zip(draws_, weights, strict=True))
        levels = itertools.accumulate(weight / math.fsum(weights) for _, weight in pairs)
        sides.append([(level, draw) for level, (draw, _) in zip(levels, pairs, strict=True)])
    cuts = sorted({0.0, 1.0} | {min(level, 1.0) for side in sides for level, _ in side})

    def inverse(side, level):
        return next((draw for upto, draw in side if upto >= level), side[-1][1])

    return math.fsum(
        (stop - start) * abs(inverse(sides[0], (start + stop) / 2) - inverse(sides[1], (start + stop) / 2)) ** p
        for start, stop in itertools.pairwise(cuts)
    )


@given(draws, draws, st.data(), st.sampled_from([1.0, 2.0, 2.5]))
def test_wasserstein_is_its_integral(u, v, data, p):
    u_weights = data.draw(st.lists(masses, min_size=len(u), max_size=len(u)))
    v_weights = data.draw(st.lists(masses, min_size=len(v), max_size=len(v)))
    ones = [1.0] * len(u), [1.0] * len(v)
    assert value("wasserstein", u, v, p=p) == pytest.approx(by_quadrature(u, v, *ones, p), rel=1e-9, abs=1e-9)
    found = value("wasserstein", u, v, u_weights=u_weights, v_weights=v_weights, p=p)
    assert found == pytest.approx(by_quadrature(u, v, u_weights, v_weights, p), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    ("u", "v", "named", "distance"),
    [
        # scipy.stats.wasserstein_distance gives these for p = 1.
        ([0, 1, 3], [5, 6, 8], {}, 5.0),
        ([0, 1, 3], [5, 6], {}, 25 / 6),
        ([0, 1], [0, 1], {"u_weights": [3, 1], "v_weights": [2, 2]}, 0.25),
        ([3.4, 3.9, 7.5, 7.8], [4.5, 1.4], {"u_weights": [1.4, 0.9, 3.1, 7.2], "v_weights": [3.2, 3.5]}, 4.0781331438047861),
        ([1, 1, 1], [1, 1], {}, 0.0),
        ([0, 0, 5], [0, 5, 5], {"u_weights": [0, 1, 1]}, 5 / 6),
        ([0, 1, 3], [5, 6, 8], {"p": 2}, 25.0),
    ],
)
def test_wasserstein_of_known_samples(u, v, named, distance):
    assert value("wasserstein", u, v, **named) == pytest.approx(distance, rel=1e-14)


def test_wasserstein_does_not_care_for_order_or_side():
    rng = np.random.default_rng(0)
    u, v = rng.normal(size=50), rng.normal(size=31)
    once = value("wasserstein", u, v)
    assert value("wasserstein", u[::-1], rng.permutation(v)) == once
    assert value("wasserstein", v, u) == pytest.approx(once, rel=1e-13)


@pytest.mark.parametrize(
    ("u", "v", "named", "error", "message"),
    [
        ([1, 2], [1], {"u_weights": [1]}, ShapeMismatch, r"u_weights \(u_weights\) has shape \(1,\)"),
        ([1, 2], [1], {"u_weights": [1, -1]}, OutOfDomain, r"at \[1\] is -1"),
        ([1, 2], [1], {"u_weights": [0, 0]}, LossctlError, "wasserstein is nan"),
        ([1, 2], [1], {"p": 0.5}, BadParameter, "takes a number >= 1"),
        ([[1], [2]], [1], {}, ShapeMismatch, r"it must be \(N,\)"),
        ([], [1], {}, LossctlError, "no samples to work on"),
        ([1], [], {}, LossctlError, "no samples to work on"),
    ],
)
def test_wasserstein_refuses(u, v, named, error, message):
    with pytest.raises(error, match=message):
        ask("wasserstein", u, v, **named)
