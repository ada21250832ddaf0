"""Negative log-likelihoods of what was observed, and losses of probabilities as other libraries clip and scale them."""

from typing import Any

from lossctl.errors import BadParameter
from lossctl.losses.catalogue.classification import at_label, counted, label_cross_entropy, one_hot, soft_cross_entropy, to_one
from lossctl.losses.loss import Array, Terms, loss
from lossctl.losses.numerics import at_least, either, followed, growing, held, log_of_one_and, log_softmax, times
from lossctl.losses.words import (
    Chances,
    ClassBias,
    ClassLogProbability,
    ClassMatrix,
    ClassProbability,
    ClassTarget,
    ClassWeight,
    Flag,
    Fraction,
    Integer,
    Label,
    NonNegative,
    NonNegativeReal,
    Positive,
    Probability,
    RateOrLog,
    Scale,
    TrailingWeight,
    Vector,
)

HALF_LOG_2PI = 0.9189385332046727
# torch lets no logarithm in bce fall below this, and no denominator of its gradient below that, which it keeps in float32.
LEAST_LOG, LEAST_SLOPE = -100.0, 9.999999960041972e-13
# The number whose logarithm is the least one.
LEAST = 3.720075976020836e-44


@loss("classification", torch="nll_loss", source="torch.nn.NLLLoss", aliases=("nll_loss", "negative_log_likelihood"))
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


def two_columns(xp: Any, pred: Array) -> Array:
    """Probabilities one a class: a single column is that of class 1."""
    return xp.concat([1 - pred, pred], axis=1) if pred.shape[1] == 1 else pred


@loss("classification", source="Keras BinaryCrossentropy(from_logits=False)", aliases=("keras_bce",))
def binary_crossentropy_prob(
    xp, pred: Probability, target: Probability, *, label_smoothing: Fraction = 0.0, eps: NonNegative = 1e-7
) -> Array:
    """Binary cross-entropy of probabilities as Keras computes it: they are clipped to [eps, 1 - eps].

    formula: -(t ln q + (1 - t) ln(1 - q)), q = clip(pred, eps, 1 - eps), t = target (1 - label_smoothing) + label_smoothing/2
    example: [[0.9, 0.2], [0.4, 0.7]], [[1, 0], [0, 1]] -> 0.2990011586691898
    example: [0], [1] -> 16.11809565095832
    label_smoothing: the share of each target that is moved to 1/2.
    eps: how near to 0 and 1 probabilities may come.
    use: reproducing values of Keras.
    pitfall: a probability of 0 for what happens costs 16.1 here, 100 in torch (bce) and 36.0 in scikit-learn (log_loss).
    pitfall: beyond the clip the gradient is 0, so a network that is sure and wrong learns nothing; train on raw scores.
    """
    clipped = xp.clip(pred, eps, 1 - eps)
    smooth = target * (1 - label_smoothing) + 0.5 * label_smoothing
    return -(smooth * xp.log(clipped) + (1 - smooth) * log_of_one_and(xp, -clipped))


@loss("classification", source="Keras CategoricalCrossentropy(from_logits=False)", aliases=("keras_cce",))
def categorical_crossentropy_prob(
    xp, pred: ClassProbability, target: ClassTarget, *, label_smoothing: Fraction = 0.0, eps: NonNegative = 1e-7
) -> Array:
    """Cross-entropy of probabilities as Keras computes it: rows are divided by their sum, then clipped to [eps, 1 - eps].

    formula: -sum_c t[c] ln clip(pred[c] / sum(pred), eps, 1 - eps), t = target (1 - label_smoothing) + label_smoothing/C
    example: [[0.9, 0.2], [0.4, 0.7]], [[1, 0], [0, 1]] -> 0.3263279096026043
    example: [[0.9, 0.2], [0.4, 0.7]], [0, 1] -> 0.3263279096026043
    label_smoothing: the share of each target that is spread evenly over the classes.
    eps: how near to 0 and 1 probabilities may come.
    use: reproducing values of Keras.
    pitfall: rows that do not add up to 1 pass unseen, since they are made to, as in Keras, for one-hot and whole labels alike.
    pitfall: Keras' CategoricalGeneralizedCrossEntropy divides no row by its sum; generalized_cross_entropy does not either.
    """
    smooth = one_hot(xp, target, pred) * (1 - label_smoothing) + label_smoothing / pred.shape[1]
    return -xp.sum(smooth * xp.log(xp.clip(to_one(xp, pred), eps, 1 - eps)), axis=1)


@loss("classification", source="Good 1952; sklearn.metrics.log_loss", aliases=("sklearn_log_loss",))
def log_loss(xp, pred: Chances, target: Label, *, ignore_index: Integer = -100) -> Terms:
    """Cross-entropy of probabilities as scikit-learn computes it: they are clipped to [eps, 1 - eps] of their type.

    formula: -ln clip(p[y], eps, 1 - eps), eps the distance from 1 to the next number: 2.2e-16, and 1.2e-7 for float32
    example: [0.1, 0.7], [0, 1] -> 0.23101772979827936
    example: [[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]], [0, 1] -> 1.329630018466389
    ignore_index: the label of samples that count for nothing.
    use: judging predicted probabilities, of two classes (N) or more (N, C).
    pitfall: a single column is the probability of class 1; rows of several must add up to 1, which is not checked.
    pitfall: a probability of 0 for what happens costs 36.04 in float64 and 15.94 with --dtype f32; 100 in torch (bce).
    """
    eps = float(xp.finfo(pred.dtype).eps)
    chosen = at_label(xp, two_columns(xp, pred), target, ignore_index)
    return counted(xp, -xp.log(xp.clip(chosen, eps, 1 - eps)), target, ignore_index)


@loss(
    "classification",
    source="Brier 1950, doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2; sklearn.metrics.brier_score_loss",
    aliases=("brier_score", "quadratic_score", "brier_score_loss"),
)
def brier(xp, pred: Chances, target: Label, *, scale: Scale = "auto", ignore_index: Integer = -100) -> Terms:
    """Squared error of probabilities: a proper score that is bounded, unlike cross-entropy.

    formula: s sum_c (p[c] - [c = y])^2; s = 1/2 for two classes and 1 for more (auto), 1/2 (half) or 1 (full)
    example: [0.1, 0.7], [0, 1] -> 0.05
    example: [0.1, 0.7], [0, 1], scale="full" -> 0.1
    example: [[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]], [0, 2] -> 0.1
    scale: auto halves the sum for two classes, where it then is (p - y)^2; half and full say it for any number.
    ignore_index: the label of samples that count for nothing.
    use: judging predicted probabilities, of two classes (N) or more (N, C), with no sample that decides alone.
    pitfall: Brier's own definition is the full sum, from 0 to 2; the halved one goes from 0 to 1. Say which one you report.
    pitfall: a single column is the probability of class 1.
    """
    both = two_columns(xp, pred)
    error = both - one_hot(xp, target, both)
    halved = scale == "half" or (scale == "auto" and both.shape[1] <= 2)  # noqa: PLR2004 - two classes
    return counted(xp, (0.5 if halved else 1.0) * xp.sum(error * error, axis=1), target, ignore_index)


@loss(
    "classification",
    source="Zhang & Sabuncu 2018, arXiv:1805.07836; Keras CategoricalGeneralizedCrossEntropy",
    aliases=("gce", "lq"),
)
def generalized_cross_entropy(
    xp, pred: ClassProbability, target: Label, *, q: Positive = 0.5, ignore_index: Integer = -100
) -> Terms:
    """Between cross-entropy (q to 0) and absolute error (q = 1): it bears labels that are wrong.

    formula: (1 - p[y]^q) / q
    example: [[0.9, 0.2], [0.4, 0.7]], [0, 1] -> 0.21465667541541067
    q: larger bears more wrong labels and learns more slowly; the paper takes 0.7.
    ignore_index: the label of samples that count for nothing.
    use: training on labels of which some are wrong.
    pitfall: probabilities are wanted, not raw scores; the slope at p[y] = 0 is infinite.
    pitfall: rows are used as they are, as in Keras: they should add up to 1.
    """
    chosen = at_label(xp, pred, target, ignore_index)
    some = chosen > 0
    one = xp.ones_like(chosen)
    value = -xp.expm1(q * xp.log(xp.where(some, chosen, one))) / q
    return counted(xp, xp.where(some, value, (1 - xp.where(some, one, chosen) ** q) / q), target, ignore_index)
