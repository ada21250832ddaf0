"""Losses that extend intersection over union of hard decisions to scores: by rank, so that all pixels are coupled."""

from typing import Any

from lossctl.loss import Terms, loss
from lossctl.numerics import relu
from lossctl.words import Array, Binary, ClassesCounted, ClassProbability, Flag, Integer, Label, Logits


def ranked(xp: Any, sums: Terms, **_: Any) -> Array:  # noqa: ARG001 - every finish has this header
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
