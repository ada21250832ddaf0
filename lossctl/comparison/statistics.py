"""Figures of how two systems' losses differ by sample: a function each, marked with what it needs.

They are figures of losses that are means over samples. Each appears in `comparisons` of the JSON document under its name and,
where it has a `column`, in the table `sample by sample`. What is made `of_moments` comes from what blocks add up to, so that it
is there for any number of samples; `of_samples` needs every sample's losses, and is null where these are too many to hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from lossctl.statistics.power import rank_correlation, top_share, trimming_flips

if TYPE_CHECKING:
    from collections.abc import Callable

    from lossctl.statistics.arrays import Floats
    from lossctl.statistics.sums import Moments


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
    """One figure: how it is computed, its column in the table, and what it is called where it is left out."""

    compute: Callable[..., Any]
    needs_samples: bool
    column: str = ""
    called: str = ""


STATISTICS: dict[str, Statistic] = {}
Function = TypeVar("Function", bound="Callable[..., Any]")


def of_moments(name: str, *, column: str = "") -> Callable[[Function], Function]:
    """A figure made of the `Differences`; the function returns a number, a bool or None."""
    return _added(name, needs_samples=False, column=column)


def of_samples(name: str, *, column: str = "", called: str = "") -> Callable[[Function], Function]:
    """A figure made of the losses of baseline and system (m,), scaled so that the reduced loss is their mean."""
    return _added(name, needs_samples=True, column=column, called=called)


def _added(name: str, **about: Any) -> Callable[[Function], Function]:
    def add(function: Function) -> Function:
        if name in STATISTICS:
            raise ValueError(f"there is a statistic '{name}' already")
        STATISTICS[name] = Statistic(function, **about)
        return function

    return add


def statistics_of(differences: Differences | None, samples: tuple[Floats, Floats] | None = None) -> dict[str, Any]:
    """Every figure by name; None for those that what is given does not say, and for a loss that is no mean."""
    figures: dict[str, Any] = {}
    for name, statistic in STATISTICS.items():
        if statistic.needs_samples:
            figures[name] = None if samples is None else statistic.compute(*samples)
        else:
            figures[name] = None if differences is None else statistic.compute(differences)
    return figures


def left_out() -> str:
    """What is said of a comparison that holds no samples."""
    *first, last = [statistic.called or name for name, statistic in STATISTICS.items() if statistic.needs_samples]
    return f"so many samples are not held: {', '.join(first)} and {last} are left out"


@of_moments("wins", column="better on")
def _wins(apart: Differences) -> int:
    return apart.below


@of_moments("ties", column="same on")
def _ties(apart: Differences) -> int:
    return apart.n - apart.below - apart.above


@of_moments("losses", column="worse on")
def _losses(apart: Differences) -> int:
    return apart.above


@of_samples("top_1_percent", column="by top 1 %", called="the top 1 %")
def _top_share(base: Floats, other: Floats) -> float:
    return top_share(other - base)


@of_samples("trimming_flips", called="trimming")
def _trimming_flips(base: Floats, other: Floats) -> bool:
    return trimming_flips(other - base)


of_samples("rank_correlation", column="rank correlation", called="rank correlations")(rank_correlation)
