"""Every loss of the catalogue: blocks of a few samples on any number of threads give what torch gives for the whole."""

import numpy as np
import pytest
from differentiating import at_once, real_inputs, real_params, streamed, tied

from lossctl.checking import checks
from lossctl.losses import LOSSES, catalogue

SMOOTH = [loss.name for loss in catalogue().values() if not loss.flat]
# Enough samples for threads to be started: below eight blocks they are not.
SAMPLES = 19


@pytest.fixture
def bound(request, monkeypatch):
    name, varied = request.param
    monkeypatch.setitem(checks.SIZES, "n", SAMPLES)
    loss = LOSSES.get(name)
    return tied(loss, checks.draw(loss, varied=varied))


EVERY = pytest.mark.parametrize(
    "bound",
    [(name, varied) for name in SMOOTH for varied in (False, True)],
    indirect=True,
    ids=lambda one: f"{one[0]}-{one[1]}",
)


def expected_blocks(bound, samples):
    return 1 if bound.loss.whole else -(-bound.n // samples)


def assert_close(found, wanted):
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12 * max(1.0, np.abs(wanted).max(initial=0.0)))


@EVERY
def test_blocks_add_up_to_the_whole(bound):
    assert real_inputs(bound)
    for reduction in sorted({"mean", "sum", "batchmean"} & set(bound.loss.reductions)):
        wanted, wanted_numbers = at_once(bound, reduction, real_params(bound))
        found, numbers, blocks = streamed(bound, reduction, 2, params=real_params(bound))
        assert len(blocks) == expected_blocks(bound, 2)
        for name, array in wanted.items():
            assert_close(found[name], array)
        for name, number in wanted_numbers.items():
            assert_close(np.asarray(numbers[name]), number)


@EVERY
def test_threads_change_no_bit(bound):
    wanted, wanted_numbers, blocks = streamed(bound, "mean", 1, params=real_params(bound))
    for jobs in (2, 8):
        found, numbers, order = streamed(bound, "mean", 1, jobs, params=real_params(bound))
        assert order == blocks == sorted(blocks)
        assert len(blocks) == expected_blocks(bound, 1)
        np.testing.assert_array_equal(list(numbers.values()), list(wanted_numbers.values()))
        for name, array in wanted.items():
            np.testing.assert_array_equal(found[name], array)


@EVERY
def test_gradients_are_finite_and_some_are_not_zero(bound):
    found, _, _ = streamed(bound, "mean", 3)
    assert all(np.isfinite(array).all() for array in found.values())
    assert any(array.any() for array in found.values())
