"""Losses of regions of several classes: an overlap for each class, and a mean over the classes.

The terms have one entry a class, named by part and number ("both 0"), so that everything that is done to sums (blocks, groups,
weights, single samples) is done to each class, and the formula finishes on all of them. The Lovász losses extend intersection
over union of hard decisions to scores: by rank, so that all pixels are coupled.
"""

# ruff: noqa: ARG001 - what a header takes and the terms do not use is for the formula that finishes on their sums

from __future__ import annotations

from typing import Any

from lossctl.losses.catalogue.overlap import Region, tversky_cost
from lossctl.losses.loss import Array, Terms, loss
from lossctl.losses.numerics import followed, power, relu
from lossctl.losses.words import Binary, ClassesCounted, ClassProbability, Flag, Integer, Label, Logits, NonNegative, Positive


def ranked(xp: Any, sums: Terms, **_: Any) -> Array:
    """The costs of all ranks, which are already shares of the whole."""
    return sums["cost"]


def extension(xp: Any, errors: Array, truth: Array) -> Array:
    """The Lovasz extension of the Jaccard loss along the last axis, as the costs of the ranks from the largest error on."""
    order = xp.argsort(-errors, axis=-1)
    errors, truth = xp.take_along_axis(errors, order, axis=-1), xp.take_along_axis(truth, order, axis=-1)
    size = xp.sum(truth, axis=-1, keepdims=True)
    missed = size - xp.cumulative_sum(truth, axis=-1)
    loss_at = 1 - missed / (size + xp.cumulative_sum(1 - truth, axis=-1))
    before = xp.concat([xp.zeros_like(loss_at[..., :1]), loss_at[..., :-1]], axis=-1)
    return errors * (loss_at - before)


def classes_first(xp: Any, array: Array, *, per_image: bool) -> Array:
    """An array (N, C, d1..) as (images, C, pixels), where all may be one image."""
    flat = xp.reshape(array, (*array.shape[:2], -1))
    return flat if per_image else xp.reshape(xp.permute_dims(flat, (1, 0, 2)), (1, array.shape[1], -1))


@loss(
    "segmentation",
    source="Berman 2018, arXiv:1705.08790; segmentation_models_pytorch LovaszLoss, binary mode",
    finish=ranked,
    reductions=("mean",),
    whole=True,
    aliases=("lovasz", "lovasz_binary", "binary_lovasz"),
)
def lovasz_hinge(xp, pred: Logits, target: Binary, *, per_image: Flag = False) -> Terms:
    """A hinge loss weighted by rank, so that it falls as intersection over union of the decisions rises.

    formula: sum over ranks i of max(0, e_i) (J_i - J_(i-1)), e = 1 - (2 t - 1) x from the largest on, J_i the Jaccard loss
        when the first i pixels are wrong
    example: [[2, -1], [-2, 0.5]], [[1, 0], [0, 1]] -> 0.25
    per_image: the mean over images, each ranked alone, instead of one ranking of all.
    use: the last epochs of a binary segmentation that is judged by intersection over union.
    pitfall: all pixels are ranked together, so that the value belongs to the batch; it cannot be streamed.
    pitfall: pred is raw scores: probabilities never reach the margin of 1.
    pitfall: without a mask the cost is the largest error alone, which is that of a single pixel.
    """
    rows = (pred.shape[0] if per_image else 1, -1)
    scores, truth = xp.reshape(pred, rows), xp.reshape(target, rows)
    return {"cost": extension(xp, relu(xp, 1 - (2 * truth - 1) * scores), truth) / scores.shape[0]}


@loss(
    "segmentation",
    source="Berman 2018, arXiv:1705.08790; segmentation_models_pytorch LovaszLoss, multiclass mode, given probabilities",
    finish=ranked,
    reductions=("mean",),
    whole=True,
    aliases=("lovasz_multiclass",),
)
def lovasz_softmax(
    xp,
    pred: ClassProbability,
    target: Label,
    *,
    classes: ClassesCounted = "present",
    per_image: Flag = False,
    ignore_index: Integer = -100,
) -> Terms:
    """Errors of each class weighted by rank, so that the mean falls as mean intersection over union rises.

    formula: mean over c of sum over ranks i of e_i (J_i - J_(i-1)), e = |[y = c] - p_c| from the largest on, J_i the Jaccard
        loss when the first i pixels are wrong
    example: [[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]], [0, 1] -> 0.5
    classes: present averages over the classes that the target has, all over every class.
    per_image: the mean over images, each ranked alone, instead of one ranking of all.
    ignore_index: the label of pixels that count for nothing.
    use: the last epochs of a segmentation that is judged by mean intersection over union.
    pitfall: pred is probabilities, as in Berman's code; segmentation_models_pytorch and kornia apply the softmax inside.
    pitfall: kornia averages over all classes; there a class that no pixel has costs its largest probability.
    pitfall: all pixels are ranked together, so that the value belongs to the batch; it cannot be streamed.
    """
    kept = xp.expand_dims(xp.astype(target != ignore_index, pred.dtype), axis=1)
    numbers = xp.reshape(xp.arange(pred.shape[1], device=pred.device), (1, -1, *(1,) * (pred.ndim - 2)))
    truth = xp.astype(xp.expand_dims(target, axis=1) == numbers, pred.dtype) * kept
    # What is ignored has error 0 and comes last, where it changes no cost.
    # A probability that is right can only become wrong: there is one side to the kink of its error.
    size = xp.where(truth == pred, truth + (1 - 2 * truth) * pred, xp.abs(truth - pred))
    errors = classes_first(xp, size * kept, per_image=per_image)
    truth = classes_first(xp, truth, per_image=per_image)
    costs = xp.sum(extension(xp, errors, truth), axis=-1)
    counted = xp.astype(xp.any(truth > 0, axis=-1), costs.dtype) if classes == "present" else xp.ones_like(costs)
    share = counted / xp.clip(xp.sum(counted, axis=-1, keepdims=True), 1, None)
    return {"cost": costs * share / costs.shape[0], "weight": kept}


def class_terms(xp: Any, pred: Array, target: Array, ignore_index: int) -> Terms:
    """What each class has in common with its mask, its prediction and its mask, each of the target's shape."""
    kept = xp.astype(target != ignore_index, pred.dtype)
    terms = {"weight": kept}
    for number in range(pred.shape[1]):
        chance, truth = pred[:, number, ...] * kept, xp.astype(target == number, pred.dtype) * kept
        terms |= {f"both {number}": chance * truth, f"pred {number}": chance, f"target {number}": truth}
    return terms


def regions(xp: Any, sums: Terms) -> Region:
    """The sums of the class terms, with the classes along a new last axis."""
    classes = range(sum(name.startswith("both ") for name in sums))
    both, pred, target = (xp.stack([sums[f"{part} {c}"] for c in classes], axis=-1) for part in ("both", "pred", "target"))
    return both, pred, target


def over_classes(xp: Any, costs: Array, present: Array, classes: str) -> Array:
    """Average over all classes, or over those that the target has."""
    if classes == "all":
        return xp.mean(costs, axis=-1)
    counted = xp.astype(present > 0, costs.dtype)
    return xp.sum(costs * counted, axis=-1) / xp.clip(xp.sum(counted, axis=-1), 1, None)


def mean_tversky(xp: Any, sums: Terms, *, classes: str, gamma: float = 1.0, ignore_index: int, **params: Any) -> Array:
    """The mean over classes of one minus Tversky's index, or of its power."""
    region = regions(xp, sums)
    costs = tversky_cost(xp, region, **params)
    return over_classes(
        xp, costs if gamma == 1 and not followed(gamma) else power(xp, xp.clip(costs, 0, None), gamma), region[2], classes
    )


def mean_dice(xp: Any, sums: Terms, **params: Any) -> Array:
    """The mean over classes of one minus dice."""
    return mean_tversky(xp, sums, alpha=0.5, beta=0.5, **params)


def mean_jaccard(xp: Any, sums: Terms, **params: Any) -> Array:
    """The mean over classes of one minus intersection over union."""
    return mean_tversky(xp, sums, alpha=1.0, beta=1.0, **params)


def balanced(xp: Any, sums: Terms, **_: Any) -> Array:
    """Pool the classes' overlaps, each weighted by its inverse squared size in units of the rarest; so do absent ones."""
    both, pred, target = regions(xp, sums)
    present = target > 0
    size = xp.where(present, target, xp.full_like(target, xp.inf))
    rarest = xp.min(size, axis=-1, keepdims=True)
    weight = xp.where(present, rarest / size, xp.ones_like(target)) ** 2
    return 1 - 2 * xp.sum(weight * both, axis=-1) / xp.sum(weight * (pred + target), axis=-1)


@loss(
    "segmentation",
    source="Milletari 2016, arXiv:1606.04797; segmentation_models_pytorch DiceLoss, multiclass mode, from_logits=False",
    finish=mean_dice,
    reductions=("mean",),
    aliases=("multiclass_dice", "categorical_dice", "macro_dice"),
)
def dice_multiclass(
    xp,
    pred: ClassProbability,
    target: Label,
    *,
    smooth: NonNegative = 0.0,
    eps: NonNegative = 1e-7,
    log_loss: Flag = False,
    classes: ClassesCounted = "all",
    ignore_index: Integer = -100,
) -> Terms:
    """Dice of each class against the rest, pooled over everything that is given, then the mean over the classes.

    formula: mean over c of 1 - (sum(p_c t_c) + smooth) / ((sum(p_c) + sum(t_c)) / 2 + smooth), t_c = [y = c]; a class
        without a label counts 0
    example: [[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]], [0, 1] -> 0.27407407407407414
    example: [[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]], [0, 1], classes="present" -> 0.4111111111111112
    smooth: added above and below; softens small regions.
    eps: the least denominator, and with log_loss the least overlap.
    log_loss: minus the logarithm of each overlap instead of one minus it.
    classes: all, where a class without a label counts 0, or present, where it does not count.
    ignore_index: the label of pixels that count for nothing.
    use: segmentation into several classes, often beside cross-entropy.
    pitfall: pred is the softmax of the scores; raw scores are refused.
    pitfall: with classes=all, as in segmentation_models_pytorch, a rare class that is missing from a batch lowers the loss.
    pitfall: the background is a class like any other; it is easy, and pulls the mean down.
    """
    return class_terms(xp, pred, target, ignore_index)


@loss(
    "segmentation",
    source="segmentation_models_pytorch JaccardLoss, multiclass mode, from_logits=False",
    finish=mean_jaccard,
    reductions=("mean",),
    aliases=("multiclass_jaccard", "mean_iou_loss", "miou_loss", "iou_multiclass_loss"),
)
def jaccard_multiclass(
    xp,
    pred: ClassProbability,
    target: Label,
    *,
    smooth: NonNegative = 0.0,
    eps: NonNegative = 1e-7,
    log_loss: Flag = False,
    classes: ClassesCounted = "all",
    ignore_index: Integer = -100,
) -> Terms:
    """Intersection over union of each class against the rest, pooled over everything, then the mean over the classes.

    formula: mean over c of 1 - (sum(p_c t_c) + smooth) / (sum(p_c) + sum(t_c) - sum(p_c t_c) + smooth), t_c = [y = c]; a
        class without a label counts 0
    example: [[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]], [0, 1] -> 0.37121212121212127
    smooth: added above and below; softens small regions.
    eps: the least denominator, and with log_loss the least overlap.
    log_loss: minus the logarithm of each overlap instead of one minus it.
    classes: all, where a class without a label counts 0, or present, where it does not count.
    ignore_index: the label of pixels that count for nothing.
    use: segmentation into several classes that is judged by mean intersection over union.
    pitfall: the mIoU of a benchmark counts the largest class of each pixel; this one sums probabilities.
    pitfall: the value of a batch is not the mean of its images; --per-sample shows the images.
    """
    return class_terms(xp, pred, target, ignore_index)


@loss(
    "segmentation",
    source="Salehi 2017, arXiv:1706.05721; segmentation_models_pytorch TverskyLoss, multiclass mode, from_logits=False",
    finish=mean_tversky,
    reductions=("mean",),
    aliases=("multiclass_tversky",),
)
def tversky_multiclass(
    xp,
    pred: ClassProbability,
    target: Label,
    *,
    alpha: NonNegative = 0.5,
    beta: NonNegative = 0.5,
    smooth: NonNegative = 0.0,
    eps: NonNegative = 1e-7,
    log_loss: Flag = False,
    classes: ClassesCounted = "all",
    ignore_index: Integer = -100,
) -> Terms:
    """The Tversky loss of each class against the rest, pooled over everything, then the mean over the classes.

    formula: mean over c of 1 - (TP_c + smooth) / (TP_c + alpha FP_c + beta FN_c + smooth); a class without a label counts 0
    example: [[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]], [0, 1], alpha=0.3, beta=0.7 -> 0.3007926574885273
    alpha: the weight of what is predicted and not of the class.
    beta: the weight of what is of the class and not predicted; above alpha it buys recall.
    smooth: added above and below; softens small regions.
    eps: the least denominator, and with log_loss the least overlap.
    log_loss: minus the logarithm of each overlap instead of one minus it.
    classes: all, where a class without a label counts 0, or present, where it does not count.
    ignore_index: the label of pixels that count for nothing.
    use: segmentation into several classes, some of them rare and dear to miss.
    pitfall: among classes that exclude each other one's miss is another's false alarm: recall for all is not to be had.
    """
    return class_terms(xp, pred, target, ignore_index)


@loss(
    "segmentation",
    source="Abraham & Khan 2018, arXiv:1810.07842",
    finish=mean_tversky,
    reductions=("mean",),
    aliases=("multiclass_focal_tversky",),
)
def focal_tversky_multiclass(
    xp,
    pred: ClassProbability,
    target: Label,
    *,
    alpha: NonNegative = 0.3,
    beta: NonNegative = 0.7,
    gamma: Positive = 0.75,
    smooth: NonNegative = 0.0,
    eps: NonNegative = 1e-7,
    classes: ClassesCounted = "all",
    ignore_index: Integer = -100,
) -> Terms:
    """A power of each class's Tversky loss, then the mean over the classes.

    formula: mean over c of tversky_c^gamma; a class without a label counts 0
    example: [[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]], [0, 1] -> 0.3602109866020536
    alpha: the weight of what is predicted and not of the class.
    beta: the weight of what is of the class and not predicted.
    gamma: the power itself; the paper writes 1/gamma.
    smooth: added above and below; softens small regions.
    eps: the least denominator.
    classes: all, where a class without a label counts 0, or present, where it does not count.
    ignore_index: the label of pixels that count for nothing.
    use: segmentation into several classes with small regions.
    pitfall: segmentation_models_pytorch takes the power of the mean over classes, which is another number.
    pitfall: the paper adds the classes up instead of averaging them.
    """
    return class_terms(xp, pred, target, ignore_index)


@loss(
    "segmentation",
    source="Sudre 2017, arXiv:1707.03237; MONAI GeneralizedDiceLoss weighs an absent class as the rarest, too",
    finish=balanced,
    reductions=("mean",),
    aliases=("gdl", "generalised_dice"),
)
def generalized_dice(xp, pred: ClassProbability, target: Label, *, ignore_index: Integer = -100) -> Terms:
    """Dice of all classes together, each weighted by the inverse square of its size: rare classes count as much as common.

    formula: 1 - 2 sum_c w_c sum(p_c t_c) / sum_c w_c (sum(p_c) + sum(t_c)), w_c = 1 / sum(t_c)^2; the largest weight
        for a class without a label
    example: [[0.7, 0.2, 0.1], [0.1, 0.3, 0.6], [0.8, 0.1, 0.1]], [0, 1, 0] -> 0.5909090909090908
    ignore_index: the label of pixels that count for nothing.
    use: segmentation into classes of very different sizes.
    pitfall: one pixel of a rare class outweighs thousands of others; the loss jumps from batch to batch.
    pitfall: optax takes a weighted mean of each class's dice, which is another number.
    pitfall: MONAI adds 1e-5 above and below to sums that may be smaller than that, and averages over images.
    """
    return class_terms(xp, pred, target, ignore_index)
