"""A seeded sample of elements for what cannot be merged exactly: medians, ranks and tails.

Which elements are taken depends on how many there are and on nothing else, so that blocks may be of any size.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from lossctl.blocks import NumPyArray

MOST = 1 << 16
SEED = 0
# The factor that makes the median absolute deviation of a normal distribution its standard deviation.
NORMAL = 1.4826
# Iglewicz and Hoaglin 1993: farther than 3.5 such deviations from the median is an outlier.
FAR = 3.5
# The part of the largest deviations that Hill's estimate looks at, and how many it needs.
TAIL, ENOUGH = 0.05, 10


def positions(elements: int) -> NumPyArray:
    """Which of `elements` numbers are taken, in order: all, or one of each of MOST stretches of equal length."""
    if elements <= MOST:
        return np.arange(elements)
    # A damaged file may claim so many that their product with MOST is no int64.
    steps, (size, rest) = np.arange(MOST + 1, dtype=np.int64), divmod(elements, MOST)
    edges = steps * size + steps * rest // MOST
    return np.random.default_rng(SEED).integers(edges[:-1], edges[1:])


def among(places: NumPyArray, start: int, stop: int) -> NumPyArray:
    """Those of the sorted places that lie in the range [start, stop), counted from its start."""
    first, last = np.searchsorted(places, (start, stop))
    return places[first:last] - start


def spread(values: NumPyArray) -> dict[str, float | None]:
    """Median, MAD, the share of outliers, and the tail, of finite values, shape (n,).

    MAD is the median distance from the median, as a standard deviation. Where more than half of all values are equal it is
    0, and there is no share of outliers.
    """
    if not values.size:
        return dict.fromkeys(("median", "mad", "outlier_share", "tail"))
    median = float(np.median(values))
    distance = np.abs(values - median)
    mad = NORMAL * float(np.median(distance))
    outliers = float(np.mean(distance > FAR * mad)) if mad > 0 else None
    return {"median": median, "mad": mad, "outlier_share": outliers, "tail": tail(distance)}


def tail(distance: NumPyArray) -> float | None:
    """Hill's estimate of the tail index from the largest 5 % of distances: about 1 for Cauchy, 3 for Student's t with 3.

    The smaller, the heavier; below 2 there is no variance. None for fewer than 200 values, or where the tail is flat.
    """
    count = math.floor(TAIL * distance.size)
    if count < ENOUGH:
        return None
    top = np.partition(distance, distance.size - count - 1)[distance.size - count - 1 :]
    if top[0] <= 0:
        return None
    mean = float(np.mean(np.log(top[1:] / top[0]))) if np.isfinite(top).all() else 0.0
    return 1 / mean if mean > 0 else None


def ranks(values: NumPyArray) -> NumPyArray:
    """Ranks from 1, ties sharing their mean."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse]


def rank_correlation(x: NumPyArray, y: NumPyArray) -> float | None:
    """Spearman's correlation; None where one side does not vary."""
    if x.size < 3:  # noqa: PLR2004 - two points always lie on a line
        return None
    a, b = ranks(x), ranks(y)
    a, b = a - a.mean(), b - b.mean()
    size = math.sqrt(float(np.vdot(a, a)) * float(np.vdot(b, b)))
    return float(np.vdot(a, b)) / size if size > 0 else None


def ranked_above(scores: NumPyArray, positive: NumPyArray) -> float | None:
    """How often a positive has a higher score than a negative, ties half: the area under the ROC curve."""
    ones, zeros = int(positive.sum()), int((~positive).sum())
    if not ones or not zeros:
        return None
    return float((ranks(scores)[positive].sum() - ones * (ones + 1) / 2) / (ones * zeros))


def share_of_top(values: NumPyArray, share: float = 0.01) -> float | None:
    """The part of a sum that its largest summands carry; at least one of them."""
    total = float(values.sum())
    if not values.size or not 0 < total < math.inf:
        return None
    count = max(1, math.ceil(share * values.size))
    return float(np.partition(values, values.size - count)[values.size - count :].sum()) / total
