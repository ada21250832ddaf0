"""Losses of all systems, sample by sample, from one pass over the data.

A loss that is a mean has values by sample whose mean it is, and a difference of means is a mean of differences. Any other
has only sums by sample, from which it is finished.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.engine import reduced
from lossctl.errors import TooLarge
from lossctl.fold import fold
from lossctl.loss import weighted_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lossctl.binding import Bound
    from lossctl.block import Backend, Selection
    from lossctl.fold import Tally
    from lossctl.spec import Options
    from lossctl.statistics.arrays import Floats

# Numbers by sample and loss take so much until they are judged, in bytes: sums, values, differences.
HELD = 64


@dataclass(frozen=True, eq=False)
class Measured:
    """One loss of one system: the value, the sums of each sample's terms (n, c), and where it is a mean its values (n,).

    `rows` are the numbers of the samples that count. A loss that couples samples has none of the three.
    """

    bound: Bound
    value: float
    n: int
    skipped: int
    names: tuple[str, ...] = ()
    terms: Floats | None = None
    values: Floats | None = None
    rows: Any = None

    def finish(self, reduction: str) -> Any:
        """The function that makes losses (B,) of sums (B, c) of as many samples as there are."""

        def finished(sums: Floats) -> Floats:
            named = {name: sums[:, place] for place, name in enumerate(self.names)}
            return np.asarray(reduced(self.bound, named, self.n, reduction))

        return finished

    def subset(self, chosen: Any, reduction: str) -> Measured:
        """The same on some of the samples, which `chosen` marks."""
        if self.terms is None:
            return self
        terms = self.terms[chosen]
        named = {name: terms[:, place] for place, name in enumerate(self.names)}
        return _measured(self.bound, named, self.rows[chosen], 0, reduction)


def measure(
    bounds: Sequence[Bound], backend: Backend, options: Options, selection: Selection, *, within: int
) -> list[Measured]:
    """Fold every loss of every system in one pass, keeping the sums of each sample.

    Raises: TooLarge where they would take more than `within` bytes; what a fold raises.
    """
    held = sum(bound.n for bound in bounds) * HELD
    if held > within:
        message = f"Comparing {len(bounds)} columns of losses sample by sample needs about {held / 2**20:,.0f} MiB."
        raise TooLarge(message, hint=f"Allow it with --max-memory {held / 2**20 * 1.1:.0f}, or compare fewer at once.")
    tallies = fold(bounds, backend, options, selection, keep=frozenset({"samples"}))
    return [_of_tally(bound, tally, options.reduction) for bound, tally in zip(bounds, tallies, strict=True)]


def _of_tally(bound: Bound, tally: Tally, reduction: str) -> Measured:
    if not tally.samples:
        value = float(reduced(bound, tally.sums.finish(), tally.n, reduction))
        return Measured(bound, value, tally.n, tally.skipped)
    named = {name: np.concatenate([part[name] for part in tally.samples]) for name in tally.samples[0]}
    found = _measured(bound, named, np.concatenate(tally.rows), tally.skipped, reduction)
    value = float(reduced(bound, tally.sums.finish(), tally.n, reduction))
    return Measured(bound, value, found.n, tally.skipped, found.names, found.terms, found.values, found.rows)


def _measured(bound: Bound, named: Mapping[str, Floats], rows: Any, skipped: int, reduction: str) -> Measured:
    n = len(rows)
    terms = np.stack([np.asarray(term, np.float64) for term in named.values()], axis=1)
    totals = {name: float(np.sum(term)) for name, term in named.items()}
    value = float(reduced(bound, totals, n, reduction))
    return Measured(bound, value, n, skipped, tuple(named), terms, _values(bound, named, n, reduction), rows)


def _values(bound: Bound, named: Mapping[str, Floats], n: int, reduction: str) -> Floats | None:
    """Values by sample whose mean the reduced loss is: for a weighted mean the weights are taken as given."""
    if "value" not in named:
        return None
    if reduction in {"sum", "batchmean"}:
        return np.asarray(named["value"] * (n if reduction == "sum" else 1), np.float64)
    if bound.loss.finish is not weighted_mean:
        return None
    weight = float(np.sum(named["weight"]))
    return np.asarray(named["value"] * (n / weight), np.float64) if weight else None


def alike(one: Measured, other: Measured) -> bool:
    """Whether two systems' losses are means with the same weights, so that their difference is a mean as well."""
    if one.values is None or other.values is None or one.terms is None or other.terms is None:
        return False
    place = one.names.index("weight")
    return bool(np.array_equal(one.terms[:, place], other.terms[:, place]))
