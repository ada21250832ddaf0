"""A loss of one's own: the terms of each sample, a word for each input, and a docstring that is its page."""

from lossctl.loss import loss
from lossctl.words import Array, Real


@loss("regression", source="this file")
def log_cosh(xp, pred: Real, target: Real) -> Array:
    """Logarithm of the hyperbolic cosine of the error: square near zero, linear far out.

    formula: log(cosh(pred - target))
    example: [0.5], [0] -> 0.12011450695827751
    use: regression with a few outliers, where a second derivative everywhere helps.
    pitfall: the width of the square part is fixed at about 1, in the units of the target.
    """
    size = xp.abs(pred - target)
    return size + xp.log1p(xp.exp(-2 * size)) - 0.6931471805599453
