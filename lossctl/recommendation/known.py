"""What is known of the data: the facts of the target, with what follows from them, and those of a prediction beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.blocks import cuts
from lossctl.errors import NothingLeft, OutOfDomain, ShapeMismatch
from lossctl.facts import facts_of, pair_facts
from lossctl.facts.moments import Higher
from lossctl.facts.sample import spread
from lossctl.recommendation.conditions import unknown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lossctl.blocks import Reader

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
    facts["kind"] = _kind(facts)
    facts |= {
        "span": _span(facts),
        "variation": _variation(facts["mean"], facts["std"]),
        "positive_share": _positive_share(facts),
        "also_counts": _also_counts(facts),
    }
    facts["class_counts"] = class_counts(target, facts)
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


def _kind(facts: Mapping[str, Any]) -> str:
    """The likeliest kind that is one of targets. Numbers of which none occurs twice may be ids, but a target is none."""
    kind = next((look["kind"] for look in facts["looks"] if look["kind"] != "ids"), "real")
    return "class_mask" if kind in {"labels", "counts"} and len(facts["shape"]) >= IMAGE else kind


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
    spreads, moments = [spread(column) for column in columns], [Higher.of(column) for column in columns]
    means = {name: _mean([one[name] for one in spreads]) for name in ("outlier_share", "tail")}
    means |= {"skew": _mean([one.skew for one in moments]), "kurtosis": _mean([one.kurtosis for one in moments])}
    means["variation"] = _mean([_variation(one.low.mean, one.low.std) for one in moments])
    mads = [one["mad"] or 0.0 for one in spreads]
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


def class_counts(target: Reader, facts: Mapping[str, Any]) -> list[int] | None:
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
