"""What the data could have shown: the smallest difference that it would find, and how much more data would decide.

All figures are those of the two-sided paired t-test, which the sign-flip test follows closely; noncentral t as in Cohen 1988,
ISBN 978-0-8058-0283-2. `error` is the standard error of the difference at hand, of `units` samples or clusters. The words and
counts that go with a p-value are made here too: who wins, on how many samples, and whether a few of them made it so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from lossctl.errors import BadParameter, ShapeMismatch
from lossctl.statistics.arrays import Floats, columns, normal_quantile, t_power

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike


ALPHA, POWER = 0.05, 0.8
# Bisections until a float is found to the last digit.
HALVINGS = 60
# More samples than this are no plan.
ENDLESS = 1e15
Decision = Literal["yes", "no", "undecided"]


def achieved(difference: float, error: float, units: int, alpha: float = ALPHA) -> float:
    """Power of the test if the true difference were `difference`; NaN for fewer than two units.

    Of the observed difference it says nothing that p does not say (Hoenig and Heisey 2001, doi:10.1198/000313001300339897).
    Raises: BadParameter for an alpha outside (0, 1).
    """
    _check(alpha=alpha)
    if units < 2:  # noqa: PLR2004 - one value has no spread
        return math.nan
    if error == 0:
        return 1.0 if difference else alpha
    return t_power(abs(difference) / error, units - 1, alpha)


def detectable(error: float, units: int, alpha: float = ALPHA, power: float = POWER) -> float:
    """Smallest true difference that the test finds with probability `power`; NaN for fewer than two units.

    Raises: BadParameter for an alpha or a power outside (0, 1), or a power that is not above alpha.
    """
    _check(alpha=alpha, power=power)
    if units < 2:  # noqa: PLR2004 - one value has no spread
        return math.nan
    low, high = 0.0, 1.0
    while t_power(high, units - 1, alpha) < power:
        low, high = high, 2 * high
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if t_power(middle, units - 1, alpha) < power else (low, middle)
    return high * error


def needed(difference: float, error: float, units: int, alpha: float = ALPHA, power: float = POWER) -> float:
    """How many units would find `difference` with probability `power`, if their spread stays as it is; at least two.

    A whole number, or infinity where the difference is 0 or beyond all measure small. NaN for fewer than two units.
    Raises: BadParameter as for `detectable`.
    """
    _check(alpha=alpha, power=power)
    if units < 2 or math.isnan(difference):  # noqa: PLR2004 - one value has no spread
        return math.nan
    size = abs(difference) / error / math.sqrt(units) if error > 0 else math.inf
    if difference == 0:
        return math.inf
    if math.isinf(size):
        return 2

    def enough(count: float) -> bool:
        return t_power(min(size * math.sqrt(count), 1e6), count - 1, alpha) >= power

    root = (normal_quantile(alpha / 2) + normal_quantile(1 - power)) / size
    # What the normal distribution says is a few too small.
    return _first(enough, root * root)


def _first(enough: Callable[[float], bool], near: float) -> float:
    """Return the smallest whole number from 2 on that is enough, sought from `near` on."""
    if near > ENDLESS:
        return math.inf
    low, step = max(1.0, math.floor(near) - 1.0), 1.0
    while low > 1 and enough(low):
        low, step = max(1.0, low - step), 2 * step
    high, step = low + 1, 4.0
    while not enough(high):
        low, high, step = high, high + step, 2 * step
        if high > ENDLESS:
            return math.inf
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _check(**shares: float) -> None:
    for name, share in shares.items():
        if not 0 < share < 1:
            raise BadParameter(f"{name} is {share}, and probabilities here lie between 0 and 1.", hint=f"Say {name}=0.05.")
    if shares.get("power", 1) <= shares["alpha"]:
        raise BadParameter(f"A power of {shares['power']} is no more than alpha.", hint="The usual power is 0.8.")


def noninferior(high: float, margin: float, low: float = -math.inf) -> Decision:
    """Whether the difference is surely below `margin`, from the ends of its interval of level 1 - 2 alpha.

    "yes" where the upper end is below the margin, "no" where the lower end is not, else "undecided": so too for NaN.
    Source: Schuirmann 1987, doi:10.1007/BF01068419, one of his two tests.
    """
    if high < margin:
        return "yes"
    return "no" if low >= margin else "undecided"


def equivalent(low: float, high: float, margin: float) -> Decision:
    """Whether the difference is surely within `margin` of 0, from the ends of its interval of level 1 - 2 alpha.

    "yes" where the interval lies within, "no" where it lies outside, else "undecided": so too for NaN.
    Source: two one-sided tests, Schuirmann 1987, doi:10.1007/BF01068419.
    """
    if -margin < low and high < margin:
        return "yes"
    return "no" if low >= margin or high <= -margin else "undecided"


# The share of samples that may not decide alone.
FEW = 0.01
Verdict = Literal["better", "worse", "undecided", "identical"]


@dataclass(frozen=True)
class WinCounts:
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


def tally(differences: ArrayLike) -> WinCounts:
    """Count the signs of one column of differences (n,). Raises: as `columns`."""
    d = columns(differences)[:, 0]
    wins, losses = int(np.count_nonzero(d < 0)), int(np.count_nonzero(d > 0))
    return WinCounts(wins, len(d) - wins - losses, losses)


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


def rank_correlation(like: ArrayLike, other: ArrayLike) -> float:
    """Spearman's correlation of two systems' losses (n,), equal losses having their average rank; NaN where all are equal.

    Source: Spearman 1904, doi:10.2307/1412159. Raises: ShapeMismatch for different lengths, else as `columns`.
    """
    first, second = (_centred_ranks(columns(each, "losses")[:, 0]) for each in (like, other))
    if len(first) != len(second):
        raise ShapeMismatch(f"There are {len(first)} losses of one system and {len(second)} of the other.")
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
