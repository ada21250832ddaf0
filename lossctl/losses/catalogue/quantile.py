"""Losses that make a prediction a quantile, an expectile or an interval: errors to either side cost differently."""

from typing import Any

from lossctl.losses.loss import Array, loss
from lossctl.losses.numerics import at_least
from lossctl.losses.words import Fraction, OneReal, Positive, PositiveFraction, QuantileColumns, Quantiles, Real


def tilted(xp: Any, short: Array, q: float | Array) -> Array:
    """Add up the costs: q times what a prediction is short by, or 1 - q times what it is over."""
    return xp.maximum(q * short, (q - 1) * short)


def one_sided(xp: Any, short: Array, q: float) -> Array:
    """The factor of each side: 1 - q where the prediction is too high, else q."""
    over = xp.astype(short < 0, short.dtype)
    return over + (1 - 2 * over) * q


@loss(
    "regression",
    source="Koenker & Bassett 1978, doi:10.2307/1913643; scikit-learn mean_pinball_loss",
    aliases=("quantile", "quantile_loss", "tilted", "tilted_loss", "check", "check_loss", "mean_pinball_loss"),
)
def pinball(xp, pred: Real, target: Real, *, q: Fraction = 0.5) -> Array:
    """The loss whose minimum is the q-quantile: predicting too low costs q, too high 1 - q for each unit.

    formula: max(q (target - pred), (q - 1)(target - pred))
    example: [1, 2, 3, 4], [1.5, 2, 1, 8], q=0.9 -> 1.0625
    example: [1, 2, 3, 4], [1.5, 2, 1, 8] -> 0.8125
    q: the quantile, from 0 to 1.
    use: predicting a quantile: stock levels, upper bounds, intervals from two models.
    pitfall: at q = 0.5 it is half of l1, not l1.
    pitfall: values at different q are on different scales and cannot be compared with one another.
    """
    return tilted(xp, target - pred, q)


@loss(
    "regression",
    source="Koenker & Bassett 1978, doi:10.2307/1913643; Gneiting 2011, doi:10.1016/j.ijforecast.2009.12.015",
    aliases=("multi_quantile", "multi_quantile_loss"),
)
def multi_pinball(xp, pred: QuantileColumns, target: OneReal, *, quantiles: Quantiles = None) -> Array:
    """The pinball loss for several quantiles of the same number at once, one a column of the prediction.

    formula: max(q_j (t_i - p_ij), (q_j - 1)(t_i - p_ij)) for column j, averaged over rows and columns
    example: [[1, 2, 3], [2, 4, 6]], [2, 7], quantiles=[0.1, 0.5, 0.9] -> 0.5166666666666667
    example: [[1, 2, 3], [2, 4, 6]], [2, 7] -> 0.6666666666666666
    quantiles: the quantile of each column; evenly spaced if not given, 0.25, 0.5, 0.75 for three.
    use: probabilistic forecasts given as quantiles; twice the mean approaches the CRPS as they get dense.
    pitfall: it does not ask that quantiles are in order; sort crossing ones before use.
    pitfall: the mean is over rows and columns; some papers add up the columns.
    """
    columns = pred.shape[1]
    steps = xp.arange(1, columns + 1, dtype=pred.dtype, device=pred.device) / (columns + 1)
    return tilted(xp, target[:, None] - pred, (steps if quantiles is None else quantiles)[None, :])


@loss(
    "regression",
    source="Newey & Powell 1987, doi:10.2307/1911031",
    aliases=("asymmetric_mse", "asymmetric_squared_error", "expectile_loss"),
)
def expectile(xp, pred: Real, target: Real, *, tau: Fraction = 0.5) -> Array:
    """Squared error that costs more to one side: its minimum is the tau-expectile.

    formula: |tau - [target < pred]| (target - pred)^2
    example: [1, 2, 3, 4], [1.5, 2, 1, 8], tau=0.9 -> 3.75625
    tau: the share of predicting too low; 0.5 gives the mean.
    use: asymmetric costs that grow with the square; value functions in offline reinforcement learning (IQL).
    pitfall: at tau = 0.5 it is half of mse, not mse.
    pitfall: an expectile is not a quantile: the 0.9-expectile of a normal distribution is its 0.81-quantile.
    """
    short = target - pred
    return one_sided(xp, short, tau) * short * short


@loss("regression", source="Dabney 2018, arXiv:1710.10044", aliases=("huber_quantile", "quantile_huber_loss"))
def quantile_huber(xp, pred: Real, target: Real, *, q: Fraction = 0.5, kappa: Positive = 1.0) -> Array:
    """The pinball loss with its tip rounded off, as distributional reinforcement learning uses it.

    formula: |q - [u < 0]| huber_kappa(u) / kappa, with u = target - pred
    example: [1, 2, 3, 4], [1.5, 2, 1, 8], q=0.9 -> 0.8531249999999999
    q: the quantile, from 0 to 1.
    kappa: below which size of error the square takes over, in the units of the target.
    use: QR-DQN and its kin; quantile regression with optimisers that want a smooth gradient.
    pitfall: some implementations do not divide by kappa; they agree only at kappa = 1.
    pitfall: with a large kappa the minimum moves from the quantile towards the expectile.
    """
    short = target - pred
    near = xp.clip(short, -kappa, kappa)
    return one_sided(xp, short, q) * near * (short - 0.5 * near) / kappa


@loss(
    "regression",
    source="Winkler 1972, doi:10.1080/01621459.1972.10481224; Gneiting & Raftery 2007, doi:10.1198/016214506000001437",
    aliases=("winkler", "winkler_score", "mean_interval_score"),
)
def interval_score(xp, lower: Real, upper: Real, target: Real, *, alpha: PositiveFraction = 0.1) -> Array:
    """How wide a prediction interval is, and how far the truth lies outside of it.

    formula: upper - lower + 2/alpha (max(0, lower - target) + max(0, target - upper))
    example: [1], [2], [2.5] -> 11.0
    alpha: the share of cases that may fall outside: 0.1 for an interval of 90 percent.
    use: comparing forecasts given as intervals; the ends that minimise it are the alpha/2 and 1 - alpha/2 quantiles.
    pitfall: alpha is the share outside: 0.1, not 0.9, for an interval of 90 percent.
    pitfall: intervals whose ends have changed places get a negative width; sort them first.
    """
    outside = at_least(xp, lower - target, 0) + at_least(xp, target - upper, 0)
    return upper - lower + 2 / alpha * outside
