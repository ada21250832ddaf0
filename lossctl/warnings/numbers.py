"""Traps about predictions, scales, and what a mean hides."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.engine.values import bounded, outside
from lossctl.sources.inputs import FileReader, Stacked, opened_as
from lossctl.sources.readers import BLOCK, Wrapped
from lossctl.warnings.sight import ENOUGH, Sight, as_given, trap

if TYPE_CHECKING:
    from lossctl.engine.binding import Slot
    from lossctl.sources.readers import Reader

MOST = 0.9
# A mean of squares over variances this far from 1 does not come from variances.
FAR = 4.0
TINY = 1e-3


@trap("L031", "kl_div's mean is no divergence", whole=True)
def kl_mean(sight: Sight) -> str:
    """The mean of kl_div divides by the number of elements, so that it shrinks with the number of classes. The divergence
    is the sum over classes, averaged over samples: --reduction batchmean. torch warns of it too.
    """
    if sight.loss != "kl_div" or sight.mean is None or sight.pred.ndim < 2:  # noqa: PLR2004 - one sample's mean may be meant
        return ""
    classes = int(np.prod(sight.pred.shape[1:]))
    right = sight.command("kl_div", "--reduction batchmean")
    return f"mean divides by every element; batchmean is {sight.mean * classes:.6g}: {right}"


@trap("L032", "constant predictions", whole=True)
def constant(sight: Sight) -> str:
    """Every prediction is the same number: a collapsed model, a wrong column, or a file of zeros."""
    pred = sight.pred
    if sight.bound.n < 3 or pred.dtype.kind not in "fiu" or not pred.size or pred.min() != pred.max():  # noqa: PLR2004
        return ""
    value = pred.flat[0]
    if not _goes_on(sight, value):
        return ""
    return f"every value of {sight.bound.loss.signature.inputs[0].name} is {float(value):g}"


def _goes_on(sight: Sight, value: Any) -> bool:
    """Whether all predictions behind the first block are the same number or no number: the first that is not ends the look."""
    slot, n = sight.bound.slots[0], sight.bound.n
    if slot.axis is None:
        return True
    # The first block was seen without what is not finite: infinite scores, where a loss takes them, are other numbers.
    scores = bool(slot.input.word.infinite)
    for start in range(0 if scores else sight.count, n, max(1, sight.count)):
        array = as_given(slot.reader).read(start, min(n, start + sight.count), slot.axis)
        if not ((array == value) | (np.isnan(array) if scores else ~np.isfinite(array))).all():
            return False
    return True


@trap("L033", "bce at its clamp")
def clamped(sight: Sight) -> str:
    """A probability of exactly 0 or 1 on the wrong side costs infinity, which torch clamps to 100. Such samples decide the
    mean, and their gradient says nothing. Use scores and bce_with_logits.
    """
    if sight.loss != "bce" or sight.target.shape != sight.pred.shape:
        return ""
    wrong = ((sight.pred == 0) & (sight.target > 0)) | ((sight.pred == 1) & (sight.target < 1))
    if not wrong.any():
        return ""
    with np.errstate(divide="ignore"):
        logs = sight.target * np.maximum(np.log(sight.pred), -100) + (1 - sight.target) * np.maximum(
            np.log1p(-sight.pred), -100
        )
    share = logs[wrong].sum() / logs.sum()
    return f"{int(wrong.sum())} predictions are exactly 0 or 1 on the wrong side and make {share:.0%} of the loss"


@trap("L034", "standard deviations where variances are wanted")
def not_variances(sight: Sight) -> str:
    """gaussian_nll takes variances. Squared errors divided by them average about 1 where the model is honest; where they
    do so only after squaring what was given, standard deviations were given.
    """
    var = sight.arrays.get("var")
    if var is None or sight.bound.n < ENOUGH or var.shape != sight.pred.shape or not (var > 0).all():
        return ""
    squared = (sight.pred - sight.target) ** 2
    as_variance, as_deviation = float((squared / var).mean()), float((squared / var**2).mean())
    if 1 / FAR < as_variance < FAR or not 1 / 2 < as_deviation < 2:  # noqa: PLR2004
        return ""
    return f"mean(error^2/var) is {as_variance:.3g} and with var squared {as_deviation:.3g}: var looks like standard deviations"


@trap("L035", "targets of 0 in a percentage error")
def percent_of_zero(sight: Sight) -> str:
    """A relative error divides by the target. Where that is 0, the loss divides by a tiny number instead, and those
    samples are nearly all of the mean. Use wape, smape or mase.
    """
    if sight.loss not in {"mape", "mspe", "rmspe"}:
        return ""
    zeros = int((sight.target == 0).sum())
    return (
        f"{zeros} of {sight.target.size} targets are 0 and decide the mean. Perhaps: {sight.command('wape')}" if zeros else ""
    )


@trap("L037", "a pair of shapes that was broadcast", whole=True)
def broadcast(sight: Sight) -> str:
    """--broadcast let shapes such as (N, 1) and (N,) make N x N pairs. The mean is then over all pairs, not over samples."""
    readers = [as_given(slot.reader) for slot in sight.bound.slots if slot.axis is not None]
    shapes, inner = {one.shape for one in readers}, {(one.inner if isinstance(one, Wrapped) else one).shape for one in readers}
    if not sight.options.broadcast or inner == shapes or len(inner) < 2:  # noqa: PLR2004
        return ""
    pairs = int(np.prod(next(iter(shapes))))
    return f"shapes {' and '.join(map(str, sorted(inner)))} were broadcast to {pairs} values; --squeeze matches them row by row"


@trap("L038", "a row number in place of a prediction")
def row_numbers(sight: Sight) -> str:
    """The values are 0, 1, 2, … or 1, 2, 3, …: an index column was probably read as data. Name the column you mean."""
    pred = sight.pred
    if pred.ndim != 1 or pred.size < ENOUGH or pred.dtype.kind not in "fiu" or pred[0] not in {0, 1}:
        return ""
    runs = np.array_equal(pred, pred[0] + np.arange(pred.size))
    return "pred counts its rows, like an index column" if runs and not np.array_equal(pred, sight.target) else ""


@trap("L042", "predictions that are the targets", whole=True)
def same_twice(sight: Sight) -> str:
    """Every prediction equals its target to the last digit, or both were read from the same place: one file, column or array
    under whatever names, or the one column that came over a pipe. Real predictions never are their targets: the same input
    was probably given twice, or the model was given the answer.
    """
    place = _same_place(sight)
    if place:
        return f"{place}: every prediction is compared with itself"
    pred, target = sight.pred, sight.target
    if pred.shape != target.shape or pred.size < ENOUGH or not np.array_equal(pred, target) or (pred == np.floor(pred)).all():
        return ""
    return f"all {pred.size} values of pred looked at equal target: was the same input given twice?"


def _same_place(sight: Sight) -> str:
    """Which input is read from where the first one is; an array that was typed twice stands there to be seen."""
    slots = {slot.input.name: slot.reader for slot in sight.bound.slots}
    first, *others = [one.name for one in sight.bound.loss.signature.inputs if one.name in slots]
    for other in others:
        place, same = _place(slots[first]), _place(slots[other])
        if place is not None and place == same:
            ours, theirs = sight.typed.get(first, first), sight.typed.get(other, other)
            shown = "standard input" if ours == "-" else ours
            return f"{first} and {other} are the same input, {shown}" + ("" if ours == theirs else f" and {theirs}")
    return ""


def _place(reader: Reader) -> tuple[Any, ...] | None:
    """The file, and what of it, that a reader reads, whatever views lie above it; None for what is in no file."""
    opened = opened_as(reader)
    if isinstance(opened, Stacked):
        places = [_place(part) for part in opened.parts]
        return None if None in places else tuple(places)
    if not isinstance(opened, FileReader):
        return None
    stored = opened.stored
    try:
        file: Any = Path(stored.path).resolve(strict=True) if stored.path else stored.name
    except OSError:
        file = stored.name
    return file, opened.columns or opened.key


@trap("L039", "pairs with labels the other way round")
def far_but_similar(sight: Sight) -> str:
    """A contrastive loss pulls similar pairs together. Where pairs labelled similar lie farther apart than the others, the
    labels probably mean the opposite: Hadsell 2006 writes 0 for similar, Keras' example 1.
    """
    if sight.loss != "contrastive" or len(sight.arrays) < 3:  # noqa: PLR2004
        return ""
    first, second = (sight.arrays[a.name] for a in sight.bound.loss.signature.inputs[:2])
    distance = np.sqrt(((first - second) ** 2).sum(axis=1))
    similar = sight.target == sight.bound.params.get("similar_label", 1)
    if similar.all() or not similar.any() or distance[similar].mean() <= distance[~similar].mean():
        return ""
    near, far = distance[~similar].mean(), distance[similar].mean()
    other = 1 - int(sight.bound.params.get("similar_label", 1))
    right = sight.command(f"contrastive:similar_label={other}")
    return f"similar pairs lie {far:.3g} apart and the others {near:.3g}. Perhaps: {right}"


@trap("L040", "collapsed embeddings")
def collapsed(sight: Sight) -> str:
    """All embeddings lie at nearly the same point, so that every triplet costs just the margin and nothing is learned."""
    if sight.loss not in {"triplet_margin", "triplet_margin_with_distance"}:
        return ""
    anchor, positive, negative = (sight.arrays[name] for name in ("anchor", "positive", "negative"))
    gaps = np.concatenate([np.abs(anchor - positive).max(axis=-1).ravel(), np.abs(anchor - negative).max(axis=-1).ravel()])
    share = float((gaps < TINY).mean()) if gaps.size else 0.0
    return f"{share:.0%} of distances are below {TINY:g}: the embeddings have collapsed" if share > MOST else ""


@trap("L063", "values that the loss is not defined on", whole=True)
def undefined(sight: Sight) -> str:
    """--domain ignore computes the formula as it stands, also of values that the loss is not defined on: probabilities
    above 1, variances below 0, labels other than those that its words name. The number that comes out is no value of that
    loss. Without the option such values are an error.
    """
    if sight.options.domain != "ignore":
        return ""
    slots = (slot for slot in sight.bound.slots if not slot.input.word.index and bounded(slot, sight.bound))
    return "; ".join(filter(None, map(_found, slots)))


def _found(slot: Slot) -> str:
    """All of one input is looked at, since the one value that is wrong may be the last."""
    count, first, domain = 0, "", slot.input.word.domain
    length, axis = (slot.reader.shape[slot.axis or 0] if slot.reader.shape else 1), slot.axis or 0
    rows = max(1, BLOCK * length // max(1, int(np.prod(slot.reader.shape))))
    for start in range(0, length, rows):
        array = slot.reader.read(start, min(start + rows, length), axis)
        wrong = outside(array, domain)
        if wrong.any() and not count:
            where = [int(i) for i in np.unravel_index(int(np.argmax(wrong)), wrong.shape)]
            first = f"{float(array[tuple(where)]):g}"
            if where:
                where[axis] += start
                first = f"{first} at {slot.reader.place(tuple(where))}"
        count += int(wrong.sum())
    if not count:
        return ""
    some = f"{count} value{'' if count == 1 else 's'}"
    return f"{slot.input.name} ({slot.reader.name}) has {some} outside of {domain.says}, first {first}: computed as it stands"
