import math

import numpy as np
import pytest
from ask import ask, ask_all, select, tie, value
from hypothesis import given, settings
from hypothesis import strategies as st

from lossctl.checking.checks import bound_to, draw
from lossctl.engine.fold import fold
from lossctl.engine.reduce import reduced
from lossctl.errors import NothingLeft, OutOfDomain, TooLarge
from lossctl.losses import catalogue
from lossctl.losses.backends import BACKENDS
from lossctl.request.options import Options
from lossctl.sources.readers import BLOCK

ADDITIVE = [name for name, loss in catalogue().items() if not loss.whole]
PROPAGATE = Options(nan="propagate")
NUMPY = BACKENDS.get("numpy")()
MANY = 9 * BLOCK + 7


def mean(bound, block, options=PROPAGATE, **selected):
    tally = fold([bound], NUMPY, options, select(**selected), block=block)[0]
    return float(reduced(bound, tally.sums.finish(), tally.n, "mean"))


@pytest.mark.parametrize("name", ADDITIVE)
@given(st.integers(1, 200), st.integers(0, 2**32 - 1), st.booleans())
@settings(max_examples=15)
def test_any_cut_gives_the_whole(name, block, seed, varied):
    bound = bound_to(catalogue()[name], draw(catalogue()[name], varied=varied, seed=seed))
    assert mean(bound, block) == pytest.approx(mean(bound, BLOCK), rel=1e-12, abs=1e-14)


@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=40), st.data())
@settings(max_examples=50)
def test_any_cut_of_whole_numbers_gives_the_same_bits(numbers, data):
    block = data.draw(st.integers(1, 50))
    weights = data.draw(st.lists(st.integers(0, 5), min_size=len(numbers), max_size=len(numbers)))
    bound = tie("l1", numbers, np.zeros(len(numbers)))
    if any(weights):
        assert (
            mean(bound, block, weights=weights)
            == mean(bound, BLOCK, weights=weights)
            == (sum(w * abs(x) for w, x in zip(weights, numbers, strict=True)) / sum(weights))
        )


@pytest.fixture(scope="module")
def many():
    """More than nine blocks, so that every lane has some."""
    rng = np.random.default_rng(0)
    return rng.normal(size=MANY), rng.normal(size=MANY)


def test_jobs_change_no_bit(many):
    given = {"weights": many[0] ** 2, "groups": np.arange(MANY) % 3, "mask": many[1] > -1}
    found = []
    for jobs in (1, 2, 3, 0):
        options = Options(jobs=jobs, per_sample=True, stats=True)
        outcome = ask("huber", *many, options=options, **given)
        found.append((outcome.value, outcome.groups, outcome.stats, *(array.tobytes() for array in outcome.samples)))
    assert all(one == found[0] for one in found[1:])
    codes = given["groups"][given["mask"]]
    assert [n for _, n in found[0][1].values()] == np.bincount(codes).tolist()


def test_jobs_change_no_error(many):
    pred = np.abs(many[0]) / 10
    pred[[3 * BLOCK + 5, 3 * BLOCK + 6, 4 * BLOCK, -1]] = 2.0
    for jobs in (1, 2, 3, 8):
        with pytest.raises(OutOfDomain, match=rf"at \[{3 * BLOCK + 5}\] is 2, "):
            ask("dice", np.clip(pred, None, 2), np.zeros(MANY), options=Options(jobs=jobs))


def test_a_loss_does_not_depend_on_those_beside_it(many):
    alone = value("mse", *many)
    beside = [tie("l1", *many), tie("mse", *many), tie("wasserstein", many[0][:9], many[1][:5])]
    assert ask_all(beside, PROPAGATE)[1].value == alone


def test_ten_million_small_numbers_lose_no_digits():
    small = np.broadcast_to(np.float32(0.1), (10_000_000,))
    assert value("l1", small, np.broadcast_to(np.float32(0), small.shape)) == pytest.approx(float(np.float32(0.1)), rel=1e-15)


def test_float32_terms_are_summed_in_float64():
    ones = np.ones(2**25, np.float32)
    ones[0] = 2**25
    total = ask("l1", ones, np.zeros_like(ones), options=Options(dtype="native", reduction="sum")).value
    assert total == 2**26 - 1


@pytest.mark.parametrize("name", ["mse", "ce", "gaussian_nll"])
def test_sample_weights_are_repeated_samples(name):
    rng = np.random.default_rng(0)
    times = np.array([1, 0, 3, 2, 1])
    arrays = {
        "mse": [rng.normal(size=(5, 2)), rng.normal(size=(5, 2))],
        "ce": [rng.normal(size=(5, 3)), np.array([0, 1, 2, -100, 1])],
        "gaussian_nll": [rng.normal(size=5), rng.normal(size=5), rng.uniform(1, 2, size=5)],
    }[name]
    more = {"weight": [1, 2, 3]} if name == "ce" else {}
    found = ask(name, *arrays, weights=times, **more)
    assert found.value == pytest.approx(value(name, *(np.repeat(array, times, axis=0) for array in arrays), **more), rel=1e-14)
    assert found.n == 5


@pytest.mark.parametrize("name", ["mse", "ce", "kl_div"])
def test_sums_of_groups_add_up(name):
    rng = np.random.default_rng(0)
    pred, target = rng.normal(size=(30, 4)), rng.uniform(size=(30, 4))
    target = rng.integers(0, 4, size=30) if name == "ce" else target
    codes = rng.integers(0, 5, size=30)
    outcome = ask(name, pred, target, groups=codes, options=Options(reduction="sum"))
    assert math.fsum(total for total, _ in outcome.groups.values()) == pytest.approx(outcome.value, rel=1e-14)
    assert {code: n for code, (_, n) in outcome.groups.items()} == {code: int((codes == code).sum()) for code in set(codes)}
    for code, (total, _) in outcome.groups.items():
        alone = value(name, pred[codes == code], target[codes == code], options=Options(reduction="sum"))
        assert total == pytest.approx(alone, rel=1e-13)


def test_rmse_of_groups_is_no_mean_of_roots():
    outcome = ask("rmse", [1.0, 3.0, 5.0], [0, 0, 0], groups=[0, 1, 1])
    assert outcome.groups == {0: (1.0, 1), 1: (math.sqrt(17), 2)}
    assert outcome.value == math.sqrt(35 / 3)


def test_groups_count_only_what_counts():
    outcome = ask("mse", [1, np.nan, 3, 4], [0, 0, 0, 0], groups=[7, 7, 2, 9], mask=[1, 1, 1, 0], options=Options(nan="skip"))
    assert outcome.groups == {2: (9.0, 1), 7: (1.0, 1)}


def test_too_large():
    with pytest.raises(TooLarge, match=r"wasserstein couples all 1000 samples and needs about 0 MiB, more than 0 MiB"):
        ask("wasserstein", np.zeros(1000), np.zeros(10), options=Options(max_memory=1000))
    assert value("wasserstein", np.zeros(1000), np.zeros(10), options=Options(max_memory=24_240)) == 0


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("nan", ["error", "propagate"])
def test_a_whole_loss_of_nothing(reduction, nan):
    with pytest.raises(NothingLeft, match="info_nce has no samples"):
        ask("info_nce", np.zeros((0, 3)), np.zeros((0, 3)), options=Options(reduction=reduction, nan=nan))
