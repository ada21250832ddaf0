"""Words and counts that go with a p-value: who wins, on how many samples, and whether a few of them made it so."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from lossctl.errors import ShapeMismatch
from lossctl.statistics.arrays import Floats, columns

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

# The share of samples that may not decide alone.
FEW = 0.01
Verdict = Literal["better", "worse", "undecided", "identical"]


@dataclass(frozen=True)
class Tally:
    """On how many samples the system's loss is lower, equal and higher than the baseline's."""

    wins: int
    ties: int
    losses: int


def verdict(difference: float, p: float, alpha: float = 0.05, *, identical: bool = False) -> Verdict:
    """Say whether a system whose loss differs by `difference` is better: undecided unless p is at most `alpha`."""
    if identical:
        return "identical"
    if not p <= alpha or difference == 0:
        return "undecided"
    return "better" if difference < 0 else "worse"


def tally(differences: ArrayLike) -> Tally:
    """Count the signs of one column of differences (n,). Raises: as `columns`."""
    d = columns(differences)[:, 0]
    wins, losses = int(np.count_nonzero(d < 0)), int(np.count_nonzero(d > 0))
    return Tally(wins, len(d) - wins - losses, losses)


def top_share(differences: ArrayLike) -> float:
    """Share of the summed differences (n,) that the 1 % of samples (rounded up) that differ most account for.

    Above 1 where the others add up to the opposite, below 0 where these do; NaN where the sum is 0. Raises: as `columns`.
    """
    d = columns(differences)[:, 0]
    total = math.fsum(d.tolist())
    order = np.argsort(-np.abs(d), kind="stable")[: math.ceil(FEW * len(d))]
    return math.fsum(d[order].tolist()) / total if total else math.nan


def trimmed_mean(differences: ArrayLike, share: float = FEW) -> float:
    """Mean of differences (n,) without the lowest and the highest `share` of them, rounded down. Raises: as `columns`."""
    d = np.sort(columns(differences)[:, 0])
    cut = int(share * len(d))
    return math.fsum(d[cut : len(d) - cut].tolist()) / (len(d) - 2 * cut)


def trimming_flips(differences: ArrayLike, share: float = FEW) -> bool:
    """Whether the winner changes without the lowest and highest `share` of differences (n,). Raises: as `columns`."""
    d = columns(differences)[:, 0]
    return math.fsum(d.tolist()) * trimmed_mean(d, share) < 0


def rank_correlation(one: ArrayLike, other: ArrayLike) -> float:
    """Spearman's correlation of two systems' losses (n,), equal losses having their average rank; NaN where all are equal.

    Source: Spearman 1904, doi:10.2307/1412159. Raises: ShapeMismatch for different lengths, else as `columns`.
    """
    first, second = (_centred_ranks(columns(each, "losses")[:, 0]) for each in (one, other))
    if len(first) != len(second):
        message = f"There are {len(first)} losses of one system and {len(second)} of the other."
        raise ShapeMismatch(message)
    norm = math.sqrt(float(first @ first) * float(second @ second))
    return max(-1.0, min(1.0, float(first @ second) / norm)) if norm else math.nan


def _centred_ranks(values: Floats) -> Floats:
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    ends = np.append(starts[1:], len(values))
    ranks = np.empty(len(values))
    ranks[order] = np.repeat((starts + ends - len(values)) / 2, ends - starts)
    return ranks
