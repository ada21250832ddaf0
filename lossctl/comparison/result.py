"""How a comparison is made and what came of it: one type, whether every sample was in memory or only sums and moments of them.

Rows, documents, explanations and gates are made of it, and none of them asks on which way it was computed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from lossctl.statistics.arrays import Draws

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lossctl.engine.binding import Bound
    from lossctl.engine.reduce import Outcome
    from lossctl.report import Report


@dataclass(frozen=True)
class ComparisonRules:
    """How to test: options of the command line, with their defaults. `clusters` are codes of the samples that count."""

    draws: Draws = field(default_factory=Draws)
    alpha: float = 0.05
    test: str = "auto"
    correction: str = "maxt"
    reduction: str = "mean"
    horizon: int = 1
    clusters: Any = None

    def subset(self, chosen: Any) -> ComparisonRules:
        """The rules for some of the samples, or for another order of them."""
        return self if self.clusters is None else replace(self, clusters=self.clusters[chosen])


@dataclass(frozen=True)
class Estimate:
    """What is said of one system beside the baseline under one loss, over all samples or over one group of them.

    `value` and `base` are the losses of the system and of the baseline, `n` how many samples these come from. `low` and `high`
    are the interval of the difference of level 1 - alpha, `low_wide` and `high_wide` that of level 1 - 2 alpha, which decides
    one-sidedly. `error` is the standard error of the difference, from `units` samples or clusters; `detectable` is the
    difference that so many units find four times of five, and `needed` how many would find this one. `statistics` has the
    figures of `lossctl.comparison.statistics` by name. What a test or a loss does not have is NaN or None. `why` is the reason
    of one that was not tested.
    """

    loss: str
    system: str
    baseline: str
    group: str | None
    value: float
    base: float
    n: int
    higher_is_better: bool = False
    test: str = "none"
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
    statistics: Mapping[str, Any] = field(default_factory=dict)
    seed_flips: bool = False
    identical: bool = False
    small: bool = False
    skewed: bool = False
    verdict: str = "not tested"
    why: str = ""

    @property
    def difference(self) -> float:
        """System minus baseline."""
        return self.value - self.base

    @property
    def relative(self) -> float:
        """The difference in units of the baseline's loss."""
        return self.difference / abs(self.base) if self.base else math.nan

    @property
    def better(self) -> bool | None:
        """Whether the system's value is the better one; None where both are the same, or one is no number."""
        if not self.difference or math.isnan(self.difference):
            return None
        return (self.difference > 0) == self.higher_is_better


class Valued(Protocol):
    """One loss of one system, over all samples or some."""

    @property
    def bound(self) -> Bound:
        """The loss with its inputs."""

    @property
    def value(self) -> float:
        """The reduced loss."""

    @property
    def n(self) -> int:
        """How many samples it comes from."""

    @property
    def why(self) -> str:
        """Why it cannot be tested; empty where it can."""


@dataclass(frozen=True)
class Names:
    """What systems and losses are called, the baseline first."""

    systems: Sequence[str]
    losses: Sequence[str]

    def estimates(self, rows: Sequence[Sequence[Valued]], group: str | None) -> dict[tuple[int, int], Estimate]:
        """What is said before any test, by the numbers of loss and system; `rows` has a row a system and a column a loss."""
        base, *others = rows
        return {
            (loss, system): Estimate(
                label,
                self.systems[system],
                self.systems[0],
                group,
                row[loss].value,
                base[loss].value,
                base[loss].n,
                base[loss].bound.loss.higher_is_better,
                why=base[loss].why or row[loss].why,
            )
            for loss, label in enumerate(self.losses)
            for system, row in enumerate(others, 1)
        }


@dataclass(frozen=True)
class Comparison:
    """Losses of every system, the baseline first, and what is said of each other one against it.

    `outcomes` has a row a system and a column a loss. `estimates` go over all samples and then over each group, in each by loss
    and system. `explained` are the entries and the tables of explanations.
    """

    systems: Sequence[str]
    losses: Sequence[str]
    outcomes: Sequence[Sequence[Outcome]]
    rules: ComparisonRules
    estimates: Sequence[Estimate] = ()
    explained: tuple[Sequence[Mapping[str, Any]], Sequence[Report]] = ((), ())

    @property
    def whole(self) -> Sequence[Estimate]:
        """What is said over all samples."""
        return [estimate for estimate in self.estimates if estimate.group is None]

    def values(self) -> dict[str, float]:
        """Every number that a gate may bound: `loss[system]`, and `loss` where there is one system besides the baseline."""
        values = {
            f"{loss}[{system}]": outcome.value
            for system, row in zip(self.systems, self.outcomes, strict=True)
            for loss, outcome in zip(self.losses, row, strict=True)
        }
        if len(self.systems) <= 2:  # noqa: PLR2004 - a baseline and the one that is judged
            values |= {loss: outcome.value for loss, outcome in zip(self.losses, self.outcomes[-1], strict=True)}
        return values

    def coverage(self) -> float:
        """The least share of samples that a loss of any system could use."""
        return min(outcome.coverage for row in self.outcomes for outcome in row)


def names(systems: Sequence[str]) -> list[str]:
    """What systems are called: the key or the file's stem, else the file's name with the key, else all of the source."""
    for short in (_stem, _last):
        shortened = [short(system) for system in systems]
        if len(set(shortened)) == len(shortened):
            return shortened
    return list(systems)


def _stem(system: str) -> str:
    path, key = _path_and_key(system)
    return key or (path if path.startswith("[") else Path(path).stem)


def _last(system: str) -> str:
    path, key = _path_and_key(system)
    name = path if path.startswith("[") else Path(path).name
    return f"{name}:{key}" if key else name


def _path_and_key(system: str) -> tuple[str, str]:
    """The path and the key behind it; what stands in place and addresses have none."""
    path, _, key = system.rpartition(":")
    if not path or "/" in key or system.startswith("["):
        return system, ""
    return path.removesuffix(":"), key
