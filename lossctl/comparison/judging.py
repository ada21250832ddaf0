"""What can be said of the differences between systems and a baseline: tests, intervals, verdicts, and how much data is missing.

All losses and systems are tested with the same flips, so that the correction for several hypotheses knows how they hang
together. lossctl.statistics says which test is which, and on what evidence it is chosen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from lossctl.comparison.testing import Pair, Rules, p_values
from lossctl.statistics.intervals import bootstrap_mean, bootstrap_sums, interval
from lossctl.statistics.paired import LARGE
from lossctl.statistics.power import detectable, needed
from lossctl.statistics.verdict import rank_correlation, tally, top_share, trimming_flips, verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lossctl.comparison.testing import Tested
    from lossctl.statistics.draws import Draws
    from lossctl.statistics.intervals import Bootstrap

# Intervals need fewer resamples than p-values: their ends move by 1 % of their width.
RESAMPLED = 1_999


@dataclass(frozen=True)
class Judged:
    """What is said of one pair. What a test or a loss does not have is NaN or None."""

    pair: Pair
    method: str = "none"
    p: float = math.nan
    adjusted: float = math.nan
    low: float = math.nan
    high: float = math.nan
    low_wide: float = math.nan
    high_wide: float = math.nan
    detectable: float = math.nan
    needed: float = math.nan
    wins: int | None = None
    ties: int | None = None
    losses: int | None = None
    top_share: float | None = None
    trimming_flips: bool | None = None
    seed_flips: bool = False
    correlation: float | None = None
    identical: bool = False
    small: bool = False
    skewed: bool = False
    verdict: str = "undecided"

    @property
    def difference(self) -> float:
        """System minus baseline: below zero is better."""
        return self.pair.other.value - self.pair.base.value

    @property
    def relative(self) -> float:
        """The difference in units of the baseline's loss."""
        return self.difference / abs(self.pair.base.value) if self.pair.base.value else math.nan


def judge(pairs: Sequence[Pair], rules: Rules) -> list[Judged]:
    """Test every pair, and correct for their number.

    Raises: UsageError for a test that does not fit; what a test raises.
    """
    found = [_described(pair, rules) for pair in pairs]
    able = [place for place, pair in enumerate(pairs) if pair.base.terms is not None]
    for place, tested in zip(able, p_values([pairs[place] for place in able], rules), strict=True):
        found[place] = _decided(found[place], tested, rules.alpha)
    return found


def _described(pair: Pair, rules: Rules) -> Judged:
    """Interval, counts and shares; nothing for a loss that couples samples."""
    if pair.base.terms is None or pair.other.terms is None:
        return Judged(pair, verdict="not tested")
    found = _interval(pair, rules)
    values = pair.differences
    same = bool(np.array_equal(pair.base.terms, pair.other.terms))
    if values is None:
        return replace(found, identical=same)
    counts = tally(values)
    return replace(
        found,
        identical=same,
        wins=counts.wins,
        ties=counts.ties,
        losses=counts.losses,
        top_share=top_share(values),
        trimming_flips=trimming_flips(values),
        correlation=rank_correlation(np.asarray(pair.base.values), np.asarray(pair.other.values)),
    )


def _interval(pair: Pair, rules: Rules) -> Judged:
    """Intervals at alpha and, for one-sided questions, at twice alpha; and what the data could have shown."""
    drawn = _bootstrap(pair, replace(rules.draws, resamples=min(rules.draws.resamples, RESAMPLED)), rules)
    method = "t" if drawn.units > LARGE else "bca"
    narrow, wide = interval(drawn, 1 - rules.alpha, method), interval(drawn, 1 - 2 * rules.alpha, method)
    error = float(drawn.error[0])
    difference = pair.other.value - pair.base.value
    return Judged(
        pair,
        low=float(narrow.low[0]),
        high=float(narrow.high[0]),
        low_wide=float(wide.low[0]),
        high_wide=float(wide.high[0]),
        detectable=detectable(error, drawn.units, rules.alpha),
        needed=needed(difference, error, drawn.units, rules.alpha),
        small=drawn.small,
        skewed=bool(drawn.skewed[0]),
    )


def _bootstrap(pair: Pair, draws: Draws, rules: Rules) -> Bootstrap:
    if pair.differences is not None:
        return bootstrap_mean(pair.differences, draws, clusters=rules.clusters)
    width = len(pair.base.names)
    finish = pair.base.finish(rules.reduction)
    terms = np.concatenate([pair.base.terms, pair.other.terms], axis=1)
    return bootstrap_sums(terms, lambda sums: finish(sums[:, width:]) - finish(sums[:, :width]), draws, clusters=rules.clusters)


def _decided(found: Judged, tested: Tested, alpha: float) -> Judged:
    """Put p-values into a verdict, and see whether another seed would change it."""
    word, other = (verdict(found.difference, p, alpha, identical=found.identical) for p in (tested.adjusted, tested.again))
    return replace(found, method=tested.method, p=tested.p, adjusted=tested.adjusted, verdict=word, seed_flips=word != other)
