"""What clipping would do, against torch's own."""

import numpy as np
import pytest
import torch
from differentiating import answered
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from lossctl.gradient import profile
from lossctl.gradient.gathering import Clipped
from lossctl.gradient.profile import Profile, look

NUMBERS = st.floats(-100, 100).map(lambda number: round(number, 3))
MATRICES = arrays.arrays(np.float64, st.tuples(st.integers(1, 9), st.integers(1, 4)), elements=NUMBERS)
BOUNDS = st.floats(0.01, 150)


def facts(array, norm=None, value=None, step=2):
    """What is said of an array that comes in parts of `step` samples."""
    clipped, found = Clipped(norm, value), Profile()
    for start in range(0, len(array), step):
        part = array[start : start + step]
        clipped.add(clipped.look(part, 0))
        found.add(look(part, (start,) + (0,) * (array.ndim - 1), 0, 0.0))
    return clipped.facts(found)


def clipped_by_torch(array, clip):
    parameter = torch.nn.Parameter(torch.zeros(array.shape, dtype=torch.float64))
    parameter.grad = torch.from_numpy(np.array(array))
    clip(parameter)
    return parameter.grad.numpy()


@given(MATRICES, BOUNDS)
def test_by_norm(array, bound):
    found = facts(array, norm=bound)["by_norm"]
    after = clipped_by_torch(array, lambda one: torch.nn.utils.clip_grad_norm_(one, bound))
    rows = np.linalg.norm(array, axis=1)
    assert found["bound"] == bound
    assert found["before"] == pytest.approx(np.linalg.norm(array), rel=1e-12)
    assert found["after"] == pytest.approx(np.linalg.norm(after), rel=1e-9)
    np.testing.assert_allclose(array * found["factor"], after, rtol=1e-9)
    assert found["samples_touched"] == np.mean((array != after).any(axis=1))
    assert found["samples_longer_than_bound"] == pytest.approx(np.mean(rows > bound), abs=np.mean(np.isclose(rows, bound)))


@given(MATRICES, BOUNDS)
def test_by_value(array, bound):
    found = facts(array, value=bound)["by_value"]
    after = clipped_by_torch(array, lambda one: torch.nn.utils.clip_grad_value_([one], bound))
    assert found["after"] == pytest.approx(np.linalg.norm(after), rel=1e-12)
    assert found["elements_touched"] == np.mean(array != after)
    assert found["samples_touched"] == np.mean((array != after).any(axis=1))
    lengths = np.linalg.norm(array) * np.linalg.norm(after)
    cosine = float(np.vdot(array, after) / lengths) if lengths else np.nan
    assert found["cosine"] == pytest.approx(cosine, rel=1e-12, nan_ok=True)


def test_many_samples_are_counted_alike(monkeypatch):
    array = np.random.default_rng(3).normal(size=(50, 2)) * (np.arange(50) % 3 > 0)[:, None]
    few = facts(array, norm=0.5)
    monkeypatch.setattr(profile, "SORTED", 10)
    assert facts(array, norm=0.5) == few
    assert few["by_norm"]["samples_touched"] == 33 / 50


@pytest.mark.parametrize("array", [np.array([3.0, -4.0, 0.0]), np.array([[3.0], [-4.0], [0.0]])])
def test_one_number_a_sample(array):
    found = facts(array, norm=1, value=3.5)
    assert found["by_norm"]["samples_touched"] == 2 / 3
    assert found["by_norm"]["samples_longer_than_bound"] == 2 / 3
    assert found["by_value"]["samples_touched"] == found["by_value"]["elements_touched"] == 1 / 3


def test_nothing_is_asked_or_there():
    assert facts(np.ones((3, 2))) == {}
    assert facts(np.zeros((0, 2)), norm=1.0)["by_norm"]["after"] == 0


def test_both_in_the_document(save):
    save(p=np.array([1.0, 5.0, 3.0]), t=np.array([1.0, 1.0, 2.0]))
    clip = answered("mse", "p.npy", "t.npy", "--reduction", "sum", "--clip-norm", 1, "--clip-value", 4)["gradients"][0]["clip"]
    assert clip["by_norm"]["before"] == clip["by_value"]["before"] == pytest.approx(np.sqrt(68))
    assert clip["by_norm"]["after"] == pytest.approx(1, abs=1e-6)
    assert clip["by_value"]["after"] == pytest.approx(np.sqrt(20))
    assert clip["by_value"]["cosine"] == pytest.approx((32 + 4) / np.sqrt(20 * 68))


def test_a_single_number(save):
    save(p=np.array(5.0), t=np.array(1.0))
    clip = answered("mse", "p.npy", "t.npy", "--clip-norm", 2, "--clip-value", 3)["gradients"][0]["clip"]
    assert (clip["by_norm"]["after"], clip["by_value"]["after"]) == (pytest.approx(2, abs=1e-5), 3)
    assert clip["by_value"]["samples_touched"] == clip["by_norm"]["samples_touched"] == 1
