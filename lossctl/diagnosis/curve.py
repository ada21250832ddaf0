"""A loss curve with what every look at it needs: where it starts, how low it comes, where it ends."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from lossctl.diagnosis.robust import medians, noise

if TYPE_CHECKING:
    from lossctl.diagnosis.history import Floats, Series

# A decrease is compared with this share of the starting level, where that is more: fine-tuning starts low and falls little.
SHARE = 0.25
BLOCKS = 40
# The first values, as many as two swings from value to value have.
FEW = 4


def blocks_of(count: int, most: int) -> int:
    """Into how many blocks so many values are cut: four values each, at least 8 and no more than `most` blocks."""
    return max(8, min(count // 4, most))


@dataclass(frozen=True)
class Curve:
    """The finite values of a loss, shape (n,), at their steps."""

    series: Series

    @property
    def values(self) -> Floats:
        """The values in order of steps."""
        return self.series.values

    @property
    def steps(self) -> Floats:
        """The steps, rising."""
        return self.series.steps

    def __len__(self) -> int:
        return len(self.values)

    @cached_property
    def start(self) -> float:
        """The level of the first values."""
        return float(np.median(self.values[:3]))

    @cached_property
    def end(self) -> float:
        """The level of the last values."""
        return float(np.median(self.values[-max(3, len(self) // 20) :]))

    @cached_property
    def levels(self) -> Floats:
        """The curve without its noise: medians of blocks."""
        return medians(self.values, blocks_of(len(self), BLOCKS))

    @cached_property
    def best(self) -> float:
        """The lowest level."""
        return float(self.levels.min())

    @cached_property
    def drop(self) -> float:
        """From the start to the lowest level; 0 where it never falls."""
        return max(0.0, self.start - self.best)

    @cached_property
    def descent(self) -> float:
        """The decrease by means, which a swing from value to value leaves as it is."""
        means = [float(np.mean(part)) for part in np.array_split(self.values, blocks_of(len(self), BLOCKS))]
        return max(0.0, float(np.mean(self.values[:FEW])) - min(means))

    @cached_property
    def scale(self) -> float:
        """What rises are compared with: the decrease, or a share of the starting level where that is more."""
        return max(self.drop, SHARE * abs(self.start), np.finfo(float).tiny)

    @cached_property
    def noise(self) -> float:
        """The standard deviation of the noise between neighbours."""
        return noise(self.values)

    def step(self, share: float) -> float:
        """The step at a share of the curve's points, from 0 to 1."""
        return float(self.steps[min(len(self) - 1, int(share * len(self)))])
