"""Statistics that a few wild values cannot move: medians of blocks, spread by median deviations, Kendall's trend.

A loss curve with what every look at it needs: where it starts, how low it comes, where it ends.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from lossctl.guides.diagnose.history import Floats, Series


# Of a normal distribution, the standard deviation over the median absolute deviation, and the error of a median over that
# of a mean.
NORMAL = 1.4826
OF_MEDIAN = 1.2533
# A falling curve is fitted to so many points at most; a stride through more is odd, or it would hide a period of two.
FITTED = 4001


def spread(values: Floats) -> float:
    """Standard deviation by the median absolute deviation from the median; 0 without values."""
    return NORMAL * float(np.median(np.abs(values - np.median(values)))) if len(values) else 0.0


def noise(values: Floats) -> float:
    """Standard deviation of independent noise on a smooth curve, by the differences of neighbours."""
    return spread(np.diff(values)) / math.sqrt(2)


def medians(values: Floats, count: int) -> Floats:
    """The medians of `count` blocks of nearly one length, or the values where there are no more of them."""
    if len(values) <= count:
        return values
    edges = np.linspace(0, len(values), count + 1).astype(int)
    return np.array([np.median(values[low:high]) for low, high in pairwise(edges.tolist())])


def kendall(values: Floats) -> tuple[float, float]:
    """Kendall's tau of values against their order, and its z: below 0 where they fall (Mann 1945, doi:10.2307/1907187)."""
    count = len(values)
    if count < 2:  # noqa: PLR2004 - a trend needs two
        return 0.0, 0.0
    score = float(np.sum(np.sign(values[None, :] - values[:, None])[np.triu_indices(count, 1)]))
    deviation = math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    return score / (count * (count - 1) / 2), (score - math.copysign(min(1.0, abs(score)), score)) / deviation


def falling(values: Floats) -> Floats:
    """The falling curve nearest to values in squares (pool adjacent violators: Ayer 1955, doi:10.1214/aoms/1177728423)."""
    means: list[float] = []
    sizes: list[int] = []
    for value in values.tolist():
        mean, size = value, 1
        while means and means[-1] <= mean:
            other = sizes.pop()
            mean = (means.pop() * other + mean * size) / (other + size)
            size += other
        means.append(mean)
        sizes.append(size)
    return np.repeat(means, sizes)


def unsteady(values: Floats) -> tuple[float, int]:
    """Spread around the nearest falling curve, in the half where it is larger, and how often values cross that curve.

    Crossings count only from half a spread above to half a spread below, or back.
    """
    stride = len(values) // FITTED
    thin = values[:: stride + 1 - stride % 2]
    rest = thin - falling(thin)
    middle = len(rest) // 2
    # Around 0 and not around their own median, which lies on one side where values swing between two.
    found = NORMAL * max(float(np.median(np.abs(half))) for half in (rest[:middle], rest[middle:]))
    sides = np.sign(rest[np.abs(rest) > found / 2])
    return found, int(np.count_nonzero(np.diff(sides)))


def windows(values: Floats, width: int) -> Floats:
    """The running median: entry i is that of `values[i : i + width]`."""
    found: Floats = np.median(np.lib.stride_tricks.sliding_window_view(values, width), axis=1)
    return found


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
