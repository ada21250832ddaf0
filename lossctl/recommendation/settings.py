"""Parameters from data: named functions of facts and answers, each None where what it needs is not known."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Known = Mapping[str, Any]
    Value = float | list[float] | None

# What keeps 95 % of the efficiency on normal errors, in standard deviations. Our cauchy and welsch halve the square, so that
# their usual widths of 2.385 and 2.985 are divided by the root of 2.
HUBER, TUKEY, CAUCHY, WELSCH = 1.345, 4.685, 1.686, 2.111
USUAL = (0.05, 0.5, 0.95)
# A Tweedie distribution with zeros has a power between 1 and 2.
LEAST_POWER, MOST_POWER, MIDDLE_POWER = 1.1, 1.9, 1.5


def huber_width_of_residuals(facts: Known, _: Known) -> Value:
    """1.345 robust standard deviations of the errors."""
    return _times(HUBER, facts.get("residual_mad"))


def huber_width_of_target(facts: Known, _: Known) -> Value:
    """1.345 robust standard deviations of the target."""
    return _times(HUBER, facts.get("mad"))


def tukey_width(facts: Known, _: Known) -> Value:
    """4.685 robust standard deviations of the errors, or of the target."""
    return _times(TUKEY, _deviation(facts))


def cauchy_width(facts: Known, _: Known) -> Value:
    """1.686 robust standard deviations of the errors, or of the target."""
    return _times(CAUCHY, _deviation(facts))


def welsch_width(facts: Known, _: Known) -> Value:
    """2.111 robust standard deviations of the errors, or of the target."""
    return _times(WELSCH, _deviation(facts))


def _deviation(facts: Known) -> Any:
    found = facts.get("residual_mad")
    return facts.get("mad") if found is None else found


def _times(factor: float, width: Any) -> Value:
    return factor * width if width else None


def cost_ratio(_: Known, answers: Known) -> Value:
    """What a miss costs, in false alarms."""
    over, under = _costs(answers)
    return under / over if over and under else None


def cost_quantile(_: Known, answers: Known) -> Value:
    """The share of one too little in the cost of one too little and one too much."""
    over, under = _costs(answers)
    return under / (over + under) if over and under else None


def cost_of_over(_: Known, answers: Known) -> Value:
    """The share of one too much."""
    over, under = _costs(answers)
    return over / (over + under) if over and under else None


def _costs(answers: Known) -> tuple[float, float]:
    return answers.get("over_cost") or 0.0, answers.get("under_cost") or 0.0


def negatives_per_positive(facts: Known, _: Known) -> Value:
    """How many negatives there are for one positive; of masks, how many pixels of background for one of foreground."""
    share = facts.get("positive_share")
    return (1 - share) / share if share else None


def negatives_per_positive_by_label(facts: Known, _: Known) -> Value:
    """The same for each label, a list; None if a label never holds."""
    shares = facts.get("column_means")
    return [(1 - share) / share for share in shares] if shares and all(shares) else None


def balanced_weights(facts: Known, _: Known) -> Value:
    """Samples over classes times samples of the class, a list; None if a class never occurs."""
    counts = facts.get("class_counts")
    return [sum(counts) / (len(counts) * count) for count in counts] if counts and all(counts) else None


def class_counts(facts: Known, _: Known) -> Value:
    """How often each class occurs, a list; None if one never does."""
    counts = facts.get("class_counts")
    return [float(count) for count in counts] if counts and all(counts) else None


def first_quantile(_: Known, answers: Known) -> Value:
    """The quantile asked for."""
    quantiles = answers.get("quantiles")
    return quantiles[0] if quantiles else None


def all_quantiles(_: Known, answers: Known) -> Value:
    """All quantiles asked for, or the usual three."""
    return list(answers.get("quantiles") or USUAL)


def outside_interval(_: Known, answers: Known) -> Value:
    """What lies outside of the outermost quantiles asked for."""
    quantiles = answers.get("quantiles") or USUAL
    return 1 - (max(quantiles) - min(quantiles)) if len(quantiles) > 1 else None


def poisson_power(_: Known, __: Known) -> Value:
    """The power of a Poisson distribution."""
    return 1.0


def rates_or_logarithms(facts: Known, _: Known) -> Value:
    """0 where predictions are rates: none is negative, and as rates their mean is nearer to the target's than as logarithms."""
    low, pred, mean = (facts.get(name) for name in ("pred_low", "pred_mean", "mean"))
    if low is None or pred is None or mean is None or low < 0:
        return None
    return 0.0 if abs(pred - mean) < abs(math.exp(min(pred, 700.0)) - mean) else None


def middle_power(_: Known, __: Known) -> Value:
    """The power between Poisson and gamma."""
    return MIDDLE_POWER


def compound_power(facts: Known, _: Known) -> Value:
    """The power of the compound Poisson-gamma distribution with these moments and zeros.

    With rate l, of which e^-l are zeros, and gamma shape a, variance / mean^2 = (1 + a) / (l a), and the power is
    (a + 2) / (a + 1).
    """
    zeros, mean, std = (facts.get(name) for name in ("zero_share", "mean", "std"))
    if not zeros or not mean or not std or zeros >= 1:
        return None
    excess = -math.log(zeros) * (std / mean) ** 2 - 1
    shape = 1 / excess if excess > 0 else math.inf
    power = 1.0 if math.isinf(shape) else (shape + 2) / (shape + 1)
    return min(MOST_POWER, max(LEAST_POWER, power))


FUNCTIONS: dict[str, Callable[[Known, Known], Value]] = {
    one.__name__: one
    for one in (
        *(huber_width_of_residuals, huber_width_of_target, tukey_width, cauchy_width, welsch_width),
        *(cost_ratio, cost_quantile, cost_of_over, negatives_per_positive, negatives_per_positive_by_label),
        *(balanced_weights, class_counts, first_quantile, all_quantiles, outside_interval),
        *(poisson_power, middle_power, compound_power, rates_or_logarithms),
    )
}
