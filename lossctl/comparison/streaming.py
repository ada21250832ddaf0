"""A comparison of more samples than are held at once: two passes, and Student's t from merged moments.

The first pass sums, the second looks how far samples differ. So many samples need no flips: a difference of means has
Student's t and its interval, any other loss the same of its jackknife, and 0/1 losses have McNemar's exact test. Every figure
is that of the same samples held in memory; what needs their order by size is not given.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.comparison.estimates import by_t
from lossctl.comparison.judging import Judged, judged
from lossctl.comparison.measured import ROUNDING, Measured
from lossctl.comparison.spreads import Both, Spreading, Total
from lossctl.comparison.testing import Pair, Tested, not_two_valued
from lossctl.comparison.totals import ALL, Part, Parts, Slicing, Totalling
from lossctl.engine import evaluate_keeping
from lossctl.errors import UsageError
from lossctl.fold import fold
from lossctl.statistics import paired
from lossctl.statistics.multiple import adjust
from lossctl.statistics.special import t_two_sided

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lossctl.binding import Bound
    from lossctl.block import Backend, Selection
    from lossctl.comparison.spreads import Spread
    from lossctl.comparison.testing import Rules
    from lossctl.engine import Outcome
    from lossctl.spec import Options

TERMS = frozenset({"terms"})


def streams(bounds: Sequence[Bound], rules: Rules, *, ordered: bool, explained: bool) -> bool:
    """Whether a comparison does without holding samples: there are very many, and nothing that was asked for needs them."""
    plain = rules.test in {"auto", "t", "mcnemar"} and not (ordered or explained)
    return plain and len({bound.n for bound in bounds}) == 1 and bounds[0].n > paired.LARGE


@dataclass(frozen=True)
class Streamed:
    """Losses of every system, and what is said of each pair: over all samples under ALL, and by the code of its group.

    A member of a set that refused the values of some system is only among the losses, and the others' numbers leave it out.
    """

    measured: Sequence[Sequence[Measured]]
    judged: Mapping[int, Sequence[Judged]]


def stream(  # noqa: PLR0913, PLR0917 - everything that a comparison depends on
    systems: Sequence[Sequence[Bound]],
    backend: Backend,
    options: Options,
    selection: Selection,
    rules: Rules,
    codes: Any = None,
) -> Streamed:
    """Compare each system with the first in two passes; `codes` has the group of every sample, where there are groups.

    Raises: UsageError for a test that does not fit; what evaluating raises.
    """
    bounds, width = [bound for row in systems for bound in row], len(systems[0])
    first = Totalling(_slicing(len(bounds), width, codes))
    outcomes, tallies = evaluate_keeping(bounds, backend, options, selection, frozenset(), TERMS, first)
    rows = [Measured(bound, *_whole(outcome), unfit=outcome.unfit) for bound, outcome in zip(bounds, outcomes, strict=True)]
    out = {number % width for number, one in enumerate(rows) if one.unfit}
    fit = [number for number in range(len(bounds)) if number % width not in out]
    if not fit:
        return Streamed(_by_system(rows, width), {})
    bounds, slicing = [bounds[number] for number in fit], _slicing(len(fit), width - len(out), codes)
    triples = [(rows[number].bound, outcomes[number], tallies[number]) for number in fit]
    totals = [_totals(bound, outcome, tally.found, options.reduction) for bound, outcome, tally in triples]
    measured = [_measured(bound, outcome, own) for (bound, outcome, _), own in zip(triples, totals, strict=True)]
    both = _both(slicing, totals)
    spreads = fold(bounds, backend, options, selection, keep=TERMS, digest=Spreading(slicing, both)) if both else []
    found = {(code, number): spreads[number].found.found[code] for code, number in both}  # type: ignore[union-attr]
    for number, own in zip(fit, measured, strict=True):
        rows[number] = own[ALL]
    present = sorted({code for own in measured for code in own})
    judged = {code: _judged_of(code, width - len(out), measured, both, found, rules) for code in present}
    return Streamed(_by_system(rows, width), judged)


def _slicing(count: int, width: int, codes: Any) -> Slicing:
    """Each of `count` losses compared with that of the first system, which has `width` of them."""
    return Slicing({number: number % width for number in range(width, count)}, codes)


def _by_system(found: Sequence[Measured], width: int) -> list[Sequence[Measured]]:
    return [found[start : start + width] for start in range(0, len(found), width)]


def _both(slicing: Slicing, totals: Sequence[Mapping[int, tuple[Total, str]]]) -> dict[tuple[int, int], Both]:
    """The pairs that can be tested, by slice and the number of the system's loss."""
    return {
        (code, number): Both(totals[base][code][0], total)
        for number, base in slicing.baselines.items()
        for code, (total, why) in totals[number].items()
        if not why and not totals[base][code][1]
    }


def _measured(bound: Bound, outcome: Outcome, own: Mapping[int, tuple[Total, str]]) -> dict[int, Measured]:
    return {
        code: Measured(bound, *_whole(outcome), why=why) if code == ALL else _group(total, why)
        for code, (total, why) in own.items()
    }


def _whole(outcome: Outcome) -> tuple[float, int, int]:
    return outcome.value, outcome.n, outcome.skipped


def _group(total: Total, why: str) -> Measured:
    return Measured(total.bound, total.value, total.n, 0, why=why)


def _totals(bound: Bound, outcome: Outcome, found: Any, reduction: str) -> dict[int, tuple[Total, str]]:
    """The totals over all samples and over each group, with why there is no test of them."""
    parts = {ALL: Part(), **(found.found if isinstance(found, Parts) else {})}
    totals = {code: Total(bound, part, outcome.n if code == ALL else part.n, reduction) for code, part in parts.items()}
    return {code: (one, _why_not(outcome, one) if code == ALL else _why(one)) for code, one in totals.items()}


def _why(total: Total) -> str:
    if math.isfinite(total.value):
        return ""
    return "it is not finite" if total.sums["weight"] else "nothing is left to average"


def _why_not(outcome: Outcome, total: Total) -> str:
    """Why a loss cannot be told apart by sample."""
    bound = total.bound
    if bound.loss.whole and bound.loss.origin == "lossctl":
        return "it couples samples"
    if not total.part.n:
        return "it has no value for each sample"
    if not np.isfinite(outcome.value):
        return "it is not finite"
    if bound.loss.origin != "lossctl" and not np.isclose(total.value, outcome.value, rtol=ROUNDING, atol=0):
        return "its own mean is not that of its values"
    return _why(total)


def _judged_of(  # noqa: PLR0913, PLR0917 - everything that is known of one slice
    code: int,
    width: int,
    measured: Sequence[Mapping[int, Measured]],
    both: Mapping[tuple[int, int], Both],
    found: Mapping[tuple[int, int], Spread],
    rules: Rules,
) -> list[Judged]:
    """Test all pairs of one slice, loss by loss, and correct for their number."""
    numbers = [number for loss in range(width) for number in range(width + loss, len(measured), width)]
    pairs = {
        number: Pair(number % width, number // width, *(_of(measured[at], code) for at in (number % width, number)))
        for number in numbers
    }
    able = [number for number in numbers if (code, number) in both]
    tests = {number: _tested(pairs[number], both[code, number], found[code, number], rules) for number in able}
    correction = "holm" if rules.correction == "maxt" else rules.correction
    adjusted = adjust(np.asarray([tests[number][0] for number in able]), correction) if able else np.zeros(0)
    known = {
        number: _known(pairs[number], both[code, number], found[code, number], Tested(p, one, one, method), rules)
        for (number, (p, method)), one in zip(tests.items(), adjusted.tolist(), strict=True)
    }
    return [known.get(number) or Judged(pair, verdict="not tested", why=pair.why) for number, pair in pairs.items()]


def _of(own: Mapping[int, Measured], code: int) -> Measured:
    """A loss in a slice; one that cannot be told apart by sample has only the whole."""
    return own.get(code, own[ALL])


def _error(both: Both, spread: Spread) -> float:
    """The standard error of the difference: of a mean, or by the jackknife."""
    n, m2 = spread.moments.low.n, spread.moments.low.m2
    if n < 2:  # noqa: PLR2004 - one value has no spread
        return math.nan
    plain = both.scales is not None and both.evenly
    return math.sqrt(m2 / (n - 1) / n if plain else m2 * (n - 1) / n)


def _difference(both: Both, spread: Spread) -> float:
    plain = both.scales is not None and both.evenly
    return spread.moments.low.mean if plain else both.other.value - both.base.value


def _tested(pair: Pair, both: Both, spread: Spread, rules: Rules) -> tuple[float, str]:
    """The p-value of one pair and what it was tested by.

    Raises: UsageError for a loss that a test which was asked for by name does not test.
    """
    name = pair.base.bound.loss.name
    # Counts say nothing of sizes: losses of 0 and 1 against 0 and 4 are no matter of how often.
    binary = spread.base.binary and spread.other.binary and spread.base.high == spread.other.high
    if rules.test != "auto" and both.scales is None:
        message = f"--test {rules.test} tests means of samples, and {name} is none."
        raise UsageError(message, hint="Leave out --test: so many samples are tested by the jackknife.")
    if rules.test == "mcnemar" and not binary:
        raise not_two_valued(name, "t")
    if both.scales is not None and binary and rules.test != "t":
        return paired.mcnemar(spread.more, spread.less).p, "McNemar"
    if both.scales is not None:
        return paired.paired_t(spread.apart).p, "paired t"
    return _student(both.other.value - both.base.value, _error(both, spread), spread.moments.low.n), "jackknife t"


def _student(difference: float, error: float, units: int) -> float:
    if units < 2 or math.isnan(error):  # noqa: PLR2004 - one value has no spread
        return 1.0
    t = difference / error if error > 0 else math.copysign(math.inf, difference) if difference else 0.0
    return t_two_sided(t, units - 1)


def _known(pair: Pair, both: Both, spread: Spread, tested: Tested, rules: Rules) -> Judged:
    """Put one pair together."""
    skewness = spread.moments.skew
    found = by_t(_difference(both, spread), _error(both, spread), skewness, spread.moments.low.n, rules.alpha)
    one = judged(pair, found, tested, rules, same=spread.same)
    if both.scales is None:
        return one
    ties = spread.moments.low.n - spread.less - spread.more
    return replace(one, wins=spread.less, ties=ties, losses=spread.more)
