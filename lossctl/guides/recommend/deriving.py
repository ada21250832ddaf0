"""Parameters from data: named functions of facts and answers, each None where what it needs is not known.

The parameters that a recommended loss should have here, each with the sentence that says why.

The line that computes a loss here, in PyTorch and in Keras, with its parameters filled in.
"""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lossctl.guides.recommend.answers import TASK
from lossctl.guides.recommend.knowledge import all_hold, expressions, settings
from lossctl.losses.frameworks import FRAMEWORKS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from lossctl.losses.loss import Loss


if TYPE_CHECKING:
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
    return _width(HUBER, facts, "residual_mad")


def huber_width_of_target(facts: Known, _: Known) -> Value:
    """1.345 robust standard deviations of the target."""
    return _width(HUBER, facts, "mad")


def tukey_width(facts: Known, _: Known) -> Value:
    """4.685 robust standard deviations of the errors, or of the target."""
    return _width(TUKEY, facts, "residual_mad", "mad")


def cauchy_width(facts: Known, _: Known) -> Value:
    """1.686 robust standard deviations of the errors, or of the target."""
    return _width(CAUCHY, facts, "residual_mad", "mad")


def welsch_width(facts: Known, _: Known) -> Value:
    """2.111 robust standard deviations of the errors, or of the target."""
    return _width(WELSCH, facts, "residual_mad", "mad")


def _width(factor: float, facts: Known, *deviations: str) -> Value:
    """So many of the first of these deviations that is known; None where that is 0."""
    deviation = next((facts[name] for name in deviations if facts.get(name) is not None), None)
    return factor * deviation if deviation else None


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
    function.__name__: function
    for function in (
        *(huber_width_of_residuals, huber_width_of_target, tukey_width, cauchy_width, welsch_width),
        *(cost_ratio, cost_quantile, cost_of_over, negatives_per_positive, negatives_per_positive_by_label),
        *(balanced_weights, class_counts, first_quantile, all_quantiles, outside_interval),
        *(poisson_power, middle_power, compound_power, rates_or_logarithms),
    )
}

# Digits of a computed parameter: more would not be known from data.
DIGITS = 4


@dataclass(frozen=True)
class Derived:
    """One parameter with its value, a number or a list, rounded to four digits."""

    param: str
    value: float | list[float]
    rule: str
    because: str
    source: str

    def as_dict(self) -> dict[str, Any]:
        """The parameter for machines."""
        return {"param": self.param, "value": self.value, "rule": self.rule, "because": self.because, "source": self.source}


def derive(loss: str, facts: Mapping[str, Any], answers: Mapping[str, Any]) -> list[Derived]:
    """Compute what can be computed for a loss, at most one value for each parameter."""
    parameters: dict[str, Derived] = {}
    for setting in settings():
        fits = not setting.task or answers.get(TASK) in setting.task
        if loss in setting.loss and fits and all_hold(setting.when, facts, answers):
            value: Value = FUNCTIONS[setting.by](facts, answers)
            if value is not None:
                numbers = [float(f"{number:.{DIGITS}g}") for number in (value if isinstance(value, list) else [value])]
                shown = numbers if isinstance(value, list) else numbers[0]
                because = setting.because.format(value=written(shown))
                parameters.setdefault(setting.param, Derived(setting.param, shown, setting.id, because, setting.source))
    return list(parameters.values())


def written(value: float | list[float]) -> str:
    """A parameter as one types it: `1.345`, `1,2,4`."""
    return ",".join(f"{number:.{DIGITS}g}" for number in value) if isinstance(value, list) else f"{value:.{DIGITS}g}"


# Losses that another framework has only with an option that its own name does not tell.
EXTRA = {
    "bce_with_logits": "keras.losses.BinaryCrossentropy(from_logits=True)",
    "bce": "keras.losses.BinaryCrossentropy()",
    "cross_entropy": "keras.losses.SparseCategoricalCrossentropy(from_logits=True)",
    "soft_target_ce": "keras.losses.CategoricalCrossentropy(from_logits=True)",
    "label_smoothing_ce": "keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)",
    "focal": "keras.losses.BinaryFocalCrossentropy(from_logits=True, apply_class_balancing=True)",
    "focal_multiclass": "keras.losses.CategoricalFocalCrossentropy(from_logits=True, alpha=1)",
}
# Losses of probabilities that segmentation_models_pytorch has of raw scores by default.
OF_PROBABILITIES = {"dice": "DiceLoss", "jaccard": "JaccardLoss", "tversky": "TverskyLoss"}
# Objectives that differ from a loss by a factor, or by what predictions do not change: training is the same.
SAME_MINIMUM = {
    "gamma_deviance": {"lightgbm": "gamma", "xgboost": "reg:gamma"},
    "tweedie_deviance": {"lightgbm": "tweedie", "xgboost": "reg:tweedie"},
    "msle": {"xgboost": "reg:squaredlogerror"},
}
# Parameters that Keras's class of the same loss takes under the same name.
KERAS_TAKES = frozenset({"delta", "alpha", "beta", "gamma"})
# Modules that users of torch know, in the order of asking.
TORCH_MODULES = {
    "torch": "nn.{}({})",
    "torchvision": "torchvision.ops.{}(pred, target, reduction='mean'{})",
    "smp": "smp.losses.{}({})",
    "timm": "timm.loss.{}({})",
}
MODES = {"lovasz_hinge": "mode='binary'"}
BATCHMEAN = frozenset({"kl_div"})
# What each framework of boosted trees calls it.
TREES = ("lightgbm", "xgboost")


def command(loss: Loss, derived: Sequence[Derived], sources: Sequence[str]) -> str:
    """The `lossctl compute` line; inputs without a file are named in capitals."""
    spec = loss.name + (":" + ",".join(f"{each.param}={written(each.value)}" for each in derived) if derived else "")
    names = [argument.name.upper() for argument in loss.signature.inputs]
    shown = list(sources) if len(sources) == len(names) else names
    batchmean = " --reduction batchmean" if loss.name in BATCHMEAN else ""
    return f"lossctl compute {shlex.quote(spec)} {' '.join(map(shlex.quote, shown))}{batchmean}"


def torch_line(loss: Loss, derived: Sequence[Derived]) -> str:
    """The line in PyTorch, or in a library built on it; empty where none of these has the loss."""
    if loss.name in expressions():
        # A loss that has no class, as an expression with its parameters filled in.
        numbers = {parameter.name: parameter.default for parameter in loss.signature.parameters}
        return expressions()[loss.name].format_map(numbers | {setting.param: written(setting.value) for setting in derived})
    if loss.name in OF_PROBABILITIES:
        words = [*_keywords(derived), "mode='binary'", "from_logits=False"]
        return TORCH_MODULES["smp"].format(OF_PROBABILITIES[loss.name], ", ".join(words))
    for framework, form in TORCH_MODULES.items():
        name = _named(FRAMEWORKS[framework], loss.name)
        if name and framework == "torchvision":
            return form.format(name, "".join(f", {word}" for word in _keywords(derived)))
        if name:
            words = [*_keywords(derived), *([MODES[loss.name]] if framework == "smp" and loss.name in MODES else [])]
            words += ["reduction='batchmean'"] * (loss.name in BATCHMEAN)
            return form.format(name, ", ".join(words))
    return ""


def keras_line(loss: Loss, derived: Sequence[Derived]) -> str:
    """The line in Keras; empty where it has no such loss."""
    if loss.name in EXTRA:
        return EXTRA[loss.name]
    name = _named(FRAMEWORKS["keras"], loss.name)
    words = _keywords([parameter for parameter in derived if parameter.param in KERAS_TAKES])
    return f"keras.losses.{name}({', '.join(words)})" if name else ""


def objectives(loss: Loss) -> dict[str, str]:
    """What libraries of boosted trees call the same objective."""
    names = {framework: _named(FRAMEWORKS[framework], loss.name) for framework in TREES}
    return {framework: name for framework, name in names.items() if name} or SAME_MINIMUM.get(loss.name, {})


def _named(table: Mapping[str, str], loss: str) -> str:
    return next((theirs for theirs, ours in table.items() if ours.partition(":")[0] == loss), "")


def _keywords(derived: Iterable[Derived]) -> list[str]:
    return [f"{parameter.param}={_literal(parameter.value, parameter.param)}" for parameter in derived]


def _literal(value: float | list[float], param: str) -> str:
    if isinstance(value, list):
        return f"torch.tensor([{', '.join(f'{number:.4g}' for number in value)}])"
    if param == "log_input":
        return str(bool(value))
    return f"torch.tensor({value:.4g})" if param in {"weight", "pos_weight"} else f"{value:.4g}"
