"""Losses of an error alone: between the square and the absolute value, and robust ones.

The pull of a robust loss grows slower than the error, and in the redescending ones falls back to nothing. `scale` divides the
error first. Values follow Barron's general loss, which most of these are cases of.
"""

from __future__ import annotations

import math
from typing import Any

from lossctl.losses.loss import Array, loss
from lossctl.losses.numerics import at_least, at_most, followed, log_excess, log_of_one_and
from lossctl.losses.words import AtLeastOne, Extended, Flag, Positive, Real

# Beyond this ln cosh is |x| - ln 2 to the last bit.
STRAIGHT = 20.0


@loss("regression", source="optax.losses.l2_loss", aliases=("half_mse", "half_squared_error"))
def l2_half(xp, pred: Real, target: Real) -> Array:  # noqa: ARG001
    """Half the squared error, whose gradient is the error itself.

    formula: (pred - target)^2 / 2
    example: [1, 2], [0, 0] -> 1.25
    use: what optax calls l2_loss; the middle part of huber.
    pitfall: it is half of mse, so the same data give half the value and need twice the learning rate.
    """
    error = pred - target
    return 0.5 * error * error


@loss("regression", source="keras.losses.LogCosh; optax.losses.log_cosh", aliases=("logcosh",))
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


@loss("regression", source="Fair 1974; LightGBM objective fair", aliases=("fair_loss",))
def fair(xp, pred: Real, target: Real, *, scale: Positive = 1.0) -> Array:
    """Half the square near zero, and a line that is approached ever more slowly in the tails.

    formula: c^2 (|e|/c - ln(1 + |e|/c)), with e = pred - target and c = scale
    example: [0, 2], [0, 0] -> 0.4506938556659451
    scale: c, the size of error around which the square gives way, in the units of the target; LightGBM's fair_c.
    use: robust regression with gradient boosting, where huber's jump in the second derivative disturbs.
    pitfall: even at |e| = 100 c the slope is 1 percent below its limit c; huber gets there at delta.
    """
    return scale * scale * log_excess(xp, xp.abs(pred - target) / scale)


@loss("regression", source="Feng 2018, arXiv:1711.06753; segmentation_models_pytorch wing_loss", aliases=("wing_loss",))
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


@loss("regression", source="Rice & White 1964, doi:10.1137/1006093", aliases=("power_error",))
def lp(xp, pred: Real, target: Real, *, p: AtLeastOne = 1.5) -> Array:
    """Absolute error to a power: l1 at 1, mse at 2, between them in between.

    formula: |pred - target|^p
    example: [4, 1], [0, 0] -> 4.5
    p: the power; below 2 outliers pull less than in mse, above 2 more.
    use: trading the mean's efficiency against the median's robustness with one number.
    pitfall: it is neither the p-norm of the errors nor its p-th root; at p = 2 it is mse, not rmse.
    """
    return xp.abs(pred - target) ** p


BARRON = "Barron 2019, arXiv:1701.03077"


# No square of what is larger is needed, in float64 and in narrower floats: there all that these losses add is a line, or a
# logarithm.
LARGEST_ROOT, LARGEST_NARROW_ROOT = 1e150, 1e15


def largest_root(x: Array) -> float:
    """What can be squared, and the square halved or doubled, in the float that the array holds."""
    return LARGEST_ROOT if str(x.dtype).endswith("float64") else LARGEST_NARROW_ROOT


def scaled_square(xp: Any, pred: Array, target: Array, scale: float) -> Array:
    """(e / scale)^2 for what has reached its bound long before the square overflows, and has derivative 0 there."""
    ratio = (pred - target) / scale
    largest = largest_root(ratio)
    curved = xp.clip(ratio, -largest, largest)
    return curved * curved


def root_less_one(xp: Any, ratio: Array) -> Array:
    """sqrt(1 + ratio^2) - 1, without cancellation for small ratios and without overflow for large ones."""
    size = xp.abs(ratio)
    curved = at_most(xp, size, largest_root(size))
    square = curved * curved
    return square / (xp.sqrt(1 + square) + 1) + (size - curved)


def log_of_square(xp: Any, ratio: Array, factor: float) -> Array:
    """ln(1 + factor ratio^2), without overflow."""
    size = xp.abs(ratio)
    largest = largest_root(size)
    curved = at_most(xp, size, largest)
    return log_of_one_and(xp, factor * curved * curved) + 2 * xp.log(at_least(xp, size / largest, 1))


@loss(
    "regression",
    source="Charbonnier 1994, doi:10.1109/ICIP.1994.413553; Lai 2017, arXiv:1704.03915; kornia charbonnier_loss",
    aliases=("charbonnier_loss",),
)
def charbonnier(xp, pred: Real, target: Real, *, eps: Positive = 1e-3, shifted: Flag = False) -> Array:
    """A smooth absolute error.

    formula: sqrt(e^2 + eps^2), less eps with shifted, with e = pred - target
    example: [3, 0], [0, 0], eps=4 -> 4.5
    example: [1, -2, 0.5], [0, 0, 0], eps=1, shifted=True -> 0.5894385095409266
    eps: the size of error below which the tip is rounded off.
    shifted: subtract eps, so that a perfect fit costs 0.
    use: image restoration and super-resolution, in place of l1.
    pitfall: papers on super-resolution do not subtract eps, so that a perfect fit costs eps; kornia takes eps=1 and shifted.
    """
    error = pred - target
    if shifted:
        return eps * root_less_one(xp, error / eps)
    size = xp.abs(error)
    curved = at_most(xp, size, largest_root(size))
    return xp.sqrt(curved * curved + eps * eps) + (size - curved)


@loss(
    "regression",
    source="Hartley & Zisserman 2003, Multiple View Geometry, appendix 6.8; XGBoost reg:pseudohubererror",
    aliases=("pseudo_huber_loss", "pseudohuber_error"),
)
def pseudo_huber(xp, pred: Real, target: Real, *, delta: Positive = 1.0) -> Array:
    """A huber that has all derivatives: half the square near zero, a line of slope delta in the tails.

    formula: delta^2 (sqrt(1 + (e/delta)^2) - 1), with e = pred - target
    example: [1, -2, 0.5], [0, 0, 0] -> 0.5894385095409266
    delta: where the square gives way to the line, in the units of the target; XGBoost's huber_slope.
    use: robust regression where second derivatives are needed, as in gradient boosting.
    pitfall: it is not huber: at |e| = delta it is 0.414 delta^2 instead of 0.5 delta^2, and in the tails delta^2/2 less.
    """
    return delta * delta * root_less_one(xp, (pred - target) / delta)


@loss(
    "regression",
    source=f"Black & Anandan 1996, doi:10.1006/cviu.1996.0006; {BARRON}, alpha = 0; kornia cauchy_loss",
    aliases=("lorentzian", "cauchy_loss"),
)
def cauchy(xp, pred: Real, target: Real, *, scale: Positive = 1.0) -> Array:
    """Grows like a logarithm: large errors pull less the larger they are.

    formula: ln(1 + (e/scale)^2 / 2), with e = pred - target
    example: [1, -2, 0.5], [0, 0, 0] -> 0.5406201441442192
    scale: the size of error that still counts as ordinary, in the units of the target.
    use: many outliers, as in optical flow and registration.
    pitfall: it is not convex, so start near the answer, for instance from a fit with l1.
    pitfall: textbooks have c^2/2 ln(1 + (e/c)^2), another scale and another factor: theirs with c = sqrt(2) scale, over c^2/2.
    """
    return log_of_square(xp, (pred - target) / scale, 0.5)


@loss(
    "regression",
    source=f"Dennis & Welsch 1978, doi:10.1080/03610917808812083; {BARRON}, alpha = -inf; kornia welsch_loss",
    aliases=("leclerc", "welsch_loss"),
)
def welsch(xp, pred: Real, target: Real, *, scale: Positive = 1.0) -> Array:
    """Half the scaled square near zero, and never more than 1: what is far off counts, but pulls no more.

    formula: 1 - exp(-(e/scale)^2 / 2), with e = pred - target
    example: [1, -2, 0.5], [0, 0, 0] -> 0.4585457181553862
    scale: the size of error that still counts as ordinary, in the units of the target.
    use: data in which a large part is plain wrong; also known as the correntropy loss.
    pitfall: beyond a few scales the gradient is 0, so a bad start never gets better.
    """
    return -xp.expm1(-0.5 * scaled_square(xp, pred, target, scale))


@loss(
    "regression",
    source=f"Geman & McClure 1985; {BARRON}, alpha = -2; kornia geman_mcclure_loss",
    aliases=("geman_mcclure_loss",),
)
def geman_mcclure(xp, pred: Real, target: Real, *, scale: Positive = 1.0) -> Array:
    """Half the scaled square near zero, and never more than 2.

    formula: 2 (e/scale)^2 / ((e/scale)^2 + 4), with e = pred - target
    example: [1, -2, 0.5], [0, 0, 0] -> 0.5058823529411764
    scale: the size of error that still counts as ordinary, in the units of the target.
    use: robust registration and bundle adjustment.
    pitfall: the original form x^2 / (x^2 + 1) is another scale and another factor: half of this at scale 1/2.
    pitfall: it is not convex, so start near the answer.
    """
    square = scaled_square(xp, pred, target, scale)
    return 2 * square / (square + 4)


@loss(
    "regression",
    source="Beaton & Tukey 1974, doi:10.1080/00401706.1974.10489171",
    aliases=("tukey_biweight", "biweight", "bisquare"),
)
def tukey(xp, pred: Real, target: Real, *, scale: Positive = 4.685) -> Array:
    """Tukey's biweight: errors beyond `scale` all cost the same and pull not at all.

    formula: c^2/6 (1 - (1 - (e/c)^2)^3) where |e| <= c, else c^2/6, with e = pred - target and c = scale
    example: [0, 1, 10], [0, 0, 0] -> 1.3785900889079354
    scale: c, beyond which an error counts as an outlier; 4.685 standard deviations loses 5 percent on normal data.
    use: robust regression after the residuals have been put in units of their spread.
    pitfall: the default is meant for residuals of standard deviation 1; divide by a robust spread first, as 1.4826 MAD.
    pitfall: where every error is beyond scale the gradient is exactly 0.
    """
    square = at_most(xp, scaled_square(xp, pred, target, scale), 1)
    return scale * scale / 6 * square * (3 - square * (3 - square))


@loss("regression", source=BARRON, aliases=("general_robust", "adaptive_robust", "general_adaptive"))
def barron(xp, pred: Real, target: Real, *, alpha: Extended = 1.0, scale: Positive = 1.0) -> Array:
    """One formula for the family: its shape runs from the square (2) over pseudo-huber (1) and cauchy (0) to welsch (-inf).

    formula: |alpha - 2|/alpha (((e/scale)^2 / |alpha - 2| + 1)^(alpha/2) - 1), with its limits at 2, 0 and -inf
    example: [0, 0.5, 1, 2, -10], [0, 0, 0, 0, 0] -> 2.163638229948734
    example: [0, 0.5, 1, 2, -10], [0, 0, 0, 0, 0], alpha=-2 -> 0.6881447963800905
    alpha: the shape; the smaller, the less outliers pull. -2 is geman_mcclure, inf the limit from above.
    scale: the size of error that still counts as ordinary, in the units of the target.
    use: trying out how robust a loss should be with one number.
    pitfall: alpha cannot be learned by minimising this alone, since the smallest always wins; that takes the likelihood's
        normaliser too.
    pitfall: above 2 it grows faster than the square; at inf it is exp((e/scale)^2 / 2) - 1 and soon overflows.
    """
    if alpha == -math.inf:
        return -xp.expm1(-0.5 * scaled_square(xp, pred, target, scale))
    ratio = (pred - target) / scale
    if alpha == math.inf:
        return xp.expm1(0.5 * ratio * ratio)
    if alpha == 0:
        return log_of_square(xp, ratio, 0.5)
    if alpha == 1 and not followed(alpha):
        return root_less_one(xp, ratio)
    bend = abs(alpha - 2)
    return bend / alpha * xp.expm1(0.5 * alpha * log_of_square(xp, ratio, 1 / bend)) if bend else 0.5 * ratio * ratio
