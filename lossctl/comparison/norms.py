"""The norm of a loss's gradient by the prediction, block by block."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lossctl.errors import NoGradient
from lossctl.gradient.gathering import Gradient
from lossctl.gradient.passes import Differentiated, chosen, slopes, source_of, stream
from lossctl.losses.backends import BACKENDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lossctl.engine.binding import Bound
    from lossctl.engine.block import Selection
    from lossctl.engine.reduce import Outcome
    from lossctl.request.spec import Options


def norms(bounds: Sequence[Bound], outcomes: Sequence[Outcome], options: Options, selection: Selection) -> list[float | None]:
    """The Euclidean norm of the gradient of each reduced loss by its first input; None where there is no gradient.

    Raises: what a pass over the data raises.
    """
    return [_norm(bound, outcome, options, selection) for bound, outcome in zip(bounds, outcomes, strict=True)]


def _norm(bound: Bound, outcome: Outcome, options: Options, selection: Selection) -> float | None:
    torch = BACKENDS.get("torch")()
    try:
        inputs, _ = chosen(bound, ())
        found = slopes(bound, outcome.sums, outcome.n, options.reduction, (), torch)
        reader = source_of(next(slot.reader for slot in bound.slots if slot.input.name == inputs[0]))
        gradient = Gradient(inputs[0], reader.shape, np.dtype(np.float64), 0.0)
        one = Differentiated(bound, inputs, (), found)
        stream(one, torch, options, selection, work=lambda part: gradient.work(part, inputs[0]), take=gradient.take)
    except NoGradient:
        return None
    gradient.finish()
    return gradient.profile.norm
