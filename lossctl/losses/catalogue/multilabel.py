"""Losses of many labels that may hold at once, and of one label among many."""

from typing import Any

from lossctl.losses.catalogue.classification import counted, is_label
from lossctl.losses.loss import Array, Terms, loss
from lossctl.losses.numerics import (
    at_least,
    at_most,
    either,
    log_softmax,
    log_sum_exp,
    power,
    scaled,
    share,
    sigmoid,
    softplus,
    times,
)
from lossctl.losses.words import (
    ClassLogits,
    Fraction,
    Integer,
    Label,
    LabelLogits,
    LabelScores,
    MultiHot,
    NonNegative,
    Positive,
)


def where_true(xp: Any, condition: Array, scores: Array) -> Array:
    """Scores where the condition holds, and -inf elsewhere, which counts for nothing in a sum of exponentials."""
    return either(xp, condition, scores, xp.full_like(scores, -xp.inf))


@loss(
    "classification",
    source="Ridnik 2021, arXiv:2009.14119; timm AsymmetricLossMultiLabel",
    aliases=("asl", "asymmetric", "asymmetric_loss_multilabel"),
)
def asymmetric_multilabel(
    xp,
    pred: LabelLogits,
    target: MultiHot,
    *,
    gamma_neg: NonNegative = 4.0,
    gamma_pos: NonNegative = 1.0,
    clip: Fraction = 0.05,
    eps: Positive = 1e-8,
) -> Array:
    """Focal loss that forgets easy negatives faster than easy positives: for many labels of which few hold.

    formula: -sum_c (t (1 - p)^gamma_pos ln p + (1 - t) m^gamma_neg ln(1 - m)), p = sigmoid(pred), m = max(0, p - clip)
    example: [[2, -1, 0.5]], [[1, 0, 1]] -> 0.19468132898984156
    gamma_neg: how fast negatives lose weight as they become right.
    gamma_pos: the same for positives.
    clip: probabilities of negatives below it cost nothing.
    eps: the least probability that a logarithm is taken of.
    use: tagging with hundreds of labels, a few of them right.
    pitfall: a sample's value is the sum over its labels, so the mean is timm's reduction batchmean, its default; the paper's
        code adds up everything, and the mean over elements is smaller by the number of labels.
    pitfall: negatives with p below clip have no gradient at all.
    """
    p, q = sigmoid(xp, pred), sigmoid(xp, -pred)
    over = at_least(xp, p - clip, 0)
    half = 0.5
    # Near 1 a logarithm keeps its digits only by what is missing.
    near = -softplus(xp, -xp.where(q < half, pred, xp.zeros_like(pred)))
    positive = power(xp, q, gamma_pos) * xp.where(q < half, near, xp.log(at_least(xp, p, eps)))
    least = xp.log(at_least(xp, at_most(xp, q + clip, 1), eps))
    small = xp.log1p(-xp.where(over < half, over, xp.zeros_like(over)))
    negative = over**gamma_neg * xp.where(over < half, small, least)
    return -xp.sum(target * positive + (1 - target) * negative, axis=1)


@loss(
    "classification",
    source="Ridnik 2021, arXiv:2009.14119; timm AsymmetricLossSingleLabel",
    aliases=("asymmetric_loss_single_label",),
)
def asymmetric_single(
    xp,
    pred: ClassLogits,
    target: Label,
    *,
    gamma_pos: NonNegative = 1.0,
    gamma_neg: NonNegative = 4.0,
    eps: Fraction = 0.1,
    ignore_index: Integer = -100,
) -> Terms:
    """The asymmetric loss for one right class: a softmax cross-entropy with smoothed labels, weighed by class.

    formula: -sum_c s[c] w[c] ln p[c], w = (1 - p)^gamma_pos at y, else p^gamma_neg, s = (1 - eps) [c = y] + eps/C
    example: [[0, 0]], [1] -> 0.3314109957052238
    gamma_pos: how fast the right class loses weight as it becomes probable.
    gamma_neg: how fast the others lose weight as they become improbable.
    eps: the share of the label that is spread evenly over the classes.
    ignore_index: the label of samples that count for nothing.
    use: classification with one right class among many, where easy samples are the most.
    pitfall: eps is a label smoothing, as in timm, not a guard against logarithms of 0.
    """
    logp = log_softmax(xp, pred, axis=1)
    right = is_label(xp, target, pred)
    weight = either(xp, right, power(xp, -xp.expm1(logp), gamma_pos), xp.exp(scaled(xp, gamma_neg, logp)))
    smooth = (1 - eps) * xp.astype(right, logp.dtype) + eps / logp.shape[1]
    return counted(xp, -xp.sum(times(xp, smooth * weight, logp), axis=1), target, ignore_index)


@loss("classification", source="Su 2022, arXiv:2208.02955; timm ZlprLoss", aliases=("multilabel_categorical_crossentropy",))
def zlpr(xp, pred: LabelLogits, target: MultiHot) -> Array:
    """Pushes the scores of labels that hold above 0 and above all others, which go below 0.

    formula: ln(1 + sum_{c off} e^pred[c]) + ln(1 + sum_{c on} e^-pred[c])
    example: [[2, -1, 0.5]], [[1, 0, 1]] -> 0.8682186071602134
    use: tagging with any number of labels; scores above 0 are the prediction.
    pitfall: it does not grow with the number of labels as a sum of binary cross-entropies does; weights do not carry over.
    """
    on, nothing = target > 0.5, xp.zeros_like(pred[:, :1])  # noqa: PLR2004 - between 0 and 1
    off = xp.concat([where_true(xp, ~on, pred), nothing], axis=1)
    missing = xp.concat([where_true(xp, on, -pred), nothing], axis=1)
    return log_sum_exp(xp, off, axis=1) + log_sum_exp(xp, missing, axis=1)


@loss(
    "classification",
    source="Kobayashi 2023, CVPR, doi:10.1109/CVPR52729.2023.00722; timm TwoWayLoss",
    aliases=("two_way_multilabel",),
    whole=True,
    reductions=("mean",),
)
def two_way(xp, pred: LabelLogits, target: MultiHot, *, tp: Positive = 4.0, tn: Positive = 1.0) -> Array:
    """Sets the hardest label that does not hold against the hardest that does, within samples and within labels.

    formula: mean over rows and mean over columns, added, of softplus(tn lse(n / tn) + tp lse(-p / tp)), where p are the scores
        of labels that hold and n the others; rows and columns in which no label holds are left out
    example: [[2, -1, 0.5]], [[1, 0, 1]] -> 1.0326474962772474
    tp: the temperature of the least score among labels that hold.
    tn: the temperature of the largest score among labels that do not.
    use: tagging, where labels should rank samples as well as samples rank labels.
    pitfall: the columns couple the samples: the value depends on the batch, and the mean of batches is another number.
    """
    on = target > 0.5  # noqa: PLR2004 - between 0 and 1
    per_row = _contrast(xp, pred, on, tp, tn, axis=1)
    per_column = _contrast(xp, pred, on, tp, tn, axis=0)
    return per_row * pred.shape[0] + xp.sum(per_column)


def _contrast(xp: Any, pred: Array, on: Array, tp: float, tn: float, axis: int) -> Array:
    """Each row's or column's share of the mean over those in which a label holds."""
    hard_on = log_sum_exp(xp, where_true(xp, on, -pred / tp), axis=axis)
    hard_off = log_sum_exp(xp, where_true(xp, ~on, pred / tn), axis=axis)
    valid = xp.any(on, axis=axis)
    both = valid & xp.any(~on, axis=axis)
    # Where nothing stands on one side its logarithm is -inf, and the loss is 0.
    gap = tp * xp.where(both, hard_on, xp.zeros_like(hard_on)) + tn * xp.where(both, hard_off, xp.zeros_like(hard_off))
    value = xp.where(both, softplus(xp, gap), xp.zeros_like(gap))
    return value / xp.clip(xp.sum(xp.astype(valid, pred.dtype)), 1, None)


@loss(
    "classification",
    source="Tsoumakas 2010, doi:10.1007/978-0-387-09823-4_34; sklearn.metrics.label_ranking_loss",
    flat="zlpr",
    aliases=("label_ranking_loss", "ranking_loss"),
)
def label_ranking(xp, pred: LabelScores, target: MultiHot) -> Array:
    """The share of pairs, a label that holds and one that does not, in which the wrong one is not below.

    formula: |{(i, j): t[i] = 1, t[j] = 0, pred[i] <= pred[j]}| / (|on| |off|); 0 where all labels hold or none does
    example: [[0.75, 0.5, 1], [1, 0.2, 0.1]], [[1, 0, 0], [0, 0, 1]] -> 0.75
    use: judging the order in which labels are ranked; it counts, so nothing can be trained on it.
    pitfall: equal scores count as errors, as in scikit-learn.
    pitfall: samples in which all labels hold, or none, count as 0 and lower the mean.
    """
    first = xp.argsort(-target, axis=1)
    order = xp.argsort(xp.take_along_axis(pred, first, axis=1), axis=1)
    on = xp.take_along_axis(xp.take_along_axis(target, first, axis=1), order, axis=1)
    wrong = xp.sum(xp.cumulative_sum(on, axis=1) * (1 - on), axis=1)
    return share(xp, wrong, xp.sum(on, axis=1) * xp.sum(1 - on, axis=1))


@loss("classification", source="Tsoumakas 2010, doi:10.1007/978-0-387-09823-4_34; sklearn.metrics.coverage_error", flat="zlpr")
def coverage_error(xp, pred: LabelScores, target: MultiHot) -> Array:
    """How many of the best-ranked labels one must take until all that hold are among them.

    formula: |{c: pred[c] >= the least score among labels that hold}|; 0 where none does
    example: [[0.75, 0.5, 1], [1, 0.2, 0.1]], [[1, 0, 0], [0, 0, 1]] -> 2.5
    use: judging the order in which labels are ranked; it counts, so nothing can be trained on it.
    pitfall: the best value is the mean number of labels that hold, not 0 and not 1.
    pitfall: the paper counts from 0: its values are smaller by 1.
    """
    least = xp.min(either(xp, target > 0.5, pred, xp.full_like(pred, xp.inf)), axis=1, keepdims=True)  # noqa: PLR2004
    return xp.sum(xp.astype(pred >= least, pred.dtype), axis=1)
