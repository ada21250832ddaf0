"""Every rule of a verdict and every flag of a comparison, seen on both sides; and the limits that choose a way or a test."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from asking import compared, entries, save
from scipy import stats

from lossctl.comparison.judging import DifferenceInterval, PValues, _interval, _is_large, by_t, with_verdict
from lossctl.comparison.result import ComparisonRules, Estimate
from lossctl.comparison.streaming import streams
from lossctl.errors import TooLarge
from lossctl.statistics.arrays import LARGE
from lossctl.statistics.intervals import Bootstrap

PREDS = ["a.npy", "b.npy"]
INTERVAL = DifferenceInterval("t", -1.0, 1.0, -0.5, 0.5, error=0.25, units=100, detectable=0.7, small=False, skewed=False)


def verdict_of(difference, p, again=None, *, same=False, alpha=0.05):
    estimate = Estimate("mse", "b", "a", None, 1.0 + difference, 1.0, 100)
    tested = PValues(p, p, p if again is None else again, "t")
    return with_verdict(estimate, INTERVAL, tested, ComparisonRules(alpha=alpha), same=same, statistics={})


@pytest.mark.parametrize(
    ("difference", "p", "word"),
    [
        (-0.5, 0.01, "better"),
        (0.5, 0.01, "worse"),
        (-0.5, 0.05, "better"),
        (-0.5, math.nextafter(0.05, 1), "undecided"),
        (0.5, 0.9, "undecided"),
        (0.0, 0.01, "undecided"),
        (-0.5, math.nan, "undecided"),
        (math.nan, 0.9, "undecided"),
    ],
)
def test_the_word_follows_from_sign_and_p(difference, p, word):
    estimate = verdict_of(difference, p)
    assert (estimate.verdict, estimate.seed_flips, estimate.identical) == (word, False, False)
    assert math.isnan(estimate.needed) == (word != "undecided" or math.isnan(difference))


def test_of_a_score_higher_is_better():
    score = Estimate("score", "b", "a", None, 1.5, 1.0, 100, higher_is_better=True)
    judged = with_verdict(score, INTERVAL, PValues(0.01, 0.01, 0.01, "t"), ComparisonRules(), same=False, statistics={})
    assert judged.verdict == "better"
    assert verdict_of(0.5, 0.01).verdict == "worse"


def test_identical_systems_are_neither_better_nor_undecided():
    estimate = verdict_of(0.0, 1.0, same=True)
    assert (estimate.verdict, estimate.identical) == ("identical", True)
    assert math.isnan(estimate.needed)


@pytest.mark.parametrize(
    ("p", "again", "alpha", "flips"),
    [
        (0.04, 0.06, 0.05, True),
        (0.06, 0.04, 0.05, True),
        (0.04, 0.05, 0.05, False),
        (0.06, 0.07, 0.05, False),
        (0.06, 0.07, 0.065, True),
    ],
)
def test_another_seed_flips_a_verdict_when_p_crosses_alpha(p, again, alpha, flips):
    assert verdict_of(-0.5, p, again, alpha=alpha).seed_flips is flips


def test_how_many_samples_would_decide_is_the_first_with_a_power_of_four_fifths():
    estimate = verdict_of(0.3, 0.5)

    def power(count):
        shift = 0.3 / (0.25 * math.sqrt(100 / count))
        edge = stats.t.isf(0.025, count - 1)
        return stats.nct.sf(edge, count - 1, shift) + stats.nct.cdf(-edge, count - 1, shift)

    assert power(estimate.needed - 1) < 0.8 <= power(estimate.needed) + 1e-9
    assert verdict_of(0.0, 0.5).needed == math.inf


@pytest.mark.usefixtures("systems")
def test_a_seed_that_flips_is_seen_and_said():
    first, second = (entries("mse", PREDS, target="t.npy", seed=seed)["mse", "b"]["p"] for seed in (0, 1))
    assert first != second
    between = (first + second) / 2
    flipping = entries("mse", PREDS, target="t.npy", alpha=between)["mse", "b"]
    assert flipping["seed_flips"] is True
    assert flipping["verdict"] == ("undecided" if first > between else "worse" if flipping["difference"] > 0 else "better")
    assert entries("mse", PREDS, target="t.npy", alpha=first / 2)["mse", "b"]["seed_flips"] is False
    assert "another seed changes the verdict" in doubts("mse", alpha=between)
    assert "another seed changes the verdict" not in doubts("mse", alpha=first / 2)


def doubts(losses, **options):
    below = compared(losses, PREDS, target="t.npy", **options)[0].more
    return [row["doubt"] for part in below if part.title == "handle with care" for row in part.rows]


FEW = "fewer than 50 samples: the interval is that of the t-test"
SKEWED = "skewed differences: intervals cover less than they say"


@pytest.mark.parametrize(("n", "small", "interval"), [(49, True, "t"), (50, False, "bca")])
def test_fewer_than_fifty_samples_are_small(folder, n, small, interval):
    rng = np.random.default_rng(n)
    target, one, other = rng.normal(size=(3, n))
    save(folder, t=target, a=one, b=other)
    entry = entries("mse", PREDS, target="t.npy")["mse", "b"]
    assert (entry["small"], entry["interval"]) == (small, interval)
    assert (FEW in doubts("mse")) is small
    assert by_t(0.1, 0.1, 0.0, n, 0.05).small is small
    save(folder, b=one)
    assert FEW not in doubts("mse")


def test_skewed_differences_are_said(folder):
    rng = np.random.default_rng(2)
    target = rng.normal(size=200)
    save(folder, t=target, a=target + 1.0, b=target + 1.0 + 0.1 * rng.normal(size=200))
    assert entries("mse", PREDS, target="t.npy")["mse", "b"]["skewed"] is False
    assert SKEWED not in doubts("mse")
    save(folder, b=np.where(np.arange(200) == 3, target + 50.0, target + 0.9))
    assert entries("mse", PREDS, target="t.npy")["mse", "b"]["skewed"] is True
    assert SKEWED in doubts("mse")


@pytest.mark.parametrize(("skewness", "skewed"), [(2.0, False), (-2.0, False), (math.nextafter(2.0, 3), True), (-2.1, True)])
def test_a_skewness_beyond_two_is_skewed(skewness, skewed):
    assert by_t(0.1, 0.1, skewness, 100, 0.05).skewed is skewed
    drawn = Bootstrap(np.zeros(1), np.zeros((9, 1)), np.ones(1), np.array([skewness]), 100)
    assert drawn.skewed.tolist() == [skewed]


@pytest.mark.parametrize(("units", "small"), [(49, True), (50, False)])
def test_a_bootstrap_of_fewer_than_fifty_units_is_small(units, small):
    assert Bootstrap(np.zeros(1), np.zeros((9, 1)), np.ones(1), np.zeros(1), units).small is small


@pytest.mark.parametrize(("units", "method"), [(LARGE, "bca"), (LARGE + 1, "t")])
def test_the_interval_of_very_many_samples_is_student_s(units, method):
    values = np.random.default_rng(1).normal(size=(99, 1))
    assert _interval(Bootstrap(np.zeros(1), values, np.ones(1), np.zeros(1), units), 0, ComparisonRules()).interval == method


def test_an_unknown_error_of_few_samples_has_the_bootstrap_s_interval():
    values = np.random.default_rng(1).normal(size=(99, 1))
    unknown = Bootstrap(np.zeros(1), values, np.array([np.nan]), np.zeros(1), 20)
    assert _interval(unknown, 0, ComparisonRules()).interval == "bca"
    alone = Bootstrap(np.zeros(1), values, np.array([np.nan]), np.zeros(1), 1)
    assert _interval(alone, 0, ComparisonRules()).interval == "t"


def test_more_than_a_million_samples_are_many():
    assert LARGE == 1_000_000

    def bounds(*counts):
        return [SimpleNamespace(n=count) for count in counts]

    many = bounds(LARGE + 1, LARGE + 1)
    assert not streams(bounds(LARGE, LARGE), ComparisonRules(), ordered=False, explained=False)
    assert streams(many, ComparisonRules(), ordered=False, explained=False)
    for test, streamed in (("t", True), ("mcnemar", True), ("flip", False), ("wilcoxon", False), ("dm", False)):
        assert streams(many, ComparisonRules(test=test), ordered=False, explained=False) is streamed
    assert not streams(many, ComparisonRules(), ordered=True, explained=False)
    assert not streams(many, ComparisonRules(), ordered=False, explained=True)
    assert not streams(bounds(LARGE + 1, LARGE + 2), ComparisonRules(), ordered=False, explained=False)


def test_student_s_t_takes_over_from_flips_beyond_a_million_samples():
    def pair(count, differences=()):
        return SimpleNamespace(base=SimpleNamespace(rows=range(count)), differences=differences)

    assert not _is_large(pair(LARGE), ComparisonRules())
    assert _is_large(pair(LARGE + 1), ComparisonRules())
    assert not _is_large(pair(LARGE + 1, None), ComparisonRules())
    assert not _is_large(pair(LARGE + 1), ComparisonRules(test="flip"))
    assert not _is_large(pair(LARGE + 1), ComparisonRules(clusters=[0]))


def test_memory_is_counted_to_the_byte(folder):
    save(folder, t=np.zeros(10), a=np.ones(10), b=np.arange(10.0))
    # Two systems of ten samples, 64 bytes for each sample and loss.
    assert entries("mse", PREDS, target="t.npy", max_memory=1280)["mse", "b"]["n"] == 10
    with pytest.raises(TooLarge, match="2 columns of losses") as refused:
        entries("mse", PREDS, target="t.npy", max_memory=1279)
    assert "compare fewer at once" in refused.value.hint


@pytest.mark.parametrize(
    ("losses", "arrays", "options", "why"),
    [
        ("r2", {}, {}, "it couples samples"),
        ("mse", {"b": [1.0, math.nan, 2.0]}, {"nan": "propagate"}, "it is not finite"),
        ("rmse", {"b": [1.0, math.inf, 2.0]}, {"nan": "propagate"}, "it is not finite"),
    ],
)
def test_what_is_not_tested_says_why(folder, losses, arrays, options, why):
    save(folder, **{"t": [0.0, 1.0, 2.0], "a": [0.5, 1.0, 2.5], "b": [1.0, 1.5, 2.0], **arrays})
    entry = entries(losses, PREDS, target="t.npy", **options)[losses, "b"]
    assert (entry["verdict"], entry["why"], entry["test"], entry["interval"]) == ("not tested", why, "none", "none")
    assert {entry[name] for name in ("p", "p_adjusted", "low", "high", "error", "detectable", "needed", "wins")} == {None}
    assert (entry["units"], entry["seed_flips"], entry["small"], entry["skewed"]) == (0, False, False, False)
    assert f"not tested: {why}" in doubts(losses, **options)


def test_a_tested_loss_says_no_reason(folder):
    save(folder, t=[0.0, 1.0, 2.0], a=[0.5, 1.0, 2.5], b=[1.0, 1.5, 2.0])
    assert "why" not in entries("mse", PREDS, target="t.npy")["mse", "b"]


def test_flags_of_trimming_and_of_top_samples(folder):
    rows = np.arange(400)
    save(folder, t=np.zeros(400), a=np.ones(400), b=np.where(rows < 3, 20.0, 0.9))
    entry = entries("mse", PREDS, target="t.npy")["mse", "b"]
    apart = np.where(rows < 3, 399.0, 0.81 - 1)
    assert entry["trimming_flips"] is True
    assert entry["top_1_percent"] == pytest.approx((3 * 399.0 - 0.19) / apart.sum(), rel=1e-9)
    save(folder, b=np.full(400, 0.9))
    entry = entries("mse", PREDS, target="t.npy")["mse", "b"]
    assert entry["trimming_flips"] is False
    assert entry["top_1_percent"] == pytest.approx(0.01, rel=1e-9)


@pytest.mark.parametrize(("distinct", "slices"), [(12, 12), (13, 5)])
def test_numbers_of_more_than_twelve_values_are_binned(distinct, slices):
    from lossctl.comparison.explaining import column_of

    column = column_of("k", [str(number) for number in range(distinct)] * 3)
    assert len(column.slices) == slices


def test_ten_slices_are_shown_and_five_samples_each_way(folder):
    rng = np.random.default_rng(4)
    save(folder, t=np.zeros(440), a=rng.normal(size=440), b=rng.normal(size=440))
    (folder / "g.csv").write_text("g\n" + "".join(f"x{row % 11}\n" for row in range(440)))
    report = compared("l1", PREDS, target="t.npy", explain=["g.csv:g"])[0]
    (found,) = report.document["explanations"]
    assert len(found["slices"]) == 10
    assert (len(found["better"]), len(found["worse"])) == (5, 5)


def test_a_group_whose_name_is_empty_is_no_estimate_of_the_whole():
    from lossctl.comparison.result import Comparison

    whole, group = (Estimate("mse", "b", "a", name, 1.0, 2.0, 3) for name in (None, ""))
    assert Comparison(["a", "b"], ["mse"], [], ComparisonRules(), [whole, group]).whole == [whole]


@pytest.mark.parametrize(
    ("value", "base", "higher", "better"),
    [
        (1.0, 2.0, False, True),
        (2.0, 1.0, False, False),
        (1.0, 2.0, True, False),
        (2.0, 1.0, True, True),
        (1.0, 1.0, False, None),
    ],
)
def test_which_value_is_better(value, base, higher, better):
    assert Estimate("x", "b", "a", None, value, base, 1, higher_is_better=higher).better is better
    assert Estimate("x", "b", "a", None, math.nan, base, 1, higher_is_better=higher).better is None


@pytest.mark.parametrize(("value", "base", "relative"), [(3.0, 2.0, 0.5), (1.0, -2.0, 1.5), (1.0, 0.0, math.nan)])
def test_a_difference_in_parts_of_the_baseline(value, base, relative):
    assert Estimate("x", "b", "a", None, value, base, 1).relative == pytest.approx(relative, nan_ok=True)


@pytest.mark.usefixtures("systems")
def test_intervals_need_no_more_than_1999_resamples():
    low, most, fewer = (
        entries("mse", PREDS, target="t.npy", resamples=count)["mse", "b"]["low"] for count in (9999, 1999, 1998)
    )
    assert low == most != fewer


def test_an_interval_does_not_hang_on_the_losses_beside_it(folder):
    rng = np.random.default_rng(6)
    labels = np.arange(90) % 3
    save(folder, t=labels, a=rng.normal(size=(90, 3)), b=rng.normal(size=(90, 3)), w=np.array([1.0, 2.0, 5.0]))
    losses = ("cross_entropy", "cross_entropy:weight=@w.npy", "multi_margin")
    together = compared(",".join(losses), PREDS, target="t.npy")[0].document["comparisons"]
    alone = [compared(loss, PREDS, target="t.npy")[0].document["comparisons"][0] for loss in losses]
    for name in ("low", "high", "error", "p"):
        assert [entry[name] for entry in together] == [entry[name] for entry in alone]
    assert len({entry["low"] for entry in alone}) == 3
