"""p-values of pairs of systems: which test fits which loss, with the same flips for all, and corrected for their number."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from lossctl.comparison.measured import Measured, alike
from lossctl.errors import UsageError
from lossctl.statistics.flips import adjust, flip_test, swap_test, together
from lossctl.statistics.paired import LARGE, diebold_mariano, mcnemar, paired_t, wilcoxon
from lossctl.statistics.sums import Moments

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lossctl.comparison.result import ComparisonRules, Estimate
    from lossctl.statistics.arrays import Floats
    from lossctl.statistics.flips import FlipTest


@dataclass(frozen=True)
class Pair:
    """One system beside the baseline under one loss, with every sample; `estimate` is what is said of it before any test."""

    estimate: Estimate
    base: Measured
    other: Measured

    @property
    def why(self) -> str:
        """Why the pair cannot be tested; empty where it can."""
        return self.estimate.why

    @cached_property
    def differences(self) -> Floats | None:
        """By sample, where the difference of the losses is their mean."""
        if self.base.values is None or self.other.values is None or not alike(self.base, self.other):
            return None
        return self.other.values - self.base.values

    @cached_property
    def evenly(self) -> bool:
        """Whether every sample counts for the same in the mean, or in a sum for itself."""
        weights = self.base.weights
        return weights is None or self.base.summed or bool((weights == weights[0]).all())


@dataclass(frozen=True)
class PValues:
    """A raw and a corrected p-value, the corrected one under another seed, and what it was tested by."""

    p: float
    adjusted: float
    again: float
    method: str


def check_rules(rules: ComparisonRules, *, clustered: bool, ordered: bool) -> None:
    """Refuse options that the test would not listen to.

    Raises: UsageError.
    """
    if clustered and rules.test not in {"auto", "flip"}:
        message = f"--cluster-by is for flips: --test {rules.test} takes every sample by itself."
        raise UsageError(message, hint="Use --test flip, and leave out --order and --horizon.")
    if (ordered or rules.horizon > 1) and rules.test != "dm":
        message = f"--order and --horizon are for --test dm: --test {rules.test} knows no time."
        raise UsageError(message, hint="Leave out --test, or use --test dm.")


def p_values(pairs: Sequence[Pair], rules: ComparisonRules) -> list[PValues]:
    """Test every pair.

    Raises: UsageError for a test that does not fit a loss; what a test raises.
    """
    if not pairs:
        return []
    if rules.test in {"auto", "flip"} and not any(_is_large(pair, rules) for pair in pairs):
        return _by_flips(pairs, rules)
    tests = [_alone(pair, rules) for pair in pairs]
    p, reseeded = (np.asarray([one[place] for one in tests]) for place in (0, 1))
    correction = "holm" if rules.correction == "maxt" else rules.correction
    adjusted, other = adjust(p, correction).tolist(), adjust(reseeded, correction).tolist()
    found = zip(tests, adjusted, other, strict=True)
    return [PValues(test[0], corrected, again, test[2]) for test, corrected, again in found]


def _is_large(pair: Pair, rules: ComparisonRules) -> bool:
    """Whether there are so many samples that Student's t says the same as flips."""
    return rules.test == "auto" and rules.clusters is None and len(pair.base.rows) > LARGE and pair.differences is not None


def _alone(pair: Pair, rules: ComparisonRules) -> tuple[float, float, str]:
    """The p-values of one pair without regard to the others, under two seeds, and the test."""
    if rules.test == "auto" and not _is_large(pair, rules):
        tests = [_flipped([pair], each)[0] for each in (rules, _reseeded(rules))]
        return float(tests[0].p[0]), float(tests[1].p[0]), "swaps"
    counts = _counts(pair) if rules.test == "auto" else None
    p, method = _classical(pair, "mcnemar" if counts else "t" if rules.test == "auto" else rules.test, rules)
    return p, p, method


def raw_p(pair: Pair, rules: ComparisonRules) -> float:
    """The p-value of one pair by flips alone; 1 where there is nothing to test."""
    return 1.0 if pair.why else float(_flipped([pair], rules)[0].p[0])


def _by_flips(pairs: Sequence[Pair], rules: ComparisonRules) -> list[PValues]:
    """By flips of differences, or of whole samples where the loss is no mean; 0/1 losses have an exact test."""
    counts = [_counts(pair) if rules.test == "auto" and rules.clusters is None else None for pair in pairs]
    exact = {place: mcnemar(*count).p for place, count in enumerate(counts) if count is not None}
    tests = _flipped(pairs, rules)
    p, corrected = _corrected(tests, exact, rules.correction)
    again = corrected if tests[0].exact else _corrected(_flipped(pairs, _reseeded(rules)), exact, rules.correction)[1]
    methods = ["McNemar" if place in exact else _method(pair) for place, pair in enumerate(pairs)]
    found = zip(p.tolist(), corrected.tolist(), again.tolist(), methods, strict=True)
    return [PValues(*each) for each in found]


def _method(pair: Pair) -> str:
    return "sign flips" if pair.differences is not None else "swaps"


def _reseeded(rules: ComparisonRules) -> ComparisonRules:
    return replace(rules, draws=replace(rules.draws, seed=rules.draws.seed + 1))


def _corrected(tests: Sequence[FlipTest], exact: Mapping[int, float], correction: str) -> tuple[Floats, Floats]:
    """Raw p-values, exact ones in their places, and the corrected ones, none of them smaller."""
    p = np.concatenate([test.p for test in tests])
    p[list(exact)] = list(exact.values())
    return p, np.maximum(np.concatenate(together(tests)), p) if correction == "maxt" else adjust(p, correction)


def _flipped(pairs: Sequence[Pair], rules: ComparisonRules) -> list[FlipTest]:
    """One test for each pair, all with the same flips; neighbours that are means share one."""
    tests: list[FlipTest] = []
    waiting: list[Floats] = []
    for pair in pairs:
        if pair.differences is not None:
            waiting.append(pair.differences)
            continue
        tests += _means(waiting, rules)
        waiting = []
        finish = pair.base.finish(rules.reduction)
        tests.append(swap_test(pair.base.terms, pair.other.terms, finish, rules.draws, clusters=rules.clusters))  # type: ignore[arg-type]
    return tests + _means(waiting, rules)


def _means(columns: Sequence[Floats], rules: ComparisonRules) -> list[FlipTest]:
    return [flip_test(np.stack(columns, axis=1), rules.draws, clusters=rules.clusters)] if columns else []


def _counts(pair: Pair) -> tuple[int, int] | None:
    """On how many samples a loss is worse and better that is 0 or one other value, the same in both systems; else None."""
    base, other = pair.base.values, pair.other.values
    if pair.differences is None or base is None or other is None:
        return None
    # Counts say nothing of sizes: losses of 0 and 1 against 0 and 4 are no matter of how often.
    high = float(np.max(base))
    if high <= 0 or float(np.max(other)) != high or not (_binary(base, high) and _binary(other, high)):
        return None
    return int(np.count_nonzero(pair.differences > 0)), int(np.count_nonzero(pair.differences < 0))


def _binary(values: Floats, high: float) -> bool:
    return bool(((values == 0) | (values == high)).all())


def not_two_valued(name: str, instead: str) -> UsageError:
    """The error of McNemar's test for losses that do not have the same two values in both systems."""
    levels = "0 and 1, or of 0 and one other value that both systems share"
    message = f"--test mcnemar is for losses of {levels}, and {name} has others here."
    return UsageError(message, hint=f"Use --test {instead}.")


def _classical(pair: Pair, test: str, rules: ComparisonRules) -> tuple[float, str]:
    """One of the tests that are asked for by name.

    Raises: UsageError for a loss that it does not test.
    """
    differences = pair.differences
    if differences is None:
        message = f"--test {test} tests means of samples, and {pair.base.bound.loss.name} is none."
        raise UsageError(message, hint="Use --test flip, which swaps the sums of samples.")
    counts = _counts(pair)
    if test == "mcnemar" and counts is None:
        raise not_two_valued(pair.base.bound.loss.name, "flip")
    if test == "mcnemar" and counts is not None:
        return mcnemar(*counts).p, "McNemar"
    if test == "dm":
        return diebold_mariano(differences, rules.horizon).p, "Diebold-Mariano"
    return (wilcoxon(differences).p, "Wilcoxon") if test == "wilcoxon" else (paired_t(moments_of(differences)).p, "paired t")


def moments_of(differences: Floats) -> Moments:
    """The count, mean and squared deviations of differences (m,)."""
    mean = float(np.mean(differences))
    return Moments(len(differences), mean, float(np.sum((differences - mean) ** 2)))
