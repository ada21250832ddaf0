"""Changes between two saved results: what is tested, by which interval, and each reason why it is not."""

import math

import numpy as np
import pytest
from scipy import stats

from lossctl.checking.judging import changes_between, changes_of
from lossctl.checking.saved import Saved
from lossctl.request.spec import Gate
from lossctl.statistics.flips import adjust, flip_test

RNG = np.random.default_rng(8)
BASE, NOW = RNG.normal(size=(2, 60)) ** 2 + np.array([[0.0], [0.1]])
SIG = Gate("", "require", 0.0, require="sig")


def result(values, loss="mse", reduction="mean", **more):
    samples = [{"index": number, "value": float(value)} for number, value in enumerate(values)]
    total = math.fsum(values)
    value = total if reduction == "sum" else total / len(values)
    found = {"loss": loss, "params": {}, "reduction": reduction, "value": value, "n": len(values), "samples": samples}
    return {**found, **more}


def saved(name, *results, target=""):
    inputs = [{"role": "target", "sha256": target}] if target else []
    return Saved(name, {"results": list(results), "inputs": inputs})


def only(now, base, gates=(SIG,), alpha=0.05):
    (change,) = changes_between(now, base, gates, alpha)
    return change


@pytest.mark.parametrize(("n", "by_t"), [(2, True), (49, True), (50, False)])
def test_the_interval_of_few_samples_is_student_s(n, by_t):
    change = only(saved("now", result(NOW[:n])), saved("base", result(BASE[:n])))
    apart = NOW[:n] - BASE[:n]
    error = apart.std(ddof=1) / math.sqrt(n)
    reach, reach90 = (stats.t.isf(tail, n - 1) * error for tail in (0.025, 0.05))
    student = (apart.mean() - reach, apart.mean() + reach, apart.mean() - reach90, apart.mean() + reach90)
    own = (change.low, change.high, change.low90, change.high90)
    assert (own == pytest.approx(student, rel=1e-9)) is by_t
    assert own == pytest.approx(student, rel=0.3)
    assert change.low < change.low90 < change.high90 < change.high
    assert (change.p, change.units) == (flip_test(apart).p[0], n)
    assert change.error == pytest.approx(error, rel=1e-9)


def test_of_a_sum_the_difference_is_that_of_all_samples():
    change = only(saved("now", result(NOW, reduction="sum")), saved("base", result(BASE, reduction="sum")))
    plain = only(saved("now", result(NOW)), saved("base", result(BASE)))
    assert change.difference == pytest.approx(np.sum(NOW - BASE), rel=1e-12)
    assert (change.low, change.high, change.error) == pytest.approx((60 * plain.low, 60 * plain.high, 60 * plain.error))
    assert change.p == plain.p


def test_samples_are_paired_by_their_ids():
    ids = [f"s{number}" for number in range(60)]
    order = RNG.permutation(60)
    mixed = [{"index": number, "id": ids[at], "value": float(BASE[at])} for number, at in enumerate(order)]
    named = [{"index": number, "id": ids[number], "value": float(value)} for number, value in enumerate(NOW)]
    change = only(saved("now", result(NOW, samples=named), target="x"), saved("base", result(BASE, samples=mixed), target="y"))
    assert (change.p, change.units) == (flip_test(NOW - BASE).p[0], 60)


@pytest.mark.parametrize(
    ("now", "base", "why"),
    [
        (saved("now", result(NOW[:1])), saved("base", result(BASE[:1])), "now holds a single sample, which has no spread"),
        (saved("now", result(NOW[:2])), saved("base", result(BASE[:1])), "base holds a single sample, which has no spread"),
        (saved("now", result(NOW, n=61)), saved("base", result(BASE)), "now does not hold all samples of 'mse'"),
        (saved("now", result(NOW)), saved("base", result(BASE, samples=[])), "base does not hold all samples of 'mse'"),
        (saved("now", result(NOW, group="g")), saved("base", result(BASE, group="g")), "'mse@g' is no value of all samples"),
        (saved("now", result(NOW[:50])), saved("base", result(BASE)), "now and base hold different samples"),
        (saved("now", result(NOW)), saved("base", result(BASE[:50])), "now and base hold different samples"),
        (saved("now", result(NOW, value=2.0)), saved("base", result(BASE)), "'mse' is no mean of its samples in now"),
        (saved("now", result(NOW)), saved("base", result(BASE, value=None)), "'mse' is no mean of its samples in base"),
        (
            saved("now", result(NOW), target="x"),
            saved("base", result(BASE), target="y"),
            "now and base have different targets, and no ids that say which samples are the same",
        ),
    ],
)
def test_what_cannot_be_tested_says_why(now, base, why):
    gate = Gate("mse@g", "require", 0.0, require="sig") if "mse@g" in why else SIG
    change = only(now, base, [gate])
    assert change.why == why
    assert change.p is change.low is change.high90 is change.error is change.units is None


@pytest.mark.parametrize("targets", [("x", "x"), ("x", ""), ("", "y")])
def test_targets_that_are_the_same_or_unknown_are_no_reason(targets):
    now, base = targets
    change = only(saved("now", result(NOW), target=now), saved("base", result(BASE), target=base))
    assert change.p == flip_test(NOW - BASE).p[0]


@pytest.mark.parametrize(("off", "tested"), [(0.9e-9, True), (-0.9e-9, True), (1.1e-9, False), (-1.1e-9, False)])
def test_a_value_within_rounding_of_the_mean_of_its_samples_is_their_mean(off, tested):
    change = only(saved("now", result(NOW, value=NOW.mean() * (1 + off))), saved("base", result(BASE)))
    assert (change.p is not None) is tested


def test_p_values_are_corrected_for_all_that_is_tested_and_for_nothing_else():
    now = saved("now", result(NOW), result(NOW + 0.01 * BASE, loss="l1"))
    base = saved("base", result(BASE), result(BASE + 0.02, loss="l1"))
    raw = np.array([flip_test(NOW - BASE).p[0], flip_test(NOW + 0.01 * BASE - (BASE + 0.02)).p[0]])
    assert [change.p for change in changes_between(now, base, [SIG], 0.05)] == adjust(raw, "holm").tolist()
    margin = Gate("l1", "max_abs", 0.1)
    assert [change.p for change in changes_between(now, base, [margin, SIG], 0.05)] == [None, raw[1]]
    assert [change.p for change in changes_between(now, base, [margin], 0.05)] == [None, None]
    for word in ("noninf", "equiv"):
        asked = [margin, Gate("", "require", 0.0, require=word)]
        assert [change.p is None for change in changes_between(now, base, asked, 0.05)] == [True, False]


def test_a_wider_alpha_has_a_narrower_interval():
    strict, loose = (only(saved("now", result(NOW)), saved("base", result(BASE)), alpha=alpha) for alpha in (0.01, 0.2))
    assert strict.low < loose.low < loose.high < strict.high
    assert (strict.alpha, loose.alpha) == (0.01, 0.2)


def compared(**more):
    numbers = {"value": 1.5, "base": 1.0, "low": 0.1, "high": 0.9, "low_one_sided": 0.2, "high_one_sided": 0.8}
    return {"loss": "mse", "system": "b", **numbers, "p_adjusted": 0.01, "error": 0.2, "units": 40, **more}


def test_changes_of_a_comparison_are_its_entries():
    (change,) = changes_of([compared()], 0.1)
    assert (change.key, change.system, change.aliases, change.main) == ("mse", "", ("mse[b]",), True)
    assert (change.low, change.high, change.low90, change.high90) == (0.1, 0.9, 0.2, 0.8)
    assert (change.p, change.error, change.units, change.alpha) == (0.01, 0.2, 40, 0.1)
    assert (change.worse, change.higher_is_better) == (0.5, False)


def test_systems_groups_and_scores_of_a_comparison():
    entries = [compared(), compared(system="c", group="g"), compared(loss="r2", system="c")]
    one, grouped, score = changes_of(entries, 0.05)
    assert [change.system for change in (one, grouped, score)] == ["b", "c", "c"]
    assert (grouped.key, grouped.aliases, grouped.main) == ("mse@g", ("mse[c]@g",), False)
    assert (score.higher_is_better, score.worse) == (True, -0.5)


@pytest.mark.parametrize("missing", [None, math.nan])
def test_what_a_comparison_does_not_know(missing):
    names = ("low", "high", "low_one_sided", "high_one_sided", "p_adjusted", "error", "units")
    (change,) = changes_of([compared(**dict.fromkeys(names, missing), why="it couples samples")], 0.05)
    assert change.low is change.high is change.low90 is change.high90 is change.p is change.error is change.units is None
    assert change.why == "it couples samples"
    (said,) = changes_of([compared()], 0.05)
    assert said.why == "'mse' was not tested"
