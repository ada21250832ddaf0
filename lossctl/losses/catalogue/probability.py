"""Losses of probabilities, as other libraries clip and scale them."""

from typing import Any

from lossctl.losses.catalogue.classification import at_label, counted, one_hot, to_one
from lossctl.losses.loss import Array, Terms, loss
from lossctl.losses.numerics import log_of_one_and
from lossctl.losses.words import (
    Chances,
    ClassProbability,
    ClassTarget,
    Fraction,
    Integer,
    Label,
    NonNegative,
    Positive,
    Probability,
    Scale,
)


def two_columns(xp: Any, pred: Array) -> Array:
    """Probabilities one a class: a single column is that of class 1."""
    return xp.concat([1 - pred, pred], axis=1) if pred.shape[1] == 1 else pred


@loss("classification", source="Keras BinaryCrossentropy(from_logits=False)", aliases=("keras_bce",))
def binary_crossentropy_prob(
    xp, pred: Probability, target: Probability, *, label_smoothing: Fraction = 0.0, eps: NonNegative = 1e-7
) -> Array:
    """Binary cross-entropy of probabilities as Keras computes it: they are clipped to [eps, 1 - eps].

    formula: -(t ln q + (1 - t) ln(1 - q)), q = clip(pred, eps, 1 - eps), t = target (1 - label_smoothing) + label_smoothing/2
    example: [[0.9, 0.2], [0.4, 0.7]], [[1, 0], [0, 1]] -> 0.2990011586691898
    example: [0], [1] -> 16.11809565095832
    label_smoothing: the share of each target that is moved to 1/2.
    eps: how near to 0 and 1 probabilities may come.
    use: reproducing values of Keras.
    pitfall: a probability of 0 for what happens costs 16.1 here, 100 in torch (bce) and 36.0 in scikit-learn (log_loss).
    pitfall: beyond the clip the gradient is 0, so a network that is sure and wrong learns nothing; train on raw scores.
    """
    clipped = xp.clip(pred, eps, 1 - eps)
    smooth = target * (1 - label_smoothing) + 0.5 * label_smoothing
    return -(smooth * xp.log(clipped) + (1 - smooth) * log_of_one_and(xp, -clipped))


@loss("classification", source="Keras CategoricalCrossentropy(from_logits=False)", aliases=("keras_cce",))
def categorical_crossentropy_prob(
    xp, pred: ClassProbability, target: ClassTarget, *, label_smoothing: Fraction = 0.0, eps: NonNegative = 1e-7
) -> Array:
    """Cross-entropy of probabilities as Keras computes it: rows are divided by their sum, then clipped to [eps, 1 - eps].

    formula: -sum_c t[c] ln clip(pred[c] / sum(pred), eps, 1 - eps), t = target (1 - label_smoothing) + label_smoothing/C
    example: [[0.9, 0.2], [0.4, 0.7]], [[1, 0], [0, 1]] -> 0.3263279096026043
    example: [[0.9, 0.2], [0.4, 0.7]], [0, 1] -> 0.3263279096026043
    label_smoothing: the share of each target that is spread evenly over the classes.
    eps: how near to 0 and 1 probabilities may come.
    use: reproducing values of Keras.
    pitfall: rows that do not add up to 1 pass unseen, since they are made to, as in Keras, for one-hot and whole labels alike.
    pitfall: Keras' CategoricalGeneralizedCrossEntropy divides no row by its sum; generalized_cross_entropy does not either.
    """
    smooth = one_hot(xp, target, pred) * (1 - label_smoothing) + label_smoothing / pred.shape[1]
    return -xp.sum(smooth * xp.log(xp.clip(to_one(xp, pred), eps, 1 - eps)), axis=1)


@loss(
    "classification",
    source="Good 1952; sklearn.metrics.log_loss",
    aliases=("sklearn_log_loss",),
)
def log_loss(xp, pred: Chances, target: Label, *, ignore_index: Integer = -100) -> Terms:
    """Cross-entropy of probabilities as scikit-learn computes it: they are clipped to [eps, 1 - eps] of their type.

    formula: -ln clip(p[y], eps, 1 - eps), eps the distance from 1 to the next number: 2.2e-16, and 1.2e-7 for float32
    example: [0.1, 0.7], [0, 1] -> 0.23101772979827936
    example: [[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]], [0, 1] -> 1.329630018466389
    ignore_index: the label of samples that count for nothing.
    use: judging predicted probabilities, of two classes (N) or more (N, C).
    pitfall: a single column is the probability of class 1; rows of several must add up to 1, which is not checked.
    pitfall: a probability of 0 for what happens costs 36.04 in float64 and 15.94 with --dtype f32; 100 in torch (bce).
    """
    eps = float(xp.finfo(pred.dtype).eps)
    chosen = at_label(xp, two_columns(xp, pred), target, ignore_index)
    return counted(xp, -xp.log(xp.clip(chosen, eps, 1 - eps)), target, ignore_index)


@loss(
    "classification",
    source="Brier 1950, doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2; sklearn.metrics.brier_score_loss",
    aliases=("brier_score", "quadratic_score", "brier_score_loss"),
)
def brier(xp, pred: Chances, target: Label, *, scale: Scale = "auto", ignore_index: Integer = -100) -> Terms:
    """Squared error of probabilities: a proper score that is bounded, unlike cross-entropy.

    formula: s sum_c (p[c] - [c = y])^2; s = 1/2 for two classes and 1 for more (auto), 1/2 (half) or 1 (full)
    example: [0.1, 0.7], [0, 1] -> 0.05
    example: [0.1, 0.7], [0, 1], scale="full" -> 0.1
    example: [[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]], [0, 2] -> 0.1
    scale: auto halves the sum for two classes, where it then is (p - y)^2; half and full say it for any number.
    ignore_index: the label of samples that count for nothing.
    use: judging predicted probabilities, of two classes (N) or more (N, C), with no sample that decides alone.
    pitfall: Brier's own definition is the full sum, from 0 to 2; the halved one goes from 0 to 1. Say which one you report.
    pitfall: a single column is the probability of class 1.
    """
    both = two_columns(xp, pred)
    error = both - one_hot(xp, target, both)
    halved = scale == "half" or (scale == "auto" and both.shape[1] <= 2)  # noqa: PLR2004 - two classes
    return counted(xp, (0.5 if halved else 1.0) * xp.sum(error * error, axis=1), target, ignore_index)


@loss(
    "classification",
    source="Zhang & Sabuncu 2018, arXiv:1805.07836; Keras CategoricalGeneralizedCrossEntropy",
    aliases=("gce", "lq"),
)
def generalized_cross_entropy(
    xp, pred: ClassProbability, target: Label, *, q: Positive = 0.5, ignore_index: Integer = -100
) -> Terms:
    """Between cross-entropy (q to 0) and absolute error (q = 1): it bears labels that are wrong.

    formula: (1 - p[y]^q) / q
    example: [[0.9, 0.2], [0.4, 0.7]], [0, 1] -> 0.21465667541541067
    q: larger bears more wrong labels and learns more slowly; the paper takes 0.7.
    ignore_index: the label of samples that count for nothing.
    use: training on labels of which some are wrong.
    pitfall: probabilities are wanted, not raw scores; the slope at p[y] = 0 is infinite.
    pitfall: rows are used as they are, as in Keras: they should add up to 1.
    """
    chosen = at_label(xp, pred, target, ignore_index)
    some = chosen > 0
    one = xp.ones_like(chosen)
    value = -xp.expm1(q * xp.log(xp.where(some, chosen, one))) / q
    return counted(xp, xp.where(some, value, (1 - xp.where(some, one, chosen) ** q) / q), target, ignore_index)
