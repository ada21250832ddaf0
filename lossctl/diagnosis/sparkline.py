"""A curve in one line of signs, and marks below it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lossctl.diagnosis.history import Floats, Series

BLOCKS = "▁▂▃▄▅▆▇█"
PLAIN = "_.-=+*#@"
# With a name and two numbers beside it, it fits into 80 columns.
WIDTH = 40


def sparkline(series: Series, *, plain: bool = False) -> str:
    """Draw medians of a series in up to 40 signs, evenly by count; `x` stands where all values are NaN or infinite.

    Where most of the curve is less than a tenth as high as the rest, as after an explosion, its height is cut there.
    """
    levels = np.array([_level(part) for part in np.array_split(series.values, min(WIDTH, len(series)))])
    finite = levels[np.isfinite(levels)]
    if not len(finite):
        return "x" * len(levels)
    signs = PLAIN if plain else BLOCKS
    low, high = float(finite.min()), _top(finite)
    share = (np.clip(levels, low, high) - low) / ((high - low) or 1.0)
    return "".join("x" if np.isnan(one) else signs[round(one * (len(signs) - 1))] for one in share.tolist())


def marks(series: Series, spans: Iterable[tuple[float, float]]) -> str:
    """Carets below the sparkline of a series, where one of the spans of steps lies."""
    parts = np.array_split(series.steps, min(WIDTH, len(series)))
    # A step between two logged ones belongs to the first part that ends behind it.
    ends = np.array([part[-1] for part in parts])
    found = [" "] * len(parts)
    for first, last in spans:
        low, high = (min(int(np.searchsorted(ends, step)), len(parts) - 1) for step in (first, last))
        found[low : high + 1] = "^" * (high + 1 - low)
    return "".join(found).rstrip()


def _level(values: Floats) -> float:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if len(finite) else float("nan")


def _top(levels: Floats) -> float:
    """The height of the drawing."""
    low, high = float(levels.min()), float(levels.max())
    usual = float(np.quantile(levels, 0.9))
    return usual if usual > low and high - low > 10 * (usual - low) else high
