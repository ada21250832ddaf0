"""Losses of scores against classes, and losses that count mistakes: what is reported in the end, and cannot be trained on.

They share the score that stands at a label, and leaving ignored labels out.
"""

from __future__ import annotations

from typing import Any

from lossctl.errors import BadParameter
from lossctl.losses.loss import Array, Terms, loss
from lossctl.losses.numerics import (
    bend,
    binary_cross_entropy,
    followed,
    is_numpy,
    log_softmax,
    log_softmax_parts,
    picked,
    relu,
    scaled,
    times,
)
from lossctl.losses.words import (
    AnyLabel,
    ClassLogits,
    ClassScores,
    ClassTarget,
    ClassWeight,
    Count,
    Fraction,
    Integer,
    Label,
    Logits,
    Probability,
    TrailingWeight,
)


def at_label(xp: Any, scores: Array, target: Array, ignore_index: int | None = None) -> Array:
    """Pick each label's entry along axis 1; where a label is ignored, that of class 0, which then must not count."""
    index = target if ignore_index is None else xp.where(target != ignore_index, target, xp.zeros_like(target))
    return picked(xp, scores, index)


def log_chance(xp: Any, scores: Array, target: Array, ignore_index: int | None = None) -> Array:
    """The logarithm of the softmax at each label; no other entry of it is worked out."""
    shifted, total = log_softmax_parts(xp, scores, axis=1)
    return at_label(xp, shifted, target, ignore_index) - xp.squeeze(total, axis=1)


def counted(xp: Any, value: Array, target: Array, ignore_index: int) -> Terms:
    """Terms whose mean divides by the number of labels that are not ignored."""
    kept = target != ignore_index
    return {"value": xp.where(kept, value, xp.zeros_like(value)), "weight": xp.astype(kept, value.dtype)}


def is_label(xp: Any, target: Array, like: Array) -> Array:
    """Tell which class of each sample, along axis 1 of `like`, is its label."""
    classes = xp.arange(like.shape[1], dtype=target.dtype, device=target.device)
    label, classes = xp.expand_dims(target, axis=1), xp.reshape(classes, (1, -1, *(1,) * (like.ndim - 2)))
    # NumPy is slow with arrays that lie differently: the answer must lie as the scores do.
    return xp.equal(label, classes, out=xp.empty_like(like, bool)) if is_numpy(like) else label == classes


def one_hot(xp: Any, target: Array, like: Array) -> Array:
    """Labels as probabilities of the shape of `like`; those that have this shape already stay what they are."""
    return target if target.ndim == like.ndim else xp.astype(is_label(xp, target, like), like.dtype)


def to_one(xp: Any, pred: Array) -> Array:
    """Rows divided by their sum along axis 1, as Keras does it; rows of zeros stay what they are."""
    total = xp.sum(pred, axis=1, keepdims=True)
    return pred / xp.where(total == 0, xp.ones_like(total), total)


def per_class(xp: Any, weight: Array, like: Array) -> Array:
    """A class weight vector shaped so that it broadcasts along axis 1."""
    return xp.reshape(weight, (1, -1, *(1,) * (like.ndim - 2)))


def refuse_ignored_probabilities(_: Any, __: Array, pred: Array, target: Array, ignore_index: int, **___: Any) -> None:
    """Probability targets have no index that could be ignored; torch refuses this too."""
    if target.ndim == pred.ndim and ignore_index >= 0:
        message = f"cross_entropy cannot ignore class {ignore_index} in probability targets: there is no index to compare."
        raise BadParameter(message, hint="Give class indices as the target, or leave out ignore_index.")


def soft_cross_entropy(xp: Any, logp: Array, target: Array, weight: Array | None, smoothing: float) -> Terms:
    """Cross entropy with probability targets: the mean divides by the number of samples, weights or not."""
    smooth = target * (1 - smoothing) + smoothing / logp.shape[1]
    share = smooth if weight is None else smooth * per_class(xp, weight, logp)
    return {"value": -xp.sum(times(xp, share, logp, steep=True), axis=1)}


def weights_of(xp: Any, weight: Array, index: Array) -> Array:
    """The weight of each label."""
    return xp.reshape(xp.take(weight, xp.reshape(index, (-1,)), axis=0), index.shape)


def label_cross_entropy(
    xp: Any,
    scores: Array,
    target: Array,
    weight: Array | None,
    ignore_index: int,
    smoothing: float = 0.0,
    *,
    logs: bool = False,
) -> Terms:
    """Cross entropy with class indices: the mean divides by the weights of the samples that are not ignored.

    `logs` says that scores have been through log_softmax already.
    """
    kept = target != ignore_index
    ones = xp.astype(kept, scores.dtype)
    of_class = ones if weight is None else weights_of(xp, weight, xp.where(kept, target, xp.zeros_like(target))) * ones
    smooth = smoothing or followed(smoothing)
    logp = log_softmax(xp, scores, axis=1) if smooth and not logs else scores
    value = -(at_label if smooth or logs else log_chance)(xp, logp, target, ignore_index)
    value = value if weight is None else times(xp, of_class, value)
    if smooth:
        spread = -xp.sum(logp if weight is None else times(xp, per_class(xp, weight, logp), logp), axis=1)
        value = scaled(xp, 1 - smoothing, value) + smoothing / logp.shape[1] * spread
    return {"value": xp.where(kept, value, xp.zeros_like(value)), "weight": of_class}


@loss(
    "classification",
    torch="cross_entropy",
    source="Good 1952; torch.nn.CrossEntropyLoss; label smoothing: Szegedy 2016, arXiv:1512.00567",
    aliases=(
        "ce",
        "xent",
        "softmax_ce",
        "categorical_cross_entropy",
        "cce",
        "sparse_categorical_crossentropy",
        "scce",
        "softmax_cross_entropy",
        "weighted_cross_entropy",
        "weighted_ce",
        "wce",
    ),
    guard=refuse_ignored_probabilities,
)
def cross_entropy(
    xp,
    pred: ClassLogits,
    target: ClassTarget,
    *,
    weight: ClassWeight = None,
    ignore_index: Integer = -100,
    label_smoothing: Fraction = 0.0,
) -> Terms:
    """Softmax and negative log-likelihood in one: the default for classes that exclude each other.

    formula: -w[y] log softmax(pred)[y]; the mean divides by the sum of w[y] over what is not ignored
    example: [[1, 2, 3], [1, 1, 1], [0, -1, 2]], [2, 0, 1] -> 1.558688090889592
    example: [[1, 2, 3], [1, 1, 1], [0, -1, 2]], [2, 0, 1], weight=[1, 2, 4] -> 1.2955325979368861
    example: [[1, 2, 3]], [[0.2, 0.3, 0.5]] -> 1.1076059644443805
    weight: one weight a class.
    ignore_index: the label of samples that count for nothing.
    label_smoothing: the share of each target that is spread evenly over the classes.
    use: classification with one right class; segmentation with scores (N, C, H, W) and labels (N, H, W).
    pitfall: it applies softmax itself; given probabilities it cannot fall below log(1 + (C-1)/e), 0.5514 for 3 classes.
    pitfall: with class weights the mean of the unreduced values is another number: the divisor is the sum of w[y].
    pitfall: with probability targets the mean divides by N, so one-hot targets and class weights give another number too.
    """
    if target.ndim == pred.ndim:
        return soft_cross_entropy(xp, log_softmax(xp, pred, axis=1), target, weight, label_smoothing)
    return label_cross_entropy(xp, pred, target, weight, ignore_index, label_smoothing)


@loss(
    "classification",
    torch="binary_cross_entropy_with_logits",
    source="torch.nn.BCEWithLogitsLoss",
    aliases=(
        "bcel",
        "bce_logits",
        "sigmoid_ce",
        "sigmoid_cross_entropy",
        "sigmoid_binary_cross_entropy",
        "binary_crossentropy_from_logits",
        "binary_cross_entropy_with_logits",
    ),
)
def bce_with_logits(
    xp, pred: Logits, target: Probability, *, weight: TrailingWeight = None, pos_weight: TrailingWeight = None
) -> Terms:
    """Sigmoid and binary cross-entropy in one, stable for any score: two classes, or many labels that may overlap.

    formula: (1 - t) x + (1 + (pos_weight - 1) t) log(1 + e^-x), times weight
    example: [[0, 2], [-3, 1]], [[1, 0], [0, 1]] -> 0.7954810576737208
    example: [[0, 2], [-3, 1]], [[1, 0], [0, 1]], pos_weight=[3, 5] -> 1.4553163354719163
    weight: multiplies each element; the mean still divides by the number of elements.
    pos_weight: multiplies the positive part; the number of negatives over positives balances the classes.
    use: binary and multi-label classification; always before sigmoid and bce.
    pitfall: it applies the sigmoid itself; given probabilities it cannot fall below log(1 + 1/e) = 0.3133 for positives.
    pitfall: pos_weight broadcasts along the last axis: for scores (N,) it is one weight a sample, and for images
        (N, C, H, W) it must have shape (C, 1, 1).
    """

    def plain(x: Array) -> Array:
        if pos_weight is None:
            # With one product less than below, and 0 to the last bit for a label that is certain.
            return relu(xp, x) - target * x + bend(xp, x)
        share = 1 + (pos_weight - 1) * target
        return share * relu(xp, x) - pos_weight * target * x + share * bend(xp, x)

    value = binary_cross_entropy(xp, plain, pred, target, 1 if pos_weight is None else pos_weight)
    return {"value": value if weight is None else times(xp, weight, value)}


@loss(
    "classification",
    source="sklearn.metrics.zero_one_loss",
    flat="cross_entropy",
    aliases=("misclassification", "error_rate", "zero_one_loss", "subset_zero_one"),
)
def zero_one(xp, pred: AnyLabel, target: AnyLabel) -> Array:
    """The share of samples that are not labelled right: one minus accuracy.

    formula: 1 where pred != target, else 0; a sample of several labels is wrong when any of them is
    example: [0, 2, 1, 3], [0, 1, 1, 3] -> 0.25
    example: [[0, 1], [1, 1]], [[0, 1], [1, 0]] -> 0.5
    use: reporting; its gradient is 0 wherever it has one.
    pitfall: with classes of very different size always saying the largest looks good; --by groups it.
    pitfall: labels are wanted, not scores; for scores take top_k_error with k=1.
    """
    wrong = pred != target
    wrong = xp.any(wrong, axis=tuple(range(1, wrong.ndim))) if wrong.ndim > 1 else wrong
    return xp.astype(wrong, xp.float64)


@loss(
    "classification",
    source="Hamming 1950; sklearn.metrics.hamming_loss",
    flat="bce_with_logits",
    aliases=("hamming_loss", "label_error_rate"),
)
def hamming(xp, pred: AnyLabel, target: AnyLabel) -> Array:
    """The share of single labels that are wrong.

    formula: 1 where pred != target, else 0, for each label of each sample
    example: [[0, 1], [1, 1]], [[0, 1], [1, 0]] -> 0.25
    use: reporting multi-label classification, or the pixels of a segmentation; its gradient is 0 wherever it has one.
    pitfall: where few labels hold, always saying none looks good.
    pitfall: for one label a sample it is zero_one.
    """
    return xp.astype(pred != target, xp.float64)


@loss(
    "classification",
    source="Russakovsky 2015, arXiv:1409.0575; one minus sklearn.metrics.top_k_accuracy_score",
    flat="cross_entropy",
    aliases=("topk_error", "top_k_accuracy_error"),
)
def top_k_error(xp, pred: ClassScores, target: Label, *, k: Count = 2) -> Array:
    """The share of samples whose right class is not among the k best-scored.

    formula: 1 where the right class's rank is above k, else 0; of equal scores the later class ranks first, as in scikit-learn
    example: [[0.5, 0.2, 0.2], [0.3, 0.4, 0.2], [0.2, 0.4, 0.3], [0.7, 0.2, 0.1]], [0, 1, 2, 2] -> 0.25
    example: [[0.5, 0.2, 0.2], [0.3, 0.4, 0.2], [0.2, 0.4, 0.3], [0.7, 0.2, 0.1]], [0, 1, 2, 2], k=1 -> 0.5
    k: how many guesses a sample has.
    use: reporting classification into many, partly alike classes; its gradient is 0 wherever it has one.
    pitfall: k is 2 by default, as in scikit-learn; ImageNet reports k = 1 and k = 5.
    pitfall: with all scores alike rank is a matter of the class's number.
    """
    score = xp.expand_dims(at_label(xp, pred, target), axis=1)
    later = xp.cumulative_sum(xp.astype(is_label(xp, target, pred), pred.dtype), axis=1) > 0
    better = (pred > score) | ((pred == score) & later & ~is_label(xp, target, pred))
    return xp.astype(xp.sum(xp.astype(better, pred.dtype), axis=1) >= k, pred.dtype)
