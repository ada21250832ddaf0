"""From the name that somebody typed to the loss that is meant: other frameworks' names, and names that mean several things.

A name under its framework (`optax.l2_loss`) means that framework's loss. A bare name means ours; where the field uses it for
several losses, the one taken is said, with the others.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lossctl.errors import UnknownName, near
from lossctl.frameworks import FRAMEWORKS, PREFIXES


@dataclass(frozen=True)
class Meaning:
    """What a typed name stands for, as one would type it here, and what there is to say about it."""

    loss: str
    note: str = ""


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
    "cosine": ("cosine_distance", "1 - cos; Keras' is -cos: cosine_similarity; with labels: cosine_embedding"),
    "cosine_loss": ("cosine_distance", "1 - cos; Keras' is -cos: cosine_similarity; with labels: cosine_embedding"),
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


def meaning(name: str) -> Meaning:
    """Say what a name means; a name that is in no table here means itself."""
    prefix, dot, last = name.rpartition(".")
    for framework, prefixes in PREFIXES.items():
        if dot and prefix.lower() in prefixes:
            return _of(framework, last) or Meaning(name)
    bare = re.sub(r"[\s-]+", "_", name.strip().lower())
    if bare in AMBIGUOUS:
        loss, note = AMBIGUOUS[bare]
        return Meaning(loss, f"{loss} is {note}" if bare == loss else f"'{name}' is taken as {loss}: {note}")
    return Meaning(name)


# Losses that cannot be computed, and why.
IMPOSSIBLE = {
    "adaptive_log_softmax": "it needs the learned weights of its head and tails, not predictions and targets. Compute the "
    "log-probabilities with the module, save them, and use nll.",
}


def foreign(name: str) -> Meaning | None:
    """What a name means that is not ours, if some framework has it."""
    found = ((framework, _of(framework, name)) for framework in FRAMEWORKS)
    return next((Meaning(one.loss, f"'{name}' is {framework}'s name for {one.loss}") for framework, one in found if one), None)


def _of(framework: str, name: str) -> Meaning | None:
    theirs = {key.lower(): value for key, value in FRAMEWORKS[framework].items()}
    return Meaning(theirs[name.lower()]) if name.lower() in theirs else None


def table(framework: str) -> dict[str, str]:
    """What a framework calls its losses, and what we call them.

    Raises: UnknownName.
    """
    if framework.lower() not in FRAMEWORKS:
        message = f"There is no framework '{framework}' here."
        raise UnknownName(message, hint=near(framework.lower(), FRAMEWORKS, "frameworks"))
    return dict(FRAMEWORKS[framework.lower()])
