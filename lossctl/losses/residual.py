"""Losses of an error alone, between the square and the absolute value."""

from lossctl.loss import loss
from lossctl.losses.excess import log_excess
from lossctl.numerics import at_most, log_of_one_and
from lossctl.words import Array, AtLeastOne, Positive, Real

# Beyond this ln cosh is |x| - ln 2 to the last bit.
STRAIGHT = 20.0


@loss(
    "regression",
    source="optax.losses.l2_loss",
    aliases=("half_mse", "half_squared_error"),
)
def l2_half(xp, pred: Real, target: Real) -> Array:  # noqa: ARG001
    """Half the squared error, whose gradient is the error itself.

    formula: (pred - target)^2 / 2
    example: [1, 2], [0, 0] -> 1.25
    use: what optax calls l2_loss; the middle part of huber.
    pitfall: it is half of mse, so the same data give half the value and need twice the learning rate.
    """
    error = pred - target
    return 0.5 * error * error


@loss(
    "regression",
    source="keras.losses.LogCosh; optax.losses.log_cosh",
    aliases=("logcosh",),
)
def log_cosh(xp, pred: Real, target: Real) -> Array:
    """Logarithm of the hyperbolic cosine: half the square near zero, the absolute error in the tails, smooth throughout.

    formula: ln cosh(pred - target)
    example: [1, 2, 3, 4], [1.5, 2, 1, 8] -> 1.1880763700322732
    use: a smooth stand-in for huber with delta = 1 where second derivatives are needed, as in gradient boosting.
    pitfall: the change from square to line is at errors of about 1, in whatever units the target has; scale the target.
    """
    size = xp.abs(pred - target)
    curved = at_most(xp, size, STRAIGHT)
    half = xp.sinh(0.5 * curved)
    return log_of_one_and(xp, 2 * half * half) + (size - curved)


@loss(
    "regression",
    source="Fair 1974; LightGBM objective fair",
    aliases=("fair_loss",),
)
def fair(xp, pred: Real, target: Real, *, scale: Positive = 1.0) -> Array:
    """Half the square near zero, and a line that is approached ever more slowly in the tails.

    formula: c^2 (|e|/c - ln(1 + |e|/c)), with e = pred - target and c = scale
    example: [0, 2], [0, 0] -> 0.4506938556659451
    scale: c, the size of error around which the square gives way, in the units of the target; LightGBM's fair_c.
    use: robust regression with gradient boosting, where huber's jump in the second derivative disturbs.
    pitfall: even at |e| = 100 c the slope is 1 percent below its limit c; huber gets there at delta.
    """
    return scale * scale * log_excess(xp, xp.abs(pred - target) / scale)


@loss(
    "regression",
    source="Feng 2018, arXiv:1711.06753; segmentation_models_pytorch wing_loss",
    aliases=("wing_loss",),
)
def wing(xp, pred: Real, target: Real, *, width: Positive = 5.0, curvature: Positive = 0.5) -> Array:
    """Steep for small errors and a line for large ones: the last pixels are worth as much as the first.

    formula: w ln(1 + |e|/c) where |e| < w, else |e| - w + w ln(1 + w/c), with w = width and c = curvature
    example: [0, 2, 10], [0, 0, 0] -> 8.345555308720785
    width: where the logarithm gives way to the line, in the units of the target.
    curvature: how sharp the tip at zero is; smaller is sharper.
    use: facial landmarks and other coordinates that must be exact to the pixel.
    pitfall: the paper trains with width 10 and curvature 2; the defaults are segmentation_models_pytorch's.
    pitfall: it is made for coordinates in pixels; for targets in [0, 1] both parameters must shrink too.
    """
    size = xp.abs(pred - target)
    inside = at_most(xp, size, width)
    return width * log_of_one_and(xp, inside / curvature) + (size - inside)


@loss(
    "regression",
    source="Rice & White 1964, doi:10.1137/1006093",
    aliases=("power_error",),
)
def lp(xp, pred: Real, target: Real, *, p: AtLeastOne = 1.5) -> Array:
    """Absolute error to a power: l1 at 1, mse at 2, between them in between.

    formula: |pred - target|^p
    example: [4, 1], [0, 0] -> 4.5
    p: the power; below 2 outliers pull less than in mse, above 2 more.
    use: trading the mean's efficiency against the median's robustness with one number.
    pitfall: it is neither the p-norm of the errors nor its p-th root; at p = 2 it is mse, not rmse.
    """
    return xp.abs(pred - target) ** p
