"""Figures of how two systems' losses differ by sample: one row each, and the row says what it is computed from.

They are figures of losses that are means over samples. Each appears in `comparisons` of the JSON document under its name and,
where it has a `column`, in the table `sample by sample`. `of_moments` is computed from what blocks add up to, so that it is
there for any number of samples; `of_samples` needs every sample's losses, and is null where there are too many of them to hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lossctl.statistics.verdict import rank_correlation, top_share, trimming_flips

if TYPE_CHECKING:
    from collections.abc import Callable

    from lossctl.statistics.arrays import Floats
    from lossctl.sums import Moments


@dataclass(frozen=True)
class Differences:
    """Differences by sample, system minus baseline: how many are below and above zero, and their count, mean and deviations."""

    below: int
    above: int
    moments: Moments

    @property
    def n(self) -> int:
        """How many samples are compared."""
        return self.moments.n


@dataclass(frozen=True)
class Statistic:
    """One figure, computed in one of two ways; `column` is its heading, and `called` what is said where it is left out.

    `of_moments` takes the `Differences`. `of_samples` takes the losses of baseline and system (m,), scaled so that the reduced
    loss is their mean. Both return a number, a bool or None.
    """

    of_moments: Callable[[Differences], Any] | None = None
    of_samples: Callable[[Floats, Floats], Any] | None = None
    column: str = ""
    called: str = ""


STATISTICS: dict[str, Statistic] = {
    "wins": Statistic(of_moments=lambda apart: apart.below, column="better on"),
    "ties": Statistic(of_moments=lambda apart: apart.n - apart.below - apart.above, column="same on"),
    "losses": Statistic(of_moments=lambda apart: apart.above, column="worse on"),
    "top_1_percent": Statistic(
        of_samples=lambda base, other: top_share(other - base), column="by top 1 %", called="the top 1 %"
    ),
    "trimming_flips": Statistic(of_samples=lambda base, other: trimming_flips(other - base), called="trimming"),
    "rank_correlation": Statistic(of_samples=rank_correlation, column="rank correlation", called="rank correlations"),
}


def statistics_of(differences: Differences | None, samples: tuple[Floats, Floats] | None = None) -> dict[str, Any]:
    """Every figure by name; None for those that what is given does not say, and for a loss that is no mean."""
    figures: dict[str, Any] = {}
    for name, statistic in STATISTICS.items():
        figures[name] = None
        if statistic.of_moments is not None and differences is not None:
            figures[name] = statistic.of_moments(differences)
        elif statistic.of_samples is not None and samples is not None:
            figures[name] = statistic.of_samples(*samples)
    return figures


def left_out() -> str:
    """What is said of a comparison that holds no samples."""
    *first, last = [statistic.called or name for name, statistic in STATISTICS.items() if statistic.of_samples is not None]
    return f"so many samples are not held: {', '.join(first)} and {last} are left out"
