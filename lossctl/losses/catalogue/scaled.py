"""Losses of an error in units of something else (the error of a naive forecast, the target's spread), and smoothed ones."""

from __future__ import annotations

from typing import Any

from lossctl.errors import BadParameter, OutOfDomain
from lossctl.losses.catalogue.fit import centred
from lossctl.losses.catalogue.regression import root
from lossctl.losses.loss import Array, Terms, loss
from lossctl.losses.numerics import held, share, square_root
from lossctl.losses.words import Count, NonNegative, Real, Series, Spread

# The least that sktime divides by.
SMALLEST_SCALE = 2.220446049250313e-16


def against_constant(xp: Any, sums: Terms, **_: Any) -> Array:
    """Errors beside those of the mean."""
    return share(xp, sums["error"], sums["spread"])


def against_spread(xp: Any, sums: Terms, **_: Any) -> Array:
    """The root of the mean square, beside the spread, which is one number."""
    return share(xp, square_root(xp, sums["square"] / sums["weight"]), sums["spread"])


def check_mase(xp: Any, _: Array, __: Array, ___: Array, train: Array, m: int, eps: float) -> None:
    """Refuse a series that gives no scale: one shorter than the season, or one that does not change from season to season."""
    check_season(train, m)
    check_scale(float(held(xp, xp.mean(xp.abs(train[m:] - train[:-m])))), eps, m, "is off by {} on average")


def check_rmsse(xp: Any, _: Array, __: Array, ___: Array, train: Array, m: int, eps: float) -> None:
    """The same by the mean square."""
    check_season(train, m)
    check_scale(float(held(xp, xp.mean((train[m:] - train[:-m]) ** 2))), eps, m, "has a mean square error of {}")


def check_scale(scale: float, eps: float, m: int, says: str) -> None:
    """Refuse to divide by a guard against 0 that nobody has chosen, in place of a scale that is not there."""
    if scale > eps or eps != SMALLEST_SCALE:
        return
    steps = "the value before" if m == 1 else f"the value {m} steps before"
    message = f"train: forecasting each value as {steps} {says.format(f'{scale:g}')}, so that there is no scale to divide by."
    hint = "Give a series that changes, or another m; a series in tiny units needs -p eps=0, and -p eps=E divides by E or more."
    raise OutOfDomain(message, hint=hint)


def check_season(train: Array, m: int) -> None:
    """A season as long as the series leaves nothing to compare."""
    if m >= train.shape[0]:
        message = f"m={m}, but the series that was trained on has {train.shape[0]} values, none of them {m} steps apart."
        raise BadParameter(message, hint=f"m must lie in 1..{max(1, train.shape[0] - 1)}; a series needs at least 2 values.")


@loss(
    "regression",
    source="Hyndman & Koehler 2006, doi:10.1016/j.ijforecast.2006.03.001",
    aliases=("mean_absolute_scaled_error", "scaled_error"),
    guard=check_mase,
)
def mase(xp, pred: Real, target: Real, train: Series, *, m: Count = 1, eps: NonNegative = SMALLEST_SCALE) -> Array:
    """Absolute error in units of what the naive forecast, the value one season ago, was off by in training.

    formula: |pred - target| / max(mean |y_t - y_(t-m)|, eps), y being the training series
    example: [6, 8], [7, 10], [1, 2, 4, 5] -> 1.125
    m: the length of the season: 1 for none, 12 for months, 24 for hours.
    eps: the least that is divided by.
    use: comparing forecasts over series of different scale; below 1 they beat the naive forecast.
    pitfall: the scale comes from the training series, not from the values to forecast.
    pitfall: one scale for all rows: give one series at a time.
    pitfall: a series that does not change has no scale and is refused; sktime divides by eps and gives 1e15 without a word.
    """
    naive = xp.mean(xp.abs(train[m:] - train[:-m]))
    return xp.abs(pred - target) / xp.clip(naive, eps, None)


@loss(
    "regression",
    source="Hyndman & Koehler 2006, doi:10.1016/j.ijforecast.2006.03.001; M5 competition",
    finish=root,
    reductions=("mean",),
    aliases=("root_mean_squared_scaled_error",),
    guard=check_rmsse,
)
def rmsse(xp, pred: Real, target: Real, train: Series, *, m: Count = 1, eps: NonNegative = SMALLEST_SCALE) -> Terms:
    """Root mean squared error in units of the naive forecast's in training.

    formula: sqrt(mean (pred - target)^2 / max(mean (y_t - y_(t-m))^2, eps)), y being the training series
    example: [6, 8], [7, 10], [1, 2, 4, 5] -> 1.118033988749895
    m: the length of the season: 1 for none, 12 for months, 24 for hours.
    eps: the least that is divided by.
    use: the score of the M5 competition; like mase, for forecasts of means.
    pitfall: a series that does not change has no scale and is refused.
    pitfall: M5 leaves out the zeros before a product's first sale; cut the series yourself.
    """
    step = train[m:] - train[:-m]
    error = pred - target
    return {"square": error * error / xp.clip(xp.mean(step * step), eps, None)}


@loss(
    "regression",
    source="Witten & Frank, Data Mining, 5.8: relative squared error",
    finish=against_constant,
    whole=True,
    reductions=("mean",),
    aliases=("relative_squared_error", "rse"),
)
def relative_mse(xp, pred: Real, target: Real) -> Terms:
    """Squared errors beside those of predicting the mean, all columns pooled.

    formula: sum (pred - target)^2 / sum (target - mean target)^2; each column has its mean
    example: [1, 2, 3, 4], [1.5, 2, 1, 8] -> 0.629126213592233
    use: errors without units; below 1 a model beats the mean.
    pitfall: for one column it is r2_loss; with several it pools their sums, which favours those of large spread.
    pitfall: the mean is the target's own, which no forecast could have known.
    """
    return {"error": (pred - target) ** 2, "spread": centred(xp, target) ** 2}


@loss(
    "regression",
    source="Normalized root mean square deviation, by the range, deviation or mean of the target",
    finish=against_spread,
    whole=True,
    reductions=("mean",),
    aliases=("normalized_rmse", "normalised_rmse", "nrmsd"),
)
def nrmse(xp, pred: Real, target: Real, *, by: Spread = "range") -> Terms:
    """The root mean squared error in units of the target's range, standard deviation or mean.

    formula: sqrt(mean (pred - target)^2) / s, with s = max target - min target, or its standard deviation, or |mean target|
    example: [1, 2, 3, 4], [1.5, 2, 1, 8] -> 0.32142857142857145
    example: [1, 2, 3, 4], [1.5, 2, 1, 8], by="std" -> 0.7931747686306172
    by: what s is: range, std (dividing by n) or mean.
    use: comparing errors over targets of different units.
    pitfall: at least three definitions are in use and differ several times over; say which when you report it.
    pitfall: the range is made of the two most extreme targets, and grows with the size of the data.
    """
    spreads = {"range": xp.max(target) - xp.min(target), "std": xp.std(target), "mean": xp.abs(xp.mean(target))}
    return {"square": (pred - target) ** 2, "spread": spreads[by]}


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
