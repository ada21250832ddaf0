"""p-values of pairs of systems: which test fits which loss, with the same flips for all, and corrected for their number."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.comparison.measured import Measured, alike
from lossctl.errors import UsageError
from lossctl.statistics.draws import Draws
from lossctl.statistics.flips import flip_test
from lossctl.statistics.multiple import adjust, together
from lossctl.statistics.paired import LARGE, diebold_mariano, mcnemar, paired_t, wilcoxon
from lossctl.statistics.swaps import swap_test
from lossctl.sums import Moments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lossctl.statistics.arrays import Floats
    from lossctl.statistics.flips import FlipTest

TESTS = ("auto", "flip", "t", "mcnemar", "wilcoxon", "dm")


@dataclass(frozen=True)
class Rules:
    """How to test: options of the command line, with their defaults. `clusters` are codes of the samples that count."""

    draws: Draws = field(default_factory=Draws)
    alpha: float = 0.05
    test: str = "auto"
    correction: str = "maxt"
    reduction: str = "mean"
    horizon: int = 1
    clusters: Any = None

    def subset(self, chosen: Any) -> Rules:
        """The rules for some of the samples, or for another order of them."""
        return self if self.clusters is None else replace(self, clusters=self.clusters[chosen])


@dataclass(frozen=True)
class Pair:
    """One system beside the baseline under one loss; `loss` and `system` are their numbers."""

    loss: int
    system: int
    base: Measured
    other: Measured

    @cached_property
    def differences(self) -> Floats | None:
        """By sample, where the difference of the losses is their mean."""
        if self.base.values is None or self.other.values is None or not alike(self.base, self.other):
            return None
        return self.other.values - self.base.values


@dataclass(frozen=True)
class Tested:
    """A raw and a corrected p-value, the corrected one under another seed, and what it was tested by."""

    p: float
    adjusted: float
    again: float
    method: str


def p_values(pairs: Sequence[Pair], rules: Rules) -> list[Tested]:
    """Test every pair.

    Raises: UsageError for a test that does not fit a loss; what a test raises.
    """
    if not pairs:
        return []
    large = max(pair.base.n for pair in pairs) > LARGE
    if rules.test in {"auto", "flip"} and not (rules.test == "auto" and large):
        return _by_flips(pairs, rules)
    tests = [_classical(pair, "t" if large and rules.test == "auto" else rules.test, rules) for pair in pairs]
    p = np.asarray([one for one, _ in tests])
    adjusted = adjust(p, "holm" if rules.correction == "maxt" else rules.correction)
    return [Tested(one, float(two), float(two), method) for (one, method), two in zip(tests, adjusted, strict=True)]


def _by_flips(pairs: Sequence[Pair], rules: Rules) -> list[Tested]:
    """By flips of differences, or of whole samples where the loss is no mean; 0/1 losses have an exact test."""
    tests = _flipped(pairs, rules)
    p = np.concatenate([test.p for test in tests])
    corrected = _correct(tests, p, rules.correction)
    methods = ["sign flips" if pair.differences is not None else "swaps" for pair in pairs]
    for place, pair in enumerate(pairs):
        counts = _counts(pair) if rules.test == "auto" and rules.clusters is None else None
        if counts is not None:
            p[place], methods[place] = mcnemar(*counts).p, "McNemar"
            corrected[place] = max(corrected[place], p[place]) if rules.correction == "maxt" else corrected[place]
    another = replace(rules.draws, seed=rules.draws.seed + 1)
    again = tests if tests[0].exact else _flipped(pairs, replace(rules, draws=another))
    other = _correct(again, np.concatenate([test.p for test in again]), rules.correction)
    found = zip(p.tolist(), corrected.tolist(), other.tolist(), methods, strict=True)
    return [Tested(*each) for each in found]


def _correct(tests: Sequence[FlipTest], p: Floats, correction: str) -> Floats:
    return np.concatenate(together(tests)) if correction == "maxt" else adjust(p, correction)


def _flipped(pairs: Sequence[Pair], rules: Rules) -> list[FlipTest]:
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


def _means(columns: Sequence[Floats], rules: Rules) -> list[FlipTest]:
    return [flip_test(np.stack(columns, axis=1), rules.draws, clusters=rules.clusters)] if columns else []


def _counts(pair: Pair) -> tuple[int, int] | None:
    """On how many samples a 0/1 loss is worse and better; None for any other loss."""
    values = [one.values for one in (pair.base, pair.other)]
    if pair.differences is None or not all(_binary(part) for part in values if part is not None):
        return None
    return int(np.count_nonzero(pair.differences > 0)), int(np.count_nonzero(pair.differences < 0))


def _binary(values: Floats) -> bool:
    high = float(np.max(values))
    return high > 0 and bool(((values == 0) | (values == high)).all())


def _classical(pair: Pair, test: str, rules: Rules) -> tuple[float, str]:
    """One of the tests that are asked for by name.

    Raises: UsageError for a loss that it does not test.
    """
    differences = pair.differences
    if differences is None:
        message = f"--test {test} tests means of samples, and {pair.base.bound.loss.name} is none."
        raise UsageError(message, hint="Use --test flip, which swaps the sums of samples.")
    counts = _counts(pair)
    if test == "mcnemar" and counts is None:
        message = f"--test mcnemar is for losses of 0 and 1, and {pair.base.bound.loss.name} has others here."
        raise UsageError(message, hint="Use --test flip.")
    if test == "mcnemar" and counts is not None:
        return mcnemar(*counts).p, "McNemar"
    if test == "dm":
        return diebold_mariano(differences, rules.horizon).p, "Diebold-Mariano"
    return (wilcoxon(differences).p, "Wilcoxon") if test == "wilcoxon" else (paired_t(_moments(differences)).p, "paired t")


def _moments(differences: Floats) -> Moments:
    mean = float(np.mean(differences))
    return Moments(len(differences), mean, float(np.sum((differences - mean) ** 2)))
