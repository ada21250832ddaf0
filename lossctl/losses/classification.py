"""Losses of scores against classes."""

from typing import Any

from lossctl.errors import BadParameter
from lossctl.loss import Terms, loss
from lossctl.losses.labels import at_label, log_chance
from lossctl.numerics import (
    bend,
    binary_cross_entropy,
    followed,
    log_softmax,
    relu,
    scaled,
    times,
)
from lossctl.words import (
    Array,
    ClassLogits,
    ClassTarget,
    ClassWeight,
    Fraction,
    Integer,
    Logits,
    Probability,
    TrailingWeight,
)


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
