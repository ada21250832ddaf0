import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossctl.losses.numerics import log_softmax, log_sum_exp, norm, relu, softplus, x_log_y

scores = st.lists(st.floats(-700, 700), min_size=1, max_size=6).map(np.array)


@given(scores)
def test_log_softmax_is_the_logarithm_of_the_softmax(row):
    wanted = row - (np.log(np.exp(row - row.max()).sum()) + row.max())
    np.testing.assert_allclose(log_softmax(np, row, 0), wanted, rtol=1e-12, atol=1e-12)


def test_log_softmax_of_large_scores():
    np.testing.assert_array_equal(log_softmax(np, np.array([[1000.0, 0.0], [-1000.0, -1000.0]]), 1)[0], [0.0, -1000.0])


@given(scores, st.floats(-500, 500))
def test_log_sum_exp_moves_with_its_scores(row, shift):
    # Far above exp's range the shift is what keeps the sum finite.
    np.testing.assert_allclose(log_sum_exp(np, row + shift, 0), log_sum_exp(np, row, 0) + shift, rtol=1e-12, atol=1e-10)


def test_log_sum_exp_of_infinities():
    rows = np.array([[-np.inf, -np.inf], [-np.inf, 0.0], [800.0, 800.0]])
    np.testing.assert_allclose(log_sum_exp(np, rows, 1), [-np.inf, 0.0, 800 + math.log(2)])


@pytest.mark.parametrize(
    ("x", "y"), [(-1e4, 0.0), (1e4, 1e4), (0.0, math.log(2)), (-40.0, math.exp(-40)), (40.0, 40 + math.exp(-40))]
)
def test_softplus(x, y):
    assert float(softplus(np, np.array(x))) == pytest.approx(y, rel=1e-15)


def test_relu():
    assert relu(np, np.array([-1.0, 0.0, 2.0])).tolist() == [0.0, 0.0, 2.0]


def test_x_log_y():
    x, y = np.array([0.0, 0.0, 2.0, 0.0, 1.0]), np.array([0.0, np.inf, math.e, np.nan, 0.0])
    with np.errstate(divide="ignore"):
        np.testing.assert_array_equal(x_log_y(np, x, y), [0.0, 0.0, 2.0, np.nan, -np.inf])


@pytest.mark.parametrize("p", [0, 0.5, 1, 1.5, 2, 3, math.inf])
def test_norm_is_torch_s(p):
    import torch

    vectors = np.random.default_rng(0).normal(size=(4, 5))
    vectors[0] = 0
    vectors[1, :2] = 0
    wanted = torch.linalg.vector_norm(torch.tensor(vectors), p, -1).numpy()
    np.testing.assert_allclose(norm(np, vectors, p, -1), wanted, rtol=1e-14)
