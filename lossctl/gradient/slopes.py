"""How steeply a reduced loss answers to each of its sums, and to its own scalar parameters."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lossctl.binding import Bound


@dataclass(frozen=True)
class Slopes:
    """dL/dS for the sum of each term, and what `finish` itself adds to dL/dparameter."""

    sums: Mapping[str, float]
    params: Mapping[str, float]

    @property
    def largest(self) -> float:
        """The steepest slope by a sum but the weights': what turns the gradient of a term into that of the loss."""
        return max((abs(slope) for name, slope in self.sums.items() if name != "weight"), default=0.0)

    def times(self, factor: float) -> Slopes:
        """The slopes of a weighted part of a sum."""
        return Slopes(
            {name: slope * factor for name, slope in self.sums.items()},
            {name: slope * factor for name, slope in self.params.items()},
        )


def slopes(bound: Bound, sums: Mapping[str, float], n: int, reduction: str, wrt: Iterable[str], backend: Any) -> Slopes:  # noqa: PLR0913, PLR0917 - what a reduction depends on
    """Differentiate the reduction at the sums that were folded; `none` stands for the sum, as `backward(ones)` has it."""
    if reduction != "mean":
        own = f"own_{'sum' if reduction == 'none' else reduction}"
        name, divisor = (own, 1) if own in sums else ("value", n if reduction == "batchmean" else 1)
        return Slopes({name: 1.0 / divisor if divisor else math.nan}, dict.fromkeys(wrt, 0.0))
    torch = backend.torch
    leaves = {name: _leaf(torch, total) for name, total in sums.items()}
    params = {name: _leaf(torch, bound.params[name]) for name in wrt}
    value = bound.loss.finish(backend.xp, leaves, **{**bound.params, **params})
    every = [*leaves.values(), *params.values()]
    found = torch.autograd.grad(value, every, allow_unused=True) if value.requires_grad else [None] * len(every)
    numbers = [0.0 if one is None else float(one) for one in found]
    return Slopes(dict(zip(leaves, numbers, strict=False)), dict(zip(params, numbers[len(leaves) :], strict=True)))


def _leaf(torch: Any, number: float) -> Any:
    return torch.tensor(float(number), dtype=torch.float64, requires_grad=True)


def with_leaves(bound: Bound, wrt: Iterable[str], torch: Any) -> Bound:
    """The same loss with parameters that derivatives are taken by."""
    return replace(bound, params={**bound.params, **{name: _leaf(torch, bound.params[name]) for name in wrt}})
