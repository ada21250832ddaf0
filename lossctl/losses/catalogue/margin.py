"""Losses of scores whose sign or order decides, and of pairs and triplets of vectors: they ask for a margin."""

from __future__ import annotations

from typing import Any

from lossctl.errors import OutOfDomain
from lossctl.losses.catalogue.classification import at_label, is_label, one_hot
from lossctl.losses.catalogue.embedding import triplet
from lossctl.losses.loss import Array, Terms, loss
from lossctl.losses.numerics import at_least, either, norm, nowhere_nan, softplus, times
from lossctl.losses.words import (
    ClassScores,
    ClassTarget,
    ClassWeight,
    Embedding,
    Flag,
    Label,
    LabelList,
    LabelLogits,
    LabelScores,
    OneOrTwo,
    PairSign,
    PlusMinus,
    Positive,
    Real,
    Scalar,
    Score,
    Sign,
    SoftMultiHot,
    Vector,
)


def short_of(xp: Any, gap: Array, counts: Array) -> Array:
    """What is missing where it counts: max(0, gap), whose derivative at 0 is 0 as in torch; NaN stays NaN."""
    return either(xp, (gap <= 0) | ~counts, xp.zeros_like(gap), gap)


def check_listed(xp: Any, index: Array, pred: Array, target: Array, **_: Any) -> None:
    """Refuse labels that are no class, also those behind the -1 that ends a list, as torch does.

    Raises: OutOfDomain.
    """
    classes = pred.shape[1]
    wrong = target >= classes
    if xp.any(wrong):
        row, column = divmod(int(xp.argmax(xp.reshape(xp.astype(wrong, xp.int8), (-1,)))), classes)
        label = int(target[row, column])
        message = f"target: place {column} of sample {int(index[row])} is {label}, but {classes} classes are 0..{classes - 1}."
        raise OutOfDomain(
            message, hint="A list holds the labels that apply, and ends with -1 where it is shorter than the row."
        )


def listed(xp: Any, target: Array) -> list[tuple[Array, Array]]:
    """The columns of label lists up to where all have ended: the labels, and which of them belong to their lists."""
    inside = xp.cumulative_sum(xp.astype(target < 0, xp.int64), axis=1) == 0
    columns = (slice(column, column + 1) for column in range(target.shape[1]))
    return [(xp.clip(target[:, at], 0, None), inside[:, at]) for at in columns if xp.any(inside[:, at])]


@loss(
    "embedding",
    torch="hinge_embedding_loss",
    source="torch.nn.HingeEmbeddingLoss",
    aliases=("hinge_emb", "hinge_embedding_loss"),
)
def hinge_embedding(xp, pred: Real, target: PlusMinus, *, margin: Scalar = 1.0) -> Array:
    """Makes distances small for pairs that belong together, and larger than a margin for others.

    formula: pred where target = 1, max(0, margin - pred) where target = -1
    example: [0.5, 0.5, 2, -1, 1], [1, -1, -1, -1, -1] -> 0.6
    example: [0.5, 2], [-1, -1], margin=2.5 -> 1.25
    margin: the distance from which on pairs that do not belong together cost nothing.
    use: similarity learning and semi-supervised learning from distances that are already computed.
    pitfall: this is not the hinge loss of a classifier, max(0, 1 - target pred): pred is a distance, not a score.
    pitfall: for target = 1 the loss is pred itself, so that negative numbers lower it without end.
    pitfall: labels other than 1 and -1 make torch add both branches and say nothing; here they are an error.
    """
    nothing = xp.zeros_like(pred)
    apart = either(xp, target != 1, at_least(xp, margin - pred, 0), nothing)
    return apart + either(xp, target != -1, pred, nothing)


@loss(
    "ranking",
    torch="margin_ranking_loss",
    source="Herbrich 2000; torch.nn.MarginRankingLoss",
    aliases=("margin_rank", "pairwise_hinge", "margin_ranking_loss"),
)
def margin_ranking(xp, input1: Score, input2: Score, target: PlusMinus, *, margin: Scalar = 0.0) -> Array:
    """Asks that the first of two scores is the larger one where target is 1, and the second where it is -1.

    formula: max(0, -target (input1 - input2) + margin)
    example: [1, 2, 3], [2, 2, 1], [1, 1, -1] -> 1.0
    example: [1, 2, 3], [2, 2, 1], [1, 1, -1], margin=0.5 -> 1.5
    margin: by how much the larger score must be larger.
    use: learning to rank from pairs of which it is known who wins.
    pitfall: with margin 0 equal scores for all items cost nothing: give a margin, or every score may become the same.
    pitfall: only differences count, so scores have no meaning of their own.
    """
    return at_least(xp, -target * (input1 - input2) + margin, 0)


@loss(
    "classification",
    torch="soft_margin_loss",
    source="torch.nn.SoftMarginLoss",
    aliases=("softplus_margin", "soft_margin_loss"),
)
def soft_margin(xp, pred: Score, target: PlusMinus) -> Array:
    """Logistic loss with labels 1 and -1: bce_with_logits written for signs.

    formula: log(1 + e^(-target pred))
    example: [0.5, -0.5, 0], [1, 1, -1] -> 0.7137670496400529
    example: [1000], [-1] -> 1000.0
    use: binary classification with labels 1 and -1.
    pitfall: torch overflows where -target pred is above 709 (88 in single precision): infinite, with a gradient that is not
        a number; here the same formula is computed without overflow.
    pitfall: labels 0 and 1 are another loss, bce_with_logits; here 0 is an error, and torch gives log 2 for it.
    """
    return softplus(xp, -target * pred)


@loss(
    "classification",
    torch="multi_margin_loss",
    source="Weston & Watkins 1999; torch.nn.MultiMarginLoss",
    aliases=("mm", "multi_margin_loss"),
)
def multi_margin(
    xp, pred: ClassScores, target: Label, *, p: OneOrTwo = 1, margin: Scalar = 1.0, weight: ClassWeight = None
) -> Terms:
    """Asks that the score of the right class exceeds every other by a margin.

    formula: w[y] / C sum over i != y of max(0, margin - pred[y] + pred[i])^p; the mean divides by the number of samples
    example: [[0.1, 0.2, 0.4, 0.8], [0.5, 0.3, 0.3, 0.1]], [3, 0] -> 0.4375
    example: [[0.1, 0.2, 0.4, 0.8], [0.5, 0.3, 0.3, 0.1]], [3, 0], p=2, weight=[1, 2, 3, 4] -> 0.51
    p: the power of each shortfall.
    margin: by how much the right score must be larger.
    weight: one weight a class, that of the right one; it is not raised to the power, and the mean does not divide by it.
    use: classification with scores that need not be probabilities; the multi-class support vector machine.
    pitfall: the sum is divided by the number of classes, unlike in the paper and in most other libraries.
    pitfall: for no samples torch returns memory that was never written; here there is nothing left to average.
    pitfall: torch counts scores that are not a number as 0; here, with --nan propagate, they stay what they are.
    """
    index = xp.expand_dims(target, axis=1)
    other = index != xp.arange(pred.shape[1], device=target.device)[None, :]
    missing = short_of(xp, margin - xp.take_along_axis(pred, index, axis=1) + pred, other)
    value = xp.sum(missing * missing if p > 1 else missing, axis=1) / pred.shape[1]
    return {"value": value if weight is None else times(xp, xp.take(weight, target, axis=0), value)}


@loss(
    "classification",
    torch="multilabel_margin_loss",
    source="torch.nn.MultiLabelMarginLoss",
    aliases=("mlml", "multilabel_margin_loss", "multi_label_margin"),
    guard=check_listed,
)
def multilabel_margin(xp, pred: LabelScores, target: LabelList) -> Terms:
    """Asks that the score of every label that applies exceeds every one that does not by 1.

    formula: 1/C sum over j in target, i not in target of max(0, 1 - pred[j] + pred[i])
    example: [[0.1, 0.2, 0.4, 0.8]], [[3, 0, -1, 1]] -> 0.8500000000000001
    use: several labels a sample, where only their order by score matters.
    pitfall: target is a list of label numbers that ends with -1, as wide as pred; what stands behind the first -1 is not read.
    pitfall: a row of zeros and ones is no such list, and gives a number all the same: it reads as the labels 0 and 1, each
        counted as often as it stands there. For such rows use multilabel_soft_margin.
    pitfall: a label that is listed twice counts twice, as in torch.
    pitfall: for no samples torch returns memory that was never written; here there is nothing left to average.
    """
    labels = listed(xp, target)
    classes = xp.arange(pred.shape[1], device=target.device)[None, :]
    apply = xp.zeros_like(target, dtype=xp.bool)
    for label, inside in labels:
        apply = apply | (inside & (label == classes))
    total = xp.sum(xp.zeros_like(pred), axis=1)
    for label, inside in labels:
        gap = 1 - xp.take_along_axis(pred, label, axis=1) + pred
        total = total + xp.sum(short_of(xp, gap, inside & ~apply), axis=1)
    return {"value": total / pred.shape[1]}


@loss(
    "classification",
    torch="multilabel_soft_margin_loss",
    source="torch.nn.MultiLabelSoftMarginLoss",
    aliases=("mlsm", "multilabel_bce", "multilabel_soft_margin_loss", "multi_label_soft_margin"),
)
def multilabel_soft_margin(xp, pred: LabelLogits, target: SoftMultiHot, *, weight: ClassWeight = None) -> Terms:
    """Binary cross-entropy with the sigmoid inside, averaged over the labels of each sample.

    formula: 1/C sum over c of w[c] (t[c] log(1 + e^-x[c]) + (1 - t[c]) log(1 + e^x[c]))
    example: [[0.5, -1, 2], [0, 3, -2]], [[1, 0, 1], [0, 0, 1]] -> 1.1304882043196602
    example: [[0.5, -1, 2], [0, 3, -2]], [[1, 0, 1], [0, 0, 1]], weight=[1, 2, 3] -> 2.4420817181969694
    weight: one weight a label; the average divides by the number of labels all the same.
    use: several labels a sample, as zeros and ones.
    pitfall: the unreduced loss is one number a sample, not one a label; for those use bce_with_logits.
    pitfall: the sum adds the samples' averages, so it is smaller than that of bce_with_logits by the number of labels.
    """
    on, off = softplus(xp, -pred), softplus(xp, pred)
    value = times(xp, target, on, steep=True) + times(xp, 1 - target, off, steep=True)
    return {"value": xp.mean(value if weight is None else times(xp, weight, value), axis=1)}


# torch adds this to each squared length, so that vectors of length 0 have a cosine: 1e-12, which it keeps in float32.
SQUARED_LENGTH_EPS = 9.999999960041972e-13
# What torch.nn.functional.pairwise_distance adds to each component of a difference.
DIFFERENCE_EPS = 1e-6


@loss(
    "embedding",
    torch="cosine_embedding_loss",
    source="torch.nn.CosineEmbeddingLoss",
    aliases=("cosine_emb", "cosine_embedding_loss"),
)
def cosine_embedding(xp, input1: Vector, input2: Vector, target: PairSign, *, margin: Scalar = 0.0) -> Array:
    """Turns pairs that belong together to one direction, and others apart until their cosine is below a margin.

    formula: 1 - cos(input1, input2) where target = 1, max(0, cos(input1, input2) - margin) where target = -1
    example: [[1, 0], [0, 0], [3, 4]], [[0, 1], [1, 1], [3, 4]], [1, 1, -1] -> 0.9999999999999867
    example: [[1, 0], [3, 4]], [[0, 1], [3, 4]], [-1, -1], margin=0.5 -> 0.24999999999998002
    margin: the cosine from which on pairs that do not belong together cost something, -1 to 1.
    use: learning whether two texts, images or faces belong together, where only the direction of vectors counts.
    pitfall: labels are 1 and -1; with 0 for "not together" torch counts such pairs as 0 and says nothing, here it is an error.
    pitfall: the length of vectors changes nothing, so collapsed and exploding embeddings look alike.
    pitfall: 1e-12 is added to each squared length, as in torch, so vectors shorter than 1e-5 have a smaller cosine than they
        should; the cosine of a zero vector is 0, and its gradient as large as 1e6.
    """
    inner = xp.sum(input1 * input2, axis=-1)
    first = xp.sum(input1 * input1, axis=-1) + SQUARED_LENGTH_EPS
    second = xp.sum(input2 * input2, axis=-1) + SQUARED_LENGTH_EPS
    cosine = inner / xp.sqrt(first * second)
    nothing = xp.zeros_like(cosine)
    apart = either(xp, target == -1, at_least(xp, cosine - margin, 0), nothing)
    return either(xp, target == 1, 1 - cosine, nothing) + apart


@loss(
    "embedding",
    torch="triplet_margin_with_distance_loss",
    source="Balntas 2016, BMVC, doi:10.5244/C.30.119; torch.nn.TripletMarginWithDistanceLoss",
    aliases=("triplet_distance", "triplet_margin_with_distance_loss"),
)
def triplet_margin_with_distance(
    xp, anchor: Embedding, positive: Embedding, negative: Embedding, *, margin: Positive = 1.0, swap: Flag = False
) -> Array:
    """The triplet loss with torch's default distance, the Euclidean one: what its class gives without distance_function.

    formula: max(0, d(a, p) - d(a, n) + margin), d(u, v) = ||u - v + 1e-6||_2
    example: [[0, 0]], [[1, 0]], [[1, 0.5]] -> 0.8819663528913022
    example: [[0, 0]], [[1, 0]], [[1, 0.5]], swap=True -> 1.4999999999995
    margin: by how much the positive must be nearer.
    swap: measure the negative from the positive where that is nearer.
    use: checking a training that uses this class; triplet_margin is the same with the norm's degree as a parameter.
    pitfall: torch takes any Python function as distance_function; a distance other than the default is a loss of your own
        here, given by its path, or triplet_margin with another p.
    """
    return triplet(xp, anchor, positive, negative, lambda u, v: norm(xp, u - v + DIFFERENCE_EPS, 2, axis=-1), margin, swap=swap)


def lacking(xp: Any, gap: Array) -> Array:
    """max(0, gap), with torch's derivative of clamp, 1 where the gap is exactly 0."""
    return at_least(xp, gap, 0)


@loss(
    "classification",
    source="Cortes & Vapnik 1995, doi:10.1007/BF00994018; Keras Hinge, sklearn.metrics.hinge_loss",
    aliases=("hinge_loss", "svm", "binary_hinge", "max_margin"),
)
def hinge(xp, pred: Score, target: Sign, *, margin: Positive = 1.0) -> Array:
    """Asks that a score lie on its label's side of 0 by a margin: the loss of support vector machines.

    formula: max(0, margin - target pred); its derivative where both are equal is that of torch's clamp, -target
    example: [0.5, 0.5, 2, -1, 1], [1, -1, -1, -1, -1] -> 1.4
    example: [0.5, 0.5, 2, -1, 1], [1, 0, 0, 0, 0] -> 1.4
    margin: how far on the right side costs nothing.
    use: binary classifiers of which only the decision counts; critics and discriminators.
    pitfall: labels are 1 and -1; 0 is read as -1, as in Keras.
    pitfall: torch.nn has no such loss: hinge_embedding is another one, and takes distances.
    pitfall: scores are wanted; probabilities never reach a margin of 1 on the negative side.
    """
    return lacking(xp, margin - target * pred)


@loss("classification", source="Lee & Mangasarian 2001, doi:10.1023/A:1011215321374; Keras SquaredHinge", aliases=("l2_hinge",))
def squared_hinge(xp, pred: Score, target: Sign, *, margin: Positive = 1.0) -> Array:
    """Hinge loss squared: smooth at the margin, and hard on what is far on the wrong side.

    formula: max(0, margin - target pred)^2
    example: [0.5, 0.5, 2, -1, 1], [1, -1, -1, -1, -1] -> 3.1
    margin: how far on the right side costs nothing.
    use: support vector machines trained by gradients.
    pitfall: labels are 1 and -1; 0 is read as -1, as in Keras.
    pitfall: one mislabelled sample can outweigh all others.
    """
    gap = lacking(xp, margin - target * pred)
    return gap * gap


@loss("classification", source="Keras CategoricalHinge")
def categorical_hinge(xp, pred: ClassScores, target: ClassTarget) -> Array:
    """Asks that the right class's score exceed the largest other by 1, as Keras computes it.

    formula: max(0, 1 + max_c (1 - t[c]) pred[c] - sum_c t[c] pred[c])
    example: [[0.9, 0.2], [0.4, 0.7]], [[1, 0], [0, 1]] -> 0.5
    example: [[0.9, 0.2], [0.4, 0.7]], [0, 1] -> 0.5
    use: reproducing Keras; crammer_singer_hinge is the textbook's form.
    pitfall: the right class's own entry counts as 0 in the maximum, so where all other scores are negative they do not
        matter, and the loss is larger than crammer_singer_hinge.
    """
    chosen = one_hot(xp, target, pred)
    return lacking(xp, 1 + xp.max(times(xp, 1 - chosen, pred), axis=1) - xp.sum(times(xp, chosen, pred), axis=1))


@loss(
    "classification",
    source="Crammer & Singer 2001, JMLR 2:265; sklearn.metrics.hinge_loss, optax.losses.multiclass_hinge_loss",
    aliases=("multiclass_hinge", "crammer_singer"),
)
def crammer_singer_hinge(xp, pred: ClassScores, target: Label) -> Array:
    """Asks that the right class's score exceed the largest other by 1.

    formula: max(0, 1 + max_{c != y} pred[c] - pred[y])
    example: [[1, 2, 3], [0, -1, 2]], [2, 1] -> 2.0
    use: multi-class support vector machines.
    pitfall: multi_margin in torch adds up all classes that come too near and divides by their number: another value.
    """
    others = either(xp, is_label(xp, target, pred), xp.full_like(pred, -xp.inf), pred)
    return lacking(xp, 1 + xp.max(others, axis=1) - at_label(xp, pred, target))


@loss("classification", source="Rosenblatt 1958, doi:10.1037/h0042519; optax.losses.perceptron_loss")
def perceptron(xp, pred: Score, target: Sign) -> Array:
    """Counts how far a score lies on the wrong side of 0, and nothing on the right one.

    formula: max(0, -target pred); its derivative at 0 is -target, so that undecided scores are moved
    example: [0.5, 0.5, 2], [1, -1, -1] -> 0.8333333333333334
    use: online learning; a baseline for hinge.
    pitfall: scores of 0 cost nothing, so it can be minimised by a network that always says 0.
    pitfall: labels are 1 and -1; 0 is read as -1.
    """
    return lacking(xp, -target * pred)


@loss(
    "classification",
    source="Collins 2002, doi:10.3115/1118693.1118694; optax.losses.multiclass_perceptron_loss",
    aliases=("multiclass_perceptron_loss",),
)
def multiclass_perceptron(xp, pred: ClassScores, target: Label) -> Array:
    """Counts by how much the largest score exceeds that of the right class.

    formula: max_c pred[c] - pred[y]
    example: [[1, 2, 3], [0, -1, 2]], [2, 1] -> 1.5
    use: structured prediction and online learning, where only the decision counts.
    pitfall: equal scores cost nothing; crammer_singer_hinge asks for a margin.
    """
    value = xp.max(pred, axis=1) - at_label(xp, pred, target)
    if nowhere_nan(xp, value):
        return value
    # The one infinite score is that of the right class, which then is the largest; of several none is.
    alone = xp.sum(xp.astype(pred == xp.inf, pred.dtype), axis=1) == 1
    return xp.where(alone & (at_label(xp, pred, target) == xp.inf), xp.zeros_like(value), value)


@loss("classification", source="Freund & Schapire 1997, doi:10.1006/jcss.1997.1504", aliases=("exp_loss", "adaboost"))
def exponential(xp, pred: Score, target: Sign) -> Array:
    """The loss that AdaBoost minimises: it grows without measure on the wrong side.

    formula: e^(-target pred)
    example: [0, 1], [1, 1] -> 0.6839397205857212
    use: boosting; the score that minimises it is half the log-odds.
    pitfall: a few wrong labels decide everything; soft_margin has the same purpose and grows linearly.
    pitfall: it overflows where a wrong score is beyond 709.
    """
    return xp.exp(-target * pred)


@loss("classification", source="Arjovsky 2017, arXiv:1701.07875", aliases=("wgan", "critic", "wgan_critic"))
def wasserstein_critic(xp, pred: Score, target: Sign) -> Array:  # noqa: ARG001
    """The critic of a Wasserstein GAN: high scores for real samples (1), low ones for generated samples (-1).

    formula: -target pred; its sum over as many real as generated samples is their number times E[fake] - E[real]
    example: [2, 1, -1, 0.5], [1, 1, -1, -1] -> -0.875
    use: training a critic whose slope is kept below 1 by other means.
    pitfall: much Keras code takes the mean of target pred with real samples as -1: the same loss with labels turned round.
    pitfall: over a batch of half real, half generated samples the mean is half of E[fake] - E[real].
    pitfall: without a bound on the critic's slope it falls without end; clip weights or punish the gradient.
    pitfall: the distance between two samples that is called Wasserstein too is wasserstein.
    """
    return -target * pred
