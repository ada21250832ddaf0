"""What can be said of the differences between systems and a baseline: tests, intervals, verdicts, and how much data is missing.

All losses and systems are tested with the same flips, so that the correction for several hypotheses knows how they hang
together. lossctl.statistics says which test is which, and on what evidence it is chosen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from lossctl.comparison.estimates import estimate
from lossctl.comparison.testing import p_values
from lossctl.statistics.power import needed
from lossctl.statistics.verdict import rank_correlation, tally, top_share, trimming_flips, verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lossctl.comparison.estimates import Estimate
    from lossctl.comparison.testing import Pair, Rules, Tested


@dataclass(frozen=True)
class Judged:
    """What is said of one pair. What a test or a loss does not have is NaN or None.

    `low` and `high` are the interval of level 1 - alpha, `low_wide` and `high_wide` that of level 1 - 2 alpha, which decides
    one-sidedly. `error` is the standard error of the difference, from `units` samples or clusters. `why` is the reason of a
    pair that was not tested.
    """

    pair: Pair
    method: str = "none"
    p: float = math.nan
    adjusted: float = math.nan
    interval: str = "none"
    low: float = math.nan
    high: float = math.nan
    low_wide: float = math.nan
    high_wide: float = math.nan
    error: float = math.nan
    units: int = 0
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
    why: str = ""

    @property
    def difference(self) -> float:
        """System minus baseline."""
        return self.pair.difference

    @property
    def relative(self) -> float:
        """The difference in units of the baseline's loss."""
        return self.difference / abs(self.pair.base.value) if self.pair.base.value else math.nan


def judge(pairs: Sequence[Pair], rules: Rules) -> list[Judged]:
    """Test every pair, and correct for their number.

    Raises: UsageError for a test that does not fit; what a test raises.
    """
    able = [pair for pair in pairs if not pair.why]
    tests = dict(zip(map(id, able), p_values(able, rules), strict=True))
    found = dict(zip(map(id, able), estimate(able, rules), strict=True))
    same = {id(pair): bool(np.array_equal(pair.base.terms, pair.other.terms)) for pair in able}  # type: ignore[arg-type]
    return [
        Judged(pair, verdict="not tested", why=pair.why)
        if pair.why
        else _counted(judged(pair, found[id(pair)], tests[id(pair)], rules, same=same[id(pair)]))
        for pair in pairs
    ]


def judged(pair: Pair, found: Estimate, tested: Tested, rules: Rules, *, same: bool) -> Judged:
    """Put a p-value into a verdict, and see whether another seed would change it; `same` says that no sample differs."""
    word, other = (verdict(pair.difference, p, rules.alpha, identical=same) for p in (tested.adjusted, tested.again))
    return Judged(
        pair,
        method=tested.method,
        p=tested.p,
        adjusted=tested.adjusted,
        needed=needed(pair.difference, found.error, found.units, rules.alpha) if word == "undecided" else math.nan,
        identical=same,
        verdict=word,
        seed_flips=word != other,
        **found.facts(),
    )


def _counted(found: Judged) -> Judged:
    """Counts and shares by sample, where the loss is a mean."""
    pair = found.pair
    values = pair.differences
    if values is None or pair.base.values is None or pair.other.values is None:
        return found
    counts = tally(values)
    return replace(
        found,
        wins=counts.wins,
        ties=counts.ties,
        losses=counts.losses,
        top_share=top_share(values),
        trimming_flips=trimming_flips(values),
        correlation=rank_correlation(pair.base.values, pair.other.values),
    )
