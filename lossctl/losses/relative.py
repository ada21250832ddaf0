"""Losses of an error beside the target's own size, or of their logarithms."""

from typing import Any

from lossctl.loss import Terms, loss
from lossctl.losses.regression import root
from lossctl.numerics import at_least, followed, held, log_of_one_and, nowhere_nan, share
from lossctl.words import AboveMinusOne, Array, Flag, NonNegative, Real, Scalar

# scikit-learn's.
SMALLEST = 2.220446049250313e-16


def ratio(xp: Any, sums: Terms, **_: Any) -> Array:
    """Divide the pooled errors by the pooled sizes; nothing by nothing is 0."""
    return share(xp, sums["error"], sums["size"])


def log_error(xp: Any, pred: Array, target: Array) -> Array:
    """ln(1 + pred) - ln(1 + target); of nearly equal numbers from their difference, which is exact."""
    apart, size = pred - target, 1 + target
    near = xp.abs(apart) < 0.5 * size
    nothing, one = xp.zeros_like(apart), xp.ones_like(apart)
    close = log_of_one_and(xp, xp.where(near, apart, nothing) / xp.where(near, size, one))
    far = log_of_one_and(xp, xp.where(near, nothing, pred)) - log_of_one_and(xp, xp.where(near, nothing, target))
    return xp.where(near, close, far)


def relative_error(xp: Any, pred: Array, target: Array, eps: float) -> Array:
    """(pred - target) / max(|target|, eps), and the limit -1 or 1 where only the target is infinite."""
    apart, size = pred - target, at_least(xp, xp.abs(target), eps)
    error = apart / size
    if nowhere_nan(xp, error):
        return error
    far = xp.isinf(target) & xp.isfinite(pred)
    one = xp.ones_like(apart)
    return xp.where(far, -xp.sign(held(xp, target)), xp.where(far, one, apart) / xp.where(far, one, size))


@loss(
    "regression",
    source="scikit-learn mean_squared_log_error; keras.losses.MeanSquaredLogarithmicError; XGBoost reg:squaredlogerror",
    aliases=("mean_squared_logarithmic_error", "mean_squared_log_error", "squared_log_error"),
)
def msle(xp, pred: AboveMinusOne, target: AboveMinusOne, *, floor: Scalar = -1.0) -> Array:
    """Squared error of logarithms: it is the ratio that counts, and predicting too low costs more than too high.

    formula: (ln(1 + pred) - ln(1 + target))^2
    example: [1, 2, 3, 4], [1.5, 2, 1, 8] -> 0.21893480546201877
    floor: numbers below it are raised to it first: -1 raises none, Keras takes 1e-7.
    use: counts, prices and other targets that grow over orders of magnitude.
    pitfall: numbers of -1 and below are refused, as scikit-learn does; Keras silently raises all negative ones
        to 1e-7, which is floor=1e-7 here.
    pitfall: a model trained on it predicts close to the median, and too low for sums.
    """
    if floor > -1 or followed(floor):
        pred, target = at_least(xp, pred, floor), at_least(xp, target, floor)
    error = log_error(xp, pred, target)
    return error * error


@loss(
    "regression",
    source="scikit-learn root_mean_squared_log_error",
    finish=root,
    reductions=("mean",),
    aliases=("root_mean_squared_log_error", "root_mean_squared_logarithmic_error"),
)
def rmsle(xp, pred: AboveMinusOne, target: AboveMinusOne) -> Terms:
    """Root of msle: about the relative error of a typical prediction.

    formula: sqrt(mean (ln(1 + pred) - ln(1 + target))^2)
    example: [1, 2, 3, 4], [1.5, 2, 1, 8] -> 0.46790469698648973
    use: reporting; it is the score of several forecasting competitions.
    pitfall: the mean of batch RMSLEs is not the RMSLE of the data; here squares are pooled and the root is taken once.
    """
    error = log_error(xp, pred, target)
    return {"square": error * error}


@loss(
    "regression",
    source="scikit-learn mean_absolute_percentage_error",
    aliases=("mean_absolute_percentage_error",),
)
def mape(xp, pred: Real, target: Real, *, eps: NonNegative = SMALLEST, percent: Flag = False) -> Array:
    """Absolute error as a share of the target.

    formula: |pred - target| / max(|target|, eps), times 100 with percent
    example: [1, 2, 3, 4], [1.5, 2, 1, 8] -> 0.7083333333333334
    example: [1, 2, 3, 4], [1.5, 2, 1, 8], percent=True -> 70.83333333333333
    eps: the least that is divided by; Keras takes 1e-7.
    percent: multiply by 100, as Keras does; scikit-learn does not.
    use: reporting to people, for targets far from zero.
    pitfall: one target of 0 makes it astronomical, 4.5e15 for an error of 1; use wape, smape or mase.
    pitfall: minimising it favours predictions that are too low: those cost at most 1, too high ones any amount.
    """
    value = xp.abs(relative_error(xp, pred, target, eps))
    return 100 * value if percent else value


@loss(
    "regression",
    source="Mean squared percentage error; permetrics MSPE",
    aliases=("mean_squared_percentage_error",),
)
def mspe(xp, pred: Real, target: Real, *, eps: NonNegative = SMALLEST) -> Array:
    """Squared error as a share of the squared target.

    formula: ((pred - target) / max(|target|, eps))^2
    example: [1, 2, 3, 4], [1.5, 2, 1, 8] -> 1.0902777777777777
    eps: the least that is divided by.
    use: relative errors where large ones should count more; its root is rmspe.
    pitfall: one target close to 0 decides everything.
    """
    error = relative_error(xp, pred, target, eps)
    return error * error


@loss(
    "regression",
    source="Root mean squared percentage error; Rossmann Store Sales and Optiver competitions",
    finish=root,
    reductions=("mean",),
    aliases=("root_mean_squared_percentage_error",),
)
def rmspe(xp, pred: Real, target: Real, *, eps: NonNegative = SMALLEST) -> Terms:
    """Root of mspe: a typical error as a share of the target.

    formula: sqrt(mean ((pred - target) / max(|target|, eps))^2)
    example: [1, 2, 3, 4], [1.5, 2, 1, 8] -> 1.044163673845139
    eps: the least that is divided by.
    use: the score of several forecasting competitions.
    pitfall: it is a fraction; multiply by 100 for percent.
    pitfall: some competitions leave out rows whose target is 0; do so with --mask, since one of them decides everything.
    """
    error = relative_error(xp, pred, target, eps)
    return {"square": error * error}


@loss(
    "regression",
    source="Makridakis 1993, doi:10.1016/0169-2070(93)90079-3; torchmetrics SymmetricMeanAbsolutePercentageError",
    aliases=("symmetric_mape", "symmetric_mean_absolute_percentage_error"),
)
def smape(xp, pred: Real, target: Real, *, bounded: Flag = False, percent: Flag = False) -> Array:
    """Absolute error as a share of the mean size of prediction and target, 0 where both are 0.

    formula: 2 |pred - target| / (|pred| + |target|); half of it with bounded; times 100 with percent
    example: [1, 2, 3, 4], [1.5, 2, 1, 8] -> 0.5166666666666666
    example: [1, 2, 3, 4], [1.5, 2, 1, 8], bounded=True -> 0.2583333333333333
    bounded: divide by the sum of both sizes, not their mean, so that it lies between 0 and 1 instead of 0 and 2.
    percent: multiply by 100.
    use: forecasts of series that touch zero, where mape breaks down.
    pitfall: two definitions are in use, one twice the other; say which when you report it.
    pitfall: where the target is 0 every prediction but 0 costs the same, however small.
    """
    apart, size = xp.abs(pred - target), xp.abs(pred) + xp.abs(target)
    value = share(xp, apart, size)
    if not nowhere_nan(xp, value):
        far = xp.isinf(apart)
        one = xp.ones_like(apart)
        value = xp.where(far, one, share(xp, xp.where(far, one, apart), xp.where(far, one, size)))
    return value * ((1 if bounded else 2) * (100 if percent else 1))


@loss(
    "regression",
    source="Kolassa & Schuetz 2007, Foresight 6; torchmetrics WeightedMeanAbsolutePercentageError",
    finish=ratio,
    reductions=("mean",),
    aliases=("wmape", "weighted_mape", "weighted_mean_absolute_percentage_error", "nd", "normalized_deviation"),
)
def wape(xp, pred: Real, target: Real) -> Terms:
    """All absolute errors together, as a share of all targets together.

    formula: sum |pred - target| / sum |target|
    example: [1, 2, 3, 4], [1.5, 2, 1, 8] -> 0.52
    use: percentage errors for series with zeros and small values, as in demand and traffic.
    pitfall: large targets decide; a product that sells little may be forecast at random and hardly shows.
    """
    return {"error": xp.abs(pred - target), "size": xp.abs(target)}
