import math
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from ask import ask, none, value

from lossctl.checking.checks import draw
from lossctl.engine.binding import bind
from lossctl.engine.block import Selection
from lossctl.engine.reduce import FEW, evaluate
from lossctl.errors import NoSuchReduction, NotFinite, NothingLeft, UsageError
from lossctl.losses import catalogue
from lossctl.losses.backends import BACKENDS
from lossctl.request.options import Options
from lossctl.sources.readers import BLOCK, Memory, sample_axis
from lossctl.statistics.ordered import statistics

ADDITIVE = [name for name, loss in catalogue().items() if not loss.whole]


def nothing(name):
    """The arrays of a draw, without a single sample."""
    arrays = draw(catalogue()[name], varied=False).arrays
    axes = {argument.name: sample_axis(argument.word.shape) for argument in catalogue()[name].signature.inputs}
    return [np.take(arrays[one], [], axis=axis) if axis is not None else arrays[one] for one, axis in axes.items()]


@pytest.mark.parametrize("name", ADDITIVE)
@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_nothing(name, backend):
    arrays = nothing(name)
    with pytest.raises(NothingLeft, match="there are no samples"):
        ask(name, *arrays, options=Options(backend=backend))
    if "none" in catalogue()[name].reductions:
        assert value(name, *arrays, options=Options(reduction="sum", backend=backend)) == 0
        assert value(name, *arrays, options=Options(reduction="none", backend=backend)) == []
    assert math.isnan(value(name, *arrays, options=Options(nan="propagate", backend=backend)))


@pytest.mark.parametrize(
    ("name", "arrays", "given", "why"),
    [
        ("mse", ([1, 2], [0, 0]), {"mask": [0, 0]}, "all 2 samples are skipped or masked"),
        ("mse", ([1, 2], [0, 0]), {"weights": [0, 0]}, "every one of the 2 samples is ignored"),
        ("mse", ([1, 2], [0, 0]), {"weight": [0, 0]}, "every one of the . samples is ignored"),
        ("mse", ([[1, 2]], [[0, 0]]), {"mask": [[0, 0]]}, "every one of the . samples is ignored, masked"),
        ("ce", (np.eye(2), [-100, -100]), {}, "every one of the . samples is ignored"),
        ("ce", (np.eye(2), [0, 0]), {"weight": [0, 1]}, "weight 0"),
        ("rmse", ([1, 2], [0, 0]), {"mask": [0, 0]}, "all 2 samples are skipped"),
        ("dice", ([1, 1], [0, 0]), {"weights": [0, 0]}, "weight 0"),
        ("mse", ([np.nan], [0]), {"options": Options(nan="skip")}, "all 1 samples are skipped"),
        ("mse", (np.zeros((2, 0)), np.zeros((2, 0))), {}, "the 2 samples have no elements"),
        ("kl_div", ([1], [0]), {"mask": [0], "options": Options(reduction="batchmean")}, "are skipped"),
    ],
)
def test_nothing_left(name, arrays, given, why):
    with pytest.raises(NothingLeft, match=why):
        ask(name, *arrays, **given)


def test_per_sample_values_are_means_of_their_elements():
    outcome = ask("mse", [[1, 2], [3, 4], [5, np.nan]], np.zeros((3, 2)), options=Options(nan="skip", per_sample=True))
    rows, values = outcome.samples
    assert (rows.tolist(), values.tolist()) == ([0, 1], [2.5, 12.5])


def test_per_sample_values_of_what_is_ignored_are_nan():
    outcome = ask("ce", np.zeros((3, 2)), [0, -100, 1], options=Options(per_sample=True, stats=True))
    assert np.isnan(outcome.samples[1]).tolist() == [False, True, False]
    assert outcome.stats["median"] == pytest.approx(math.log(2))


def test_per_sample_roots():
    assert ask("rmse", [[3.0, 4.0]], [[0, 0]], options=Options(per_sample=True)).samples[1][0] == math.sqrt(12.5)


def test_per_sample_does_not_depend_on_cuts():
    pred, target = np.random.default_rng(0).normal(size=(2, 700_000))
    rows, values = ask("mse", pred, target, options=Options(per_sample=True)).samples
    np.testing.assert_array_equal(rows, np.arange(700_000))
    np.testing.assert_array_equal(values, (pred - target) ** 2)


def test_statistics_are_numpy_s():
    values = np.random.default_rng(0).normal(size=101)
    found = statistics(np.append(values, np.nan))
    wanted = [values.std(ddof=1), *np.quantile(values, [0, 0.25, 0.5, 0.75, 0.95, 0.99, 1])]
    assert list(found) == ["std", "min", "p25", "median", "p75", "p95", "p99", "max"]
    np.testing.assert_allclose(list(found.values()), wanted, rtol=1e-13)


@pytest.mark.parametrize("values", [[], [math.nan]])
def test_statistics_of_nothing(values):
    assert all(math.isnan(value) for value in statistics(np.array(values, float)).values())


def test_statistics_of_infinities_are_said_without_a_warning():
    found = ask("mse", [1, math.inf], [0, 0], options=Options(nan="propagate", stats=True)).stats
    assert (found["min"], found["max"]) == (1, math.inf)
    assert math.isnan(found["std"])


@pytest.mark.parametrize("kept", [{"per_sample": True}, {"worst": 1}, {"best": 2}, {"stats": True}])
def test_no_sample_of_a_distribution_has_a_value(kept):
    with pytest.raises(NoSuchReduction, match="wasserstein is a property of all samples together"):
        ask("wasserstein", [1, 2], [3], options=Options(**kept))


@pytest.mark.parametrize("given", [{"weights": [1, 2]}, {"mask": [1, 0]}])
def test_a_distribution_has_weights_of_its_own(given):
    with pytest.raises(UsageError, match="--weights and --mask do not apply") as caught:
        ask("wasserstein", [1, 2], [3, 4], **given)
    assert "u_weights, v_weights" in caught.value.hint


def test_batchmean_has_no_weights():
    with pytest.raises(NoSuchReduction, match="batchmean divides by the number of samples"):
        ask("kl_div", [-1.0], [0.5], weights=[2], options=Options(reduction="batchmean"))


def test_label_offset_without_labels():
    for name, arrays in (("mse", ([1], [1])), ("ce", ([[0.0, 1.0]], [[0.5, 0.5]]))):
        with pytest.raises(UsageError, match="--label-offset has no meaning here"):
            ask(name, *arrays, options=Options(label_offset=-1))


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_infinity_out_of_finite_numbers_is_refused_with_its_place(backend):
    scores = np.zeros((5, 2))
    scores[3] = [1.7e308, -1.7e308]
    with pytest.raises(NotFinite, match="cross_entropy is inf, although every input is finite: sample 3 is the first of 1"):
        # The first sample is ignored: that it has no mean of its own is not what went wrong.
        ask("ce", scores, [-100, 1, 1, 1, 1], options=Options(backend=backend))
    assert value("ce", scores, [0, 1, 1, 1, 1], options=Options(backend=backend, nan="propagate")) == math.inf


@dataclass(frozen=True)
class Counted(Memory):
    """Notes how many numbers are read."""

    read_so_far: list = field(default_factory=list)

    def read(self, start, stop, axis=0):
        array = super().read(start, stop, axis)
        self.read_so_far.append(array.size)
        return array


def spoiled(options, *, optional):
    """Squares of which some in the last block are infinite: their reader, and what computes them."""
    pred = np.zeros(10 * BLOCK)
    pred[[9 * BLOCK + 7, 9 * BLOCK + 8, 10 * BLOCK - 1]] = 1e200
    reader = Counted(pred, "pred")
    bound = bind(catalogue()["mse"], {"pred": reader, "target": Memory(np.zeros(10 * BLOCK))}, {}, options)
    return reader, lambda: evaluate([replace(bound, optional=optional)], BACKENDS.get("numpy")(), options, Selection())


@pytest.mark.parametrize("jobs", [1, 4])
@pytest.mark.parametrize(("keep", "block"), [({}, 2 * BLOCK), ({"worst": 2}, BLOCK)])
def test_the_place_of_an_infinity_is_looked_for_in_one_block(jobs, keep, block):
    reader, run = spoiled(Options(jobs=jobs, **keep), optional=False)
    with pytest.raises(NotFinite) as caught:
        run()
    wanted = f"mse is inf, although every input is finite: sample {9 * BLOCK + 7} is the first."
    # Once for the look that was put off, then for the place, and once more for the look.
    assert (caught.value.message, sum(reader.read_so_far)) == (wanted, 10 * BLOCK + 3 * block)


def test_of_a_loss_that_is_left_out_no_place_is_looked_for():
    reader, run = spoiled(Options(), optional=True)
    (outcome,) = run()
    assert (outcome.unfit.message, sum(reader.read_so_far)) == ("mse is inf.", 10 * BLOCK + 2 * BLOCK)


@pytest.mark.parametrize(("size", "says"), [(FEW, ", although every input is finite."), (FEW + 1, ".")])
def test_finite_inputs_are_claimed_only_where_all_were_looked_at(size, says):
    scores = np.full(size, 1e308)
    with pytest.raises(NotFinite) as caught:
        ask("wasserstein_critic", scores, np.ones(size))
    assert caught.value.message == f"wasserstein_critic is -inf{says}"


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_no_reduction_lets_an_infinity_pass(reduction):
    with pytest.raises(NotFinite, match="mse is inf"):
        ask("mse", [1e200, 0], [0, 0], options=Options(reduction=reduction))


def test_an_infinite_total_of_finite_samples():
    with pytest.raises(NotFinite, match=r"l1 is inf, although every input is finite\."):
        ask("l1", [1.7e308, 1.7e308], [0, 0])


@pytest.mark.parametrize(("bad", "result"), [(math.nan, math.nan), (math.inf, math.inf)])
def test_propagate(bad, result):
    found = value("mse", [1, bad], [0, 0], options=Options(nan="propagate"))
    np.testing.assert_equal(found, result)
    np.testing.assert_equal(none("mse", [1, bad], [0, 0], options=Options(nan="propagate")), [1, result])


def test_infinities_that_cancel_are_nan():
    assert math.isnan(value("mse", [math.inf], [math.inf], options=Options(nan="propagate")))


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_an_infinity_at_weight_0_counts_for_nothing_and_at_any_other_weight_for_all(backend):
    options = Options(backend=backend)
    assert value("mse", [1e200, 1], [0, 3], weights=[0, 1], options=options) == 4
    with pytest.raises(NotFinite, match="mse is inf, although every input is finite: sample 0 is the first of 1"):
        ask("mse", [1e200, 1], [0, 3], weights=[1e-9, 1], options=options)


def test_numbers_too_large_for_the_type_asked_for():
    with pytest.raises(NotFinite, match="l1 is inf"):
        ask("l1", [1e300], [0], options=Options(dtype="f32"))


def test_reductions_fit_together():
    pred, target = np.random.default_rng(0).normal(size=(2, 7, 3))
    total = value("mse", pred, target, options=Options(reduction="sum"))
    assert total == pytest.approx(none("mse", pred, target).sum(), rel=1e-14)
    assert value("mse", pred, target) == pytest.approx(total / 21, rel=1e-14)
