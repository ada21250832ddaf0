"""How good a fit is beside the best constant, its middle and worst error, and deviances.

A deviance is twice what a prediction lacks in log-likelihood against the perfect one. What is centred or sorted cannot be
pooled from parts, so such losses read everything at once. Each column of an array with further axes is scored by itself, then
averaged, as scikit-learn does. A score of fewer than two samples is nan; where the target is constant, a perfect fit scores 1
and any other 0.
"""

from __future__ import annotations

import math
from typing import Any

from lossctl.errors import BadParameter, OutOfDomain
from lossctl.losses.catalogue.quantile import tilted
from lossctl.losses.loss import Array, Terms, loss
from lossctl.losses.numerics import NEAR_POWER, entropy_unit, gamma_excess, growing, held, power_excess, relu, x_log_y
from lossctl.losses.words import Fraction, NonNegative, NonNegativeReal, PositiveReal, Real, VariancePower


def tweedie_unit(xp: Any, pred: Array, target: Array, power: float) -> Array:
    """The deviance whose variance is the mean to `power`, as scikit-learn writes it."""
    if power == 0:
        return (target - pred) ** 2
    if power == 1:
        return 2 * entropy_unit(xp, target, pred)
    if power == 2:  # noqa: PLR2004 - the gamma distribution's power
        return 2 * gamma_excess(xp, target, pred)
    one, two = 1 - power, 2 - power
    # Nearly equal numbers, and powers so near to 1 and 2 that it divides by next to nothing.
    close = min(abs(one), abs(two)) < NEAR_POWER
    alike = (pred > 0) & (target > 0) & (close | (xp.abs(target - pred) < 0.5 * pred))
    ones = xp.ones_like(pred)
    near = pred**two * power_excess(xp, xp.where(alike, target, ones), xp.where(alike, pred, ones), two, one)
    far = xp.where(alike, ones, target)
    size = relu(xp, far) if power < 0 else far
    direct = size**two / (one * two) - far * pred**one / one + pred**two / two
    return 2 * growing(xp, xp.where(alike, near, direct), lambda: xp.isinf(pred) != xp.isinf(target))


def check_power(xp: Any, index: Array, pred: Array, target: Array, power: float, **_: Any) -> None:
    """Refuse powers that no distribution has, and numbers that the one of this power does not give."""
    if 0 < power < 1:
        message = f"power={power:g}, and there is no distribution with a power between 0 and 1."
        raise BadParameter(message, hint="0 is normal, 1 Poisson, between 1 and 2 a mixture with zeros, 2 gamma.")
    if power != 0:
        _refuse(xp, index, pred <= 0, "pred", f"power={power:g} takes predictions > 0")
    if power >= 2:  # noqa: PLR2004 - the gamma distribution's power
        _refuse(xp, index, target <= 0, "target", f"power={power:g} takes targets > 0")
    elif power >= 1:
        _refuse(xp, index, target < 0, "target", f"power={power:g} takes targets >= 0")


def _refuse(xp: Any, index: Array, wrong: Array, name: str, rule: str) -> None:
    if xp.any(wrong):
        rows = xp.any(xp.reshape(wrong, (wrong.shape[0], -1)), axis=1)
        sample = int(index[int(xp.argmax(xp.astype(rows, xp.int8)))])
        message = f"{name} at sample {sample} is outside: {rule}."
        raise OutOfDomain(message, hint="Choose another power with -p power=P, or correct the data.")


@loss(
    "regression",
    source="McCullagh & Nelder 1989, Generalized Linear Models; scikit-learn mean_poisson_deviance",
    aliases=("mean_poisson_deviance",),
)
def poisson_deviance(xp, pred: PositiveReal, target: NonNegativeReal) -> Array:
    """How much less likely counts are under the predicted rates than under perfect ones.

    formula: 2 (t ln(t/p) - t + p), with 0 ln 0 = 0
    example: [1, 2, 3, 4], [1.5, 2, 1, 8] -> 1.2773814089868494
    use: counts and frequencies predicted as rates.
    pitfall: pred is the rate itself; if the model gives its logarithm, use poisson_nll or take exp first.
    pitfall: it is 0 for a perfect fit, unlike poisson_nll, from which it differs by a function of the target.
    """
    return 2 * entropy_unit(xp, target, pred)


@loss(
    "regression",
    source="McCullagh & Nelder 1989, Generalized Linear Models; scikit-learn mean_gamma_deviance",
    aliases=("mean_gamma_deviance",),
)
def gamma_deviance(xp, pred: PositiveReal, target: PositiveReal) -> Array:
    """How much less likely amounts are under predicted gamma distributions than under perfect ones.

    formula: 2 (ln(p/t) + t/p - 1)
    example: [1, 2, 3, 4], [1.5, 2, 1, 8] -> 0.41666666666666663
    use: positive amounts whose spread grows with their size: claims, durations, rainfall.
    pitfall: only the ratio counts: scaling prediction and target alike changes nothing.
    pitfall: targets of 0 are refused; use tweedie_deviance with a power between 1 and 2.
    """
    return 2 * gamma_excess(xp, target, pred)


@loss(
    "regression",
    source="Jorgensen 1987; scikit-learn mean_tweedie_deviance",
    aliases=("tweedie", "mean_tweedie_deviance"),
    guard=check_power,
)
def tweedie_deviance(xp, pred: Real, target: Real, *, power: VariancePower = 0.0) -> Array:
    """The deviances of normal, Poisson and gamma distributions and of those between them, by one number.

    formula: 2 (t^(2-k) / ((1-k)(2-k)) - t p^(1-k) / (1-k) + p^(2-k) / (2-k)), k = power; (t - p)^2 at 0, limits at 1 and 2
    example: [1, 2, 3, 4], [1.5, 2, 1, 8] -> 5.0625
    example: [1, 2, 3, 4], [1.5, 2, 1, 8], power=1.5 -> 0.7030570844829445
    power: the variance grows as the mean to this power: 0 normal, 1 Poisson, 2 gamma, 3 inverse Gaussian.
    use: insurance claims, rainfall and sales, many of them exactly 0, with a power between 1 and 2.
    pitfall: at the default power 0 it is mse; XGBoost and LightGBM start from 1.5.
    pitfall: powers between 0 and 1 do not exist; from 1 on targets must be >= 0, from 2 on > 0, and predictions > 0.
    """
    return tweedie_unit(xp, pred, target, power)


@loss("regression", source="keras.losses.Poisson")
def keras_poisson(xp, pred: NonNegativeReal, target: NonNegativeReal, *, eps: NonNegative = 1e-7) -> Array:
    """What Keras calls Poisson: the negative log-likelihood of counts given rates, without its constant.

    formula: pred - target ln(pred + eps)
    example: [1, 2, 3, 4], [1.5, 2, 1, 8] -> -0.8938155055201116
    eps: keeps the logarithm finite at a rate of 0.
    use: reproducing Keras.
    pitfall: it may be negative, and a perfect fit is not 0; poisson_deviance is.
    pitfall: pred is the rate; torch's poisson_nll takes its logarithm unless told otherwise.
    """
    return growing(xp, pred - x_log_y(xp, target, pred + eps), lambda: xp.isinf(pred) & xp.isfinite(target))


ALIKE: dict[str, Any] = {"reductions": ("mean",), "whole": True}


def by_column(xp: Any, sums: Terms, **_: Any) -> Array:  # noqa: ARG001 - every finish has this header
    """Average over columns."""
    return sums["score"] / sums["weight"]


def lost_by_column(xp: Any, sums: Terms, **_: Any) -> Array:  # noqa: ARG001 - every finish has this header
    """What the average score lacks to 1."""
    return 1 - sums["score"] / sums["weight"]


def largest(xp: Any, sums: Terms, **_: Any) -> Array:  # noqa: ARG001 - every finish has this header
    """The one number that there is."""
    return sums["largest"]


def score(xp: Any, lost: Array, best: Array) -> Terms:
    """1 - lost / best for each column, given the losses of each sample with the prediction and with the best constant."""
    errors, spread = xp.sum(lost, axis=0), xp.sum(best, axis=0)
    flat = spread == 0
    ratio = errors / xp.where(flat, xp.ones_like(spread), spread)
    value = 1 - xp.where(flat, xp.astype(errors != 0, errors.dtype), ratio)
    return {"score": value if lost.shape[0] > 1 else xp.full_like(value, math.nan)}


def quantile(xp: Any, values: Array, q: float) -> Array:
    """The q-quantile of each column, one that makes the pinball loss least."""
    place = min(max(math.ceil(held(xp, q) * values.shape[0]) - 1, 0), values.shape[0] - 1)
    return xp.sort(values, axis=0)[place : place + 1, ...]


def median(xp: Any, values: Array) -> Array:
    """The median of each column: the mean of the two in the middle where their number is even."""
    n = values.shape[0]
    return xp.mean(xp.sort(values, axis=0)[(n - 1) // 2 : n // 2 + 1, ...], axis=0)


def centred(xp: Any, values: Array) -> Array:
    """Differences from the mean of each column; what rounding left in a mean far from 0 is taken away by a second one."""
    apart = values - xp.mean(values, axis=0, keepdims=True)
    return apart - xp.mean(apart, axis=0, keepdims=True)


def r2_terms(xp: Any, pred: Array, target: Array) -> Terms:
    """The coefficient of determination of each column."""
    return score(xp, (target - pred) ** 2, centred(xp, target) ** 2)


@loss(
    "regression",
    source="Wright 1921; scikit-learn r2_score",
    finish=by_column,
    **ALIKE,
    higher_is_better=True,
    aliases=("r2_score", "r_squared", "coefficient_of_determination", "nse", "nash_sutcliffe", "nash_sutcliffe_efficiency"),
)
def r2(xp, pred: Real, target: Real) -> Terms:
    """The share of the target's variance that the prediction explains: a score, 1 at best.

    formula: 1 - sum (target - pred)^2 / sum (target - mean target)^2
    example: [1, 2, 3, 4], [1.5, 2, 1, 8] -> 0.370873786407767
    use: reporting regression quality without units; r2_loss is the same as a loss.
    pitfall: higher is better; a gate on it is a lower bound.
    pitfall: it may be below 0: then the mean of the target would have been the better prediction.
    pitfall: a target of large spread makes any model look good; compare models only on the same data.
    """
    return r2_terms(xp, pred, target)


@loss(
    "regression",
    source="Wright 1921; 1 - scikit-learn r2_score",
    finish=lost_by_column,
    **ALIKE,
    aliases=("one_minus_r2", "fraction_of_variance_unexplained", "fvu"),
)
def r2_loss(xp, pred: Real, target: Real) -> Terms:
    """The share of the target's variance that the prediction leaves unexplained: 1 - r2, 0 at best.

    formula: sum (target - pred)^2 / sum (target - mean target)^2
    example: [1, 2, 3, 4], [1.5, 2, 1, 8] -> 0.629126213592233
    use: r2 where lower must be better; as an objective it has the same optimum as mse.
    pitfall: without `_loss` the name is the score, not the loss.
    pitfall: computed batch by batch it depends on each batch's spread; a batch of one has none and gives nan.
    """
    return r2_terms(xp, pred, target)


@loss(
    "regression",
    source="scikit-learn explained_variance_score",
    finish=by_column,
    **ALIKE,
    higher_is_better=True,
    aliases=("explained_variance_score",),
)
def explained_variance(xp, pred: Real, target: Real) -> Terms:
    """r2 that forgives a constant offset: a score, 1 at best.

    formula: 1 - Var(target - pred) / Var(target)
    example: [1, 2, 3, 4], [1.5, 2, 1, 8] -> 0.41941747572815535
    use: beside r2: a difference between them is a systematic error.
    pitfall: predictions that are all too high by 100 may still score 1.
    """
    return score(xp, centred(xp, target - pred) ** 2, centred(xp, target) ** 2)


@loss(
    "regression",
    source="scikit-learn d2_absolute_error_score",
    finish=by_column,
    **ALIKE,
    higher_is_better=True,
    aliases=("d2_absolute_error_score", "d2_absolute_error", "d2_abs"),
)
def d2_absolute(xp, pred: Real, target: Real) -> Terms:
    """The share of absolute error that the prediction saves beside the median: a score, 1 at best.

    formula: 1 - sum |target - pred| / sum |target - median target|
    example: [1, 2, 3, 4], [1.5, 2, 1, 8] -> 0.1333333333333333
    use: r2 for l1: one outlier does not decide.
    pitfall: higher is better, and it may be below 0.
    """
    return score(xp, xp.abs(target - pred), xp.abs(target - quantile(xp, target, 0.5)))


@loss(
    "regression",
    source="scikit-learn d2_pinball_score",
    finish=by_column,
    **ALIKE,
    higher_is_better=True,
    aliases=("d2_pinball_score",),
)
def d2_pinball(xp, pred: Real, target: Real, *, q: Fraction = 0.5) -> Terms:
    """The share of pinball loss that the prediction saves beside the target's own quantile: a score, 1 at best.

    formula: 1 - sum pinball_q(pred, target) / sum pinball_q(q-quantile of target, target)
    example: [1, 2, 3, 4], [1.5, 2, 1, 8], q=0.9 -> -1.1794871794871797
    q: the quantile, from 0 to 1; at 0.5 this is d2_absolute.
    use: judging quantile forecasts without units.
    pitfall: higher is better, and it may be below 0.
    pitfall: an interpolated quantile is not the best constant: versions of scikit-learn that take one score higher.
    """
    return score(xp, tilted(xp, target - pred, q), tilted(xp, target - quantile(xp, target, q), q))


@loss(
    "regression",
    source="scikit-learn d2_tweedie_score",
    finish=by_column,
    **ALIKE,
    higher_is_better=True,
    aliases=("d2_tweedie_score",),
    guard=check_power,
)
def d2_tweedie(xp, pred: Real, target: Real, *, power: VariancePower = 0.0) -> Terms:
    """The share of deviance that the prediction saves beside the mean: a score, 1 at best.

    formula: 1 - sum tweedie(pred, target) / sum tweedie(mean target, target)
    example: [1, 2, 3, 4], [1.5, 2, 1, 8], power=1 -> 0.41766423059376334
    power: as in tweedie_deviance; at 0 this is r2.
    use: r2 for counts (power 1) and amounts (power 2).
    pitfall: higher is better, and it may be below 0.
    """
    mean = xp.mean(target, axis=0, keepdims=True) + xp.zeros_like(target)
    return score(xp, tweedie_unit(xp, pred, target, power), tweedie_unit(xp, mean, target, power))


@loss(
    "regression",
    source="scikit-learn median_absolute_error",
    finish=by_column,
    **ALIKE,
    flat="l1",
    aliases=("median_absolute_error", "medae"),
)
def median_ae(xp, pred: Real, target: Real) -> Terms:
    """The middle absolute error: half of all errors are smaller.

    formula: median |pred - target|
    example: [1, 2, 3, 4], [1.5, 2, 1, 8] -> 1.25
    use: reporting a typical error that no outlier moves.
    pitfall: almost half of all predictions may be wrong by any amount and it does not change.
    pitfall: it is no objective: only one or two samples have a gradient.
    """
    return {"score": median(xp, xp.abs(pred - target))}


@loss(
    "regression",
    source="Chebyshev 1854; scikit-learn max_error",
    finish=largest,
    **ALIKE,
    aliases=("linf", "chebyshev", "max_absolute_error"),
)
def max_error(xp, pred: Real, target: Real) -> Terms:
    """The worst absolute error of all.

    formula: max |pred - target|
    example: [1, 2, 3, 4], [1.5, 2, 1, 8] -> 4.0
    use: guarantees: no prediction is off by more than this.
    pitfall: a single sample decides, so it grows with the size of the data.
    pitfall: only the worst sample has a gradient; lp with a large p shares it out among the bad ones.
    """
    return {"largest": xp.max(xp.abs(pred - target))}
