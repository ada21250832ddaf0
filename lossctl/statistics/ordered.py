"""Order statistics of more numbers than memory holds, to the last bit: a few passes count them by their leading bits.

Floats are ordered as their bits are, once those below zero are turned around. Each pass narrows every rank that is asked for
down by 16 bits; as soon as few numbers are left beside the wanted ones, they are sorted. The spread of values by sample comes
of it: std, quartiles, tails, of all at once or in bounded memory.

Medians, ranks and tails that cannot be merged exactly come from a seeded sample of elements. Which are taken depends on how
many there are and on nothing else, so that blocks may be of any size.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import numpy as np

from lossctl.statistics.sums import Moments, exact_sum

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from lossctl.sources.readers import NumPyArray, Part
    from lossctl.statistics.arrays import Floats


# Numbers that are looked at together.
PIECE = 1 << 18
STEP, WIDTH = 16, 64
BINS = 1 << STEP
SIGN = np.uint64(1 << 63)
# So many are sorted.
FEW = 1 << 20


def quantiles(numbers: Part, shares: Sequence[float]) -> list[float]:
    """Quantiles of `numbers` (n,), which hold no NaN, to the same bits as NumPy's.

    They lie between neighbours; where any number is infinite, the nearest number is taken.
    Raises: what reading raises.
    """
    count = numbers.shape[0]
    places = [share * (count - 1) for share in shares]
    ranks = {rank for place in places for rank in (int(place), min(int(place) + 1, count - 1))} | {0, count - 1}
    result = order_statistics(numbers, sorted(ranks))
    finite = bool(np.isfinite([result[0], result[count - 1]]).all())
    return [_between(result, place, count, finite=finite) for place in places]


def _between(found: Mapping[int, float], place: float, count: int, *, finite: bool) -> float:
    first = int(place)
    share = place - first
    if finite:
        return float(np.quantile([found[first], found[min(first + 1, count - 1)]], share))
    # NumPy's nearest: halves go to the even rank.
    return found[first + round(share + first % 2) - first % 2]


def order_statistics(numbers: Part, ranks: Sequence[int]) -> dict[int, float]:
    """The numbers (n,) at ascending `ranks`, counted from 0 in ascending order; there must be no NaN among the numbers.

    Raises: what reading raises.
    """
    known = np.zeros(1, np.uint64), np.zeros(1, np.int64)
    left = np.asarray(ranks)
    prefixes, before, within = known[0].repeat(len(left)), np.zeros(len(left), np.int64), numbers.shape[0]
    for depth in range(STEP, WIDTH + 1, STEP):
        if within <= FEW:
            return dict(zip(ranks, _sorted(numbers, prefixes, left - before, depth - STEP), strict=True))
        wanted = np.unique(prefixes)
        counts = _counted(numbers, wanted, depth)
        places = np.searchsorted(wanted, prefixes)
        ends = counts.cumsum(axis=1)[places]
        bins = np.asarray([np.searchsorted(end, rank, "right") for end, rank in zip(ends, left - before, strict=True)])
        before += np.where(bins > 0, ends[np.arange(len(bins)), bins - 1], 0)
        prefixes = (prefixes << np.uint64(STEP)) | bins.astype(np.uint64)
        within = int(sum(counts[place, bin_] for place, bin_ in set(zip(places.tolist(), bins.tolist(), strict=True))))
    return dict(zip(ranks, _floats(prefixes).tolist(), strict=True))


def shared(numbers: Part, count: int) -> tuple[float, float, float]:
    """The smallest of the numbers (n,), the sum of all, and that of the `count` largest, which is at least 1.

    Raises: what reading raises.
    """
    result = order_statistics(numbers, sorted({0, numbers.shape[0] - count}))
    edge = result[numbers.shape[0] - count]
    totals, above, tops = [], 0, []
    for start in range(0, numbers.shape[0], PIECE):
        part = numbers.read(start, min(start + PIECE, numbers.shape[0]))
        top = part[part > edge]
        totals.append(float(part.sum()))
        tops.append(float(top.sum()))
        above += len(top)
    return result[0], exact_sum(totals), exact_sum([*tops, edge * (count - above)])


def _pieces(numbers: Part) -> Iterator[NDArray[np.uint64]]:
    """The keys of all numbers, in the order of floats; -0.0 is 0.0."""
    for start in range(0, numbers.shape[0], PIECE):
        part = numbers.read(start, min(start + PIECE, numbers.shape[0])) + 0.0
        bits = part.view(np.uint64)
        yield np.where(bits & SIGN, ~bits, bits | SIGN)


def _floats(keys: NDArray[np.uint64]) -> Floats:
    bits = np.where(keys & SIGN, keys ^ SIGN, ~keys)
    return bits.view(np.float64)


def _counted(numbers: Part, wanted: NDArray[np.uint64], depth: int) -> NDArray[np.int64]:
    """How many keys that begin with each wanted prefix go on with each of the next bits, shape (prefixes, BINS)."""
    counts = np.zeros((len(wanted), BINS), np.int64)
    for keys in _pieces(numbers):
        heads = keys >> np.uint64(WIDTH - depth)
        for row, prefix in zip(counts, wanted, strict=True):
            mine = heads if depth == STEP else heads[heads >> np.uint64(STEP) == prefix]
            row[:] += np.bincount((mine & np.uint64(BINS - 1)).astype(np.int64), minlength=BINS)
    return counts


def _sorted(numbers: Part, prefixes: NDArray[np.uint64], places: NDArray[np.int64], depth: int) -> list[float]:
    """The numbers at `places` among those that share a prefix of `depth` bits, once these are few."""
    result: dict[int, list[NDArray[np.uint64]]] = {int(prefix): [] for prefix in prefixes}
    for keys in _pieces(numbers):
        heads = keys >> np.uint64(WIDTH - depth) if depth else np.zeros_like(keys)
        for prefix, kept in result.items():
            kept.append(keys[heads == np.uint64(prefix)])
    ordered = {prefix: np.sort(np.concatenate([np.zeros(0, np.uint64), *kept])) for prefix, kept in result.items()}
    pairs = zip(prefixes.tolist(), places.tolist(), strict=True)
    return [float(item) for item in _floats(np.asarray([ordered[prefix][place] for prefix, place in pairs]))]


# Spreads of up to so many samples are taken of all at once; beyond, moments are merged, and quantiles counted.
AT_ONCE = 1 << 21
QUANTILES = {"min": 0.0, "p25": 0.25, "median": 0.5, "p75": 0.75, "p95": 0.95, "p99": 0.99, "max": 1.0}


def statistics(values: NumPyArray) -> dict[str, float]:
    """Spread of per-sample values: std, min, quartiles, tails, max. Samples that count for nothing are left out."""
    counted = values[~np.isnan(values)]
    if not counted.size:
        return dict.fromkeys(("std", *QUANTILES), math.nan)
    with np.errstate(all="ignore"):
        mean = float(counted.mean())
        moments = Moments(counted.size, mean, float(((counted - mean) ** 2).sum()))
        # Between a number and infinity there is no number: next to one the nearest value is taken.
        method: Literal["linear", "nearest"] = "linear" if np.isfinite(counted).all() else "nearest"
        levels = np.quantile(counted, list(QUANTILES.values()), method=method).tolist()
    return {"std": moments.std, **dict(zip(QUANTILES, levels, strict=True))}


def spread(numbers: Part, moments: Moments) -> dict[str, float]:
    """The same of values (n,) that are no NaN, in bounded memory: of many, the spread comes from their merged moments.

    Raises: what reading raises.
    """
    if moments.n <= AT_ONCE:
        return statistics(numbers.read(0, numbers.shape[0]))
    levels = quantiles(numbers, list(QUANTILES.values()))
    return {"std": moments.std, **dict(zip(QUANTILES, levels, strict=True))}


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


def sample_spread(values: NumPyArray) -> dict[str, float | None]:
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
