"""The noise floor of reruns: how far two runs of the same thing differ by chance, and the gate that allows as much."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING

from lossctl.statistics.special import t_upper
from lossctl.sums import exact_sum

if TYPE_CHECKING:
    from collections.abc import Sequence

# The spread of fewer runs is hardly known: of two, the tolerance is more than six times that of many.
FEW = 5
# Digits of a tolerance that is pasted; it is rounded up.
DIGITS = 2


@dataclass(frozen=True)
class Noise:
    """The values of one loss over reruns.

    `tolerance` is what the size of the difference of two further runs exceeds with probability alpha; `relative` is the same in
    parts of the mean's size, NaN where the mean is 0.
    """

    runs: int
    mean: float
    std: float
    low: float
    high: float
    tolerance: float

    @property
    def relative(self) -> float:
        """The tolerance in parts of the mean's size."""
        return self.tolerance / abs(self.mean) if self.mean else math.nan

    @property
    def few(self) -> bool:
        """Whether there are too few runs for their spread to be known."""
        return self.runs < FEW

    def gates(self, key: str) -> tuple[str, ...]:
        """The options to paste, relative first; a tolerance is rounded up."""
        absolute = f"--max-abs {key}={_rounded(self.tolerance)}"
        return (absolute,) if math.isnan(self.relative) else (f"--max-rel {key}={_rounded(100 * self.relative)}%", absolute)


def noise(values: Sequence[float], alpha: float) -> Noise:
    """Say how far reruns differ; the difference of two normal values has sqrt(2) times the deviation of one.

    `values` are at least two. Source: the prediction interval of Student 1908, doi:10.1093/biomet/6.1.1.
    """
    runs = len(values)
    mean = exact_sum([*values]) / runs
    std = math.sqrt(exact_sum([(value - mean) ** 2 for value in values]) / (runs - 1))
    same = min(values) == max(values)
    spread = 0.0 if same else std
    return Noise(
        runs,
        values[0] if same else mean,
        spread,
        min(values),
        max(values),
        t_upper(alpha / 2, runs - 1) * math.sqrt(2) * spread,
    )


def _rounded(number: float) -> str:
    """A number rounded up to two digits, as one would type it."""
    if not number or not math.isfinite(number):
        return f"{number:g}"
    exact = Decimal(number)
    step = Decimal(1).scaleb(exact.adjusted() - DIGITS + 1)
    return f"{exact.quantize(step, rounding=ROUND_CEILING).normalize():f}"
