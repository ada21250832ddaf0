"""A comparison of more samples than memory holds: two passes, and Student's t from merged moments.

The first pass sums, over all samples and over each group. The second looks how far samples differ, once it is known what
differences are divided by: of a mean at the differences themselves, of any other loss at how far the difference of the two
losses moves without each sample, which is the jackknife of a smaller comparison. So many samples need no flips: a difference of
means has Student's t and its interval, any other loss the same of its jackknife, and 0/1 losses have McNemar's exact test.
Every figure is that of the same samples in memory; what needs their order by size is not given. Samples that count for nothing
in any loss are left out, as they are where all samples are in memory.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.comparison.judging import PValues, by_t, not_two_valued, with_verdict
from lossctl.comparison.measured import ROUNDING
from lossctl.comparison.result import Comparison, ComparisonRules, Estimate, Names
from lossctl.comparison.statistics import Differences, statistics_of
from lossctl.engine.fold import fold
from lossctl.engine.reduce import Outcome, evaluate_keeping, reduced
from lossctl.errors import UsageError
from lossctl.losses.loss import weighted_mean
from lossctl.statistics import arrays
from lossctl.statistics.arrays import Floats, t_two_sided
from lossctl.statistics.flips import adjust
from lossctl.statistics.sums import Higher, Moments, Sums

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lossctl.engine.binding import Bound
    from lossctl.engine.block import Selection
    from lossctl.engine.opening import Groups
    from lossctl.engine.totals import LossTotals
    from lossctl.losses.backends import Backend
    from lossctl.request.options import Options

ALL = -1
Samples = dict[str, Any]


@dataclass
class SampleSums:
    """Some samples under one loss of one system: how many, the sums of its terms, and the least and largest weight.

    `alike` says that the baseline weighs each of them alike under this loss.
    """

    n: int = 0
    sums: Sums = field(default_factory=Sums)
    lightest: float = math.inf
    heaviest: float = -math.inf
    alike: bool = True

    def merge(self, other: SampleSums) -> None:
        """Take in those of a later block."""
        self.n += other.n
        self.sums.merge(other.sums)
        self.lightest, self.heaviest = min(self.lightest, other.lightest), max(self.heaviest, other.heaviest)
        self.alike = self.alike and other.alike


@dataclass
class BySlice:
    """What is known of all samples, under ALL, and of each group, under its code."""

    found: dict[int, Any] = field(default_factory=dict)

    def merge(self, other: BySlice) -> None:
        """Take in a later block."""
        for code, part in other.found.items():
            if code in self.found:
                self.found[code].merge(part)
            else:
                self.found[code] = part


@dataclass(frozen=True)
class Slicing:
    """Which losses are compared with which: the number of each system's loss, with that of the baseline's; and groups.

    `codes` has the group of every sample of the data, or is None.
    """

    baselines: Mapping[int, int]
    codes: Any = None

    def samples(self, members: Sequence[int], tallies: Sequence[LossTotals]) -> Iterator[tuple[int, dict[int, Samples]]]:
        """Take the samples out of the tallies: for all and for each group its code, and by loss the sums of its samples."""
        every = {member: tally.samples[0] for member, tally in zip(members, tallies, strict=True) if tally.samples}
        rows = next((tally.rows[0] for tally in tallies if tally.rows), None)
        for tally in tallies:
            tally.rows, tally.samples = [], []
        if rows is None:
            return
        counts = np.any([item["weight"] != 0 for item in every.values()], axis=0)
        kept = slice(None) if counts.all() else np.flatnonzero(counts)
        every = {
            member: {name: np.asarray(term[kept], np.float64) for name, term in one.items()} for member, one in every.items()
        }
        yield ALL, every
        for code, chosen in self._groups(rows[kept]):
            yield code, {member: {name: term[chosen] for name, term in one.items()} for member, one in every.items()}

    def _groups(self, rows: Any) -> Iterator[tuple[int, Any]]:
        if self.codes is None or not len(rows):
            return
        codes = self.codes[rows]
        order = np.argsort(codes, kind="stable")
        present, starts = np.unique(codes[order], return_index=True)
        yield from zip(present.tolist(), np.split(order, starts[1:]), strict=True)


@dataclass(frozen=True)
class Totalling:
    """Digests samples into totals."""

    slicing: Slicing
    level: bool = True

    def __call__(self, members: Sequence[int], tallies: Sequence[LossTotals]) -> None:
        """Digest one block."""
        result = {member: BySlice() for member in members}
        for code, samples in self.slicing.samples(members, tallies):
            for member, own in samples.items():
                base = samples.get(self.slicing.baselines.get(member, member))
                result[member].found[code] = _part(own, None if base is None else base["weight"])
        for member, tally in zip(members, tallies, strict=True):
            tally.found = result[member]


def _part(own: Samples, base: Floats | None) -> SampleSums:
    sums, weights = Sums(), own["weight"]
    for name, term in own.items():
        sums.add(name, float(np.sum(term)))
    ends = (float(weights.min()), float(weights.max())) if len(weights) else (math.inf, -math.inf)
    return SampleSums(len(weights), sums, *ends, alike=base is not None and bool(np.array_equal(base, weights)))


@dataclass(frozen=True)
class Total:
    """One loss of one system over some samples: how many count, their sums, and the reduction.

    `n` is what a batch mean divides by.
    """

    bound: Bound
    part: SampleSums
    n: int
    reduction: str

    @cached_property
    def sums(self) -> dict[str, float]:
        """The sums of the terms."""
        return self.part.sums.finish()

    @property
    def value(self) -> float:
        """The reduced loss."""
        return float(reduced(self.bound, self.sums, self.n, self.reduction))

    @property
    def scale(self) -> float | None:
        """What makes of a sample's sum the value whose mean the loss is; None for a loss that is no mean."""
        if "value" not in self.sums:
            return None
        if self.reduction in {"sum", "batchmean"}:
            return self.part.n if self.reduction == "sum" else self.part.n / self.n
        if self.bound.loss.finish is not weighted_mean and self.bound.loss.origin == "lossctl":
            return None
        return self.part.n / self.sums["weight"]

    def without(self, own: Samples) -> Floats:
        """How much larger the loss is with each sample than without it."""
        with np.errstate(all="ignore"):
            left = {name: self.sums[name] - term for name, term in own.items()}
            return self.value - np.asarray(reduced(self.bound, left, self.n, self.reduction), np.float64)


@dataclass(frozen=True)
class PairTotals:
    """The totals of a system and of its baseline under one loss."""

    base: Total
    other: Total

    @property
    def scales(self) -> tuple[float, float] | None:
        """PairTotals scales, where the difference of the losses is a mean of differences by sample."""
        one, other = self.base.scale, self.other.scale
        return (one, other) if one is not None and other is not None and self.other.part.alike else None

    @property
    def evenly(self) -> bool:
        """Whether every sample counts for the same in the mean, or in a sum for itself."""
        part = self.base.part
        return self.base.reduction in {"sum", "batchmean"} or part.lightest == part.heaviest

    def deviations(self, base: Samples, other: Samples) -> Deviations:
        """What one block adds."""
        same = all(np.array_equal(base[name], other[name]) for name in base)
        if self.scales is None:
            return Deviations(Higher.of(self.other.without(other) - self.base.without(base)), same)
        values = [own["value"] * scale for own, scale in zip((base, other), self.scales, strict=True)]
        apart = values[1] - values[0]
        signs = int(np.count_nonzero(apart < 0)), int(np.count_nonzero(apart > 0))
        moments = Higher.of(apart)
        moved = moments if self.evenly else Higher.of(self._moved(apart, base["weight"]))
        return Deviations(moved, same, *signs, TwoLevels.of(values[0]), TwoLevels.of(values[1]), moments.low)

    def _moved(self, apart: Floats, weights: Floats) -> Floats:
        """How much each sample moves a weighted mean of differences."""
        n, mean = self.base.part.n, self.other.value - self.base.value
        even = weights * (n / self.base.sums["weight"])
        with np.errstate(all="ignore"):
            return (apart - mean * even) / (n - even)


@dataclass
class TwoLevels:
    """Whether values are all 0 or one other number, which is `high`."""

    high: float = 0.0
    two: bool = True

    @staticmethod
    def of(values: Floats) -> TwoLevels:
        """Look at one block."""
        high = float(values.max(initial=0.0))
        return TwoLevels(high, bool(((values == 0) | (values == high)).all()))

    def merge(self, other: TwoLevels) -> None:
        """Take in a later block."""
        alike = self.high == other.high or not self.high or not other.high
        self.two = self.two and other.two and alike
        self.high = max(self.high, other.high)

    @property
    def binary(self) -> bool:
        """Whether both occur."""
        return self.two and self.high > 0


@dataclass
class Deviations:
    """How the samples of a pair differ: moments of how far each moves the difference of the losses.

    Where this is a mean of differences, `less` and `more` count their signs, and `apart` are their own moments.
    """

    moments: Higher
    same: bool
    less: int = 0
    more: int = 0
    base: TwoLevels = field(default_factory=TwoLevels)
    other: TwoLevels = field(default_factory=TwoLevels)
    apart: Moments = field(default_factory=Moments)

    def merge(self, later: Deviations) -> None:
        """Take in a later block."""
        with np.errstate(all="ignore"):
            self.moments = self.moments.merge(later.moments)
            self.apart = self.apart.merge(later.apart)
        self.same = self.same and later.same
        self.less, self.more = self.less + later.less, self.more + later.more
        self.base.merge(later.base)
        self.other.merge(later.other)


@dataclass(frozen=True)
class Deviating:
    """Digests samples into deviations of the pairs in `pairs`, by group and number of the system's loss."""

    slicing: Slicing
    pairs: Mapping[tuple[int, int], PairTotals]
    level: bool = True

    def __call__(self, members: Sequence[int], tallies: Sequence[LossTotals]) -> None:
        """Digest one block."""
        result = {member: BySlice() for member in members}
        for code, samples in self.slicing.samples(members, tallies):
            for member, own in samples.items():
                pair = self.pairs.get((code, member))
                if pair is not None:
                    with np.errstate(all="ignore"):
                        result[member].found[code] = pair.deviations(samples[self.slicing.baselines[member]], own)
        for member, tally in zip(members, tallies, strict=True):
            tally.found = result[member]


TERMS = frozenset({"terms"})


def streams(bounds: Sequence[Bound], rules: ComparisonRules, *, ordered: bool, explained: bool) -> bool:
    """Whether a comparison does without holding samples: there are very many, and nothing that was asked for needs them."""
    plain = rules.test in {"auto", "t", "mcnemar"} and not (ordered or explained)
    return plain and len({bound.n for bound in bounds}) == 1 and bounds[0].n > arrays.LARGE


@dataclass(frozen=True)
class LossOfSlice:
    """One loss of one system over some samples, how many these are, and why it is not tested; `why` is empty where it is."""

    total: Total
    value: float
    n: int
    why: str

    @property
    def bound(self) -> Bound:
        """The loss with its inputs."""
        return self.total.bound


def stream(  # noqa: PLR0913, PLR0917 - everything that a comparison depends on
    systems: Sequence[Sequence[Bound]],
    names: Names,
    backend: Backend,
    options: Options,
    selection: Selection,
    rules: ComparisonRules,
    groups: Groups | None = None,
) -> Comparison:
    """Compare each system with the first in two passes, over all samples and over each of the groups, where there are any.

    A member of a set that refused the values of some system is only among the outcomes.
    Raises: UsageError for a test that does not fit; what evaluating raises.
    """
    bounds, width = [bound for row in systems for bound in row], len(systems[0])
    codes = None if groups is None else groups.codes
    first = Totalling(_slicing(len(bounds), width, codes))
    outcomes, tallies = evaluate_keeping(bounds, backend, options, selection, frozenset(), TERMS, first)
    rows = [outcomes[start : start + width] for start in range(0, len(outcomes), width)]
    columns = [column for column in range(width) if not any(row[column].unfit for row in rows)]
    fit = [number for number in range(len(bounds)) if number % width in columns]
    if not fit:
        return Comparison(names.systems, names.losses, rows, rules)
    bounds, slicing = [bounds[number] for number in fit], _slicing(len(fit), len(columns), codes)
    losses = [
        _by_slice(bound, outcomes[number], tallies[number].found, options.reduction)
        for bound, number in zip(bounds, fit, strict=True)
    ]
    pairs = _pair_totals(slicing, losses)
    tallies = fold(bounds, backend, options, selection, keep=TERMS, digest=Deviating(slicing, pairs)) if pairs else []
    deviations = {(code, number): tallies[number].found.found[code] for code, number in pairs}  # type: ignore[union-attr]
    tested = Names(names.systems, [names.losses[column] for column in columns])
    estimates = []
    for code in sorted({code for each in losses for code in each}):
        group = None if groups is None or code == ALL else groups.names[code]
        estimates += _estimates(
            code, tested.estimates(_estimate_rows(losses, code, len(columns)), group), pairs, deviations, rules
        )
    return Comparison(names.systems, names.losses, rows, rules, estimates)


def _slicing(count: int, width: int, codes: Any) -> Slicing:
    """Each of `count` losses compared with that of the first system, which has `width` of them."""
    return Slicing({number: number % width for number in range(width, count)}, codes)


def _by_slice(bound: Bound, outcome: Outcome, sums: Any, reduction: str) -> dict[int, LossOfSlice]:
    """One loss of one system over all samples and over each group."""
    losses = {}
    for code, part in {ALL: SampleSums(), **(sums.found if isinstance(sums, BySlice) else {})}.items():
        total = Total(bound, part, outcome.n if code == ALL else part.n, reduction)
        whole = code == ALL
        why = _why_not(outcome, total) if whole else _why(total)
        losses[code] = LossOfSlice(total, outcome.value if whole else total.value, total.n, why)
    return losses


def _estimate_rows(losses: Sequence[Mapping[int, LossOfSlice]], code: int, width: int) -> list[list[LossOfSlice]]:
    """The losses of a slice by system; one that cannot be told apart by sample has only the whole."""
    own = [each.get(code, each[ALL]) for each in losses]
    return [own[start : start + width] for start in range(0, len(own), width)]


def _pair_totals(slicing: Slicing, losses: Sequence[Mapping[int, LossOfSlice]]) -> dict[tuple[int, int], PairTotals]:
    """The pairs that can be tested, by slice and the number of the system's loss."""
    return {
        (code, number): PairTotals(losses[base][code].total, loss.total)
        for number, base in slicing.baselines.items()
        for code, loss in losses[number].items()
        if not loss.why and not losses[base][code].why
    }


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


def _estimates(
    code: int,
    estimates: Mapping[tuple[int, int], Estimate],
    pairs: Mapping[tuple[int, int], PairTotals],
    deviations: Mapping[tuple[int, int], Deviations],
    rules: ComparisonRules,
) -> list[Estimate]:
    """Test all pairs of one slice, loss by loss, and correct for their number."""
    width = 1 + max(loss for loss, _ in estimates)
    numbers = {place: (code, place[1] * width + place[0]) for place in estimates}
    able = {place: key for place, key in numbers.items() if key in pairs}
    tests = [_tested(pairs[key], deviations[key], rules) for key in able.values()]
    correction = "holm" if rules.correction == "maxt" else rules.correction
    adjusted = adjust(np.asarray([p for p, _ in tests]), correction).tolist() if able else []
    judged = {
        place: _judged(estimates[place], pairs[key], deviations[key], PValues(p, corrected, corrected, method), rules)
        for (place, key), (p, method), corrected in zip(able.items(), tests, adjusted, strict=True)
    }
    return [judged.get(place, estimate) for place, estimate in estimates.items()]


def _error(pair: PairTotals, deviations: Deviations) -> float:
    """The standard error of the difference: of a mean, or by the jackknife."""
    n, m2 = deviations.moments.low.n, deviations.moments.low.m2
    if n < 2:  # noqa: PLR2004 - one value has no spread
        return math.nan
    plain = pair.scales is not None and pair.evenly
    return math.sqrt(m2 / (n - 1) / n if plain else m2 * (n - 1) / n)


def _difference(pair: PairTotals, deviations: Deviations) -> float:
    plain = pair.scales is not None and pair.evenly
    return deviations.moments.low.mean if plain else pair.other.value - pair.base.value


def _tested(pair: PairTotals, deviations: Deviations, rules: ComparisonRules) -> tuple[float, str]:
    """The p-value of one pair and what it was tested by.

    Raises: UsageError for a loss that a test which was asked for by name does not test.
    """
    name = pair.base.bound.loss.name
    # Counts say nothing of sizes: losses of 0 and 1 against 0 and 4 are no matter of how often.
    binary = deviations.base.binary and deviations.other.binary and deviations.base.high == deviations.other.high
    if rules.test != "auto" and pair.scales is None:
        message = f"--test {rules.test} tests means of samples, and {name} is none."
        raise UsageError(message, hint="Leave out --test: so many samples are tested by the jackknife.")
    if rules.test == "mcnemar" and not binary:
        raise not_two_valued(name, "t")
    if pair.scales is not None and binary and rules.test != "t":
        return arrays.mcnemar(deviations.more, deviations.less).p, "McNemar"
    if pair.scales is not None:
        return arrays.paired_t(deviations.apart).p, "paired t"
    p = _student(pair.other.value - pair.base.value, _error(pair, deviations), deviations.moments.low.n)
    return p, "jackknife t"


def _student(difference: float, error: float, units: int) -> float:
    if units < 2 or math.isnan(error):  # noqa: PLR2004 - one value has no spread
        return 1.0
    t = difference / error if error > 0 else math.copysign(math.inf, difference) if difference else 0.0
    return t_two_sided(t, units - 1)


def _judged(estimate: Estimate, pair: PairTotals, deviations: Deviations, tested: PValues, rules: ComparisonRules) -> Estimate:
    """Put one pair together."""
    units = deviations.moments.low.n
    interval = by_t(_difference(pair, deviations), _error(pair, deviations), deviations.moments.skew, units, rules.alpha)
    differences = None if pair.scales is None else Differences(deviations.less, deviations.more, deviations.apart)
    figures = statistics_of(differences)
    return with_verdict(estimate, interval, tested, rules, same=deviations.same, statistics=figures)
