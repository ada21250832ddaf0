"""Whole numbers: ids, labels or counts.

Labels fill 0 … C-1 or 1 … C without gaps, and are about as frequent at the top as elsewhere. Counts thin out towards high
values, leave gaps there, or begin far from 0. A few values that show neither are taken for labels if they begin at 0 or 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.facts.sample import MOST, rank_correlation

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lossctl.blocks import NumPyArray

# So many numbers of which none occurs twice are ids.
IDS = 20
# Pairs of equal numbers that chance would make, were they no ids.
PAIRS = 10
# Row numbers are seen in fewer.
ROWS = 8
# The share of possible labels that must occur.
FILLED = 0.8
# Counts: at least so many levels, a top third so much rarer than average, and a fall that ranks agree on.
LEVELS, RARE, FALL = 5, 0.3, 0.7
# Numbers this skewed are no labels, where there are too many to count each.
SKEWED = 1.0
TWO = 2


def whole_numbers(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what whole numbers may be: ids, labels, counts."""
    if not facts["integral"] or facts["constant"] or (facts["levels"] and {*facts["levels"]} <= {-1, 0, 1}):
        return
    if facts["symmetric"]:
        return
    said = f"{facts['low']:.6g} to {facts['high']:.6g}"
    ids = _ids(facts)
    if ids and _unlikely(facts):
        yield "ids", ids
    low, high, count = _labels(facts)
    if low < 0:
        return
    numbers = facts["distinct_counts"]
    many = f"{count} distinct" if count is not None else "more than 1000 distinct"
    kinds = [("labels", f"whole numbers {low:g} to {high:g}, {many}{_void(facts)}")] if _dense(low, high, count) else []
    # Squares of numbers beyond 1e154 overflow.
    spread = "" if facts["dispersion"] is None else f", variance / mean {facts['dispersion']:.3g}"
    counted = ("counts", f"whole numbers {said}, {many}{spread}")
    thin = _thins_out(numbers, facts["ignored"]) if numbers else _skewed(facts)
    yield from [counted, *kinds] if thin or not kinds else [*kinds, counted]
    if ids:
        yield "ids", ids


def _labels(facts: Mapping[str, Any]) -> tuple[float, float, int | None]:
    """The least and largest label, and how many occur, but for the one that stands for none."""
    counts = facts["distinct_counts"]
    if counts is None:
        return facts["low"], facts["high"], None
    kept = [value for value in counts if value != facts["ignored"]]
    return min(kept), max(kept), len(kept)


def _void(facts: Mapping[str, Any]) -> str:
    return "" if facts["ignored"] is None else f", and {facts['ignored']:g} for none"


def _ids(facts: Mapping[str, Any]) -> str:
    """Why numbers are ids: they count the rows, or none occurs twice."""
    n = facts["elements"]
    if len(facts["shape"]) == TWO and facts["shape"][1] > 1:
        return ""
    if facts["even_step"] and n >= ROWS:
        return f"{n} whole numbers from {facts['low']:.12g} on, each {facts['even_step']:g} from the one before"
    if len(facts["shape"]) > TWO or n < IDS or facts["missing"] or facts["sample_repeats"]:
        return ""
    return f"{n} whole numbers, of which {'none' if not facts['sampled'] else 'none in a sample'} occurs twice"


def _unlikely(facts: Mapping[str, Any]) -> bool:
    """Whether random numbers of this range would hold many pairs of equal ones, and so must have been given out."""
    n = min(facts["elements"], MOST)
    return bool(facts["even_step"]) or n * (n - 1) / 2 >= PAIRS * (facts["high"] - facts["low"] + 1)


def _dense(low: float, high: float, count: int | None) -> bool:
    if low not in {0, 1}:
        return False
    return count is None or count >= FILLED * (high - low + 1)


def _skewed(facts: Mapping[str, Any]) -> bool:
    """Whether very many whole numbers thin out. Tables of whole numbers are texts in tokens, whatever their frequencies."""
    return (facts["skew"] or 0) > SKEWED and len(facts["shape"]) == 1


def _thins_out(counts: Mapping[Any, int], void: Any) -> bool:
    """Whether high numbers are rare and leave gaps, rise to one mode and fall from it."""
    values = sorted(value for value in counts if value != void)
    if len(values) < LEVELS:
        return False
    if values[-1] - values[0] >= 1 << 16:
        return True
    height = np.zeros(int(values[-1] - values[0]) + 1)
    height[[int(value - values[0]) for value in values]] = [counts[value] for value in values]
    third = len(height) // 3
    if height[-third:].mean() > RARE * height.mean():
        return False
    mode = int(height.argmax())
    return _falls(height[mode:]) and _falls(height[mode::-1])


def _falls(height: NumPyArray) -> bool:
    """Whether heights fall, all in all; three or fewer say nothing."""
    found = rank_correlation(np.arange(height.size), height) if height.size > 3 else None  # noqa: PLR2004
    return found is None or found <= -FALL
