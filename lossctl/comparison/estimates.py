"""How large differences are: intervals, and the smallest differences that the data could have shown.

Means are resampled together, since the draws cost more than the sums. A mean with unequal weights is a ratio of sums, in
which the weights are drawn along with the values.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.statistics.intervals import FEW, SKEWED, bootstrap_mean, bootstrap_sums, interval
from lossctl.statistics.paired import LARGE, diebold_mariano
from lossctl.statistics.power import detectable
from lossctl.statistics.special import t_upper

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lossctl.comparison.testing import Pair, Rules
    from lossctl.statistics.arrays import Floats
    from lossctl.statistics.draws import Draws
    from lossctl.statistics.intervals import Bootstrap

# Intervals need fewer resamples than p-values: their ends move by 1 % of their width.
RESAMPLED = 1_999


@dataclass(frozen=True)
class Estimate:
    """The interval of one difference, its standard error, and what this many units could have shown."""

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

    def facts(self) -> dict[str, Any]:
        """Everything by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def estimate(pairs: Sequence[Pair], rules: Rules) -> list[Estimate]:
    """Estimate the difference of every pair, none of which couples samples."""
    if rules.test == "dm":
        return [_in_time(pair, rules) for pair in pairs]
    found: dict[int, Estimate] = {}
    kinds = [_kind(pair) for pair in pairs]
    for kind in dict.fromkeys(kinds):
        places = [place for place, other in enumerate(kinds) if other == kind]
        drawn = _bootstrap([pairs[place] for place in places], rules)
        found |= {place: _estimate(drawn, column, rules) for column, place in enumerate(places)}
    return [found[place] for place in range(len(pairs))]


def _kind(pair: Pair) -> tuple[str, bytes]:
    """Pairs of one kind are resampled together: means alike in their weights, and each other loss by itself."""
    weights = pair.base.weights
    if pair.differences is None or weights is None:
        return f"{pair.loss} {pair.system}", b""
    return ("mean", b"") if pair.evenly else ("ratio", weights.tobytes())


def _bootstrap(pairs: Sequence[Pair], rules: Rules) -> Bootstrap:
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


def _estimate(drawn: Bootstrap, column: int, rules: Rules) -> Estimate:
    """Intervals at alpha and, for one-sided questions, at twice alpha.

    Few samples have the interval of the t-test, which covers better there: docs/statistics.md has the figures.
    """
    one = replace(
        drawn,
        estimate=drawn.estimate[column : column + 1],
        values=drawn.values[:, column : column + 1],
        error=drawn.error[column : column + 1],
        skewness=drawn.skewness[column : column + 1],
    )
    error = float(one.error[0])
    # A sum that cannot be finished without one of its samples has no standard error.
    known = bool(np.isfinite(error)) or drawn.units == 1
    method = "t" if (drawn.small and known) or drawn.units > LARGE else "bca"
    narrow, wide = interval(one, 1 - rules.alpha, method), interval(one, 1 - 2 * rules.alpha, method)
    low, high, low_wide, high_wide = (float(end[0]) for end in (narrow.low, narrow.high, wide.low, wide.high))
    least = error * _least(drawn.units, rules.alpha)
    return Estimate(method, low, high, low_wide, high_wide, error, drawn.units, least, drawn.small, bool(one.skewed[0]))


def by_t(difference: float, error: float, skewness: float, units: int, alpha: float) -> Estimate:
    """The estimate of Student's t, for units of which no sample is held."""
    ends = []
    for tail in (alpha / 2, alpha):
        reach = t_upper(tail, units - 1) * error if units > 1 else math.nan
        ends += [difference - reach, difference + reach]
    low, high, low_wide, high_wide = ends
    skewed = abs(skewness) > SKEWED
    return Estimate("t", low, high, low_wide, high_wide, error, units, error * _least(units, alpha), units < FEW, skewed)


def _in_time(pair: Pair, rules: Rules) -> Estimate:
    """The interval of Diebold and Mariano's test, which knows that neighbours in time are alike."""
    found = diebold_mariano(pair.differences, rules.horizon)  # type: ignore[arg-type]
    units = len(pair.differences)  # type: ignore[arg-type]
    narrow, wide = (found.error * t_upper(tail, units - 1) for tail in (rules.alpha / 2, rules.alpha))
    middle = found.difference
    ends = (middle - narrow, middle + narrow, middle - wide, middle + wide)
    least = found.error * _least(units, rules.alpha)
    return Estimate("t", *ends, found.error, units, least, small=False, skewed=False)


@cache
def _least(units: int, alpha: float) -> float:
    """The smallest difference that is found four times of five, in standard errors."""
    return detectable(1.0, units, alpha)
