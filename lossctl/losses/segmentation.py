"""Losses of regions: overlap instead of single pixels."""

from typing import Any

from lossctl.loss import Terms, loss
from lossctl.words import Array, Binary, NonNegative, Probability


def one_minus_overlap(xp: Any, sums: Terms, *, smooth: float, eps: float) -> Array:
    """1 - (both + smooth) / (either / 2 + smooth), and 0 where the target is empty."""
    overlap = (sums["both"] + smooth) / xp.clip(sums["either"] / 2 + smooth, eps, None)
    return xp.where(sums["present"] > 0, 1 - overlap, xp.zeros_like(overlap))


@loss(
    "segmentation",
    source="Milletari 2016, arXiv:1606.04797; segmentation_models_pytorch DiceLoss, binary mode, from_logits=False",
    finish=one_minus_overlap,
    reductions=("mean",),
    aliases=("dice_loss", "soft_dice", "f1_loss", "sorensen", "sorensen_dice"),
)
def dice(xp, pred: Probability, target: Binary, *, smooth: NonNegative = 0.0, eps: NonNegative = 1e-7) -> Terms:  # noqa: ARG001
    """One minus the overlap of prediction and mask, pooled over everything that is given.

    formula: 1 - (sum(p t) + smooth) / ((sum(p) + sum(t)) / 2 + smooth); 0 where the mask is empty
    example: [[0.9, 0.4], [0.2, 0.6]], [[1, 0], [0, 1]] -> 0.26829268292682923
    example: [[0.9, 0.4], [0.2, 0.6]], [[1, 0], [0, 1]], smooth=1 -> 0.18032786885245902
    smooth: added above and below; softens small regions.
    eps: the least denominator.
    use: segmentation with a small foreground, often beside cross-entropy.
    pitfall: pred is probabilities; raw scores are refused.
    pitfall: the dice of a batch is not the mean dice of its images; --per-sample shows the images.
    pitfall: an empty mask counts 0 here and in segmentation_models_pytorch, and almost 1 in MONAI.
    """
    return {"both": pred * target, "either": pred + target, "present": target}
