"""Deviances: twice what a prediction lacks in log-likelihood against the perfect one."""

from typing import Any

from lossctl.errors import BadParameter, OutOfDomain
from lossctl.loss import loss
from lossctl.losses.excess import NEAR_POWER, entropy_unit, gamma_excess, power_excess
from lossctl.numerics import growing, relu, x_log_y
from lossctl.words import Array, NonNegative, NonNegativeReal, PositiveReal, Real, VariancePower


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


@loss(
    "regression",
    source="keras.losses.Poisson",
)
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
