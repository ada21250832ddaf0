"""Losses of one region against the rest: Dice in its two forms, Tversky's index and its kin, and smoothed cross-entropy."""

# ruff: noqa: ARG001 - what a header takes and the terms do not use is for the formula that finishes on their sums

from __future__ import annotations

from typing import Any

from lossctl.losses.loss import Array, Terms, loss
from lossctl.losses.numerics import bend, binary_cross_entropy, power, relu
from lossctl.losses.words import Binary, EmptyMask, Flag, Fraction, Logits, NonNegative, Positive, Probability

# What is common to prediction and mask, all of the prediction, all of the mask.
Region = tuple[Array, Array, Array]


def share(xp: Any, above: Array, below: Array, *, smooth: float, eps: float) -> Array:
    """The overlap as a share of what it could be."""
    return (above + smooth) / xp.clip(below + smooth, eps, None)


def cost(xp: Any, overlap: Array, present: Array, *, eps: float, log_loss: bool = False, empty: str = "zero") -> Array:
    """One minus an overlap, or minus its logarithm; 0 where there is nothing to overlap with, unless that is counted."""
    value = -xp.log(xp.clip(overlap, eps, None)) if log_loss else 1 - overlap
    return value if empty == "counted" else xp.where(present > 0, value, xp.zeros_like(value))


def tversky_cost(
    xp: Any,
    region: Region,
    *,
    alpha: float,
    beta: float,
    smooth: float,
    eps: float,
    log_loss: bool = False,
    empty: str = "zero",
) -> Array:
    """The cost of one region, or of one a class: alpha weighs what is too much, beta what is missed."""
    both, pred, target = region
    overlap = share(xp, both, both + alpha * (pred - both) + beta * (target - both), smooth=smooth, eps=eps)
    return cost(xp, overlap, target, eps=eps, log_loss=log_loss, empty=empty)


def pooled(sums: Terms) -> Region:
    """The region that sums without classes describe."""
    return sums["both"], sums["pred"], sums["target"]


def one_minus_jaccard(xp: Any, sums: Terms, **params: Any) -> Array:
    """One minus intersection over union: Tversky's index with both weights 1."""
    return tversky_cost(xp, pooled(sums), alpha=1.0, beta=1.0, **params)


def one_minus_tversky(xp: Any, sums: Terms, **params: Any) -> Array:
    """One minus Tversky's index."""
    return tversky_cost(xp, pooled(sums), **params)


def focused(xp: Any, sums: Terms, *, gamma: float, **params: Any) -> Array:
    """A power of one minus Tversky's index, which rounding may bring below 0."""
    return power(xp, xp.clip(tversky_cost(xp, pooled(sums), **params), 0, None), gamma)


def one_minus_mcc(xp: Any, sums: Terms, *, eps: float) -> Array:
    """One minus the correlation of the soft confusion matrix; two roots, so that large counts do not overflow."""
    tp, fp, fn, tn = (sums[name] + eps for name in ("tp", "fp", "fn", "tn"))
    return 1 - (tp * tn - fp * fn) / (xp.sqrt((tp + fp) * (tn + fn)) * xp.sqrt((tp + fn) * (tn + fp)))


@loss(
    "segmentation",
    source="Rahman & Wang 2016, doi:10.1007/978-3-319-50835-1_22; segmentation_models_pytorch JaccardLoss, from_logits=False",
    finish=one_minus_jaccard,
    reductions=("mean",),
    aliases=("jaccard_loss", "soft_jaccard", "iou_loss", "soft_iou_loss", "intersection_over_union_loss"),
)
def jaccard(
    xp, pred: Probability, target: Binary, *, smooth: NonNegative = 0.0, eps: NonNegative = 1e-7, log_loss: Flag = False
) -> Terms:
    """One minus intersection over union of prediction and mask, pooled over everything that is given.

    formula: 1 - (sum(p t) + smooth) / (sum(p) + sum(t) - sum(p t) + smooth); 0 where the mask is empty
    example: [[0.9, 0.4], [0.2, 0.6]], [[1, 0], [0, 1]] -> 0.4230769230769231
    smooth: added above and below; softens small regions.
    eps: the least denominator, and with log_loss the least overlap.
    log_loss: minus the logarithm of the overlap instead of one minus it; a miss costs more.
    use: segmentation that is judged by intersection over union.
    pitfall: this is the IoU of masks; boxes have iou_box, giou, diou and ciou.
    pitfall: the IoU of a batch is not the mean IoU of its images; --per-sample shows the images.
    pitfall: an empty mask counts 0, however much is predicted, as in segmentation_models_pytorch.
    """
    return {"both": pred * target, "pred": pred, "target": target}


@loss(
    "segmentation",
    source="Salehi 2017, arXiv:1706.05721; segmentation_models_pytorch TverskyLoss, from_logits=False",
    finish=one_minus_tversky,
    reductions=("mean",),
    aliases=("tversky_loss",),
)
def tversky(
    xp,
    pred: Probability,
    target: Binary,
    *,
    alpha: NonNegative = 0.5,
    beta: NonNegative = 0.5,
    smooth: NonNegative = 0.0,
    eps: NonNegative = 1e-7,
    log_loss: Flag = False,
    empty: EmptyMask = "zero",
) -> Terms:
    """Overlap in which what is predicted too much and what is missed have weights of their own.

    formula: 1 - (TP + smooth) / (TP + alpha FP + beta FN + smooth), TP = sum(p t), FP = sum(p (1-t)), FN = sum((1-p) t); 0
        where the mask is empty
    example: [[0.9, 0.4], [0.2, 0.6]], [[1, 0], [0, 1]], alpha=0.3, beta=0.7 -> 0.26108374384236453
    alpha: the weight of what is predicted and not in the mask.
    beta: the weight of what is in the mask and not predicted; above alpha it buys recall.
    smooth: added above and below; softens small regions.
    eps: the least denominator, and with log_loss the least overlap.
    log_loss: minus the logarithm of the overlap instead of one minus it.
    empty: what an empty mask counts: zero, or counted as the formula has it, 1 without smooth, as in Keras.
    use: small lesions or rare objects, where a miss costs more than a false alarm.
    pitfall: some papers swap alpha and beta; here alpha weighs false positives. Keras' alpha weighs what is missed.
    pitfall: 0.5 and 0.5 are dice, 1 and 1 are jaccard.
    pitfall: an empty mask counts 0, however much is predicted.
    """
    return {"both": pred * target, "pred": pred, "target": target}


@loss(
    "segmentation",
    source="Abraham & Khan 2018, arXiv:1810.07842; segmentation_models_pytorch TverskyLoss with gamma",
    finish=focused,
    reductions=("mean",),
    aliases=("focal_tversky_loss",),
)
def focal_tversky(
    xp,
    pred: Probability,
    target: Binary,
    *,
    alpha: NonNegative = 0.3,
    beta: NonNegative = 0.7,
    gamma: Positive = 0.75,
    smooth: NonNegative = 0.0,
    eps: NonNegative = 1e-7,
) -> Terms:
    """A power of the Tversky loss: below 1 it keeps pulling on regions that are nearly right.

    formula: tversky^gamma; 0 where the mask is empty
    example: [[0.9, 0.4], [0.2, 0.6]], [[1, 0], [0, 1]] -> 0.36524549986797
    alpha: the weight of what is predicted and not in the mask.
    beta: the weight of what is in the mask and not predicted.
    gamma: the power itself.
    smooth: added above and below; softens small regions.
    eps: the least denominator.
    use: small lesions, where the Tversky loss alone stops too early.
    pitfall: the paper writes the power as 1/gamma: its gamma of 4/3 is 0.75 here and in segmentation_models_pytorch.
    pitfall: the paper's alpha weighs false negatives; here beta does.
    pitfall: for gamma < 1 the gradient grows without bound towards a perfect fit; at the fit itself it is 0 here.
    """
    return {"both": pred * target, "pred": pred, "target": target}


@loss(
    "segmentation",
    source="Abhishek & Hamarneh 2021, arXiv:2010.13454; segmentation_models_pytorch MCCLoss",
    finish=one_minus_mcc,
    reductions=("mean",),
    aliases=("matthews_loss", "matthews_correlation_loss", "phi_coefficient_loss"),
)
def mcc_loss(xp, pred: Probability, target: Binary, *, eps: NonNegative = 1e-5) -> Terms:
    """One minus Matthews' correlation of prediction and mask: background counts too.

    formula: 1 - (TP TN - FP FN) / sqrt((TP + FP) (TP + FN) (TN + FP) (TN + FN)), with eps added to each
    example: [[0.9, 0.4], [0.2, 0.6]], [[1, 0], [0, 1]] -> 0.549440959992967
    eps: added to each of the four sums, so that empty ones divide.
    use: segmentation and detection with very few positives, where dice ignores the true negatives.
    pitfall: it runs from 0 to 2, and 1 means no better than chance.
    pitfall: an empty or a full mask gives close to 1 for predictions that vary, since nothing correlates with a constant; a
        prediction of zeros alone or ones alone gives 0.5 where it is the mask and 1.5 where it is the opposite, all of it eps.
    """
    more, less = 1 - pred, 1 - target
    return {"tp": pred * target, "fp": pred * less, "fn": more * target, "tn": more * less}


def one_minus_dice(xp: Any, sums: Terms, *, smooth: float, eps: float, log_loss: bool = False, empty: str = "zero") -> Array:
    """1 - (both + smooth) / (either / 2 + smooth), or minus its logarithm; 0 where the target is empty."""
    overlap = share(xp, sums["both"], sums["either"] / 2, smooth=smooth, eps=eps)
    return cost(xp, overlap, sums["present"], eps=eps, log_loss=log_loss, empty=empty)


@loss(
    "segmentation",
    source="Milletari 2016, arXiv:1606.04797; segmentation_models_pytorch DiceLoss, binary mode, from_logits=False",
    finish=one_minus_dice,
    reductions=("mean",),
    aliases=("dice_loss", "soft_dice", "f1_loss", "sorensen", "sorensen_dice"),
)
def dice(
    xp,
    pred: Probability,
    target: Binary,
    *,
    smooth: NonNegative = 0.0,
    eps: NonNegative = 1e-7,
    log_loss: Flag = False,
    empty: EmptyMask = "zero",
) -> Terms:
    """One minus the overlap of prediction and mask, pooled over everything that is given.

    formula: 1 - (sum(p t) + smooth) / ((sum(p) + sum(t)) / 2 + smooth); 0 where the mask is empty
    example: [[0.9, 0.4], [0.2, 0.6]], [[1, 0], [0, 1]] -> 0.26829268292682923
    example: [[0.9, 0.4], [0.2, 0.6]], [[1, 0], [0, 1]], smooth=1 -> 0.18032786885245902
    example: [[0.9, 0.4], [0.2, 0.6]], [[1, 0], [0, 1]], log_loss=True -> 0.3123746850421525
    smooth: added above and below; softens small regions.
    eps: the least denominator, and with log_loss the least overlap.
    log_loss: minus the logarithm of the overlap instead of one minus it; a miss costs more.
    empty: what an empty mask counts: zero, or counted as the formula has it, 1 without smooth, as in Keras.
    use: segmentation with a small foreground, often beside cross-entropy.
    pitfall: pred is probabilities; raw scores are refused.
    pitfall: the dice of a batch is not the mean dice of its images; --per-sample shows the images.
    pitfall: an empty mask counts 0 here and in segmentation_models_pytorch, and almost 1 in MONAI.
    pitfall: MONAI adds smooth to twice the overlap, so that its smooth is twice this one; and it averages over images.
    """
    return {"both": pred * target, "either": pred + target, "present": target}


@loss(
    "segmentation",
    source="Milletari 2016, arXiv:1606.04797, equation 3; MONAI DiceLoss with squared_pred",
    finish=one_minus_dice,
    reductions=("mean",),
    aliases=("dice_squared", "vnet_dice", "squared_dice_loss"),
)
def squared_dice(xp, pred: Probability, target: Binary, *, smooth: NonNegative = 0.0, eps: NonNegative = 1e-7) -> Terms:
    """Dice with squares in the denominator, as it was first published: unsure pixels weigh less.

    formula: 1 - (sum(p t) + smooth) / ((sum(p^2) + sum(t^2)) / 2 + smooth); 0 where the mask is empty
    example: [[0.9, 0.4], [0.2, 0.6]], [[1, 0], [0, 1]] -> 0.10979228486646884
    smooth: added above and below; softens small regions.
    eps: the least denominator.
    use: volumes with a small foreground, where plain dice pushes every pixel to 0 or 1 too early.
    pitfall: it is lower than dice for the same prediction; the two are not to be compared.
    pitfall: an empty mask counts 0 here.
    pitfall: MONAI adds smooth to twice the overlap; its smooth is twice this one.
    """
    return {"both": pred * target, "either": pred * pred + target, "present": target}


@loss("segmentation", source="segmentation_models_pytorch SoftBCEWithLogitsLoss", aliases=("soft_bce", "soft_bce_with_logits"))
def soft_bce_logits(xp, pred: Logits, target: Probability, *, smooth_factor: Fraction = 0.0) -> Array:
    """Sigmoid and binary cross-entropy in one, with labels moved towards each other.

    formula: log(1 + e^x) - x s, s = t (1 - smooth_factor) + (1 - t) smooth_factor
    example: [[0, 2], [-3, 1]], [[1, 0], [0, 1]], smooth_factor=0.1 -> 0.8454810576737207
    smooth_factor: how far labels are moved from 0 and 1.
    use: masks with doubtful borders; noisy labels of two classes.
    pitfall: at smooth_factor 0.5 every label is the same and nothing can be learned; Keras smooths half as far.
    """
    smooth = target * (1 - smooth_factor) + (1 - target) * smooth_factor
    return binary_cross_entropy(xp, lambda x: relu(xp, x) - x * smooth + bend(xp, x), pred, smooth, 1)
