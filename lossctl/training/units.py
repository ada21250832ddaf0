"""Raw outputs as numbers in the target's units.

Raw outputs near 0 and 1 should stand for common and for large targets, whatever the units: real numbers are the median of the
training targets plus raw outputs in units of their interquartile range, which outliers do not stretch; numbers above a bound
are a softplus of raw outputs in units of the mean.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from lossctl.blocks import NumPyArray
    from lossctl.training.tasks import Task

Change = Callable[[Any], Any]


@dataclass(frozen=True)
class Scale:
    """Where the training targets lie: their median, interquartile range (else standard deviation), and mean, by column."""

    task: Task
    centre: NumPyArray
    spread: NumPyArray
    mean: NumPyArray

    @staticmethod
    def of(task: Task, target: NumPyArray) -> Scale:
        """The scale of training targets (n,) or (n, k)."""
        low, centre, high = np.quantile(target, [0.25, 0.5, 0.75], axis=0)
        wide, deviation = high - low, target.std(axis=0)
        spread = np.where(wide > 0, wide, np.where(deviation > 0, deviation, 1.0))
        return Scale(task, centre, spread, target.mean(axis=0))

    def above(self, bound: float) -> NumPyArray:
        """How far the mean lies above a bound; 1 where it does not."""
        return np.where(self.mean > bound, self.mean - bound, 1.0)


@dataclass(frozen=True)
class Units:
    """A way to make a loss's first input of raw outputs, numbers in the target's units of them, and the input of these."""

    says: str
    train: Callable[[Scale], Change]
    stand: Callable[[Scale], Change]
    read: Change


def same(numbers: Any) -> Any:
    """The numbers as they are."""
    return numbers


def real(scale: Scale) -> Change:
    """Any real number."""
    return lambda raw: raw * raw.new_tensor(scale.spread) + raw.new_tensor(scale.centre)


def positive(scale: Scale, bound: float = 0.0) -> Change:
    """Numbers above a bound."""
    unit = scale.above(bound)
    return lambda raw: raw.logaddexp(raw.new_zeros(())) * raw.new_tensor(unit) + bound


def above_minus_one(scale: Scale) -> Change:
    """Numbers above -1."""
    return positive(scale, -1.0)


def log_rate(scale: Scale) -> Change:
    """The logarithm of a rate."""
    shift = np.log(scale.above(0.0))
    return lambda raw: raw + raw.new_tensor(shift)


def rate(scale: Scale) -> Change:
    """The rate itself."""
    logarithm = log_rate(scale)
    return lambda raw: logarithm(raw).exp()


IN_UNITS = {
    "real": Units("raw outputs in the target's units", real, real, same),
    "unknown": Units("raw outputs in the target's units", real, real, same),
    "rate": Units("the logarithm of a rate", log_rate, rate, lambda numbers: numbers.log()),
    "positive": Units("softplus", positive, positive, same),
    "non-negative": Units("softplus", positive, positive, same),
    "above -1": Units("softplus less 1", above_minus_one, above_minus_one, same),
}
