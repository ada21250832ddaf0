"""What can be said of the differences between systems and a baseline: tests, intervals, verdicts, and how much data is missing.

All losses and systems are tested with the same flips, so that the correction for several hypotheses knows how they hang
together. lossctl.statistics says which test is which, and on what evidence it is chosen. Means are resampled together, since
the draws cost more than the sums. A mean with unequal weights is a ratio of sums, in which the weights are drawn along with the
values. Reruns of the same thing give a noise floor: how far two runs differ by chance, and the gate that allows as much.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from decimal import ROUND_CEILING, Decimal
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.comparison.measured import Measured, alike
from lossctl.comparison.reported import known
from lossctl.comparison.statistics import Differences, statistics_of
from lossctl.errors import UsageError
from lossctl.report import Report
from lossctl.statistics.arrays import LARGE, Draws, Floats, diebold_mariano, mcnemar, paired_t, t_upper, wilcoxon
from lossctl.statistics.flips import FlipTest, adjust, flip_test, swap_test, together
from lossctl.statistics.intervals import FEW, SKEWED, Bootstrap, bootstrap_mean, bootstrap_sums, interval
from lossctl.statistics.power import detectable, needed, verdict
from lossctl.statistics.sums import Moments, exact_sum

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lossctl.comparison.result import Comparison, ComparisonRules, Estimate


# Intervals need fewer resamples than p-values: their ends move by 1 % of their width.
RESAMPLED = 1_999


@dataclass(frozen=True)
class DifferenceInterval:
    """The interval of one difference, its standard error, and what this many units could have shown; as in `Estimate`."""

    interval: str
    low: float
    high: float
    low_wide: float
    high_wide: float
    error: float
    units: int
    detectable: float
    small: bool
    skewed: bool


def intervals_of(pairs: Sequence[Pair], rules: ComparisonRules) -> list[DifferenceInterval]:
    """The interval of the difference of every pair, none of which couples samples."""
    if rules.test == "dm":
        return [_in_time(pair, rules) for pair in pairs]
    intervals: dict[int, DifferenceInterval] = {}
    kinds = [_kind(pair, place) for place, pair in enumerate(pairs)]
    for kind in dict.fromkeys(kinds):
        places = [place for place, other in enumerate(kinds) if other == kind]
        drawn = _bootstrap([pairs[place] for place in places], rules)
        intervals |= {place: _interval(drawn, column, rules) for column, place in enumerate(places)}
    return [intervals[place] for place in range(len(pairs))]


def _kind(pair: Pair, place: int) -> tuple[str, bytes]:
    """Pairs of one kind are resampled together: means alike in their weights, and each other loss by itself."""
    weights = pair.base.weights
    if pair.differences is None or weights is None:
        return str(place), b""
    return ("mean", b"") if pair.evenly else ("ratio", weights.tobytes())


def _bootstrap(pairs: Sequence[Pair], rules: ComparisonRules) -> Bootstrap:
    """Resample differences of one kind, one column a pair."""
    draws: Draws = replace(rules.draws, resamples=min(rules.draws.resamples, RESAMPLED))
    first, weights = pairs[0], pairs[0].base.weights
    if first.differences is None or weights is None:
        width = len(first.base.names)
        finish = first.base.finish(rules.reduction)
        terms = np.concatenate([first.base.terms, first.other.terms], axis=1)
        return bootstrap_sums(
            terms, lambda sums: finish(sums[:, width:]) - finish(sums[:, :width]), draws, clusters=rules.clusters
        )
    columns = np.stack([pair.differences for pair in pairs], axis=1)  # type: ignore[misc]
    if first.evenly:
        return bootstrap_mean(columns, draws, clusters=rules.clusters)
    even = weights * (len(weights) / float(np.sum(weights)))
    return bootstrap_sums(np.column_stack([columns, even]), _ratio, draws, clusters=rules.clusters)


def _ratio(sums: Floats) -> Floats:
    return sums[:, :-1] / sums[:, -1:]


def _interval(drawn: Bootstrap, column: int, rules: ComparisonRules) -> DifferenceInterval:
    """Intervals at alpha and, for one-sided questions, at twice alpha.

    Few samples have the interval of the t-test, which covers better there: docs/statistics.md has the figures.
    """
    single = replace(
        drawn,
        estimate=drawn.estimate[column : column + 1],
        values=drawn.values[:, column : column + 1],
        error=drawn.error[column : column + 1],
        skewness=drawn.skewness[column : column + 1],
    )
    error = float(single.error[0])
    # A sum that cannot be finished without one of its samples has no standard error.
    known = bool(np.isfinite(error)) or drawn.units == 1
    method = "t" if (drawn.small and known) or drawn.units > LARGE else "bca"
    narrow, wide = interval(single, 1 - rules.alpha, method), interval(single, 1 - 2 * rules.alpha, method)
    low, high, low_wide, high_wide = (float(end[0]) for end in (narrow.low, narrow.high, wide.low, wide.high))
    least, skewed = error * _least(drawn.units, rules.alpha), bool(single.skewed[0])
    return DifferenceInterval(method, low, high, low_wide, high_wide, error, drawn.units, least, drawn.small, skewed)


def by_t(difference: float, error: float, skewness: float, units: int, alpha: float) -> DifferenceInterval:
    """The interval of Student's t, from figures alone."""
    ends = []
    for tail in (alpha / 2, alpha):
        reach = t_upper(tail, units - 1) * error if units > 1 else math.nan
        ends += [difference - reach, difference + reach]
    low, high, low_wide, high_wide = ends
    least, skewed = error * _least(units, alpha), abs(skewness) > SKEWED
    return DifferenceInterval("t", low, high, low_wide, high_wide, error, units, least, units < FEW, skewed)


def _in_time(pair: Pair, rules: ComparisonRules) -> DifferenceInterval:
    """The interval of Diebold and Mariano's test, which knows that neighbours in time are alike."""
    test = diebold_mariano(pair.differences, rules.horizon)  # type: ignore[arg-type]
    units = len(pair.differences)  # type: ignore[arg-type]
    narrow, wide = (test.error * t_upper(tail, units - 1) for tail in (rules.alpha / 2, rules.alpha))
    middle = test.difference
    ends = (middle - narrow, middle + narrow, middle - wide, middle + wide)
    least = test.error * _least(units, rules.alpha)
    return DifferenceInterval("t", *ends, test.error, units, least, small=False, skewed=False)


@cache
def _least(units: int, alpha: float) -> float:
    """The smallest difference that is found four times of five, in standard errors."""
    return detectable(1.0, units, alpha)


def judge(pairs: Sequence[Pair], rules: ComparisonRules) -> list[Estimate]:
    """Test every pair, and correct for their number.

    Raises: UsageError for a test that does not fit; what a test raises.
    """
    able = [place for place, pair in enumerate(pairs) if not pair.why]
    chosen = [pairs[place] for place in able]
    tests = dict(zip(able, p_values(chosen, rules), strict=True))
    intervals = dict(zip(able, intervals_of(chosen, rules), strict=True))
    return [
        _judged(pair, intervals[place], tests[place], rules) if place in tests else pair.estimate
        for place, pair in enumerate(pairs)
    ]


def _judged(pair: Pair, interval: DifferenceInterval, tested: PValues, rules: ComparisonRules) -> Estimate:
    same = bool(np.array_equal(pair.base.terms, pair.other.terms))  # type: ignore[arg-type]
    differences, samples = None, None
    if pair.differences is not None and pair.base.values is not None and pair.other.values is not None:
        below, above = (int(np.count_nonzero(side)) for side in (pair.differences < 0, pair.differences > 0))
        differences, samples = Differences(below, above, moments_of(pair.differences)), (pair.base.values, pair.other.values)
    return with_verdict(pair.estimate, interval, tested, rules, same=same, statistics=statistics_of(differences, samples))


def with_verdict(  # noqa: PLR0913 - all that is said of a difference
    estimate: Estimate,
    interval: DifferenceInterval,
    tested: PValues,
    rules: ComparisonRules,
    *,
    same: bool,
    statistics: Mapping[str, Any],
) -> Estimate:
    """Put a p-value into a verdict, and see whether another seed would change it; `same` says that no sample differs."""
    worse = -estimate.difference if estimate.higher_is_better else estimate.difference
    word, other = (verdict(worse, p, rules.alpha, identical=same) for p in (tested.adjusted, tested.again))
    missing = needed(estimate.difference, interval.error, interval.units, rules.alpha) if word == "undecided" else math.nan
    return replace(
        estimate,
        test=tested.method,
        p=tested.p,
        adjusted=tested.adjusted,
        needed=missing,
        statistics=statistics,
        seed_flips=word != other,
        identical=same,
        verdict=word,
        **asdict(interval),
    )


@dataclass(frozen=True)
class Pair:
    """One system beside the baseline under one loss, with every sample; `estimate` is what is said of it before any test."""

    estimate: Estimate
    base: Measured
    other: Measured

    @property
    def why(self) -> str:
        """Why the pair cannot be tested; empty where it can."""
        return self.estimate.why

    @cached_property
    def differences(self) -> Floats | None:
        """By sample, where the difference of the losses is their mean."""
        if self.base.values is None or self.other.values is None or not alike(self.base, self.other):
            return None
        return self.other.values - self.base.values

    @cached_property
    def evenly(self) -> bool:
        """Whether every sample counts for the same in the mean, or in a sum for itself."""
        weights = self.base.weights
        return weights is None or self.base.summed or bool((weights == weights[0]).all())


@dataclass(frozen=True)
class PValues:
    """A raw and a corrected p-value, the corrected one under another seed, and what it was tested by."""

    p: float
    adjusted: float
    again: float
    method: str


def check_rules(rules: ComparisonRules, *, clustered: bool, ordered: bool) -> None:
    """Refuse options that the test would not listen to.

    Raises: UsageError.
    """
    if clustered and rules.test not in {"auto", "flip"}:
        message = f"--cluster-by is for flips: --test {rules.test} takes every sample by itself."
        raise UsageError(message, hint="Use --test flip, and leave out --order and --horizon.")
    if (ordered or rules.horizon > 1) and rules.test != "dm":
        message = f"--order and --horizon are for --test dm: --test {rules.test} knows no time."
        raise UsageError(message, hint="Leave out --test, or use --test dm.")


def p_values(pairs: Sequence[Pair], rules: ComparisonRules) -> list[PValues]:
    """Test every pair.

    Raises: UsageError for a test that does not fit a loss; what a test raises.
    """
    if not pairs:
        return []
    if rules.test in {"auto", "flip"} and not any(_is_large(pair, rules) for pair in pairs):
        return _by_flips(pairs, rules)
    tests = [_alone(pair, rules) for pair in pairs]
    p, reseeded = (np.asarray([test[place] for test in tests]) for place in (0, 1))
    correction = "holm" if rules.correction == "maxt" else rules.correction
    adjusted, other = adjust(p, correction).tolist(), adjust(reseeded, correction).tolist()
    result = zip(tests, adjusted, other, strict=True)
    return [PValues(test[0], corrected, again, test[2]) for test, corrected, again in result]


def _is_large(pair: Pair, rules: ComparisonRules) -> bool:
    """Whether there are so many samples that Student's t says the same as flips."""
    return rules.test == "auto" and rules.clusters is None and len(pair.base.rows) > LARGE and pair.differences is not None


def _alone(pair: Pair, rules: ComparisonRules) -> tuple[float, float, str]:
    """The p-values of one pair without regard to the others, under two seeds, and the test."""
    if rules.test == "auto" and not _is_large(pair, rules):
        tests = [_flipped([pair], each)[0] for each in (rules, _reseeded(rules))]
        return float(tests[0].p[0]), float(tests[1].p[0]), "swaps"
    counts = _counts(pair) if rules.test == "auto" else None
    p, method = _classical(pair, "mcnemar" if counts else "t" if rules.test == "auto" else rules.test, rules)
    return p, p, method


def raw_p(pair: Pair, rules: ComparisonRules) -> float:
    """The p-value of one pair by flips alone; 1 where there is nothing to test."""
    return 1.0 if pair.why else float(_flipped([pair], rules)[0].p[0])


def _by_flips(pairs: Sequence[Pair], rules: ComparisonRules) -> list[PValues]:
    """By flips of differences, or of whole samples where the loss is no mean; 0/1 losses have an exact test."""
    counts = [_counts(pair) if rules.test == "auto" and rules.clusters is None else None for pair in pairs]
    exact = {place: mcnemar(*count).p for place, count in enumerate(counts) if count is not None}
    tests = _flipped(pairs, rules)
    p, corrected = _corrected(tests, exact, rules.correction)
    again = corrected if tests[0].exact else _corrected(_flipped(pairs, _reseeded(rules)), exact, rules.correction)[1]
    methods = ["McNemar" if place in exact else _method(pair) for place, pair in enumerate(pairs)]
    result = zip(p.tolist(), corrected.tolist(), again.tolist(), methods, strict=True)
    return [PValues(*each) for each in result]


def _method(pair: Pair) -> str:
    return "sign flips" if pair.differences is not None else "swaps"


def _reseeded(rules: ComparisonRules) -> ComparisonRules:
    return replace(rules, draws=replace(rules.draws, seed=rules.draws.seed + 1))


def _corrected(tests: Sequence[FlipTest], exact: Mapping[int, float], correction: str) -> tuple[Floats, Floats]:
    """Raw p-values, exact ones in their places, and the corrected ones, none of them smaller."""
    p = np.concatenate([test.p for test in tests])
    p[list(exact)] = list(exact.values())
    return p, np.maximum(np.concatenate(together(tests)), p) if correction == "maxt" else adjust(p, correction)


def _flipped(pairs: Sequence[Pair], rules: ComparisonRules) -> list[FlipTest]:
    """One test for each pair, all with the same flips; neighbours that are means share one."""
    tests: list[FlipTest] = []
    waiting: list[Floats] = []
    for pair in pairs:
        if pair.differences is not None:
            waiting.append(pair.differences)
            continue
        tests += _means(waiting, rules)
        waiting = []
        finish = pair.base.finish(rules.reduction)
        tests.append(swap_test(pair.base.terms, pair.other.terms, finish, rules.draws, clusters=rules.clusters))  # type: ignore[arg-type]
    return tests + _means(waiting, rules)


def _means(columns: Sequence[Floats], rules: ComparisonRules) -> list[FlipTest]:
    return [flip_test(np.stack(columns, axis=1), rules.draws, clusters=rules.clusters)] if columns else []


def _counts(pair: Pair) -> tuple[int, int] | None:
    """On how many samples a loss is worse and better that is 0 or one other value, the same in both systems; else None."""
    base, other = pair.base.values, pair.other.values
    if pair.differences is None or base is None or other is None:
        return None
    # Counts say nothing of sizes: losses of 0 and 1 against 0 and 4 are no matter of how often.
    high = float(np.max(base))
    if high <= 0 or float(np.max(other)) != high or not (_binary(base, high) and _binary(other, high)):
        return None
    return int(np.count_nonzero(pair.differences > 0)), int(np.count_nonzero(pair.differences < 0))


def _binary(values: Floats, high: float) -> bool:
    return bool(((values == 0) | (values == high)).all())


def not_two_valued(name: str, instead: str) -> UsageError:
    """The error of McNemar's test for losses that do not have the same two values in both systems."""
    levels = "0 and 1, or of 0 and one other value that both systems share"
    return UsageError(f"--test mcnemar is for losses of {levels}, and {name} has others here.", hint=f"Use --test {instead}.")


def _classical(pair: Pair, test: str, rules: ComparisonRules) -> tuple[float, str]:
    """One of the tests that are asked for by name.

    Raises: UsageError for a loss that it does not test.
    """
    differences = pair.differences
    if differences is None:
        message = f"--test {test} tests means of samples, and {pair.base.bound.loss.name} is none."
        raise UsageError(message, hint="Use --test flip, which swaps the sums of samples.")
    counts = _counts(pair)
    if test == "mcnemar" and counts is None:
        raise not_two_valued(pair.base.bound.loss.name, "flip")
    if test == "mcnemar" and counts is not None:
        return mcnemar(*counts).p, "McNemar"
    if test == "dm":
        return diebold_mariano(differences, rules.horizon).p, "Diebold-Mariano"
    return (wilcoxon(differences).p, "Wilcoxon") if test == "wilcoxon" else (paired_t(moments_of(differences)).p, "paired t")


def moments_of(differences: Floats) -> Moments:
    """The count, mean and squared deviations of differences (m,)."""
    mean = float(np.mean(differences))
    return Moments(len(differences), mean, float(np.sum((differences - mean) ** 2)))


# The spread of fewer runs is hardly known: of two, the tolerance is more than six times that of many.
FEW_RUNS = 5
# Digits of a tolerance that is pasted; it is rounded up.
DIGITS = 2


@dataclass(frozen=True)
class Noise:
    """The values of one loss over reruns.

    `tolerance` is what the size of the difference of two further runs exceeds with probability alpha; `relative` is the same in
    parts of the mean's size, NaN where the mean is 0.
    """

    runs: int
    mean: float
    std: float
    low: float
    high: float
    tolerance: float

    @property
    def relative(self) -> float:
        """The tolerance in parts of the mean's size."""
        return self.tolerance / abs(self.mean) if self.mean else math.nan

    @property
    def few(self) -> bool:
        """Whether there are too few runs for their spread to be known."""
        return self.runs < FEW_RUNS

    def gates(self, key: str) -> tuple[str, ...]:
        """The options to paste, relative first; a tolerance is rounded up."""
        absolute = f"--max-abs {key}={_rounded(self.tolerance)}"
        return (absolute,) if math.isnan(self.relative) else (f"--max-rel {key}={_rounded(100 * self.relative)}%", absolute)


def noise(values: Sequence[float], alpha: float) -> Noise:
    """Say how far reruns differ; the difference of two normal values has sqrt(2) times the deviation of one.

    `values` are at least two. Source: the prediction interval of Student 1908, doi:10.1093/biomet/6.1.1.
    """
    runs = len(values)
    mean = exact_sum([*values]) / runs
    std = math.sqrt(exact_sum([(value - mean) ** 2 for value in values]) / (runs - 1))
    same = min(values) == max(values)
    spread = 0.0 if same else std
    return Noise(
        runs,
        values[0] if same else mean,
        spread,
        min(values),
        max(values),
        t_upper(alpha / 2, runs - 1) * math.sqrt(2) * spread,
    )


def _rounded(number: float) -> str:
    """A number rounded up to two digits, as one would type it."""
    if not number or not math.isfinite(number):
        return f"{number:g}"
    exact = Decimal(number)
    step = Decimal(1).scaleb(exact.adjusted() - DIGITS + 1)
    return f"{exact.quantize(step, rounding=ROUND_CEILING).normalize():f}"


def with_tolerances(report: Report, compared: Comparison, alpha: float, say: Callable[[str], None]) -> Report:
    """The report with the noise of reruns in place of comparisons."""
    result = tolerances(compared, alpha)
    if any(one.few for _, one in result):
        say(f"{result[0][1].runs} runs hardly show how far runs differ, and {FEW_RUNS} or more would give smaller tolerances")
    say(f"two further runs differ by more than the tolerance {alpha:.0%} of the time, if chance acts on them as on these")
    document = {name: item for name, item in report.document.items() if name != "comparisons"}
    rows = _tolerance_rows(result)
    return Report(tuple(rows[0]), rows, document | {"tolerances": _tolerance_entries(result, alpha)}, bare="tolerance")


def tolerances(compared: Comparison, alpha: float) -> list[tuple[str, Noise]]:
    """How far reruns differ under each loss.

    Raises: UsageError for values that are not finite.
    """
    columns = [[row[place].value for row in compared.outcomes] for place in range(len(compared.losses))]
    for label, column in zip(compared.losses, columns, strict=True):
        if not all(abs(value) < float("inf") for value in column):
            message = f"{label} is not finite in every run, so that no spread can be taken of it."
            raise UsageError(message, hint="Leave out the run, or the loss.")
    return [(label, noise(column, alpha)) for label, column in zip(compared.losses, columns, strict=True)]


def _tolerance_entries(found: Sequence[tuple[str, Noise]], alpha: float) -> list[dict[str, Any]]:
    """The machine-readable tolerances."""
    return [
        {"loss": label, **asdict(one), "relative": one.relative, "alpha": alpha, "few": one.few, "gates": [*one.gates(label)]}
        for label, one in found
    ]


def _tolerance_rows(found: Sequence[tuple[str, Noise]]) -> list[dict[str, Any]]:
    """One row a loss, with the gate to paste."""
    return [
        {
            "loss": label,
            "runs": one.runs,
            "mean": one.mean,
            "std": one.std,
            "lowest": one.low,
            "highest": one.high,
            "tolerance": one.tolerance,
            "relative": known(one.relative),
            "gate": one.gates(label)[0],
        }
        for label, one in found
    ]
