"""Cross-entropies that weigh easy samples otherwise than hard ones."""

from typing import Any

from lossctl.losses.catalogue.classification import at_label, counted, log_chance, one_hot, per_class, to_one
from lossctl.losses.loss import Array, Terms, loss
from lossctl.losses.numerics import bend, binary_cross_entropy, log_of_one_and, power, relu, sigmoid, times
from lossctl.losses.words import (
    ClassLogits,
    ClassProbability,
    ClassTarget,
    ClassWeight,
    Fraction,
    Integer,
    Label,
    Logits,
    NonNegative,
    Probability,
    Scalar,
)


def missed(xp: Any, pred: Array, target: Array) -> Array:
    """1 - p_t, the probability that is not given to the target; from two sigmoids, so that it is exact where it is tiny."""
    return target * sigmoid(xp, -pred) + (1 - target) * sigmoid(xp, pred)


def entropy(xp: Any, pred: Array, target: Array) -> Array:
    """Binary cross-entropy of raw scores."""
    return binary_cross_entropy(xp, lambda x: relu(xp, x) - target * x + bend(xp, x), pred, target, 1)


def balanced(xp: Any, value: Array, target: Array, alpha: float) -> Array:
    """Weigh positives by alpha and negatives by 1 - alpha; below 0 both alike."""
    return value if alpha < 0 else times(xp, alpha * target + (1 - alpha) * (1 - target), value)


@loss(
    "classification",
    source="Lin 2017, arXiv:1708.02002; torchvision.ops.sigmoid_focal_loss",
    aliases=("focal_loss", "sigmoid_focal_loss", "binary_focal", "retinanet"),
)
def focal(xp, pred: Logits, target: Probability, *, alpha: Scalar = 0.25, gamma: NonNegative = 2.0) -> Array:
    """Binary cross-entropy that counts what is already right for little: for many easy negatives and few positives.

    formula: a_t (1 - p_t)^gamma BCE, p_t = p t + (1 - p)(1 - t), a_t = alpha t + (1 - alpha)(1 - t), p = sigmoid(pred)
    example: [0, 2, -3], [1, 0, 0] -> 0.426987431948142
    example: [0, 2, -3], [1, 0, 0], alpha=-1 -> 0.6078247526286308
    example: [[0, 2], [-3, 1]], [[1, 0], [0, 1]], alpha=-1, gamma=0 -> 0.7954810576737208
    alpha: the weight of positives, negatives have 1 - alpha; below 0 it is off, as in torchvision.
    gamma: how fast samples lose weight as they become right; 0 leaves cross-entropy.
    use: dense detection, rare positives.
    pitfall: alpha = 0.25 makes positives count for less, since gamma already takes the weight of the many negatives; it is
        no class frequency.
    pitfall: torchvision adds up or returns single values by default and detectors divide by the number of positives; the mean
        over all elements is smaller by orders.
    pitfall: raw scores are wanted; for classes that exclude each other take focal_multiclass.
    """
    value = times(xp, power(xp, missed(xp, pred, target), gamma), entropy(xp, pred, target))
    return balanced(xp, value, target, alpha)


@loss(
    "classification",
    source="Lin 2017, arXiv:1708.02002; segmentation_models_pytorch FocalLoss('multiclass')",
    aliases=("categorical_focal", "softmax_focal", "multiclass_focal"),
)
def focal_multiclass(
    xp, pred: ClassLogits, target: Label, *, alpha: ClassWeight = None, gamma: NonNegative = 2.0, ignore_index: Integer = -100
) -> Terms:
    """Softmax cross-entropy that counts what is already right for little.

    formula: -alpha[y] (1 - p[y])^gamma ln p[y], p = softmax(pred); the mean divides by the number of labels
    example: [[1, 2, 3], [0, -1, 2]], [2, 1], gamma=0 -> 1.788725992000333
    example: [[0, 0]], [1] -> 0.17328679513998632
    alpha: one weight a class; the mean does not divide by it.
    gamma: how fast samples lose weight as they become right; 0 leaves cross-entropy.
    ignore_index: the label of samples that count for nothing.
    use: classes of very different size, segmentation with a small foreground.
    pitfall: one alpha for all classes, such as 0.25 in Keras, scales the loss and balances nothing.
    pitfall: with gamma = 0 and alpha it is not the weighted cross_entropy, whose mean divides by the weights.
    """
    logp = log_chance(xp, pred, target, ignore_index)
    if alpha is None:
        return counted(xp, -power(xp, -xp.expm1(logp), gamma) * logp, target, ignore_index)
    balance = at_label(xp, xp.broadcast_to(per_class(xp, alpha, pred), pred.shape), target, ignore_index)
    # A class of weight 0 counts for nothing, also where it has no chance at all.
    logp = xp.where((balance == 0) & xp.isinf(logp), xp.zeros_like(logp), logp)
    return counted(xp, -balance * power(xp, -xp.expm1(logp), gamma) * logp, target, ignore_index)


@loss("classification", source="Lin 2017, arXiv:1708.02002; keras.losses.BinaryFocalCrossentropy(from_logits=False)")
def binary_focal_crossentropy_prob(
    xp,
    pred: Probability,
    target: Probability,
    *,
    alpha: Scalar = -1.0,
    gamma: NonNegative = 2.0,
    label_smoothing: Fraction = 0.0,
    eps: NonNegative = 1e-7,
) -> Array:
    """Focal loss of probabilities as Keras has it: clipped to [eps, 1 - eps], and balanced only where alpha is given.

    formula: a_t (1 - p_t)^gamma BCE(q), p_t = t q + (1 - t)(1 - q), q = clip(pred, eps, 1 - eps), a_t = alpha t + (1 - alpha)
        (1 - t), t = target (1 - label_smoothing) + label_smoothing/2
    example: [[0.9, 0.2], [0.4, 0.7]], [[1, 0], [0, 1]] -> 0.03095304799154778
    example: [[0.9, 0.2], [0.4, 0.7]], [[1, 0], [0, 1]], alpha=0.25 -> 0.019070492229777813
    alpha: the weight of positives, negatives have 1 - alpha; below 0 it is off. Keras' 0.25 counts only with
        apply_class_balancing=True.
    gamma: how fast samples lose weight as they become right; 0 leaves cross-entropy.
    label_smoothing: the share of each target that is moved to 1/2.
    eps: how near to 0 and 1 probabilities may come.
    use: reproducing values of Keras; of raw scores take focal.
    pitfall: probabilities are wanted; with from_logits=True Keras' loss is that of their logarithms of odds, as in focal.
    pitfall: beyond the clip the gradient is 0, so a network that is sure and wrong learns nothing; train on raw scores.
    """
    chance = xp.clip(pred, eps, 1 - eps)
    smooth = target * (1 - label_smoothing) + 0.5 * label_smoothing
    cross = -(smooth * xp.log(chance) + (1 - smooth) * log_of_one_and(xp, -chance))
    return balanced(xp, power(xp, smooth * (1 - chance) + (1 - smooth) * chance, gamma) * cross, smooth, alpha)


@loss("classification", source="Lin 2017, arXiv:1708.02002; keras.losses.CategoricalFocalCrossentropy(from_logits=False)")
def categorical_focal_crossentropy_prob(
    xp,
    pred: ClassProbability,
    target: ClassTarget,
    *,
    alpha: Scalar = 0.25,
    gamma: NonNegative = 2.0,
    label_smoothing: Fraction = 0.0,
    eps: NonNegative = 1e-7,
) -> Array:
    """Focal loss of class probabilities as Keras computes it: rows are divided by their sum, then clipped to [eps, 1 - eps].

    formula: -alpha sum_c t[c] (1 - q[c])^gamma ln q[c], q = clip(pred / sum(pred), eps, 1 - eps), t = target (1 -
        label_smoothing) + label_smoothing/C
    example: [[0.9, 0.2], [0.4, 0.7]], [[1, 0], [0, 1]] -> 0.008300046241464383
    alpha: a factor of the whole loss, as in Keras, whose default it is; it balances nothing.
    gamma: how fast samples lose weight as they become right; 0 leaves alpha times cross-entropy.
    label_smoothing: the share of each target that is spread evenly over the classes.
    eps: how near to 0 and 1 probabilities may come.
    use: reproducing values of Keras; of raw scores take focal_multiclass.
    pitfall: focal_multiclass has no alpha by default, so that it is four times this for the same probabilities.
    pitfall: rows that do not add up to 1 pass unseen, since they are made to.
    """
    smooth = one_hot(xp, target, pred) * (1 - label_smoothing) + label_smoothing / pred.shape[1]
    chance = xp.clip(to_one(xp, pred), eps, 1 - eps)
    return -alpha * xp.sum(smooth * power(xp, 1 - chance, gamma) * xp.log(chance), axis=1)


@loss(
    "classification",
    source="Leng 2022, arXiv:2204.12511; optax.losses.poly_loss_cross_entropy; timm PolyCrossEntropy",
    aliases=("poly1", "poly_loss", "poly_ce"),
)
def poly_cross_entropy(xp, pred: ClassLogits, target: Label, *, epsilon: Scalar = 2.0, ignore_index: Integer = -100) -> Terms:
    """Cross-entropy with the weight of its first polynomial term changed: it presses longer on what is almost right.

    formula: -ln p[y] + epsilon (1 - p[y]), p = softmax(pred)
    example: [[1, 2, 3], [0, -1, 2]], [2, 1] -> 3.0814749700914454
    epsilon: what is added to the first term's weight; 0 leaves cross-entropy, and below -1 right answers are punished.
    ignore_index: the label of samples that count for nothing.
    use: a small gain over cross-entropy for one more number to tune.
    pitfall: optax and timm begin with epsilon = 2, other code with 1; values differ.
    """
    logp = log_chance(xp, pred, target, ignore_index)
    return counted(xp, -logp - epsilon * xp.expm1(logp), target, ignore_index)


@loss(
    "classification",
    source="Leng 2022, arXiv:2204.12511; timm PolyBinaryCrossEntropy",
    aliases=("poly_bce", "poly_binary_cross_entropy", "poly_focal"),
)
def poly_binary(
    xp, pred: Logits, target: Probability, *, epsilon: Scalar = 2.0, gamma: NonNegative = 0.0, alpha: Scalar = -1.0
) -> Array:
    """Binary cross-entropy, or focal loss, with the weight of its first polynomial term changed.

    formula: a_t ((1 - p_t)^gamma BCE + epsilon (1 - p_t)^(gamma + 1)), with p_t and a_t as in focal
    example: [0, 2, -3], [1, 0, 0] -> 1.908369481829186
    epsilon: what is added to the first term's weight; 0 leaves binary cross-entropy.
    gamma: how fast samples lose weight as they become right; 0 leaves cross-entropy.
    alpha: the weight of positives, negatives have 1 - alpha; below 0 it is off.
    use: multi-label classification and detection, where focal or binary cross-entropy would be taken.
    pitfall: the paper takes epsilon = 2 for classification and -1 for detection; no one value fits both.
    """
    miss = missed(xp, pred, target)
    value = times(xp, power(xp, miss, gamma), entropy(xp, pred, target) + epsilon * miss)
    return balanced(xp, value, target, alpha)
