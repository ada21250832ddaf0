"""Losses evaluated on made-up numbers with their parameters as typed: what their shape is measured on.

Only NumPy calculates, and slopes are central differences, so that nothing needs torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl import shapes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lossctl.loss import Loss
    from lossctl.signature import Domain
    from lossctl.statistics.arrays import Floats

# How far from an edge of a domain that is not looked at itself.
INSIDE = 1e-6
# A series that a loss is scaled by, where it wants one.
SERIES = np.asarray([0.0, 1.0, 3.0, 2.0, 4.0])


@dataclass(frozen=True)
class Probe:
    """A loss of `pred` and `target`, with parameters; what it takes besides is left out or set to 1."""

    loss: Loss
    params: Mapping[str, Any]

    @property
    def pred(self) -> Domain:
        """What predictions may be; any number under the flag that lifts the domain."""
        return self._domain(0)

    @property
    def target(self) -> Domain:
        """What targets may be."""
        return self._domain(1)

    def _domain(self, place: int) -> Domain:
        word = self.loss.signature.inputs[place].word
        return type(word.domain)() if self.params.get(word.free_if) is True else word.domain

    def terms(self, pred: Floats, target: Any) -> dict[str, Floats]:
        """The loss's terms, weights of 1 among them."""
        signature = self.loss.signature
        more = [np.ones_like(pred) if argument.word.shape == "n *d" else SERIES for argument in signature.inputs[2:]]
        tensors = {argument.name: None for argument in signature.tensors}
        with np.errstate(all="ignore"):
            found = self.loss.terms(np, pred, target, *more, **tensors, **self.params)
        terms: dict[str, Any] = dict(found) if isinstance(found, dict) else {"value": found}
        terms.setdefault("weight", np.ones_like(next(iter(terms.values()))))
        return terms

    def values(self, pred: Floats, target: Any) -> Floats:
        """Unreduced losses (n), one a sample; NaN where the loss is not defined."""
        found = np.asarray(self.terms(pred, target)["value"], np.float64)
        if found.shape[:1] != pred.shape[:1]:
            message = f"{self.loss.name} gives no value for each sample"
            raise TypeError(message)
        return np.asarray(found.reshape(len(pred), -1).mean(axis=1))

    def slopes(self, pred: Floats, target: Any, along: Floats | float = 1.0, width: Floats | float = 1e-3) -> Floats:
        """Central differences (n) by a step of `width` from `pred` in the direction `along`."""
        lift = np.broadcast_to(width, pred.shape[:1]).reshape(-1, *(1,) * (pred.ndim - 1))
        high, low = (self.values(pred + side * lift * along, target) for side in (1, -1))
        with np.errstate(all="ignore"):
            return np.asarray((high - low) / (2 * np.asarray(width)))


def elementwise(loss: Loss) -> bool:
    """Whether a loss is one of a number for each sample against a number."""
    first, *rest = loss.signature.inputs
    if [first.name, *(argument.name for argument in rest[:1])] != ["pred", "target"]:
        return False
    plain = all(argument.word.shape == "n *d" for argument in (first, rest[0]))
    known = all(argument.word.shape in {"n *d", "m"} for argument in rest[1:])
    return plain and known and not (first.word.index or first.word.logs or rest[0].word.index)


def of_classes(loss: Loss) -> bool:
    """Whether a loss is one of a score for each class against a label."""
    inputs = loss.signature.inputs
    named = [argument.name for argument in inputs] == ["pred", "target"]
    return named and "c" in shapes.tokens(inputs[0].word.shape) and inputs[1].word.classes


def by_sample(loss: Loss) -> bool:
    """Whether a sample has a loss of its own, and the whole is the mean of these."""
    return "none" in loss.reductions and (not loss.whole or loss.origin != "lossctl")


def span(domain: Domain, low: float, high: float, count: int, *, inside: float = INSIDE) -> Floats:
    """Numbers between `low` and `high` as far as the domain goes, its edges left out by `inside`."""
    lowest = max(low, domain.low + inside)
    highest = min(high, domain.high - inside)
    return np.linspace(lowest, highest, count)
