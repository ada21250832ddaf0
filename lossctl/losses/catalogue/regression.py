"""Losses of one real prediction against one real target, also beside the target's own size, or of their logarithms."""

from __future__ import annotations

from typing import Any

from lossctl.losses.loss import Array, Terms, loss
from lossctl.losses.numerics import at_least, followed, held, log_of_one_and, nowhere_nan, raised, share, square_root
from lossctl.losses.words import AboveMinusOne, ElementWeight, Flag, NonNegative, Positive, Real, Scalar, Variance

HALF_LOG_2PI = 0.9189385332046727


def weighted(value: Array, weight: Array | None) -> Terms:
    """Terms of a loss whose mean divides by the sum of element weights, as torch.nn.functional has it."""
    return {"value": value} if weight is None else {"value": value * weight, "weight": weight}


def root(xp: Any, sums: Terms, **_: Any) -> Array:
    """Take the square root once, after all squares are pooled."""
    return square_root(xp, sums["square"] / sums["weight"])


@loss(
    "regression",
    torch="mse_loss",
    spreads=True,
    source="Gauss 1809; torch.nn.MSELoss",
    aliases=("mean_squared_error", "l2", "l2_loss", "squared_error", "quadratic"),
)
def mse(xp, pred: Real, target: Real, *, weight: ElementWeight = None) -> Terms:  # noqa: ARG001
    """Squared error: the mean is what it estimates, and outliers pull hard.

    formula: (pred - target)^2
    example: [2.5, 5, 3], [3, 5, 2.5] -> 0.16666666666666666
    example: [1, 2, 3, 4], [1.5, 2, 1, 8], weight=[1, 2, 3, 4] -> 7.625
    weight: one weight an element; the mean divides by their sum.
    use: regression with noise close to Gaussian; the first choice when nothing speaks against it.
    pitfall: one error of 10 weighs as much as a hundred of 1; compare with l1 or huber before trusting it.
    pitfall: pred of shape (N, 1) against target (N,) broadcasts to N x N pairs in most frameworks; here it is an error.
    """
    error = pred - target
    return weighted(error * error, weight)


@loss(
    "regression",
    torch="l1_loss",
    spreads=True,
    source="Boscovich 1757, Laplace 1793; torch.nn.L1Loss",
    aliases=("mae", "mean_absolute_error", "absolute_error", "lad"),
)
def l1(xp, pred: Real, target: Real, *, weight: ElementWeight = None) -> Terms:
    """Absolute error: the median is what it estimates, and outliers pull no harder than other errors.

    formula: |pred - target|
    example: [2.5, 5, 3], [3, 5, 2.5] -> 0.3333333333333333
    weight: one weight an element; the mean divides by their sum.
    use: regression with outliers that should not decide, or where the error itself is the cost.
    pitfall: the gradient has the same size however small the error, so training needs a falling learning rate.
    """
    return weighted(xp.abs(pred - target), weight)


@loss(
    "regression",
    source="Root of the mean squared error; scikit-learn root_mean_squared_error for one output",
    finish=root,
    spreads=True,
    reductions=("mean",),
    aliases=("root_mean_squared_error", "root_mse", "rms"),
)
def rmse(xp, pred: Real, target: Real) -> Terms:  # noqa: ARG001
    """Root mean squared error: mse in the units of the target.

    formula: sqrt(mean (pred - target)^2) over all elements
    example: [1, 2, 3], [1, 2, 6] -> 1.7320508075688772
    use: reporting regression quality; as an objective it has the same optimum as mse.
    pitfall: the mean of batch RMSEs is not the RMSE of the data; here squares are pooled and the root is taken once.
    pitfall: with several outputs scikit-learn averages one root a column, a different number.
    pitfall: at a perfect fit the gradient is 0 here; torch.sqrt of mse_loss has nan there, from which no training comes back.
    """
    error = pred - target
    return {"square": error * error}


@loss(
    "regression",
    torch="huber_loss",
    spreads=True,
    source="Huber 1964, doi:10.1214/aoms/1177703732; torch.nn.HuberLoss",
    aliases=("huber_loss",),
)
def huber(xp, pred: Real, target: Real, *, weight: ElementWeight = None, delta: Positive = 1.0) -> Array:
    """Squared near zero, absolute in the tails: a mean that outliers cannot drag far.

    formula: e^2/2 where |e| <= delta, else delta (|e| - delta/2), with e = pred - target
    example: [0, 2], [0, 0] -> 0.75
    example: [0.1, 5], [0, 0] -> 2.2525
    weight: one weight an element; the mean divides by the number of elements, as torch does here, unlike in mse and l1.
    delta: where the square gives way to the line, in the units of the target.
    use: regression with some outliers that are errors; box regression.
    pitfall: rescaling the data without rescaling delta makes it another loss.
    pitfall: huber(delta) is delta times smooth_l1(beta=delta); they agree only at 1.
    """
    error = pred - target
    near = xp.clip(error, -delta, delta)
    value = near * (error - 0.5 * near)
    return value if weight is None else value * weight


@loss(
    "regression",
    torch="gaussian_nll_loss",
    source="Nix & Weigend 1994, doi:10.1109/ICNN.1994.374138; torch.nn.GaussianNLLLoss",
    aliases=("gaussian", "gnll", "normal_nll", "heteroscedastic", "gaussian_nll_loss"),
)
def gaussian_nll(xp, pred: Real, target: Real, var: Variance, *, full: Flag = False, eps: NonNegative = 1e-6) -> Array:
    """Negative log-likelihood of a normal distribution whose variance is predicted too.

    formula: (ln v + (pred - target)^2 / v) / 2 with v = max(var, eps), plus ln(2 pi)/2 with full
    example: [[1, 2], [3, 4]], [[1.5, 2], [0, 4]], [[1, 0.5], [2, 1]] -> 0.5937500000000001
    example: [1, 2], [1.5, 2], 2.0, full=True -> 1.2967621234846454
    full: add the constant ln(2 pi)/2.
    eps: the least variance; smaller ones are raised to it.
    use: regression that also says how sure it is.
    pitfall: var is a variance, not a standard deviation and not its logarithm.
    pitfall: for pred (N, D), a var of shape (N,) is one variance a row, not one a column.
    pitfall: where var is below eps the value stands still, but the gradient by var goes on as if var were eps, as in torch:
        central differences show 0 there.
    """
    safe = raised(xp, var, eps)
    error = pred - target
    value = 0.5 * (xp.log(safe) + error * error / safe)
    return value + HALF_LOG_2PI if full else value


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


@loss("regression", source="scikit-learn mean_absolute_percentage_error", aliases=("mean_absolute_percentage_error",))
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


@loss("regression", source="Mean squared percentage error; permetrics MSPE", aliases=("mean_squared_percentage_error",))
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
