"""Order statistics of more numbers than memory holds, to the last bit: a few passes count them by their leading bits.

Floats are ordered as their bits are, once those below zero are turned around. Each pass narrows every rank that is asked for
down by 16 bits; as soon as few numbers are left beside the wanted ones, they are sorted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lossctl.sums import exact_sum

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from lossctl.blocks import Part
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
    found = order_statistics(numbers, sorted(ranks))
    finite = bool(np.isfinite([found[0], found[count - 1]]).all())
    return [_between(found, place, count, finite=finite) for place in places]


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
    found = order_statistics(numbers, sorted({0, numbers.shape[0] - count}))
    edge = found[numbers.shape[0] - count]
    totals, above, tops = [], 0, []
    for start in range(0, numbers.shape[0], PIECE):
        part = numbers.read(start, min(start + PIECE, numbers.shape[0]))
        top = part[part > edge]
        totals.append(float(part.sum()))
        tops.append(float(top.sum()))
        above += len(top)
    return found[0], exact_sum(totals), exact_sum([*tops, edge * (count - above)])


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
    found: dict[int, list[NDArray[np.uint64]]] = {int(prefix): [] for prefix in prefixes}
    for keys in _pieces(numbers):
        heads = keys >> np.uint64(WIDTH - depth) if depth else np.zeros_like(keys)
        for prefix, kept in found.items():
            kept.append(keys[heads == np.uint64(prefix)])
    ordered = {prefix: np.sort(np.concatenate([np.zeros(0, np.uint64), *kept])) for prefix, kept in found.items()}
    pairs = zip(prefixes.tolist(), places.tolist(), strict=True)
    return [float(one) for one in _floats(np.asarray([ordered[prefix][place] for prefix, place in pairs]))]
