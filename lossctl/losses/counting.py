"""Losses that count mistakes: what is reported in the end, and cannot be trained on."""

from lossctl.loss import loss
from lossctl.losses.labels import at_label, is_label
from lossctl.words import AnyLabel, Array, ClassScores, Count, Label


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
