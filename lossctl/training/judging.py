"""Each loss against the first: paired tests and intervals over held-out rows, with errors averaged over seeds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lossctl.statistics.draws import Draws
from lossctl.statistics.flips import flip_test
from lossctl.statistics.intervals import bootstrap_mean, interval
from lossctl.statistics.verdict import verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lossctl.blocks import NumPyArray

ALPHA = 0.05
# Intervals need fewer resamples than p-values: their ends move by 1 % of their width.
RESAMPLED = 1_999


@dataclass(frozen=True)
class Judged:
    """What is said of one loss: mean difference of errors to the first, its interval, p, max-T p, and a word."""

    difference: float = math.nan
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan
    adjusted: float = math.nan
    verdict: str = "not tested"


BASELINE = Judged(verdict="baseline")
DIVERGED = Judged(verdict="diverged")


def judge(errors: Sequence[NumPyArray | None]) -> list[Judged]:
    """Judge the errors (n,) of each loss; None stands for a loss that diverged, and is not tested."""
    base, *others = errors
    first = DIVERGED if base is None else BASELINE
    able = [place for place, other in enumerate(others) if other is not None]
    found = [Judged() if other is not None else DIVERGED for other in others]
    if base is None or not able:
        return [first, *found]
    differences = np.stack([np.asarray(others[place]) - base for place in able], axis=1)
    test = flip_test(differences)
    ends = interval(bootstrap_mean(differences, Draws(RESAMPLED)), 1 - ALPHA)
    for column, place in enumerate(able):
        said = (test.difference, ends.low, ends.high, test.p, test.adjusted)
        difference, low, high, p, adjusted = (float(each[column]) for each in said)
        word = verdict(difference, adjusted, ALPHA, identical=bool(test.identical[column]))
        found[place] = Judged(difference, low, high, p, adjusted, word)
    return [first, *found]
