"""The line that computes a loss here, in PyTorch and in Keras, with its parameters filled in."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from lossctl.frameworks import FRAMEWORKS
from lossctl.recommendation.deriving import written
from lossctl.recommendation.loading import expressions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lossctl.loss import Loss
    from lossctl.recommendation.deriving import Derived

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
    spec = loss.name + (":" + ",".join(f"{one.param}={written(one.value)}" for one in derived) if derived else "")
    names = [argument.name.upper() for argument in loss.signature.inputs]
    shown = list(sources) if len(sources) == len(names) else names
    batchmean = " --reduction batchmean" if loss.name in BATCHMEAN else ""
    return f"lossctl compute {shlex.quote(spec)} {' '.join(map(shlex.quote, shown))}{batchmean}"


def torch_line(loss: Loss, derived: Sequence[Derived]) -> str:
    """The line in PyTorch, or in a library built on it; empty where none of these has the loss."""
    if loss.name in expressions():
        return _expression(loss, derived)
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


def _expression(loss: Loss, derived: Sequence[Derived]) -> str:
    """A loss that has no class, as an expression with its parameters filled in."""
    numbers = {parameter.name: parameter.default for parameter in loss.signature.parameters}
    return expressions()[loss.name].format_map(numbers | {one.param: written(one.value) for one in derived})


def keras_line(loss: Loss, derived: Sequence[Derived]) -> str:
    """The line in Keras; empty where it has no such loss."""
    if loss.name in EXTRA:
        return EXTRA[loss.name]
    name = _named(FRAMEWORKS["keras"], loss.name)
    words = _keywords([one for one in derived if one.param in KERAS_TAKES])
    return f"keras.losses.{name}({', '.join(words)})" if name else ""


def objectives(loss: Loss) -> dict[str, str]:
    """What libraries of boosted trees call the same objective."""
    found = {framework: _named(FRAMEWORKS[framework], loss.name) for framework in TREES}
    return {framework: name for framework, name in found.items() if name} or SAME_MINIMUM.get(loss.name, {})


def _named(table: Mapping[str, str], loss: str) -> str:
    return next((theirs for theirs, ours in table.items() if ours.partition(":")[0] == loss), "")


def _keywords(derived: Iterable[Derived]) -> list[str]:
    return [f"{one.param}={_literal(one.value, one.param)}" for one in derived]


def _literal(value: float | list[float], param: str) -> str:
    if isinstance(value, list):
        return f"torch.tensor([{', '.join(f'{one:.4g}' for one in value)}])"
    if param == "log_input":
        return str(bool(value))
    return f"torch.tensor({value:.4g})" if param in {"weight", "pos_weight"} else f"{value:.4g}"
