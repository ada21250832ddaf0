"""Traps about values: what the network has done to its output, targets, labels and weights, scales, and what a mean hides."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.engine.values import bounded, outside
from lossctl.sources.inputs import FileReader, Stacked
from lossctl.sources.readers import BLOCK, Wrapped
from lossctl.warnings.sight import CLOSE, ENOUGH, Sight, adds_up, as_given, inside_unit, trap

if TYPE_CHECKING:
    from lossctl.engine.binding import Slot


# What the first input of a loss takes that applies a softmax.
SCORES = "raw scores, one a class"


@trap("L001", "probabilities where cross-entropy wants scores", of=(SCORES,))
def softmax_twice(sight: Sight) -> str:
    """cross_entropy applies softmax itself. Given probabilities it applies it twice: the value can then never fall below
    log(1 + (C-1)/e), whatever the network learns, and gradients shrink. Give it the scores before softmax, or use a
    loss of probabilities.
    """
    if not adds_up(sight.pred) or sight.pred.shape[1] < 2:  # noqa: PLR2004
        return ""
    classes = sight.pred.shape[1]
    floor = np.log1p((classes - 1) / np.e)
    right = sight.command("categorical_crossentropy_prob")
    return (
        f"pred's rows are probabilities: with softmax applied again {sight.loss} cannot fall below {floor:.4g}. Right: {right}"
    )


@trap("L002", "probabilities where a sigmoid is applied", of=("raw scores",))
def sigmoid_twice(sight: Sight) -> str:
    """bce_with_logits and focal apply the sigmoid themselves. Probabilities given to them lie in [0, 1], so that no
    positive can cost less than log(1 + 1/e) = 0.3133 and no negative less than 0.6931. Give the scores before the
    sigmoid, or use bce.
    """
    if sight.takes(SCORES):
        return ""
    if sight.pred.size < ENOUGH or not inside_unit(sight.pred):
        return ""
    low, high = sight.pred.min(), sight.pred.max()
    return f"pred lies in [{low:.4g}, {high:.4g}], which looks like probabilities; floor 0.3133. Right: {sight.command('bce')}"


@trap("L003", "probabilities where log-probabilities are wanted", of=("logs",))
def not_logarithms(sight: Sight) -> str:
    """Nll and kl_div take logarithms of probabilities, which are never above 0. Probabilities themselves give a negative
    number that means nothing. Take log_softmax of the scores, or use a loss of probabilities.
    """
    if not sight.pred.size or sight.pred.min() < 0:
        return ""
    right = "categorical_crossentropy_prob" if sight.loss == "nll" else "cross_entropy"
    least, command = sight.pred.min(), sight.command(right)
    return f"pred is never below 0 (least {least:.4g}), so it holds no log-probabilities. Perhaps: {command}"


@trap("L004", "scores where log-probabilities are wanted", of=("ctc", "nll"))
def not_normalised(sight: Sight) -> str:
    """Log-probabilities add up to 1 once exponentiated. Raw scores do not, and ctc and nll then give a number, sometimes a
    negative one, that is no likelihood. Apply log_softmax over the classes.
    """
    if sight.pred.ndim < 2 or not sight.pred.size or sight.pred.min() >= 0:  # noqa: PLR2004
        return ""
    axis = -1 if sight.loss == "ctc" else 1
    sums = np.exp(sight.pred).sum(axis=axis)
    worst = float(sums.flat[int(np.argmax(np.abs(sums - 1)))])
    wrong = abs(worst - 1) > 10 * CLOSE
    return f"exp(pred) adds up to {worst:.4g} for one sample instead of 1: apply log_softmax first" if wrong else ""


@trap("L005", "probabilities where signed scores are wanted", of=("signed scores",))
def unsigned(sight: Sight) -> str:
    """Hinge losses look at the sign of a score. A probability is never negative, so every negative sample costs at least
    the margin. Give the score before the sigmoid.
    """
    if sight.pred.size < ENOUGH or not inside_unit(sight.pred):
        return ""
    return f"pred lies in [{sight.pred.min():.4g}, {sight.pred.max():.4g}] and has no sign: give scores, not probabilities"


@trap("L006", "hinge_embedding is not the hinge loss", of=("hinge_embedding",))
def not_a_distance(sight: Sight) -> str:
    """hinge_embedding takes distances and adds them up for y = 1; the hinge loss of a classifier is max(0, 1 - y x).
    Scores of either sign in hinge_embedding are nearly always meant for hinge.
    """
    if not sight.pred.size or sight.pred.min() >= 0:
        return ""
    hinge = np.maximum(0, 1 - sight.target * sight.pred).mean()
    least, command = sight.pred.min(), sight.command("hinge")
    return f"pred has negative values (least {least:.4g}), so no distances; hinge gives {hinge:.6g}: {command}"


# Losses whose mean divides by the weights of the classes.
DIVIDED_BY_WEIGHTS = ("cross_entropy", "nll", "linear_cross_entropy")
# Classes that are listed.
LISTED = 5
# With fewer samples a class a missing one is chance.
MANY = 10


@trap("L011", "0 and 1 where 1 and -1 are meant", of=("signs",))
def zeros_for_minus_one(sight: Sight) -> str:
    """Margin losses take targets of 1 and -1. Targets of 0 and 1 are read as -1 and 1 where the loss allows it, as Keras
    does.
    """
    words = {slot.input.name: slot.input.word for slot in sight.bound.slots}
    if "target" not in words or not words["target"].signs or not (sight.target == 0).any():
        return ""
    return f"target holds {int((sight.target == 0).sum())} zeros, which are read as -1"


@trap("L021", "targets outside of what the loss is defined for", of=("loose",))
def outside_of_what_is_meant(sight: Sight) -> str:
    """Margin losses are defined for targets of 1 and -1, and multi-label losses for targets in [0, 1]. torch computes any
    other number as the formula has it, which means nothing: a target of 0 gives log 2 in soft_margin whatever the
    score.
    """
    words = {slot.input.name: slot.input.word for slot in sight.bound.slots if slot.input.word.loose}
    if "target" not in words or not sight.target.size:
        return ""
    domain, target = words["target"].domain, sight.target
    wrong = ~np.isin(target, domain.values) if domain.values else (target < domain.low) | (target > domain.high)
    if not wrong.any():
        return ""
    count, first = int(wrong.sum()), float(target[wrong].flat[0])
    return f"{count} of {target.size} targets are not in {domain.says} (the first is {first:g}): map them, or use --mask"


@trap("L012", "an ignored label that is a class", of=("ignore_index",))
def ignores_a_class(sight: Sight) -> str:
    """ignore_index compares with the label's value, not its place. An index in 0..C-1 leaves that whole class out of the
    loss, while its score still stands in the softmax of the others.
    """
    index, classes = sight.bound.params["ignore_index"], sight.bound.dims.get("c", (0,))[0]
    if not 0 <= index < classes or not (sight.target == index).any():
        return ""
    count = int((sight.target == index).sum())
    return f"ignore_index={index} is one of the {classes} classes: {count} of its samples do not count"


@trap("L013", "a class that never appears, and labels from 1")
def labels_from_one(sight: Sight) -> str:
    """Labels are 0..C-1. Where they begin at 1 and the scores have a column more than there are labels, they were probably
    counted from 1, and every sample is scored in the wrong column.
    """
    classes = sight.bound.dims.get("c", (0,))[0]
    if classes < 3 or not any(slot.input.word.shifts for slot in sight.bound.slots):  # noqa: PLR2004 - two are too few to tell
        return ""
    labels = sight.target[sight.target >= 0]
    few = sorted(set(labels.ravel().tolist())) if labels.size >= MANY * classes else []
    if len(few) != classes - 1 or few[0] != 1:
        return ""
    return f"class 0 never appears and labels run from 1 to {classes - 1}: if counted from 1, use --label-offset -1"


@trap("L014", "probability targets that do not add up to 1", of=(SCORES, "kl_div"))
def not_a_distribution(sight: Sight) -> str:
    """Probability targets of a sample add up to 1. Others are computed as they stand, which scales each sample's loss."""
    soft = sight.target.ndim == sight.pred.ndim and sight.target.ndim > 1
    if not soft or sight.bound.params.get("log_target"):
        return ""
    sums = sight.target.sum(axis=1 if sight.loss != "kl_div" else -1)
    off = np.abs(sums - 1)
    wrong = int((off > CLOSE).sum())
    return (
        f"{wrong} of {sums.size} rows of target do not add up to 1 (one is {float(sums.flat[off.argmax()]):.4g})"
        if wrong
        else ""
    )


@trap("L015", "one-hot targets with class weights", of=(SCORES,), whole=True)
def one_hot_weights(sight: Sight) -> str:
    """With class indices the weighted mean divides by the sum of the weights; with one-hot or probability targets it
    divides by the number of samples. torch does so, and the two numbers differ.
    """
    soft = sight.target.ndim == sight.pred.ndim and sight.target.ndim > 1
    if not soft or "weight" not in sight.arrays:
        return ""
    return "target holds probabilities, so the weighted mean divides by the samples; class indices divide by their weights"


@trap("L016", "one weight that cancels", of=DIVIDED_BY_WEIGHTS, whole=True)
def weight_cancels(sight: Sight) -> str:
    """The weighted mean of one sample is its loss times its weight divided by its weight: the class weights change
    nothing. So it is where the mean divides by the weights, as in cross_entropy and nll without label smoothing; multi_margin
    divides by the number of samples, and its weight counts.
    """
    divides = not sight.bound.params.get("label_smoothing")
    hard = divides and sight.bound.n == 1 and sight.target.ndim < sight.pred.ndim
    alone = hard and "weight" in sight.arrays and sight.options.reduction == "mean" and sight.target.size == 1
    return "with one sample the class weight cancels out of the mean: use --reduction sum to see it" if alone else ""


@trap("L017", "one class alone", of=(SCORES,), whole=True)
def one_class(sight: Sight) -> str:
    """The softmax of a single score is always 1, so that cross-entropy is always 0. For two classes with one score use
    bce_with_logits.
    """
    if sight.bound.dims["c"] != (1,):
        return ""
    return f"with one class the loss is always 0. Perhaps: {sight.command('bce_with_logits', '--squeeze')}"


@trap("L018", "pos_weight by sample", of=("pos_weight",), whole=True)
def weight_by_sample(sight: Sight) -> str:
    """pos_weight broadcasts along the last axis. For scores of shape (N,) a pos_weight of N entries weighs samples, not
    labels.
    """
    weight = sight.arrays["pos_weight"]
    if sight.pred.ndim != 1 or weight.size < 2 or weight.shape != sight.pred.shape:  # noqa: PLR2004
        return ""
    return f"pos_weight has {weight.size} entries for {weight.size} samples of one label: it weighs each sample, not each label"


@trap("L019", "a class axis that could be another", of=(SCORES,), whole=True)
def ambiguous_axis(sight: Sight) -> str:
    """The classes are axis 1, and the axis after it has the same length: scores with the classes last would be read
    without an error, and wrong.
    """
    shape = sight.pred.shape
    if len(shape) != 3 or shape[1] != shape[2] or shape[1] < 2:  # noqa: PLR2004
        return ""
    return f"axes 1 and 2 of pred both have length {shape[1]}: if the classes are last, use --class-dim -1"


@trap("L020", "multi-hot targets for multilabel_margin", of=("multilabel_margin",))
def multi_hot_list(sight: Sight) -> str:
    """multilabel_margin takes the numbers of the labels that apply, ended by -1. A row of zeros and ones is read as a list
    of the labels 0 and 1.
    """
    if not sight.target.size or not np.isin(sight.target, (0, 1)).all():
        return ""
    return f"target holds only 0 and 1, which looks like multi-hot. Right: {sight.command('multilabel_soft_margin')}"


@trap("L066", "masks without anything in them")
def empty_mask(sight: Sight) -> str:
    """Overlaps count 0 where the mask is empty, as segmentation_models_pytorch has it: the same as for a perfect prediction,
    whatever is predicted. Of several classes, one without a label counts 0 and lowers the mean; classes=present leaves it
    out. MONAI counts close to 1, and empty=counted 1, as Keras has it. Judge false alarms on empty masks by bce, or by counts.
    """
    sums = sight.sums
    if sight.bound.params.get("empty") == "counted":
        return ""
    if sums.get("target", sums.get("present")) == 0:
        predicted = sums.get("pred", sums.get("either", 0.0))
        right = sight.command("bce")
        says = f"target is an empty mask, which counts 0 like a perfect prediction, although pred adds up to {predicted:g}"
        return f"{says}. What is predicted there shows in: {right}" if predicted > 0 else ""
    if sight.bound.params.get("classes") != "all":
        return ""
    numbers = [name.removeprefix("target ") for name, total in sums.items() if name.startswith("target ") and total == 0]
    absent = [number for number in numbers if sums.get(f"pred {number}", 0.0) > 0]
    if not absent:
        return ""
    listed = ", ".join(absent[:LISTED]) + (f" and {len(absent) - LISTED} more" if len(absent) > LISTED else "")
    right = sight.command(sight.loss, "-p classes=present")
    return f"no label of class {listed}: it counts 0 in the mean, whatever is predicted. Over those that are there: {right}"


MOST = 0.9
# A mean of squares over variances this far from 1 does not come from variances.
FAR = 4.0
TINY = 1e-3


@trap("L031", "kl_div's mean is no divergence", of=("kl_div",), whole=True)
def kl_mean(sight: Sight) -> str:
    """The mean of kl_div divides by the number of elements, so that it shrinks with the number of classes. The divergence
    is the sum over classes, averaged over samples: --reduction batchmean. torch warns of it too.
    """
    if sight.mean is None or sight.pred.ndim < 2:  # noqa: PLR2004 - one sample's mean may be meant
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


@trap("L033", "bce at its clamp", of=("bce",))
def clamped(sight: Sight) -> str:
    """A probability of exactly 0 or 1 on the wrong side costs infinity, which torch clamps to 100. Such samples decide the
    mean, and their gradient says nothing. Use scores and bce_with_logits.
    """
    if sight.target.shape != sight.pred.shape:
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


@trap("L034", "standard deviations where variances are wanted", of=("var",))
def not_variances(sight: Sight) -> str:
    """gaussian_nll takes variances. Squared errors divided by them average about 1 where the model is honest; where they
    do so only after squaring what was given, standard deviations were given.
    """
    var = sight.arrays["var"]
    if sight.bound.n < ENOUGH or var.shape != sight.pred.shape or not (var > 0).all():
        return ""
    squared = (sight.pred - sight.target) ** 2
    as_variance, as_deviation = float((squared / var).mean()), float((squared / var**2).mean())
    if 1 / FAR < as_variance < FAR or not 1 / 2 < as_deviation < 2:  # noqa: PLR2004
        return ""
    return f"mean(error^2/var) is {as_variance:.3g} and with var squared {as_deviation:.3g}: var looks like standard deviations"


@trap("L035", "targets of 0 in a percentage error", of=("mape", "mspe", "rmspe"))
def percent_of_zero(sight: Sight) -> str:
    """A relative error divides by the target. Where that is 0, the loss divides by a tiny number instead, and those
    samples are nearly all of the mean. Use wape, smape or mase.
    """
    zeros = int((sight.target == 0).sum())
    return (
        f"{zeros} of {sight.target.size} targets are 0 and decide the mean. Perhaps: {sight.command('wape')}" if zeros else ""
    )


@trap("L037", "a pair of shapes that was broadcast", of=("--broadcast",), whole=True)
def broadcast(sight: Sight) -> str:
    """--broadcast let shapes such as (N, 1) and (N,) make N x N pairs. The mean is then over all pairs, not over samples."""
    readers = [as_given(slot.reader) for slot in sight.bound.slots if slot.axis is not None]
    shapes, inner = (
        {reader.shape for reader in readers},
        {(reader.inner if isinstance(reader, Wrapped) else reader).shape for reader in readers},
    )
    if inner == shapes or len(inner) < 2:  # noqa: PLR2004
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
    first, *others = [argument.name for argument in sight.bound.loss.signature.inputs if argument.name in sight.opened]
    for other in others:
        place, same = _place(sight.opened[first]), _place(sight.opened[other])
        if place is not None and place == same:
            ours, theirs = sight.typed.get(first, first), sight.typed.get(other, other)
            shown = "standard input" if ours == "-" else ours
            return f"{first} and {other} are the same input, {shown}" + ("" if ours == theirs else f" and {theirs}")
    return ""


def _place(opened: Any) -> tuple[Any, ...] | None:
    """The file, and what of it, that an input was opened as; None for what is in no file."""
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


@trap("L039", "pairs with labels the other way round", of=("contrastive",))
def far_but_similar(sight: Sight) -> str:
    """A contrastive loss pulls similar pairs together. Where pairs labelled similar lie farther apart than the others, the
    labels probably mean the opposite: Hadsell 2006 writes 0 for similar, Keras' example 1.
    """
    if len(sight.arrays) < 3:  # noqa: PLR2004
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


@trap("L040", "collapsed embeddings", of=("triplet_margin", "triplet_margin_with_distance"))
def collapsed(sight: Sight) -> str:
    """All embeddings lie at nearly the same point, so that every triplet costs just the margin and nothing is learned."""
    anchor, positive, negative = (sight.arrays[name] for name in ("anchor", "positive", "negative"))
    gaps = np.concatenate([np.abs(anchor - positive).max(axis=-1).ravel(), np.abs(anchor - negative).max(axis=-1).ravel()])
    share = float((gaps < TINY).mean()) if gaps.size else 0.0
    return f"{share:.0%} of distances are below {TINY:g}: the embeddings have collapsed" if share > MOST else ""


@trap("L063", "values that the loss is not defined on", of=("--domain ignore",), whole=True)
def undefined(sight: Sight) -> str:
    """--domain ignore computes the formula as it stands, also of values that the loss is not defined on: probabilities
    above 1, variances below 0, labels other than those that its words name. The number that comes out is no value of that
    loss. Without the option such values are an error.
    """
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
