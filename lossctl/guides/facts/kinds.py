"""What data may be: every kind that fits, the likeliest first, each with the numbers that say so.

Values do not tell everything. Where several kinds fit, the order below decides, and `docs/inspect.md` says which are often
confused: zeros and ones are binary and no probabilities, whole numbers from 0 on are labels unless they thin out like counts.

Of whole numbers, labels fill 0 … C-1 or 1 … C without gaps, and are about as frequent at the top as elsewhere. Counts thin out
towards high values, leave gaps there, or begin far from 0. A few values that show neither are taken for labels if they begin
at 0 or 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.guides.facts.counts import VOID
from lossctl.statistics.ordered import MOST, rank_correlation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from lossctl.sources.readers import NumPyArray


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
    correlation = rank_correlation(np.arange(height.size), height) if height.size > 3 else None  # noqa: PLR2004
    return correlation is None or correlation <= -FALL


if TYPE_CHECKING:
    FactsByName = Mapping[str, Any]
    Kinds = Iterable[tuple[str, str]]

# Fewer values than this lie in [0, 1], or below 0, by chance.
ENOUGH = 8
# Fewer boxes than this have their corners in order by chance.
BOXES = 5
# Rows of probabilities add up to 1 to this, in half precision too, and rounded ones to a little less.
CLOSE, LOOSE = 1e-3, 0.05
# Scores of a classifier are not larger than this.
SCORE = 100.0
# Unix times of 1980 to 2100, and the units they are given in.
EPOCH = (315_532_800, 4_102_444_800)
UNITS = {"seconds": 1, "milliseconds": 1000, "microseconds": 10**6, "nanoseconds": 10**9}


def likely_kinds(facts: FactsByName) -> list[dict[str, str]]:
    """Every kind that fits: `kind` and `reason`, the likeliest first. There is always one."""
    reasons: dict[str, str] = {}
    for rule in RULES:
        for kind, reason in rule(facts):
            reasons.setdefault(kind, reason)
    return [{"kind": kind, "reason": reason} for kind, reason in reasons.items()]


def rank(facts: FactsByName) -> int:
    """How many axes there are, but for those of size 1 behind the first."""
    return 1 + len([size for size in facts["shape"][1:] if size != 1])


def classes(facts: FactsByName) -> int:
    """How many columns the class axis has; 1 where there is none."""
    return int(facts["shape"][facts["class_axis"]]) if facts["class_axis"] is not None else 1


def ranged(facts: FactsByName) -> str:
    """`from 0 to 2.5`."""
    return f"from {facts['low']:.6g} to {facts['high']:.6g}"


def _nothing(facts: FactsByName) -> Kinds:
    if facts["low"] is None:
        what = f"every value is NaN or infinite ({facts['elements']})" if facts["elements"] else "there are no values"
        yield "real", what


def _constant(facts: FactsByName) -> Kinds:
    if facts["constant"]:
        yield "constant", f"every value is {facts['low']:.6g}"


def _two_levels(facts: FactsByName) -> Kinds:
    """Zeros and ones, -1 and 1, or 0 and 255."""
    levels = {*(facts["levels"] or ())}
    if levels == {-1, 1}:
        yield "plus_minus", f"only -1 and 1; {1 - facts['negative_share']:.3g} of them are 1"
    if levels == {0, VOID}:
        yield "mask", f"only 0 and 255; {1 - facts['zero_share']:.3g} of them are foreground"
    if levels and levels <= {0, 1}:
        ones = f"{facts['one_share']:.3g} of them are 1"
        count = classes(facts)
        if count > 1:
            if facts["row_sum_low"] == facts["row_sum_high"] == 1:
                yield "one_hot", f"zeros and ones, a single 1 in each row of {count}"
            elif rank(facts) <= 2:  # noqa: PLR2004 - samples and labels
                sums = f"{facts['row_sum_low']:g} to {facts['row_sum_high']:g}" if facts["row_sum_low"] is not None else "some"
                yield "multi_hot", f"zeros and ones, {sums} ones in each row of {count}"
        if rank(facts) > 2:  # noqa: PLR2004 - samples, height and width
            yield "mask", f"zeros and ones over {len(facts['shape'])} axes; {ones}"
        yield "binary", f"only 0 and 1; {ones}"
        if rank(facts) == 2:  # noqa: PLR2004 - one image
            yield "mask", f"zeros and ones over 2 axes; {ones}"
        yield "labels", "2 classes, 0 and 1"


def _times(facts: FactsByName) -> Kinds:
    if rank(facts) != 1 or facts["low"] is None or facts["constant"]:
        return
    for unit, size in UNITS.items():
        if facts["integral"] and EPOCH[0] * size <= facts["low"] <= facts["high"] <= EPOCH[1] * size:
            yield "times", f"{unit} since 1970, from {facts['low']:.15g} to {facts['high']:.15g}"
    if facts["even_step"] and not facts["integral"] and facts["elements"] >= ENOUGH:
        yield "times", f"evenly spaced {ranged(facts)}, {facts['even_step']:.6g} apart"


def _boxes(facts: FactsByName) -> Kinds:
    if facts["corners"] and facts["n"] >= BOXES and not facts["missing"] and not _adds_up(facts):
        yield "boxes", f"4 columns, the third above the first and the fourth above the second in all {facts['n']} rows"


def _distances(facts: FactsByName) -> Kinds:
    if facts["symmetric"] and facts["low"] == 0 < facts["high"]:
        yield (
            "distances",
            f"a symmetric {facts['n']} x {facts['n']} matrix with zeros on its diagonal, up to {facts['high']:.6g}",
        )


def _unit_interval(facts: FactsByName) -> Kinds:
    """Fractions between 0 and 1."""
    if facts["low"] is None or facts["low"] < 0 or facts["high"] > 1 or facts["integral"]:
        return
    if _adds_up(facts):
        sums = f"{facts['row_sum_low']:.4g} to {facts['row_sum_high']:.4g}"
        yield "simplex", f"rows of {classes(facts)} numbers {ranged(facts)} that add up to {sums}"
    steps = _even_levels(facts["levels"])
    if steps:
        yield "proportions", f"{len(facts['levels'])} levels {ranged(facts)}, {steps:.3g} apart"
    yield "probabilities", f"{facts['elements']} numbers {ranged(facts)}"
    yield "proportions", f"{facts['elements']} numbers {ranged(facts)}"


def _adds_up(facts: FactsByName) -> bool:
    low, high = facts["row_sum_low"], facts["row_sum_high"]
    if classes(facts) < 2 or low is None or facts["low"] is None or facts["low"] < 0:  # noqa: PLR2004 - one number is no row
        return False
    return bool(max(abs(low - 1), abs(high - 1)) <= _tolerance(facts))


def _tolerance(facts: FactsByName) -> float:
    """How far a row may be from 1: half a unit of the last digit for each class, where digits were rounded off."""
    rounded = 0.0 if facts["decimals"] is None else 0.5 * classes(facts) * 10.0 ** -facts["decimals"]
    return max(CLOSE, min(LOOSE, 1.001 * rounded))


def _even_levels(levels: list[float] | None) -> float | None:
    """The distance of a few levels that are evenly spaced, such as 0, 0.25, 0.5, 0.75 and 1."""
    if not levels or len(levels) < 3:  # noqa: PLR2004 - two are always evenly spaced
        return None
    step = (levels[-1] - levels[0]) / (len(levels) - 1)
    even = all(abs(level - levels[0] - i * step) < step / 1000 for i, level in enumerate(levels))
    return step if even else None


def _log_probabilities(facts: FactsByName) -> Kinds:
    if facts["high"] is None or facts["high"] > 0 or facts["integral"] or facts["nan"]:
        return
    low, high = facts["row_exp_low"], facts["row_exp_high"]
    if classes(facts) > 1 and low is not None and max(abs(low - 1), abs(high - 1)) <= max(_tolerance(facts), CLOSE):
        yield "log_probabilities", f"rows of {classes(facts)} whose exponentials add up to {low:.4g} to {high:.4g}"
    elif facts["elements"] >= ENOUGH:
        yield "log_probabilities", f"{facts['elements']} numbers {ranged(facts)}, none above 0"


def _scores(facts: FactsByName) -> Kinds:
    """Numbers of both signs: scores by class, or anything."""
    if facts["low"] is None or facts["low"] >= 0 or facts["integral"]:
        return
    scores = max(-facts["low"], facts["high"]) <= SCORE
    unit = facts["row_square_low"] is not None and max(abs(facts[f"row_square_{end}"] - 1) for end in ("low", "high")) <= CLOSE
    if unit and classes(facts) > 2:  # noqa: PLR2004 - a point on a circle
        yield "real", f"rows of {classes(facts)} numbers whose length is 1, as of embeddings"
    if classes(facts) > 1 and scores:
        yield "logits", f"{classes(facts)} scores a row, {ranged(facts)}"
    yield "real", f"numbers of both signs or below 0, {ranged(facts)}"
    if scores:
        yield "logits", f"scores {ranged(facts)}, one a sample"


def _rest(facts: FactsByName) -> Kinds:
    if facts["low"] is None:
        return
    if facts["low"] >= 0 and not facts["constant"]:
        zeros = f", {facts['zero_share']:.3g} of them 0" if facts["low"] == 0 else ""
        yield "positive", f"numbers {ranged(facts)}{zeros}"
        if not facts["integral"]:
            yield "distances", f"numbers {ranged(facts)}, none below 0"
            if classes(facts) > 1 and 1 < facts["high"] <= SCORE:
                yield "logits", f"{classes(facts)} scores a row, {ranged(facts)}"
    yield "real", f"numbers {ranged(facts)}"


RULES: tuple[Callable[[FactsByName], Kinds], ...] = (
    _nothing,
    _constant,
    _two_levels,
    _times,
    whole_numbers,
    _distances,
    _boxes,
    _unit_interval,
    _log_probabilities,
    _scores,
    _rest,
)
