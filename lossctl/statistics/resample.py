"""The ordinary bootstrap of sums: draw as many samples as there are, with replacement, and add up their terms.

More than 16 384 samples are first put at random into about 8 192 to 16 384 groups of nearly equal size, and groups are drawn.
Sums of random groups have the variance and skewness of the samples they hold, so nothing is lost but a little accuracy: the
width of an interval then varies by about 1 % with the seed.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from lossctl.statistics.arrays import totals

if TYPE_CHECKING:
    from lossctl.statistics.arrays import Floats
    from lossctl.statistics.draws import Draws

MOST = 1 << 14
# Resamples that share a stream. Fixed, so that the number of resamples changes none of the first ones.
ROWS = 8
# Products are added in parts that BLAS gives to a single thread, so that threads change no bit.
PART = 1 << 13
BOOTSTRAP, GROUPS = "bootstrap", "groups"


def resampled(terms: Floats, draws: Draws) -> Floats:
    """Sum terms of shape (n, c) over resamples of the samples; returns sums of shape (B, c).

    Every column's sums come from the same resamples and do not depend on the other columns.
    """
    units = np.ascontiguousarray(_grouped(terms, draws).T)
    blocks = range(-(-draws.resamples // ROWS))

    def block(number: int) -> Floats:
        counts = _counts(units.shape[1], number, draws)
        return np.stack([_product(counts, column) for column in units], axis=1)

    if draws.jobs == 1:
        sums = [block(number) for number in blocks]
    else:
        with ThreadPoolExecutor(draws.jobs) as pool:
            sums = list(pool.map(block, blocks))
    return np.concatenate(sums)[: draws.resamples]


def _counts(units: int, block: int, draws: Draws) -> Floats:
    """How often each unit is drawn in each resample of a block, shape (8, units)."""
    words = draws.words(BOOTSTRAP, block, ROWS * units // 2)
    # The upper half of bits * units is even over the units to one part in 2^18.
    drawn = words.view("<u4").astype(np.uint64)
    # In place: fresh memory costs more here than arithmetic.
    drawn *= np.uint64(units)
    drawn >>= np.uint64(32)
    counts = np.empty((ROWS, units))
    for resample, row in zip(counts, drawn.view(np.int64).reshape(ROWS, units), strict=True):
        resample[:] = np.bincount(row, minlength=units)
    return counts


def _product(counts: Floats, column: Floats) -> Floats:
    total = np.zeros(len(counts))
    for start in range(0, len(column), PART):
        total += np.vecdot(counts[:, start : start + PART], column[start : start + PART])
    return total


def _grouped(terms: Floats, draws: Draws) -> Floats:
    """Leave few samples as they are; sum many in random groups, each brought to the average size by the mean sample."""
    count = len(terms)
    if count <= MOST:
        return terms
    groups = count // -(-count // MOST)
    order = np.argsort(draws.words(GROUPS, 0, count), kind="stable")
    starts = np.arange(groups) * count // groups
    sums = np.add.reduceat(terms[order], starts, axis=0)
    sizes = np.diff(np.append(starts, count))
    grouped: Floats = sums + (count / groups - sizes)[:, None] * totals(terms) / count
    return grouped
