"""Losses of one region against the rest: Dice in its two forms, and smoothed cross-entropy by the pixel."""

# ruff: noqa: ARG001 - what a header takes and the terms do not use is for the formula that finishes on their sums

from typing import Any

from lossctl.loss import Terms, loss
from lossctl.losses.overlap import cost, share
from lossctl.numerics import bend, binary_cross_entropy, relu
from lossctl.words import Array, Binary, EmptyMask, Flag, Fraction, Logits, NonNegative, Probability


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


@loss(
    "segmentation",
    source="segmentation_models_pytorch SoftBCEWithLogitsLoss",
    aliases=("soft_bce", "soft_bce_with_logits"),
)
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
