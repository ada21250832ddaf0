"""Losses of boxes, how far a predicted rectangle is from overlapping the right one; and losses of whole images."""

from __future__ import annotations

import math
from typing import Any

from lossctl.errors import OutOfDomain
from lossctl.losses.loss import Array, Terms, loss
from lossctl.losses.numerics import relu
from lossctl.losses.words import Box, NonNegative, Positive, Real

# Two columns: along x, along y.
Sides = Array


def refuse_inverted(xp: Any, index: Array, pred: Array, target: Array, **_: Any) -> None:
    """Refuse boxes whose second corner lies before the first: torchvision gives them an overlap of 0 without a word."""
    for name, boxes in (("pred", pred), ("target", target)):
        wrong = xp.any(boxes[:, 2:] < boxes[:, :2], axis=1)
        if xp.any(wrong):
            row = int(xp.argmax(xp.astype(wrong, xp.int8)))
            corners = ", ".join(f"{float(boxes[row, side]):g}" for side in range(4))
            message = f"{name}: box {int(index[row])} is ({corners}), which is not x1 <= x2 and y1 <= y2."
            raise OutOfDomain(message, hint="Boxes are two corners x1, y1, x2, y2; convert x, y, width, height first.")


def sides(box: Array) -> Sides:
    """Width and height."""
    return box[:, 2:] - box[:, :2]


def area(side: Sides) -> Array:
    """Width times height."""
    return side[:, 0] * side[:, 1]


def enclosing(xp: Any, pred: Array, target: Array) -> Sides:
    """Width and height of the smallest box around both."""
    return xp.maximum(pred[:, 2:], target[:, 2:]) - xp.minimum(pred[:, :2], target[:, :2])


def lying(xp: Any, box: Array) -> Array:
    """The angle of the diagonal against the vertical, from 0 to a right one; a box that is a point counts as upright."""
    width, height = sides(box)[:, 0], sides(box)[:, 1]
    point = (width == 0) & (height == 0)
    return xp.where(point, xp.zeros_like(width), xp.atan2(width, xp.where(point, xp.ones_like(height), height)))


def union_and_iou(xp: Any, pred: Array, target: Array, eps: float) -> tuple[Array, Array]:
    """The area of both boxes together, and the share of it that they have in common."""
    common = xp.minimum(pred[:, 2:], target[:, 2:]) - xp.maximum(pred[:, :2], target[:, :2])
    both = area(relu(xp, common))
    union = area(sides(pred)) + area(sides(target)) - both
    return union, both / (union + eps)


def distance_cost(xp: Any, pred: Array, target: Array, iou: Array, eps: float) -> Array:
    """One minus overlap, and the squared distance of the centres in units of the enclosing diagonal."""
    apart = (pred[:, :2] + pred[:, 2:] - target[:, :2] - target[:, 2:]) / 2
    around = enclosing(xp, pred, target)
    return 1 - iou + xp.sum(apart * apart, axis=1) / (xp.sum(around * around, axis=1) + eps)


@loss(
    "detection",
    source="Yu 2016, arXiv:1608.01471, in its linear form; one minus torchvision.ops.box_iou, pair by pair",
    guard=refuse_inverted,
    aliases=("iou_box_loss", "box_iou_loss"),
)
def iou_box(xp, pred: Box, target: Box, *, eps: NonNegative = 1e-7) -> Array:
    """One minus intersection over union of two boxes.

    formula: 1 - I / (U + eps), I the common area, U the area of both together
    example: [[0, 0, 2, 2]], [[1, 1, 3, 3]] -> 0.8571428591836734
    eps: added to what is divided by, so that boxes without area are finite.
    use: judging boxes; training where prediction and target always overlap.
    pitfall: it is 1 with gradient 0 for all boxes that do not touch; giou, diou and ciou go on.
    pitfall: boxes are two corners; x, y, width, height that happen to look like corners give a number too.
    """
    return 1 - union_and_iou(xp, pred, target, eps)[1]


@loss(
    "detection",
    source="Rezatofighi 2019, arXiv:1902.09630; torchvision.ops.generalized_box_iou_loss",
    guard=refuse_inverted,
    aliases=("generalized_box_iou_loss", "generalized_iou_loss"),
)
def giou(xp, pred: Box, target: Box, *, eps: NonNegative = 1e-7) -> Array:
    """One minus generalized intersection over union: boxes that do not touch are pulled together, too.

    formula: 1 - I / (U + eps) + (C - U) / (C + eps), I the common area, U that of both together, C that of the box around
    example: [[0, 0, 2, 2]], [[1, 1, 3, 3]] -> 1.07936507893676
    eps: added to what is divided by, so that boxes without area are finite.
    use: box regression in place of l1 on the corners.
    pitfall: it runs from 0 to 2.
    pitfall: torchvision's default reduction is none and not mean, and its mean of no boxes is 0.
    pitfall: torchvision gives inverted boxes an overlap of 0 without a word; here they are refused.
    """
    union, iou = union_and_iou(xp, pred, target, eps)
    around = area(enclosing(xp, pred, target))
    return 1 - iou + (around - union) / (around + eps)


@loss(
    "detection",
    source="Zheng 2020, arXiv:1911.08287; torchvision.ops.distance_box_iou_loss",
    guard=refuse_inverted,
    aliases=("distance_box_iou_loss", "distance_iou_loss"),
)
def diou(xp, pred: Box, target: Box, *, eps: NonNegative = 1e-7) -> Array:
    """One minus overlap, and the distance of the centres: faster than giou where one box lies in the other.

    formula: 1 - I / (U + eps) + d^2 / (D^2 + eps), d between the centres, D the diagonal of the box around
    example: [[0, 0, 2, 2]], [[1, 1, 3, 3]] -> 0.9682539696775005
    eps: added to what is divided by, so that boxes without area are finite.
    use: box regression, where centres matter.
    pitfall: boxes with one centre and different shapes differ only by their overlap; ciou adds the aspect ratio.
    pitfall: torchvision's default reduction is none and not mean.
    """
    return distance_cost(xp, pred, target, union_and_iou(xp, pred, target, eps)[1], eps)


@loss(
    "detection",
    source="Zheng 2020, arXiv:1911.08287; torchvision.ops.complete_box_iou_loss",
    guard=refuse_inverted,
    aliases=("complete_box_iou_loss", "complete_iou_loss"),
)
def ciou(xp, pred: Box, target: Box, *, eps: NonNegative = 1e-7) -> Array:
    """One minus overlap, the distance of the centres, and the difference of the aspect ratios.

    formula: diou + a v, v = 4 / pi^2 (atan(w/h) - atan(w'/h'))^2, a = v / (1 - I / (U + eps) + v + eps)
    example: [[0, 0, 2, 2]], [[1, 1, 3, 3]] -> 0.9682539696775005
    example: [[0, 0, 2, 1]], [[0, 0, 1, 1]] -> 0.5532481525493884
    eps: added to what is divided by, so that boxes without area are finite.
    use: box regression where overlap, centre and shape should all be right.
    pitfall: torchvision holds a constant in its gradient, as the paper does; here the gradient is that of the formula. The
        value is the same.
    pitfall: torchvision uses an eps other than 1e-7 in the last term only, and gives nan for a box that is a point; here such a
        box has the aspect ratio of a vertical line.
    pitfall: torchvision's default reduction is none and not mean.
    """
    iou = union_and_iou(xp, pred, target, eps)[1]
    turn = lying(xp, target) - lying(xp, pred)
    shape = 4 / math.pi**2 * turn * turn
    return distance_cost(xp, pred, target, iou, eps) + shape * shape / (1 - iou + shape + eps)


def minus_decibels(xp: Any, sums: Terms, *, max_val: float, eps: float) -> Array:
    """Take the logarithm once, after all squares are pooled."""
    return -10 * xp.log10(max_val**2 / xp.clip(sums["square"] / sums["weight"], eps, None))


@loss(
    "image",
    source="ITU-T J.340; kornia.losses.psnr_loss",
    finish=minus_decibels,
    reductions=("mean",),
    aliases=("negative_psnr", "peak_signal_to_noise_ratio_loss"),
)
def psnr_loss(xp, pred: Real, target: Real, *, max_val: Positive = 1.0, eps: NonNegative = 1e-12) -> Terms:  # noqa: ARG001
    """Minus the peak signal-to-noise ratio in decibels, of the squared error pooled over everything that is given.

    formula: -10 log10(max_val^2 / max(mean (pred - target)^2, eps))
    example: [1, 2], [1.5, 2], max_val=2 -> -15.051499783199061
    max_val: the largest value that a pixel can have: 1, or 255.
    eps: the least mean squared error, so that a perfect image is finite.
    use: restoration and compression of images, where results are told in decibels.
    pitfall: it is the negative of what papers print, so that less is better: 30 dB is -30 here. Without
        `_loss` the name is that score.
    pitfall: the value of a batch is not the mean of its images; --per-sample shows the images.
    pitfall: a wrong max_val shifts every value by a constant: 255 instead of 1 is 48.13 dB.
    """
    error = pred - target
    return {"square": error * error}
