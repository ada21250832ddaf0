"""What is known of the data: the facts of the target, with what follows from them, and those of a prediction beside it.

What a prediction at hand says of a loss: its value, its skill beside the best constant, and what few samples carry.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.comparison.constant import constants
from lossctl.engine.binding import bind
from lossctl.engine.block import Selection
from lossctl.engine.reduce import evaluate_keeping, own_values
from lossctl.engine.samples import ByOptions, Kept, Pile
from lossctl.errors import LossctlError, NothingLeft, OutOfDomain, ShapeMismatch
from lossctl.gradient.job import Job
from lossctl.gradient.passes import Differentiated, slopes
from lossctl.guides.facts import facts_of, pair_facts
from lossctl.guides.recommend.deriving import written
from lossctl.guides.recommend.knowledge import unknown
from lossctl.losses.backends import BACKENDS
from lossctl.losses.loss import scalars
from lossctl.losses.words import SIGMOID_INSIDE, SOFTMAX_INSIDE
from lossctl.sources.readers import Memory, cuts
from lossctl.statistics.ordered import AT_ONCE, sample_spread, share_of_top, shared
from lossctl.statistics.sums import Higher

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lossctl.guides.recommend.deriving import Derived
    from lossctl.losses.loss import Loss
    from lossctl.request.spec import Options
    from lossctl.sources.readers import Reader


# More classes than this are not counted one by one.
CLASSES = 1000
# An array with so many axes holds images, and one with so many columns.
IMAGE, TABLE = 3, 2
# Labels with such a skewness and so many levels may be counts.
TAIL, LEVELS = 0.5, 5
# Tables of numbers are looked at column by column up to so many elements; spreads within such a ratio are one scale.
NUMBERS = frozenset({"real", "positive", "counts", "logits"})
MOST, ALIKE = 1 << 22, 3.0


def known_of(target: Reader, pred: Reader | None = None) -> dict[str, Any]:
    """The facts that rules speak of, by name. `pred_` is before those of the prediction alone.

    Raises: NothingLeft where nothing is finite; OutOfDomain where the target is constant, or numbers its rows;
    ShapeMismatch.
    """
    facts = dict(facts_of(target).values)
    _refuse(facts, target.name)
    # The likeliest kind that is one of targets. Numbers of which none occurs twice may be ids, but a target is none.
    kind = next((look["kind"] for look in facts["looks"] if look["kind"] != "ids"), "real")
    facts["kind"] = "class_mask" if kind in {"labels", "counts"} and len(facts["shape"]) >= IMAGE else kind
    facts |= {
        "span": _span(facts),
        "variation": _variation(facts["mean"], facts["std"]),
        "positive_share": _positive_share(facts),
        "also_counts": _also_counts(facts),
    }
    facts["class_counts"] = counts_of_target(target, facts)
    facts |= by_column(target, facts)
    if pred is None:
        return facts
    alone = facts_of(pred).values
    facts |= {f"pred_{name}": alone[name] for name in ("kind", "low", "high", "mean")}
    together = pair_facts(pred, target).values
    if not together["fits"]:
        message = f"{pred.name} has shape {pred.shape} and {target.name} {target.shape}, which do not fit each other."
        raise ShapeMismatch(message, hint="Give a prediction for each target, or the target alone.")
    return facts | {name: value for name, value in together.items() if name not in facts}


def _refuse(facts: Mapping[str, Any], name: str) -> None:
    if facts["low"] is None:
        message = f"{name} holds {'no values' if not facts['elements'] else 'nothing but NaN and infinity'}."
        raise NothingLeft(message, hint="Give a target with numbers, or answer with flags: lossctl recommend --task regression")
    if facts["constant"]:
        message = f"Every value of {name} is {facts['low']:.6g}: there is nothing to predict, and every loss is as good."
        raise OutOfDomain(message, hint="Check that this is the target, and the right column of it.")
    if facts["kind"] == "times" or (facts["kind"] == "ids" and facts["even_step"]):
        message = f"{name} is no target: {facts['looks'][0]['reason']}."
        raise OutOfDomain(message, hint=f"Name the column that is predicted ({name}:COLUMN), or answer with --task.")


def _also_counts(facts: Mapping[str, Any]) -> bool:
    """Whether labels have the right tail and the number of levels that counts have."""
    tail = (facts["skew"] or 0) > TAIL and (facts["distinct"] or 0) >= LEVELS
    return tail and facts["kind"] == "labels" and any(look["kind"] == "counts" for look in facts["looks"])


def by_column(target: Reader, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Outliers and tails as means over columns, since numbers in other units would all be outliers; no scale is common then.

    Nothing for a single column, for kinds that have one scale, and for more elements than fit in memory with ease.
    """
    if len(target.shape) != TABLE or target.shape[1] < 2 or facts["kind"] not in NUMBERS or facts["elements"] > MOST:  # noqa: PLR2004
        return {}
    whole = target.read(0, target.shape[0]).astype(np.float64)
    columns = [column[np.isfinite(column)] for column in whole.T]
    spreads, moments = [sample_spread(column) for column in columns], [Higher.of(column) for column in columns]
    means = {name: _mean([spread[name] for spread in spreads]) for name in ("outlier_share", "tail")}
    means |= {"skew": _mean([column.skew for column in moments]), "kurtosis": _mean([column.kurtosis for column in moments])}
    means["variation"] = _mean([_variation(column.low.mean, column.low.std) for column in moments])
    mads = [spread["mad"] or 0.0 for spread in spreads]
    alike = min(mads) > 0 and max(mads) / min(mads) < ALIKE
    return means | {"mad": _mean(mads) if alike else None}


def _mean(values: list[Any]) -> float | None:
    known = [value for value in values if not unknown(value)]
    return float(np.mean(known)) if known else None


def _variation(mean: float | None, std: float | None) -> float | None:
    """How large the standard deviation is beside the mean."""
    return std / abs(mean) if mean and std is not None else None


def _span(facts: Mapping[str, Any]) -> float | None:
    """How many times the smallest target the largest is, where all are above 0."""
    return facts["high"] / facts["low"] if facts["low"] > 0 else None


def _positive_share(facts: Mapping[str, Any]) -> float | None:
    if facts["kind"] == "plus_minus":
        return float(1 - facts["negative_share"])
    return facts["foreground_share"] if facts["kind"] in {"mask", "binary"} else None


def counts_of_target(target: Reader, facts: Mapping[str, Any]) -> list[int] | None:
    """How often each class 0 … C-1 occurs, of labels, masks of labels and one-hot rows; None for anything else."""
    if facts["kind"] == "one_hot" and facts["column_means"]:
        rows = facts["elements"] / facts["columns"]
        return [round(mean * rows) for mean in facts["column_means"]]
    if facts["kind"] not in {"labels", "class_mask", "binary"} or not 0 <= facts["high"] < CLASSES:
        return None
    counts = np.zeros(int(facts["high"]) + 1, np.int64)
    size = int(np.prod(target.shape[1:]))
    for start, stop in cuts(target.shape[0], size) if target.shape else ():
        block = target.read(start, stop).reshape(-1)
        kept = block[np.isfinite(block) & (block >= 0)].astype(np.int64)
        counts += np.bincount(kept, minlength=counts.size)
    return [int(count) for count in counts]


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
        entry = {name: getattr(self, name) for name in ("loss", "value", "constant", "skill", "top_loss", "top_gradient")}
        return entry | ({"refused": self.refused} if self.refused else {})


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
        return BoundLoss(loss, derived, options).on(pred, target)
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


class BoundLoss:
    """A loss with its parameters, ready for any prediction."""

    def __init__(self, loss: Loss, derived: Sequence[Derived], options: Options) -> None:
        """Sort parameters into numbers and arrays."""
        self.loss, self.options = loss, options
        names = {parameter.name for parameter in loss.signature.parameters}
        values = {parameter.param: parameter.value for parameter in derived}
        self.params = scalars(loss, {name: written(value) for name, value in values.items() if name in names})
        self.arrays = {name: Memory(np.asarray(value), name) for name, value in values.items() if name not in names}

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
