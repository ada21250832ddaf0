"""Spread of values by sample: std, quartiles, tails, of all at once or in bounded memory."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import numpy as np

from lossctl.statistics.ordered import quantiles
from lossctl.sums import Moments

if TYPE_CHECKING:
    from lossctl.blocks import NumPyArray, Part

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
