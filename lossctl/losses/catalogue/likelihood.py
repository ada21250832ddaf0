"""Negative log-likelihoods of what was observed."""

from typing import Any

from lossctl.errors import BadParameter
from lossctl.losses.catalogue.classification import label_cross_entropy, soft_cross_entropy
from lossctl.losses.loss import Array, Terms, loss
from lossctl.losses.numerics import at_least, either, followed, growing, held, log_softmax, times
from lossctl.losses.words import (
    ClassBias,
    ClassLogProbability,
    ClassMatrix,
    ClassTarget,
    ClassWeight,
    Flag,
    Fraction,
    Integer,
    Label,
    NonNegative,
    NonNegativeReal,
    Probability,
    RateOrLog,
    TrailingWeight,
    Vector,
)

HALF_LOG_2PI = 0.9189385332046727
# torch lets no logarithm in bce fall below this, and no denominator of its gradient below that, which it keeps in float32.
LEAST_LOG, LEAST_SLOPE = -100.0, 9.999999960041972e-13
# The number whose logarithm is the least one.
LEAST = 3.720075976020836e-44


@loss(
    "classification",
    torch="nll_loss",
    source="torch.nn.NLLLoss",
    aliases=("nll_loss", "negative_log_likelihood"),
)
def nll(xp, pred: ClassLogProbability, target: Label, *, weight: ClassWeight = None, ignore_index: Integer = -100) -> Terms:
    """Cross entropy of scores that have been through log_softmax already.

    formula: -w[y] pred[y]; the mean divides by the sum of w[y] over what is not ignored
    example: [[-0.5, -1.5], [-2, -0.25]], [0, 1] -> 0.375
    example: [[-0.5, -1.5], [-2, -0.25]], [0, 0], weight=[1, 3] -> 1.25
    weight: one weight a class.
    ignore_index: the label of samples that count for nothing.
    use: networks whose last layer is log_softmax; otherwise cross_entropy.
    pitfall: pred is log-probabilities; given probabilities it is negative, and no loss.
    pitfall: with class weights the mean of the unreduced values is another number: the divisor is the sum of w[y].
    """
    return label_cross_entropy(xp, pred, target, weight, ignore_index, logs=True)


def refuse_ignored(_: Any, __: Array, ___: Array, linear_weight: Array, target: Array, ignore_index: int, **____: Any) -> None:
    """Probability targets have no index that could be ignored."""
    if target.ndim == linear_weight.ndim and ignore_index >= 0:
        message = f"linear_cross_entropy cannot ignore class {ignore_index} in probability targets."
        raise BadParameter(message, hint="Give class indices as the target, or leave out ignore_index.")


@loss(
    "classification",
    torch="linear_cross_entropy",
    source="torch.nn.LinearCrossEntropyLoss; Wijmans 2024, arXiv:2411.09009",
    aliases=("lce", "fused_ce", "cut_ce", "fused_cross_entropy"),
    guard=refuse_ignored,
)
def linear_cross_entropy(
    xp,
    pred: Vector,
    linear_weight: ClassMatrix,
    target: ClassTarget,
    *,
    linear_bias: ClassBias = None,
    weight: ClassWeight = None,
    ignore_index: Integer = -100,
    label_smoothing: Fraction = 0.0,
) -> Terms:
    """Cross entropy of the last linear layer's scores, from its inputs and its weights: no file of scores is needed.

    formula: cross_entropy(pred linear_weight^T + linear_bias, target)
    example: [[1, 0], [0, 2]], [[1, 0], [0, 1], [1, 1]], [2, 1] -> 0.8103092398688823
    example: [[1, 0], [0, 2]], [[1, 0], [0, 1], [1, 1]], [[0, 0.5, 0.5], [0, 1, 0]] -> 1.0603092398688823
    linear_bias: what the layer adds, one number a class.
    weight: one weight a class; the mean divides by the sum of w[y], as in cross_entropy.
    ignore_index: the label of samples that count for nothing.
    label_smoothing: the share of each target that is spread evenly over the classes.
    use: large vocabularies, where features and weights are far smaller than the scores.
    pitfall: pred is what goes into the last layer, not its scores.
    pitfall: linear_weight has a row a class, as torch.nn.Linear keeps it; a matrix with a column a class must be transposed.
    """
    # Class by class, as short rows are reduced fastest.
    scores = xp.moveaxis(xp.tensordot(linear_weight, pred, axes=((linear_weight.ndim - 1,), (1,))), -1, 0)
    scores = scores if linear_bias is None else scores + linear_bias
    if target.ndim == scores.ndim:
        return soft_cross_entropy(xp, log_softmax(xp, scores, axis=1), target, weight, label_smoothing)
    return label_cross_entropy(xp, scores, target, weight, ignore_index, label_smoothing)


def clamped_log(xp: Any, x: Array, rest: Array, *, of_rest: bool = False) -> Array:
    """The logarithm, but no less than -100, with torch's derivative: rest / max(x rest, 1e-12), where rest is 1 - x.

    `of_rest` takes ln(1 - rest), which keeps the digits that x has lost near 1.
    """
    if not followed(x):
        return at_least(xp, xp.log1p(-rest) if of_rest else xp.log(x), LEAST_LOG)
    low = (x >= 0) & (x <= LEAST)
    safe = xp.where(low, xp.zeros_like(rest), rest) if of_rest else xp.where(low, xp.ones_like(x), x)
    value = xp.where(low, xp.full_like(x, LEAST_LOG), xp.log1p(-safe) if of_rest else xp.log(safe))
    steep = (x >= 0) & (rest >= 0) & (x * rest < LEAST_SLOPE)
    return xp.where(steep, held(xp, value) + (x - held(xp, x)) * held(xp, rest) / LEAST_SLOPE, value)


@loss(
    "classification",
    torch="binary_cross_entropy",
    source="Good 1952; torch.nn.BCELoss",
    aliases=("binary_cross_entropy", "binary_crossentropy"),
)
def bce(xp, pred: Probability, target: Probability, *, weight: TrailingWeight = None) -> Array:
    """Cross entropy of probabilities against 0 and 1, or against probabilities.

    formula: -w (t max(ln p, -100) + (1 - t) max(ln(1 - p), -100)); the mean divides by the number of elements
    example: [0.3, 0.9], [0.2, 0.7] -> 0.6453312024374327
    example: [0.5, 0.2], [1, 0], weight=[2, 4] -> 1.1394342831883648
    weight: multiplies each element, and broadcasts against pred's last axes; the mean does not divide by it.
    use: probabilities that come from elsewhere; with scores bce_with_logits is the better one.
    pitfall: a wrong and certain prediction costs 100 and not infinity, so that the loss stands still while it gets worse.
    pitfall: other libraries cut the probability instead: Keras at 1e-7, which makes 100 a 16.1, scikit-learn at 2.2e-16.
    pitfall: within 1e-12 of 0 and 1 the gradient is (p - t) / 1e-12, as in torch: never larger than 1e12, and not 0 where the
        value stands still at 100. By the target it is that of the value, at most 100; torch's is infinite there.
    """
    rest = 1 - pred
    value = -(target * clamped_log(xp, pred, rest) + (1 - target) * clamped_log(xp, rest, pred, of_rest=True))
    return value if weight is None else value * weight


@loss(
    "regression",
    torch="poisson_nll_loss",
    source="torch.nn.PoissonNLLLoss",
    aliases=("poisson_nll_loss", "poisson_negative_log_likelihood"),
)
def poisson_nll(
    xp, pred: RateOrLog, target: NonNegativeReal, *, log_input: Flag = True, full: Flag = False, eps: NonNegative = 1e-8
) -> Array:
    """Negative log-likelihood of counts under a Poisson distribution whose rate, or its logarithm, is predicted.

    formula: e^x - t x; with log_input=false x - t ln(x + eps); with full plus t ln t - t + ln(2 pi t)/2 where t > 1
    example: [0, 1, -1, 2], [0, 1, 2, 5] -> 0.6188043421402845
    example: [0, 1, -1, 2], [0, 1, 2, 5], full=True -> 1.9744677261894747
    example: [0, 1, 2, 3], [0, 1, 2, 5], log_input=False -> -0.21983896028177624
    log_input: pred is the logarithm of the rate, not the rate.
    full: add Stirling's approximation of ln t!, which does not depend on pred.
    eps: added to the rate inside the logarithm, with log_input=false.
    use: counts: events, visits, photons.
    pitfall: by default pred is the logarithm of the rate; rates need log_input=false.
    pitfall: it may be negative, and is not 0 for a perfect prediction: the part that depends on the target alone is left out.
    pitfall: the mean Poisson deviance of scikit-learn and the Poisson loss of Keras are other numbers.
    """
    value = (xp.exp(pred) if log_input else pred) - times(xp, target, pred if log_input else xp.log(pred + eps), steep=True)
    value = growing(xp, value, lambda: xp.isinf(pred) & xp.isfinite(target))
    if not full:
        return value
    small = target <= 1
    safe = at_least(xp, target, 1)
    stirling = safe * xp.log(safe) - safe + 0.5 * xp.log(safe) + HALF_LOG_2PI
    return value + either(xp, small, xp.zeros_like(value), stirling)
