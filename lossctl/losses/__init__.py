"""The catalogue: every `Loss` value found in this package's modules, and what a name of ours means.

Adding a loss is one edit in one of them. Names may be typed in any case, with or without hyphens or `Loss`. What other
frameworks call their losses is known to `names`, which is not imported for a name of ours as it is written here.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache

from lossctl.losses import catalogue as families
from lossctl.losses.loss import Loss
from lossctl.plugins import Plugins


@dataclass(frozen=True, eq=False, repr=False)
class Rules:
    """Where a name's number is the framework's.

    `note` is said with it; `params` are the framework's names of parameters, and ours; `needs` those without a default there.
    `one_column` says what it does with several columns where that is another number. `classes_last` says that it has classes on
    the last axis, `reductions` which of ours are a reduction of its own, `weights` why a mean with weights is another number.
    """

    note: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    one_column: str = ""
    classes_last: bool = False
    reductions: tuple[str, ...] = ()
    weights: str = ""


NO_RULES = Rules()


@dataclass(frozen=True)
class Meaning:
    """What a typed name stands for, as one would type it here, and what there is to say about it.

    `framework` is whose number it must be, where it stands under one; `rules` say where it is.
    """

    loss: str
    note: str = ""
    framework: str = ""
    rules: Rules = NO_RULES


# Names of which the field makes several losses: what is taken, and what else was perhaps meant.
AMBIGUOUS = {
    "poisson": ("poisson_nll", "torch's, of log-rates; for rates add -p log_input=false; also keras_poisson, poisson_deviance"),
    "poisson_loss": (
        "poisson_nll",
        "torch's, of log-rates; for rates add -p log_input=false; also keras_poisson, poisson_deviance",
    ),
    "log_loss": ("log_loss", "scikit-learn's, which clips probabilities; torch's clamps logarithms at -100: bce"),
    "logloss": ("log_loss", "scikit-learn's, which clips probabilities; torch's clamps logarithms at -100: bce"),
    "cce": ("cross_entropy", "of scores before softmax; of probabilities, as Keras has it: categorical_crossentropy_prob"),
    "scce": ("cross_entropy", "of scores before softmax; of probabilities, as Keras has it: categorical_crossentropy_prob"),
    "hinge": ("hinge", "max(0, 1 - y x); also hinge_embedding, categorical_hinge, crammer_singer_hinge, multi_margin"),
    "multiclass_hinge": ("crammer_singer_hinge", "the largest violation; multi_margin adds all and divides by the classes"),
    "kl": ("kl_div", "torch's, of log-probabilities; the divergence itself is --reduction batchmean"),
    "cosine": ("cosine_distance", "1 - cos; Keras' is -cos: negative_cosine; with labels: cosine_embedding"),
    "cosine_loss": ("cosine_distance", "1 - cos; Keras' is -cos: negative_cosine; with labels: cosine_embedding"),
    "l2": ("mse", "the mean of squares; half of it, as optax has it: l2_half"),
    "l2_loss": ("mse", "the mean of squares; half of it, as optax has it: l2_half"),
    "dice": ("dice", "as segmentation_models_pytorch: pooled over the batch, no smoothing; MONAI and Keras differ in both"),
    "focal": ("focal", "of one score a label; of one score a class: focal_multiclass"),
    "contrastive": ("contrastive", "of labelled pairs (Hadsell 2006), 1 for similar; over a batch of views: info_nce"),
    "wasserstein": ("wasserstein", "the transport distance of two samples; a WGAN critic's: wasserstein_critic"),
    "quantile": ("pinball", "at q = 0.5 it is half of l1; several quantiles at once: multi_pinball"),
    "ranking": ("margin_ranking", "torch's, of pairs; losses of whole lists are not here yet"),
    "logistic": ("soft_margin", "of targets 1 and -1; of targets 0 and 1: bce_with_logits"),
    "brier": ("brier", "halved for two classes, as scikit-learn has it"),
}


@cache
def catalogue() -> dict[str, Loss]:
    """All losses of our own by canonical name, in order of module and definition."""
    modules = [
        importlib.import_module(f"{families.__name__}.{entry.name}") for entry in pkgutil.iter_modules(families.__path__)
    ]
    return {value.name: value for module in modules for value in vars(module).values() if isinstance(value, Loss)}


@cache
def kept() -> frozenset[str]:
    """Names in which "loss" says something: without it they are a score, another number."""
    from lossctl.losses.absent import KEPT, letters

    ours = (loss for loss in catalogue().values() if loss.higher_is_better)
    return KEPT | {f"{letters(name)}loss" for loss in ours for name in (loss.name, *loss.aliases)}


def spelling(name: str) -> str:
    """Reduce a name to what is compared: `CrossEntropyLoss`, `cross-entropy` and `cross_entropy` are one."""
    from lossctl.losses.absent import letters

    short = letters(name)
    return short if not short.endswith("loss") or short in kept() else short.removesuffix("loss") or short


@cache
def rows() -> dict[str, Loss]:
    """All losses by every spelling of every name they have; canonical names win over aliases."""
    by_alias = {spelling(alias): loss for loss in catalogue().values() for alias in loss.aliases}
    by_twin = {spelling(loss.torch): loss for loss in catalogue().values() if loss.torch}
    return by_twin | by_alias | {spelling(name): loss for name, loss in catalogue().items()}


def names() -> Iterable[str]:
    """Every name that a loss has, as it is written, with and without `loss` where that says nothing."""
    written = [name for loss in catalogue().values() for name in (loss.name, *loss.aliases)]
    return [*written, *(longer for name in written if spelling(longer := f"{name}_loss") == spelling(name))]


LOSSES: Plugins[Loss] = Plugins(
    "loss", "lossctl.losses", rows, spelling=spelling, by_path=True, listed=catalogue, plural="losses", also=names
)
