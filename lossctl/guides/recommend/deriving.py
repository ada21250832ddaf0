"""What is known of the data, and the parameters that follow from it for a recommended loss.

Facts of the target, with what follows from them, and of a prediction beside it: its value, its skill beside the best constant,
and what few samples carry. Each parameter is a named function of facts and answers, None where what it needs is not known, with
the sentence that says why; last, the line that computes the loss in PyTorch and in Keras with its parameters filled in.

This file is long because parameters are functions of the facts that stand beside them.
"""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.comparison.constant import constants
from lossctl.engine.binding import bind
from lossctl.engine.block import Selection
from lossctl.engine.reduce import evaluate_keeping, own_values
from lossctl.engine.totals import ByOptions, Kept, Pile
from lossctl.errors import LossctlError, NothingLeft, OutOfDomain, ShapeMismatch
from lossctl.gradient.gathering import Job
from lossctl.gradient.passes import Differentiated, slopes
from lossctl.guides.facts import facts_of, pair_facts
from lossctl.guides.recommend.answers import TASK
from lossctl.guides.recommend.knowledge import all_hold, expressions, settings, unknown
from lossctl.losses.backends import BACKENDS
from lossctl.losses.loss import Loss, scalars
from lossctl.losses.names import FRAMEWORKS
from lossctl.losses.words import SIGMOID_INSIDE, SOFTMAX_INSIDE
from lossctl.sources.readers import Memory, Reader, cuts
from lossctl.statistics.ordered import AT_ONCE, sample_spread, share_of_top, shared
from lossctl.statistics.sums import Higher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    Known = Mapping[str, Any]
    Value = float | list[float] | None
    from collections.abc import Mapping

    from lossctl.request.options import Options


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


# More classes than this are not counted one by one.
CLASSES = 1000
# An array with so many axes holds images, and one with so many columns.
IMAGE, TABLE = 3, 2
# Labels with such a skewness and so many levels may be counts.
TAIL, LEVELS = 0.5, 5
# Tables of numbers are looked at column by column up to so many elements; spreads within such a ratio are one scale.
NUMBERS = frozenset({"real", "positive", "counts", "logits"})
MOST, ALIKE = 1 << 22, 3.0


def known_of(target: Reader, pred: Reader | None = None) -> dict[str, Any]:
    """The facts that rules speak of, by name. `pred_` is before those of the prediction alone.

    Raises: NothingLeft where nothing is finite; OutOfDomain where the target is constant, or numbers its rows;
    ShapeMismatch.
    """
    facts = dict(facts_of(target).values)
    _refuse(facts, target.name)
    # The likeliest kind that is one of targets. Numbers of which none occurs twice may be ids, but a target is none.
    kind = next((look["kind"] for look in facts["looks"] if look["kind"] != "ids"), "real")
    facts["kind"] = "class_mask" if kind in {"labels", "counts"} and len(facts["shape"]) >= IMAGE else kind
    facts |= {
        "span": _span(facts),
        "variation": _variation(facts["mean"], facts["std"]),
        "positive_share": _positive_share(facts),
        "also_counts": _also_counts(facts),
    }
    facts["class_counts"] = counts_of_target(target, facts)
    facts |= by_column(target, facts)
    if pred is None:
        return facts
    alone = facts_of(pred).values
    facts |= {f"pred_{name}": alone[name] for name in ("kind", "low", "high", "mean")}
    together = pair_facts(pred, target).values
    if not together["fits"]:
        message = f"{pred.name} has shape {pred.shape} and {target.name} {target.shape}, which do not fit each other."
        raise ShapeMismatch(message, hint="Give a prediction for each target, or the target alone.")
    return facts | {name: value for name, value in together.items() if name not in facts}


def _refuse(facts: Mapping[str, Any], name: str) -> None:
    if facts["low"] is None:
        message = f"{name} holds {'no values' if not facts['elements'] else 'nothing but NaN and infinity'}."
        raise NothingLeft(message, hint="Give a target with numbers, or answer with flags: lossctl recommend --task regression")
    if facts["constant"]:
        message = f"Every value of {name} is {facts['low']:.6g}: there is nothing to predict, and every loss is as good."
        raise OutOfDomain(message, hint="Check that this is the target, and the right column of it.")
    if facts["kind"] == "times" or (facts["kind"] == "ids" and facts["even_step"]):
        message = f"{name} is no target: {facts['looks'][0]['reason']}."
        raise OutOfDomain(message, hint=f"Name the column that is predicted ({name}:COLUMN), or answer with --task.")


def _also_counts(facts: Mapping[str, Any]) -> bool:
    """Whether labels have the right tail and the number of levels that counts have."""
    tail = (facts["skew"] or 0) > TAIL and (facts["distinct"] or 0) >= LEVELS
    return tail and facts["kind"] == "labels" and any(look["kind"] == "counts" for look in facts["looks"])


def by_column(target: Reader, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Outliers and tails as means over columns, since numbers in other units would all be outliers; no scale is common then.

    Nothing for a single column, for kinds that have one scale, and for more elements than fit in memory with ease.
    """
    if len(target.shape) != TABLE or target.shape[1] < 2 or facts["kind"] not in NUMBERS or facts["elements"] > MOST:  # noqa: PLR2004
        return {}
    whole = target.read(0, target.shape[0]).astype(np.float64)
    columns = [column[np.isfinite(column)] for column in whole.T]
    spreads, moments = [sample_spread(column) for column in columns], [Higher.of(column) for column in columns]
    means = {name: _mean([spread[name] for spread in spreads]) for name in ("outlier_share", "tail")}
    means |= {"skew": _mean([column.skew for column in moments]), "kurtosis": _mean([column.kurtosis for column in moments])}
    means["variation"] = _mean([_variation(column.low.mean, column.low.std) for column in moments])
    mads = [spread["mad"] or 0.0 for spread in spreads]
    alike = min(mads) > 0 and max(mads) / min(mads) < ALIKE
    return means | {"mad": _mean(mads) if alike else None}


def _mean(values: list[Any]) -> float | None:
    known = [value for value in values if not unknown(value)]
    return float(np.mean(known)) if known else None


def _variation(mean: float | None, std: float | None) -> float | None:
    """How large the standard deviation is beside the mean."""
    return std / abs(mean) if mean and std is not None else None


def _span(facts: Mapping[str, Any]) -> float | None:
    """How many times the smallest target the largest is, where all are above 0."""
    return facts["high"] / facts["low"] if facts["low"] > 0 else None


def _positive_share(facts: Mapping[str, Any]) -> float | None:
    if facts["kind"] == "plus_minus":
        return float(1 - facts["negative_share"])
    return facts["foreground_share"] if facts["kind"] in {"mask", "binary"} else None


def counts_of_target(target: Reader, facts: Mapping[str, Any]) -> list[int] | None:
    """How often each class 0 … C-1 occurs, of labels, masks of labels and one-hot rows; None for anything else."""
    if facts["kind"] == "one_hot" and facts["column_means"]:
        rows = facts["elements"] / facts["columns"]
        return [round(mean * rows) for mean in facts["column_means"]]
    if facts["kind"] not in {"labels", "class_mask", "binary"} or not 0 <= facts["high"] < CLASSES:
        return None
    counts = np.zeros(int(facts["high"]) + 1, np.int64)
    size = int(np.prod(target.shape[1:]))
    for start, stop in cuts(target.shape[0], size) if target.shape else ():
        block = target.read(start, stop).reshape(-1)
        kept = block[np.isfinite(block) & (block >= 0)].astype(np.int64)
        counts += np.bincount(kept, minlength=counts.size)
    return [int(count) for count in counts]


# The share of samples with the largest losses, and with the largest gradients.
TOP = 0.01


@dataclass(frozen=True)
class Evidence:
    """One loss on one prediction. A number that the loss does not have is None; `refused` says why there is no number."""

    loss: str
    value: float | None = None
    constant: float | None = None
    skill: float | None = None
    top_loss: float | None = None
    top_gradient: float | None = None
    refused: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The evidence for machines."""
        entry = {name: getattr(self, name) for name in ("loss", "value", "constant", "skill", "top_loss", "top_gradient")}
        return entry | ({"refused": self.refused} if self.refused else {})


def evidence(  # noqa: PLR0913, PLR0917 - everything that a value depends on
    loss: Loss, derived: Sequence[Derived], facts: Mapping[str, Any], pred: Reader, target: Reader, options: Options
) -> Evidence:
    """Compute a loss with its parameters on a prediction; a loss that does not take it says so."""
    if [argument.name for argument in loss.signature.inputs] != ["pred", "target"]:
        names = ", ".join(argument.name for argument in loss.signature.inputs)
        return Evidence(loss.name, refused=f"it takes {names}")
    refused = _misread(loss, str(facts.get("pred_kind")))
    if refused:
        return Evidence(loss.name, refused=refused)
    try:
        return BoundLoss(loss, derived, options).on(pred, target)
    except LossctlError as error:
        return Evidence(loss.name, refused=error.message)


def _misread(loss: Loss, kind: str) -> str:
    """Why a loss would compute a number that means nothing of a prediction of this kind."""
    word = loss.signature.inputs[0].word
    if word.logs and kind != "log_probabilities":
        return f"it takes {word.says}, and the prediction holds none"
    if word.needs in {SOFTMAX_INSIDE, SIGMOID_INSIDE} and kind in {"probabilities", "simplex"}:
        return "it takes raw scores, and the prediction holds probabilities"
    return ""


def _share_of_top(pile: Pile) -> float | None:
    """What the top percent of values carries, where none is below zero."""
    numbers = pile.done()
    count = numbers.shape[0]
    if count <= AT_ONCE:
        values = numbers.read(0, count)
        return share_of_top(values, TOP) if values.size and values.min() >= 0 else None
    low, total, top = shared(numbers, math.ceil(TOP * count))
    return top / total if low >= 0 and 0 < total < math.inf else None


class BoundLoss:
    """A loss with its parameters, ready for any prediction."""

    def __init__(self, loss: Loss, derived: Sequence[Derived], options: Options) -> None:
        """Sort parameters into numbers and arrays."""
        self.loss, self.options = loss, options
        names = {parameter.name for parameter in loss.signature.parameters}
        values = {parameter.param: parameter.value for parameter in derived}
        self.params = scalars(loss, {name: written(value) for name, value in values.items() if name in names})
        self.arrays = {name: Memory(np.asarray(value), name) for name, value in values.items() if name not in names}

    def on(self, pred: Reader, target: Reader) -> Evidence:
        """Value, skill, and what the top percent carries.

        Raises: what binding and computing raise.
        """
        samples = "none" in self.loss.reductions
        bound = self._bound(pred, target)
        digest = ByOptions([bound], replace(self.options, stats=samples), own_values)
        keep = frozenset({"samples"} if samples else ())
        (outcome,), (tally,) = evaluate_keeping(
            [bound], BACKENDS.get("numpy")(), self.options, Selection(), keep, digest=digest
        )
        best = constants([bound], BACKENDS.get("numpy")(), self.options, Selection())[0]
        constant = None if best is None else best.loss
        skill = 1 - outcome.value / constant if constant is not None and constant > 0 else None
        top = _share_of_top(tally.found.pile) if isinstance(tally.found, Kept) and tally.found.pile is not None else None
        return Evidence(self.loss.name, outcome.value, constant, skill, top, self._gradient(bound, outcome))

    def _bound(self, pred: Reader, target: Reader) -> Any:
        return bind(self.loss, {"pred": pred, "target": target, **self.arrays}, self.params, self.options)

    def _gradient(self, bound: Any, outcome: Any) -> float | None:
        """The share of the top percent in the lengths of all samples' gradients."""
        if self.loss.flat or self.loss.whole:
            return None
        torch = BACKENDS.get("torch")()
        slope = slopes(bound, outcome.sums, outcome.n, "mean", (), torch)
        job = Job([Differentiated(bound, ("pred",), (), slope)], [self.loss.name], self.options, Selection(), torch)
        source = job.sources()[0]
        gradient = job.gradient(source)
        job.run([source], {source.name: gradient})
        share = gradient.profile.share_of_top(TOP)
        return None if math.isnan(share) else share
