"""Losses of all systems, sample by sample, from one pass over the data.

A loss that is a mean has values by sample whose mean it is, and a difference of means is a mean of differences. Any other
has only sums by sample, from which it is finished.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.engine.reduce import Outcome, evaluate_keeping, reduced
from lossctl.errors import LossctlError, TooLarge
from lossctl.losses.loss import weighted_mean
from lossctl.statistics.arrays import LARGE, Floats

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lossctl.engine.binding import Bound
    from lossctl.engine.block import Selection
    from lossctl.engine.totals import LossTotals
    from lossctl.losses.backends import Backend
    from lossctl.request.options import Options

# Numbers by sample and loss take so much until they are judged, in bytes: sums, values, differences.
BYTES_A_SAMPLE = 64
# A mean that differs from that of the values by more than rounding is another one.
ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Measured:
    """One loss of one system: the value, the sums of each sample's terms (m, c), and where it is a mean its values (m,).

    `n` samples were used, and `rows` are the numbers of the m of them that count for something in any loss. A loss that cannot
    be told apart by sample has none of the three, and `why` says the reason. `summed` says that nothing is divided by weights.
    A member of a set that refused the values is `unfit`, and the rest means nothing.
    """

    bound: Bound
    value: float
    n: int
    skipped: int
    names: tuple[str, ...] = ()
    terms: Floats | None = None
    values: Floats | None = None
    rows: Any = None
    summed: bool = False
    why: str = ""
    unfit: LossctlError | None = None

    def finish(self, reduction: str) -> Any:
        """The function that makes losses (B,) of sums (B, c) of as many samples as there are."""

        def finished(sums: Floats) -> Floats:
            named = {name: sums[:, place] for place, name in enumerate(self.names)}
            return np.asarray(reduced(self.bound, named, self.n, reduction))

        return finished

    def single(self) -> Floats:
        """Each sample's own loss (m,), by the same formula as that of all; NaN for a sample that does not count."""
        named = {name: self.terms[:, place] for place, name in enumerate(self.names)}  # type: ignore[index]
        return np.asarray(reduced(self.bound, named, 1, "mean"), np.float64)

    @property
    def weights(self) -> Floats | None:
        """What each sample counts for, where a mean divides by it."""
        return None if self.terms is None else self.terms[:, self.names.index("weight")]

    def subset(self, chosen: Any, reduction: str) -> Measured:
        """The same on some of the samples, which `chosen` marks."""
        if self.terms is None:
            return self
        return _measured(
            self.bound, self.names, self.terms[chosen], self.rows[chosen], int(np.count_nonzero(chosen)), reduction
        )

    def ordered(self, order: Any) -> Measured:
        """The same samples in another order."""
        if self.terms is None:
            return self
        values = None if self.values is None else self.values[order]
        return replace(self, terms=self.terms[order], values=values, rows=self.rows[order])


def measure(
    systems: Sequence[Sequence[Bound]], backend: Backend, options: Options, selection: Selection, *, within: int
) -> list[list[Measured]]:
    """Fold every loss of every system in one pass, keeping the sums of each sample; one row a system.

    Raises: TooLarge where they would take more than `within` bytes; what evaluating raises.
    """
    bounds, width = [bound for row in systems for bound in row], len(systems[0])
    needed = sum(bound.n for bound in bounds) * BYTES_A_SAMPLE
    if needed > within:
        message = f"Comparing {len(bounds)} columns of losses sample by sample needs about {needed / 2**20:,.0f} MiB."
        fewer = "leave out --test, --cluster-by, --order and --explain" if bounds[0].n > LARGE else "compare fewer at once"
        raise TooLarge(message, hint=f"Allow it with --max-memory {needed / 2**20 * 1.1:.0f}, or {fewer}.")
    outcomes, tallies = evaluate_keeping(bounds, backend, options, selection, frozenset(), frozenset({"terms"}))
    unfit = {number % width for number, one in enumerate(outcomes) if one.unfit}
    triples = enumerate(zip(bounds, outcomes, tallies, strict=True))
    result = [_of_tally(*each, options.reduction, told=number % width not in unfit) for number, each in triples]
    result = _counted(result, options.reduction)
    return [result[start : start + width] for start in range(0, len(result), width)]


def _of_tally(bound: Bound, outcome: Outcome, tally: LossTotals, reduction: str, *, told: bool) -> Measured:
    """What is known of one loss; `told` says that its values fit all systems, so that it is compared by sample."""
    plain = Measured(bound, outcome.value, outcome.n, outcome.skipped, unfit=outcome.unfit)
    if not told:
        return plain
    if bound.loss.whole and bound.loss.origin == "lossctl":
        return replace(plain, why="it couples samples")
    if not tally.samples:
        return replace(plain, why="it has no value for each sample")
    if not np.isfinite(outcome.value):
        return replace(plain, why="it is not finite")
    names = tuple(tally.samples[0])
    terms = np.stack([np.concatenate([np.asarray(part[name], np.float64) for part in tally.samples]) for name in names], axis=1)
    result = _measured(bound, names, terms, np.concatenate(tally.rows), outcome.n, reduction)
    if bound.loss.origin != "lossctl" and not np.isclose(result.value, outcome.value, rtol=ROUNDING, atol=0):
        return replace(plain, why="its own mean is not that of its values")
    return replace(result, value=outcome.value, skipped=outcome.skipped)


def _counted(found: list[Measured], reduction: str) -> list[Measured]:
    """Leave out samples that count for nothing in any loss of any system, such as ignored ones: they are no ties."""
    weights = [item.weights for item in found if item.weights is not None]
    if not weights or len({len(weight) for weight in weights}) > 1:
        return found
    counts = np.any([weight != 0 for weight in weights], axis=0)
    return found if counts.all() else [_without(item, counts, reduction) for item in found]


def _without(measured: Measured, counts: Any, reduction: str) -> Measured:
    if measured.terms is None:
        return measured
    kept = _measured(measured.bound, measured.names, measured.terms[counts], measured.rows[counts], measured.n, reduction)
    return replace(kept, value=measured.value, skipped=measured.skipped)


def _measured(  # noqa: PLR0913, PLR0917 - everything that a value depends on
    bound: Bound, names: tuple[str, ...], terms: Floats, rows: Any, n: int, reduction: str
) -> Measured:
    named = {name: terms[:, place] for place, name in enumerate(names)}
    totals = {name: float(np.sum(term)) for name, term in named.items()}
    value = float(reduced(bound, totals, n, reduction))
    if not np.isfinite(value):
        why = "it is not finite" if totals["weight"] else "nothing is left to average"
        return Measured(bound, value, n, 0, rows=rows, why=why)
    summed = reduction in {"sum", "batchmean"}
    return Measured(bound, value, n, 0, names, terms, _values(bound, named, n, reduction), rows, summed)


def _values(bound: Bound, named: Mapping[str, Floats], n: int, reduction: str) -> Floats | None:
    """Values by sample whose mean the reduced loss is: for a weighted mean the weights are taken as given."""
    if "value" not in named:
        return None
    count = len(named["value"])
    if reduction in {"sum", "batchmean"}:
        return np.asarray(named["value"] * (count if reduction == "sum" else count / n), np.float64)
    if bound.loss.finish is not weighted_mean and bound.loss.origin == "lossctl":
        return None
    return np.asarray(named["value"] * (count / float(np.sum(named["weight"]))), np.float64)


def alike(measured: Measured, other: Measured) -> bool:
    """Whether two systems' losses are means with the same weights, so that their difference is a mean as well."""
    if measured.values is None or other.values is None or measured.weights is None or other.weights is None:
        return False
    return bool(np.array_equal(measured.weights, other.weights))
