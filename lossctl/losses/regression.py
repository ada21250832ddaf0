"""Losses of one real prediction against one real target."""

from typing import Any

from lossctl.loss import Terms, loss
from lossctl.numerics import raised, square_root
from lossctl.words import Array, ElementWeight, Flag, NonNegative, Positive, Real, Variance

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
