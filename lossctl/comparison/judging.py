"""What can be said of the differences between systems and a baseline: tests, intervals, verdicts, and how much data is missing.

All losses and systems are tested with the same flips, so that the correction for several hypotheses knows how they hang
together. lossctl.statistics says which test is which, and on what evidence it is chosen. Means are resampled together, since
the draws cost more than the sums. A mean with unequal weights is a ratio of sums, in which the weights are drawn along with the
values.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.comparison.statistics import Differences, statistics_of
from lossctl.comparison.testing import moments_of, p_values
from lossctl.statistics.arrays import t_upper
from lossctl.statistics.intervals import FEW, SKEWED, bootstrap_mean, bootstrap_sums, interval
from lossctl.statistics.paired import LARGE, diebold_mariano
from lossctl.statistics.power import detectable, needed, verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lossctl.comparison.result import ComparisonRules, Estimate
    from lossctl.comparison.testing import Pair, PValues
    from lossctl.statistics.arrays import Draws, Floats
    from lossctl.statistics.intervals import Bootstrap

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
