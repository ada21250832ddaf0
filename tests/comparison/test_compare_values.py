"""Values, differences and p-values of comparisons, against SciPy and against sums made by hand."""

import itertools
import math

import numpy as np
import pytest
from asking import document, entries, save
from scipy import stats

from lossctl.commands.compare import run
from lossctl.comparison.comparing import ComparisonWanted as Wanted
from lossctl.comparison.result import ComparisonRules
from lossctl.errors import UsageError
from lossctl.request.options import Options
from lossctl.request.spec import LossSpec, Spec
from lossctl.statistics.flips import adjust

PREDS = ["a.npy", "b.npy", "c.npy"]


def squares(systems, name):
    return (systems[name] - systems["t"]) ** 2


def test_means_and_differences(systems):
    found = entries("mse,l1", PREDS, target="t.npy")
    for name in "bc":
        one = found["mse", name]
        assert one["value"] == pytest.approx(np.mean(squares(systems, name)), rel=1e-14)
        assert one["base"] == pytest.approx(np.mean(squares(systems, "a")), rel=1e-14)
        assert one["difference"] == one["value"] - one["base"]
        assert one["relative"] == one["difference"] / one["base"]
        change = squares(systems, name) - squares(systems, "a")
        assert (one["wins"], one["ties"], one["losses"]) == ((change < 0).sum(), 0, (change > 0).sum())
    assert found["l1", "c"]["value"] == pytest.approx(np.mean(np.abs(systems["c"] - systems["t"])), rel=1e-14)


def test_paired_t_is_scipy_s(systems):
    found = entries("mse,l1", PREDS, target="t.npy", test="t", correction="none")
    for name in "bc":
        wanted = stats.ttest_rel(squares(systems, name), squares(systems, "a"))
        assert found["mse", name]["p"] == pytest.approx(wanted.pvalue, rel=1e-9)
        assert found["mse", name]["p_adjusted"] == found["mse", name]["p"]


def test_exact_flips_are_scipy_s_permutation_test(folder):
    rng = np.random.default_rng(2)
    target, one, other = rng.normal(size=(3, 9))
    save(folder, t=target, a=one, b=other)
    change = (other - target) ** 2 - (one - target) ** 2

    def studentised(differences, axis):
        return np.mean(differences, axis) / np.std(differences, axis, ddof=1)

    wanted = stats.permutation_test((change,), studentised, permutation_type="samples", n_resamples=np.inf)
    assert entries("mse", ["a.npy", "b.npy"], target="t.npy")["mse", "b"]["p"] == pytest.approx(wanted.pvalue, abs=1e-12)


def test_random_flips_are_close_to_scipy_s(systems):
    change = squares(systems, "c") - squares(systems, "a")
    wanted = stats.permutation_test((change,), np.mean, permutation_type="samples", n_resamples=9_999, rng=1).pvalue
    assert abs(entries("mse", PREDS, target="t.npy")["mse", "c"]["p"] - wanted) < 4 * math.sqrt(wanted / 9_999) + 1e-3


def test_wilcoxon_is_scipy_s(systems):
    wanted = stats.wilcoxon(squares(systems, "b") - squares(systems, "a")).pvalue
    assert entries("mse", PREDS, target="t.npy", test="wilcoxon")["mse", "b"]["p"] == pytest.approx(wanted, rel=1e-12)


@pytest.mark.usefixtures("systems")
@pytest.mark.parametrize("correction", ["holm", "bh", "none"])
def test_corrections(correction):
    found = entries("mse,l1", PREDS, target="t.npy", correction=correction)
    wanted = adjust(np.array([one["p"] for one in found.values()]), correction)
    assert [one["p_adjusted"] for one in found.values()] == wanted.tolist()


@pytest.mark.usefixtures("systems")
def test_max_t_lies_between_raw_and_bonferroni():
    found = entries("mse,l1", PREDS, target="t.npy")
    assert all(one["p"] <= one["p_adjusted"] <= min(1, 4 * one["p"]) for one in found.values())
    assert any(one["p"] < one["p_adjusted"] < min(1, 4 * one["p"]) for one in found.values())


def test_few_samples_have_the_interval_of_the_t_test(folder):
    rng = np.random.default_rng(4)
    target, one, other = rng.normal(size=(3, 49))
    save(folder, t=target, a=one, b=other)
    found = entries("mse", ["a.npy", "b.npy"], target="t.npy", alpha=0.1)["mse", "b"]
    wanted = stats.ttest_rel((other - target) ** 2, (one - target) ** 2)
    assert found["interval"] == "t"
    assert (found["low"], found["high"]) == pytest.approx(wanted.confidence_interval(0.9), rel=1e-9)
    assert (found["low_one_sided"], found["high_one_sided"]) == pytest.approx(wanted.confidence_interval(0.8), rel=1e-9)


def test_more_samples_have_that_of_the_bootstrap(systems):
    found = entries("mse", PREDS, target="t.npy", resamples=1_999)["mse", "c"]
    change = squares(systems, "c") - squares(systems, "a")
    wanted = stats.bootstrap((change,), np.mean, n_resamples=9_999, method="BCa", rng=1).confidence_interval
    assert found["interval"] == "bca"
    assert (found["low"], found["high"]) == pytest.approx(tuple(wanted), abs=0.1 * (wanted[1] - wanted[0]))


def test_class_weights_and_ignored_labels(folder):
    rng = np.random.default_rng(6)
    one, other = rng.normal(size=(2, 30, 3))
    labels = rng.integers(-1, 3, 30)
    save(folder, t=labels, a=one, b=other)
    found = entries("cross_entropy:weight=1,2,.5,ignore_index=-1", ["a.npy", "b.npy"], target="t.npy")
    entry = next(iter(found.values()))
    counted = labels >= 0
    weights = np.array([1, 2, 0.5])[labels[counted]]

    def nll(scores):
        kept = scores[counted] - np.log(np.sum(np.exp(scores[counted]), axis=1, keepdims=True))
        return -kept[np.arange(counted.sum()), labels[counted]]

    change = weights * (nll(other) - nll(one))
    assert entry["difference"] == pytest.approx(change.sum() / weights.sum(), rel=1e-12)
    assert entry["units"] == counted.sum()
    assert entry["wins"] + entry["ties"] + entry["losses"] == counted.sum()
    assert entry["ties"] == 0
    # The error of a ratio of sums, by leaving out one sample at a time.
    left = (change.sum() - change) / (weights.sum() - weights)
    n = len(change)
    assert entry["error"] == pytest.approx(math.sqrt((n - 1) / n * np.sum((left - left.mean()) ** 2)), rel=1e-9)


@pytest.mark.parametrize("loss", ["rmse", "dice"])
def test_pooled_losses_are_swapped_by_sample(folder, loss):
    rng = np.random.default_rng(7)
    target = rng.integers(0, 2, (8, 6))
    one, other = rng.uniform(size=(2, 8, 6))
    save(folder, t=target, a=one, b=other)

    def value(pred):
        if loss == "rmse":
            return math.sqrt(np.mean((pred - target) ** 2))
        return 1 - (2 * np.sum(pred * target) + 2) / (np.sum(pred) + np.sum(target) + 2)

    found = entries(f"{loss}:smooth=1" if loss == "dice" else loss, ["a.npy", "b.npy"], target="t.npy", test="flip")
    entry = next(iter(found.values()))
    assert entry["difference"] == pytest.approx(value(other) - value(one), rel=1e-12)
    every = [[(pattern >> sample) & 1 for sample in range(8)] for pattern in range(256)]
    swapped = [np.asarray(signs, bool)[:, None] for signs in every]
    null = [value(np.where(signs, one, other)) - value(np.where(signs, other, one)) for signs in swapped]
    reached = np.abs(null) >= abs(entry["difference"]) - 1e-12
    assert (entry["p"], entry["test"]) == (pytest.approx(reached.mean()), "swaps")
    assert entry["wins"] is None


def test_losses_that_couple_samples_are_shown_and_not_tested(systems):
    found = document("r2,mse", PREDS, target="t.npy")
    entry = found["comparisons"][0]
    assert (entry["loss"], entry["verdict"], entry["p"], entry["low"]) == ("r2", "not tested", None, None)
    assert entry["why"] == "it couples samples"
    residual = np.sum(squares(systems, "b"))
    assert entry["value"] == pytest.approx(1 - residual / np.sum((systems["t"] - systems["t"].mean()) ** 2))
    assert found["comparisons"][2]["verdict"] in {"better", "worse", "undecided"}


@pytest.mark.usefixtures("systems")
def test_sums_and_batch_means():
    plain, summed = (entries("mse", PREDS, target="t.npy", reduction=how)["mse", "c"] for how in ("mean", "sum"))
    assert summed["p"] == plain["p"]
    for name in ("value", "difference", "low", "high", "error", "detectable"):
        assert summed[name] == pytest.approx(60 * plain[name], rel=1e-9)
    assert (summed["needed"], summed["wins"]) == (plain["needed"], plain["wins"])


def test_batchmean_divides_by_samples(folder):
    rng = np.random.default_rng(8)
    target, one, other = rng.dirichlet(np.ones(4), (3, 12))
    save(folder, t=target, a=np.log(one), b=np.log(other))
    entry = entries("kl_div", ["a.npy", "b.npy"], target="t.npy", reduction="batchmean")["kl_div", "b"]
    change = np.sum(target * (np.log(one) - np.log(other)), axis=1)
    assert entry["difference"] == pytest.approx(change.mean(), rel=1e-12)
    assert entry["error"] == pytest.approx(change.std(ddof=1) / math.sqrt(12), rel=1e-9)


def test_mcnemar_where_losses_are_zero_and_one(folder):
    target = np.zeros(40, int)
    one, other = np.zeros(40, int), np.zeros(40, int)
    one[:3], other[2:14] = 1, 1
    save(folder, t=target, a=one, b=other)
    for correction in ("none", "holm", "maxt"):
        entry = entries("zero_one", ["a.npy", "b.npy"], target="t.npy", correction=correction)["zero_one", "b"]
        assert entry["test"] == "McNemar"
        assert entry["p"] == pytest.approx(stats.binomtest(2, 13).pvalue, rel=1e-12)
        assert entry["p_adjusted"] >= entry["p"]
    assert (entry["wins"], entry["losses"]) == (2, 11)


def test_two_levels_that_systems_do_not_share_are_flipped(folder):
    # Losses are 0 or 1 of the first, 0 or 4 of the second: by counts 9 of 10 are better, by sizes next to nothing is known.
    target, one, other = np.zeros(12), np.zeros(12), np.zeros(12)
    one[:9], other[9] = 1.0, 2.0
    save(folder, t=target, a=one, b=other)
    sums = [abs(sum(signs[:9]) + 4 * signs[9]) for signs in itertools.product((1, -1), repeat=10)]
    wanted = sum(total >= 5 for total in sums) / 2**10
    for preds, name in ((["a.npy", "b.npy"], "b"), (["b.npy", "a.npy"], "a")):
        entry = entries("mse", preds, target="t.npy")["mse", name]
        assert (entry["test"], entry["p"]) == ("sign flips", pytest.approx(wanted, rel=1e-12))
    assert stats.binomtest(1, 10).pvalue == pytest.approx(0.0215, abs=1e-4)
    assert wanted == 514 / 1024
    with pytest.raises(UsageError, match="both systems share"):
        document("mse", ["a.npy", "b.npy"], target="t.npy", test="mcnemar")


def test_two_levels_other_than_one_that_systems_share(folder):
    target, one, other = np.zeros(12), np.zeros(12), np.zeros(12)
    one[:9], other[9] = 2.0, -2.0
    save(folder, t=target, a=one, b=other)
    entry = entries("mse", ["a.npy", "b.npy"], target="t.npy")["mse", "b"]
    assert (entry["test"], entry["p"]) == ("McNemar", pytest.approx(stats.binomtest(1, 10).pvalue, rel=1e-12))


def test_weights_make_other_levels(folder):
    # Both are 0/1 losses, but the first errs where a row weighs 1 and the second where it weighs 4.
    target, one, other = np.zeros(12, int), np.zeros(12, int), np.zeros(12, int)
    one[:9], other[9] = 1, 1
    save(folder, t=target, a=one, b=other, w=[1.0] * 9 + [4.0] * 3)
    entry = entries("zero_one", ["a.npy", "b.npy"], target="t.npy", weights="w.npy")["zero_one", "b"]
    assert entry["test"] == "sign flips"
    assert entry["p"] == pytest.approx(514 / 1024, rel=1e-12)


def test_a_spec_by_hand(systems):
    spec = Spec(losses=(LossSpec("mse"),), options=Options())
    report, error = run(spec, Wanted(("a.npy", "b.npy"), "t.npy", ComparisonRules()), lambda _: None, document=False)
    assert error is None
    assert report.rows[1]["difference"] == pytest.approx(np.mean(squares(systems, "b")) - np.mean(squares(systems, "a")))
