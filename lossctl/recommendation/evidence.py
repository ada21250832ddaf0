"""What a prediction at hand says of a loss: its value, its skill beside the best constant, and what few samples carry."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.backends import BACKENDS
from lossctl.binding import bind, scalars
from lossctl.block import Selection
from lossctl.blocks import Memory
from lossctl.bysample import ByOptions, Kept, Pile
from lossctl.comparison.constant import constants
from lossctl.engine import evaluate_keeping, own_values
from lossctl.errors import LossctlError
from lossctl.facts.sample import share_of_top
from lossctl.gradient.job import Job
from lossctl.gradient.passes import Differentiated
from lossctl.gradient.slopes import slopes
from lossctl.recommendation.deriving import written
from lossctl.statistics.levels import AT_ONCE
from lossctl.statistics.ordered import shared
from lossctl.words import SIGMOID_INSIDE, SOFTMAX_INSIDE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lossctl.blocks import Reader
    from lossctl.loss import Loss
    from lossctl.recommendation.deriving import Derived
    from lossctl.spec import Options

# The share of samples with the largest losses, and with the largest gradients.
TOP = 0.01


@dataclass(frozen=True)
class Evidence:
    """One loss on one prediction. A number that the loss does not have is None; `refused` says why there is no number."""

    loss: str
    value: float | None = None
    constant: float | None = None
    skill: float | None = None
    top_loss: float | None = None
    top_gradient: float | None = None
    refused: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The evidence for machines."""
        found = {name: getattr(self, name) for name in ("loss", "value", "constant", "skill", "top_loss", "top_gradient")}
        return found | ({"refused": self.refused} if self.refused else {})


def evidence(  # noqa: PLR0913, PLR0917 - everything that a value depends on
    loss: Loss, derived: Sequence[Derived], facts: Mapping[str, Any], pred: Reader, target: Reader, options: Options
) -> Evidence:
    """Compute a loss with its parameters on a prediction; a loss that does not take it says so."""
    if [argument.name for argument in loss.signature.inputs] != ["pred", "target"]:
        names = ", ".join(argument.name for argument in loss.signature.inputs)
        return Evidence(loss.name, refused=f"it takes {names}")
    refused = _misread(loss, str(facts.get("pred_kind")))
    if refused:
        return Evidence(loss.name, refused=refused)
    try:
        return Judged(loss, derived, options).on(pred, target)
    except LossctlError as error:
        return Evidence(loss.name, refused=error.message)


def _misread(loss: Loss, kind: str) -> str:
    """Why a loss would compute a number that means nothing of a prediction of this kind."""
    word = loss.signature.inputs[0].word
    if word.logs and kind != "log_probabilities":
        return f"it takes {word.says}, and the prediction holds none"
    if word.needs in {SOFTMAX_INSIDE, SIGMOID_INSIDE} and kind in {"probabilities", "simplex"}:
        return "it takes raw scores, and the prediction holds probabilities"
    return ""


def _share_of_top(pile: Pile) -> float | None:
    """What the top percent of values carries, where none is below zero."""
    numbers = pile.done()
    count = numbers.shape[0]
    if count <= AT_ONCE:
        values = numbers.read(0, count)
        return share_of_top(values, TOP) if values.size and values.min() >= 0 else None
    low, total, top = shared(numbers, math.ceil(TOP * count))
    return top / total if low >= 0 and 0 < total < math.inf else None


class Judged:
    """A loss with its parameters, ready for any prediction."""

    def __init__(self, loss: Loss, derived: Sequence[Derived], options: Options) -> None:
        """Sort parameters into numbers and arrays."""
        self.loss, self.options = loss, options
        names = {parameter.name for parameter in loss.signature.parameters}
        self.params = scalars(loss, {one.param: written(one.value) for one in derived if one.param in names})
        self.arrays = {one.param: Memory(np.asarray(one.value), one.param) for one in derived if one.param not in names}

    def on(self, pred: Reader, target: Reader) -> Evidence:
        """Value, skill, and what the top percent carries.

        Raises: what binding and computing raise.
        """
        samples = "none" in self.loss.reductions
        bound = self._bound(pred, target)
        digest = ByOptions([bound], replace(self.options, stats=samples), own_values)
        keep = frozenset({"samples"} if samples else ())
        (outcome,), (tally,) = evaluate_keeping(
            [bound], BACKENDS.get("numpy")(), self.options, Selection(), keep, digest=digest
        )
        best = constants([bound], BACKENDS.get("numpy")(), self.options, Selection())[0]
        constant = None if best is None else best.loss
        skill = 1 - outcome.value / constant if constant is not None and constant > 0 else None
        top = _share_of_top(tally.found.pile) if isinstance(tally.found, Kept) and tally.found.pile is not None else None
        return Evidence(self.loss.name, outcome.value, constant, skill, top, self._gradient(bound, outcome))

    def _bound(self, pred: Reader, target: Reader) -> Any:
        return bind(self.loss, {"pred": pred, "target": target, **self.arrays}, self.params, self.options)

    def _gradient(self, bound: Any, outcome: Any) -> float | None:
        """The share of the top percent in the lengths of all samples' gradients."""
        if self.loss.flat or self.loss.whole:
            return None
        torch = BACKENDS.get("torch")()
        slope = slopes(bound, outcome.sums, outcome.n, "mean", (), torch)
        job = Job([Differentiated(bound, ("pred",), (), slope)], [self.loss.name], self.options, Selection(), torch)
        source = job.sources()[0]
        gradient = job.gradient(source)
        job.run([source], {source.name: gradient})
        share = gradient.profile.share_of_top(TOP)
        return None if math.isnan(share) else share
