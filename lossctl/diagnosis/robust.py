"""Statistics that a few wild values cannot move: medians of blocks, spread by median deviations, Kendall's trend."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from lossctl.diagnosis.history import Floats

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
