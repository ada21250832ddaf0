"""A change: one value beside that of a baseline, with what is known of the chance in it."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Change:
    """The value of one result and of its baseline.

    `low` and `high` are the interval of value - base of level 1 - alpha, `low90` and `high90` that of level 1 - 2 alpha, which
    decides one-sidedly at alpha; `p` is two-sided and corrected for all that is tested at once; `error` is the standard error
    of value - base, from `units` samples or clusters. What is not known is None, and `why` then says the reason and `hint`
    the command that would find out. `aliases` are other names of `key`; `system` is whose value it is, where there are several.
    `main` says that a gate without a key means this one, too: no statistic and no group of it.
    """

    key: str
    value: float
    base: float
    low: float | None = None
    high: float | None = None
    low90: float | None = None
    high90: float | None = None
    p: float | None = None
    alpha: float = 0.05
    error: float | None = None
    units: int | None = None
    system: str = ""
    aliases: tuple[str, ...] = ()
    higher_is_better: bool = False
    main: bool = True
    why: str = "no samples of both were given"
    hint: str = ""

    @property
    def difference(self) -> float:
        """Value less baseline."""
        return self.value - self.base

    @property
    def worse(self) -> float:
        """By how much the value is worse: below zero where it is better."""
        return self.base - self.value if self.higher_is_better else self.value - self.base

    @property
    def relative(self) -> float:
        """`worse` in parts of the baseline's size: 0 where both are 0, infinite where only the baseline is."""
        if self.base == 0:
            return math.copysign(math.inf, self.worse) if self.worse else self.worse
        return self.worse / abs(self.base)

    @property
    def bounds(self) -> tuple[float, float] | None:
        """The interval of `worse` that decides one-sidedly at alpha."""
        if self.low90 is None or self.high90 is None:
            return None
        return (-self.high90, -self.low90) if self.higher_is_better else (self.low90, self.high90)
