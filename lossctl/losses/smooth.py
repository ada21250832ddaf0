"""Regression losses that are smoothed where the absolute error has its kink."""

from lossctl.loss import loss
from lossctl.words import Array, NonNegative, Real


@loss(
    "regression",
    torch="smooth_l1_loss",
    spreads=True,
    source="Girshick 2015, Fast R-CNN, arXiv:1504.08083; torch.nn.SmoothL1Loss",
    aliases=("smoothl1", "smooth_mae", "fast_rcnn", "smooth_l1_loss"),
)
def smooth_l1(xp, pred: Real, target: Real, *, beta: NonNegative = 1.0) -> Array:
    """Absolute error whose kink at zero is rounded off: slope 1 in the tails, whatever beta is.

    formula: e^2 / (2 beta) where |e| < beta, else |e| - beta/2, with e = pred - target; |e| for beta = 0
    example: [1, 2, 3, 4], [1.5, 2, 1, 8] -> 1.28125
    example: [1, 2, 3, 4], [1.5, 2, 1, 8], beta=0.5 -> 1.4375
    beta: how far from zero the error is squared, in the units of the target; 0 is l1.
    use: box regression and other regression with outliers, where the gradient may not grow.
    pitfall: huber(delta) is delta times smooth_l1(beta=delta); they agree only at 1.
    pitfall: towards large beta it goes to 0 like 1 / beta; huber goes to half the squared error instead.
    """
    error = pred - target
    if beta == 0:
        return xp.abs(error)
    near = xp.clip(error, -beta, beta)
    return near * (error - 0.5 * near) / beta
