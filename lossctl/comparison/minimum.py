"""The minimum of a function of one number: downhill over candidates, then between the neighbours of the best."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

GOLDEN = (3 - math.sqrt(5)) / 2
# A minimum is flat: its place is known to the square root of what a float64 resolves, in parts of where it was looked for.
PRECISE, TINY = 1e-8, 4e-16
STEPS = 60
# A value and its place.
Point = tuple[float, float]


def minimum(function: Callable[[float], float], grid: Sequence[float], at: int) -> tuple[float, int]:
    """Start at a candidate of an ascending grid. Return the place of the minimum, and the number of the best candidate."""
    known: dict[int, float] = {}

    def value(place: int) -> float:
        known.setdefault(place, function(grid[place]))
        return known[place] if known[place] == known[place] else math.inf

    while True:
        best = min((place for place in (at, at - 1, at + 1) if 0 <= place < len(grid)), key=value)
        if best == at:
            break
        at = best
    low, high = grid[max(at - 1, 0)], grid[min(at + 1, len(grid) - 1)]
    return between(function, low, high, (value(at), grid[at])), at


def between(function: Callable[[float], float], low: float, high: float, start: Point) -> float:
    """Brent's method (1973, chapter 5): parabolas through the three best points, and golden sections where they fail.

    `start` is a value and its place between `low` and `high`. No digits are returned that are not known.
    """
    known = PRECISE * (high - low)
    best = second = third = start
    last = before = 0.0
    for _ in range(STEPS):
        x = best[1]
        near = known + TINY * abs(x)
        if max(x - low, high - x) <= 2 * near:
            break
        step = _vertex(best, second, third)
        if not (abs(step) < abs(before) / 2 and low < x + step < high):
            last = (high if x < (low + high) / 2 else low) - x
            step = GOLDEN * last
        before, last = last, step
        place = x + (step if abs(step) >= near else math.copysign(near, (low + high) / 2 - x))
        found = (function(place), place)
        outer = x if found[0] < best[0] else place
        inner = place if found[0] < best[0] else x
        low, high = (max(low, outer), high) if outer < inner else (low, min(high, outer))
        best, second, third = _ranked(found, best, second, third)
    return round(best[1], math.ceil(-math.log10(known))) if known else best[1]


def _ranked(found: Point, best: Point, second: Point, third: Point) -> tuple[Point, Point, Point]:
    """The three best points, the oldest first among equals: at the bottom rounding alone tells them apart."""
    if found[0] < best[0]:
        return found, best, second
    if found[0] <= second[0] or second == best:
        return best, found, second
    return best, second, found if found[0] <= third[0] or third in {best, second} else third


def _vertex(best: Point, second: Point, third: Point) -> float:
    """The step from the best point to the lowest of the parabola through all three; NaN where there is none."""
    right, left = best[1] - second[1], best[1] - third[1]
    one, other = right * (best[0] - third[0]), left * (best[0] - second[0])
    if one == other or not math.isfinite(one - other):
        return math.nan
    return -(right * one - left * other) / (2 * (one - other))
