import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lossctl.errors import BadParameter, ShapeMismatch
from lossctl.statistics.arrays import Draws
from lossctl.statistics.flips import adjust, flip_test, step_down, swap_test, tail_p, together

probabilities = st.lists(st.floats(0, 1), min_size=1, max_size=8).map(np.array)


def test_holm_and_bh_by_hand():
    p = np.array([0.01, 0.04, 0.03])
    np.testing.assert_allclose(adjust(p, "holm"), [0.03, 0.06, 0.06])
    np.testing.assert_allclose(adjust(p, "bh"), [0.03, 0.04, 0.04])
    np.testing.assert_array_equal(adjust(p, "none"), p)


@given(probabilities)
def test_bh_is_scipy_s(p):
    np.testing.assert_allclose(adjust(p, "bh"), stats.false_discovery_control(p))


@given(probabilities)
def test_corrections_keep_the_order_and_never_lower(p):
    for word in ("holm", "bh"):
        adjusted = adjust(p, word)
        assert np.all((adjusted >= p * (1 - 1e-12)) & (adjusted <= 1))
        assert np.all(np.diff(adjusted[np.argsort(p, kind="stable")]) >= 0)


@pytest.mark.parametrize("word", ["bonferoni", "maxt"])
def test_other_words(word):
    with pytest.raises(BadParameter, match=word):
        adjust(np.ones(1), word)


def test_step_down_by_hand():
    observed = np.array([1.0, -3])
    null = np.array([[0, 0], [2, 1], [-1, 4], [1, 3]], float)
    # Largest of both: 0, 2, 4, 3, of which two reach 3; then the first column alone: 0, 2, 1, 1, of which three reach 1.
    np.testing.assert_array_equal(step_down(observed, null, exact=True), [0.75, 0.5])
    np.testing.assert_array_equal(step_down(observed, null, exact=False), [0.8, 0.6])
    # 2 falls short of 2.5 in its own column, but may not be below the p-value of the stronger column.
    np.testing.assert_array_equal(step_down(np.array([2.5, 3]), null, exact=True), [0.5, 0.5])


@given(st.integers(2, 60), st.integers(1, 6), st.integers(0, 9))
def test_max_t_lies_between_the_plain_value_and_the_sum_of_all(n, k, seed):
    d = np.random.default_rng(seed).standard_normal((n, k)) + 0.3
    found = flip_test(d, Draws(resamples=499, seed=seed))
    assert np.all(found.adjusted >= found.p)
    tails = [tail_p(np.full(k, reached), found.null, exact=found.exact).sum() for reached in found.reached]
    assert np.all(found.adjusted <= np.maximum.reduce([tails, np.full(k, found.adjusted.min())]) + 1e-12)


def test_copies_of_a_column_cost_nothing():
    d = np.random.default_rng(0).standard_normal((50, 1)) + 0.2
    found = flip_test(np.repeat(d, 4, axis=1))
    np.testing.assert_array_equal(found.adjusted, found.p)
    assert np.all(adjust(found.p, "holm") > found.p)


def test_tests_of_the_same_flips_are_corrected_together():
    d = np.random.default_rng(3).standard_normal((40, 3)) + 0.2
    whole, parts = flip_test(d), [flip_test(d[:, :1]), flip_test(d[:, 1:])]
    np.testing.assert_array_equal(np.concatenate(together(parts)), whole.adjusted)


def test_means_and_other_statistics_are_corrected_together():
    losses = np.random.default_rng(4).standard_normal((2, 60, 1)) ** 2
    mean = flip_test(losses[1] - losses[0])
    root = swap_test(losses[0], losses[1], lambda sums: np.sqrt(sums[:, 0]))
    first, second = together([mean, root])
    assert first[0] >= mean.p[0]
    assert second[0] >= root.p[0]
    assert min(first[0], second[0]) <= 2 * min(mean.p[0], root.p[0])


def test_tests_of_other_flips_are_not():
    d = np.random.default_rng(3).standard_normal(40)
    with pytest.raises(ShapeMismatch):
        together([flip_test(d), flip_test(d, Draws(seed=1))])


def test_p_of_scores():
    null = np.array([[1.0], [-2], [3]])
    assert tail_p(np.array([2.0]), null, exact=False)[0] == 0.75
    assert tail_p(np.array([-3.0]), null, exact=True)[0] == pytest.approx(1 / 3)
