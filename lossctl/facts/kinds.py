"""What data may be: every kind that fits, the likeliest first, each with the numbers that say so.

Values do not tell everything. Where several kinds fit, the order below decides, and `docs/inspect.md` says which are often
confused: zeros and ones are binary and no probabilities, whole numbers from 0 on are labels unless they thin out like counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lossctl.facts.balance import VOID
from lossctl.facts.whole import whole_numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    Found = Mapping[str, Any]
    Looks = Iterable[tuple[str, str]]

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


def looks(facts: Found) -> list[dict[str, str]]:
    """Every kind that fits: `kind` and `reason`, the likeliest first. There is always one."""
    found: dict[str, str] = {}
    for rule in RULES:
        for kind, reason in rule(facts):
            found.setdefault(kind, reason)
    return [{"kind": kind, "reason": reason} for kind, reason in found.items()]


def rank(facts: Found) -> int:
    """How many axes there are, but for those of size 1 behind the first."""
    return 1 + len([size for size in facts["shape"][1:] if size != 1])


def classes(facts: Found) -> int:
    """How many columns the class axis has; 1 where there is none."""
    return int(facts["shape"][facts["class_axis"]]) if facts["class_axis"] is not None else 1


def ranged(facts: Found) -> str:
    """`from 0 to 2.5`."""
    return f"from {facts['low']:.6g} to {facts['high']:.6g}"


def _nothing(facts: Found) -> Looks:
    if facts["low"] is None:
        what = f"every value is NaN or infinite ({facts['elements']})" if facts["elements"] else "there are no values"
        yield "real", what


def _constant(facts: Found) -> Looks:
    if facts["constant"]:
        yield "constant", f"every value is {facts['low']:.6g}"


def _two_levels(facts: Found) -> Looks:
    """Zeros and ones, -1 and 1, or 0 and 255."""
    levels = {*(facts["levels"] or ())}
    if levels == {-1, 1}:
        yield "plus_minus", f"only -1 and 1; {1 - facts['negative_share']:.3g} of them are 1"
    if levels == {0, VOID}:
        yield "mask", f"only 0 and 255; {1 - facts['zero_share']:.3g} of them are foreground"
    if levels and levels <= {0, 1}:
        yield from _zeros_and_ones(facts)


def _zeros_and_ones(facts: Found) -> Iterator[tuple[str, str]]:
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


def _times(facts: Found) -> Looks:
    if rank(facts) != 1 or facts["low"] is None or facts["constant"]:
        return
    for unit, size in UNITS.items():
        if facts["integral"] and EPOCH[0] * size <= facts["low"] <= facts["high"] <= EPOCH[1] * size:
            yield "times", f"{unit} since 1970, from {facts['low']:.15g} to {facts['high']:.15g}"
    if facts["even_step"] and not facts["integral"] and facts["elements"] >= ENOUGH:
        yield "times", f"evenly spaced {ranged(facts)}, {facts['even_step']:.6g} apart"


def _boxes(facts: Found) -> Looks:
    if facts["corners"] and facts["n"] >= BOXES and not facts["missing"] and not _adds_up(facts):
        yield "boxes", f"4 columns, the third above the first and the fourth above the second in all {facts['n']} rows"


def _distances(facts: Found) -> Looks:
    if facts["symmetric"] and facts["low"] == 0 < facts["high"]:
        yield (
            "distances",
            f"a symmetric {facts['n']} x {facts['n']} matrix with zeros on its diagonal, up to {facts['high']:.6g}",
        )


def _unit_interval(facts: Found) -> Looks:
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


def _adds_up(facts: Found) -> bool:
    low, high = facts["row_sum_low"], facts["row_sum_high"]
    if classes(facts) < 2 or low is None or facts["low"] is None or facts["low"] < 0:  # noqa: PLR2004 - one number is no row
        return False
    return bool(max(abs(low - 1), abs(high - 1)) <= _tolerance(facts))


def _tolerance(facts: Found) -> float:
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


def _log_probabilities(facts: Found) -> Looks:
    if facts["high"] is None or facts["high"] > 0 or facts["integral"] or facts["nan"]:
        return
    low, high = facts["row_exp_low"], facts["row_exp_high"]
    if classes(facts) > 1 and low is not None and max(abs(low - 1), abs(high - 1)) <= max(_tolerance(facts), CLOSE):
        yield "log_probabilities", f"rows of {classes(facts)} whose exponentials add up to {low:.4g} to {high:.4g}"
    elif facts["elements"] >= ENOUGH:
        yield "log_probabilities", f"{facts['elements']} numbers {ranged(facts)}, none above 0"


def _scores(facts: Found) -> Looks:
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


def _rest(facts: Found) -> Looks:
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


RULES: tuple[Callable[[Found], Looks], ...] = (
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
