"""Synthetic targets of which the right family of losses is known; each is drawn anew from a seed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

ROBUST = {"huber", "l1", "smooth_l1", "pseudo_huber"}
POISSON = {"poisson_nll", "poisson_deviance", "tweedie_deviance"}
SKEWED = {"gamma_deviance", "msle", "tweedie_deviance"}
CE = {"cross_entropy"}
BCE = {"bce_with_logits"}


@dataclass(frozen=True)
class Case:
    """A target, or none; what is answered with flags; and the family, of which a loss must be among the first two."""

    name: str
    family: set[str]
    draw: Callable[[np.random.Generator], Any] | None = None
    given: dict[str, Any] = field(default_factory=dict)


def clumped(rng, n=600):
    """Numbers with a twentieth of gross errors."""
    return np.where(rng.random(n) < 0.05, rng.normal(0, 40, n), rng.normal(3, 1, n))


def tweedie(rng, n=800):
    """Sums of a Poisson number of gamma amounts: many zeros, and a long tail."""
    return np.array([rng.gamma(2, 3, k).sum() for k in rng.poisson(0.8, n)])


def zero_inflated(rng, n=600):
    return np.where(rng.random(n) < 0.6, 0, rng.poisson(4, n))


def one_hot(rng, n=400):
    return np.eye(4)[rng.integers(0, 4, n)]


def boxes(rng, n=60):
    corner = rng.uniform(0, 50, (n, 2))
    return np.hstack([corner, corner + rng.uniform(1, 30, (n, 2))])


def mask(rng, share):
    return (rng.random((6, 24, 24)) < share).astype(float)


def draw(name, *sizes):
    return lambda rng: getattr(rng, name)(*sizes)


N = 600
REGRESSION = [
    Case("normal", {"mse"}, draw("normal", 0, 1, N)),
    Case("normal far from zero", {"mse"}, draw("normal", 100, 5, N)),
    Case("uniform", {"mse"}, draw("uniform", -3, 3, N)),
    Case("normal in two columns", {"mse"}, draw("normal", 0, 1, (N, 2))),
    Case("Laplace", ROBUST, draw("laplace", 0, 1, N)),
    Case("Student's t with 2", ROBUST, draw("standard_t", 2, N)),
    Case("Student's t with 3", ROBUST, draw("standard_t", 3, N)),
    Case("Cauchy", ROBUST, draw("standard_cauchy", N)),
    Case("gross errors", ROBUST, clumped),
    Case("outliers that count", {"mse"}, clumped, {"outliers_matter": "yes"}),
    Case("whole numbers far from zero", {"mse"}, lambda rng: np.round(rng.normal(150, 40, N)).clip(20)),
    Case("median asked for", {"l1"}, draw("normal", 0, 1, N), {"predict": "median"}),
    Case("variance asked for", {"gaussian_nll"}, draw("normal", 0, 1, N), {"predict": "variance"}),
    Case("mode asked for", {"welsch", "tukey"}, draw("normal", 0, 1, N), {"predict": "mode"}),
    Case("costs", {"pinball"}, draw("normal", 0, 1, N), {"over_cost": 1.0, "under_cost": 4.0}),
    Case("one quantile", {"pinball"}, draw("normal", 0, 1, N), {"quantiles": [0.9]}),
    Case("three quantiles", {"multi_pinball"}, draw("normal", 0, 1, N), {"quantiles": [0.1, 0.5, 0.9]}),
    Case("interval", {"interval_score"}, draw("normal", 0, 1, N), {"task": "interval", "quantiles": [0.05, 0.95]}),
]
AMOUNTS = [
    Case("log-normal", SKEWED, draw("lognormal", 0, 1, N)),
    Case("log-normal over powers of ten", {"msle", "gamma_deviance"}, draw("lognormal", 0, 3, N)),
    Case("gamma", SKEWED, draw("gamma", 2, 3, N)),
    Case("exponential", SKEWED, draw("exponential", 2, N)),
    Case("compound Poisson", {"tweedie_deviance"}, tweedie),
    Case("Poisson, few", POISSON, draw("poisson", 2, N)),
    Case("Poisson, some", POISSON, draw("poisson", 7, N)),
    Case("Poisson, many", POISSON, draw("poisson", 40, N)),
    Case("negative binomial", POISSON, draw("negative_binomial", 2, 0.2, N)),
    Case("zero-inflated counts", POISSON, zero_inflated),
    Case("intermittent demand", POISSON | {"rmsse"}, zero_inflated, {"task": "forecast"}),
    Case("shares", BCE, draw("beta", 2, 5, N)),
    Case("shares by label", BCE, draw("beta", 2, 5, (N, 3))),
    Case("survival", BCE | {"poisson_nll"}, draw("exponential", 5, N), {"task": "survival"}),
    Case("ensemble", {"multi_pinball", "gaussian_nll"}, draw("normal", 0, 1, (80, 20)), {"task": "ensemble"}),
]
CLASSES = [
    Case("two classes", BCE, draw("integers", 0, 2, N)),
    Case("two classes, one rare", BCE | {"focal"}, lambda rng: (rng.random(N) < 0.04).astype(int)),
    Case("signs", {"soft_margin"}, lambda rng: rng.choice([-1, 1], N)),
    Case("signs with a margin", {"hinge"}, lambda rng: rng.choice([-1, 1], N), {"margin": "yes"}),
    Case("three classes", CE, draw("integers", 0, 3, N)),
    Case("ten classes", CE, draw("integers", 0, 10, N)),
    Case("classes from 1 on", CE, draw("integers", 1, 6, N)),
    Case("rare classes", CE | {"logit_adjusted"}, lambda rng: rng.choice(4, N, p=[0.7, 0.2, 0.07, 0.03])),
    Case("one-hot", CE, one_hot),
    Case("wrong labels", {"generalized_cross_entropy", "symmetric_ce"}, draw("integers", 0, 3, N), {"noisy": "yes"}),
    Case("many labels", BCE, lambda rng: (rng.random((N, 6)) < 0.3).astype(int)),
    Case("many rare labels", BCE | {"asymmetric_multilabel"}, lambda rng: (rng.random((N, 6)) < 0.03).astype(int)),
    Case("grades", BCE | CE, draw("integers", 0, 5, N), {"task": "ordinal"}),
    Case("distributions", {"kl_div"}, lambda rng: rng.dirichlet([2, 3, 4], N)),
    Case("logarithms of distributions", {"kl_div"}, lambda rng: np.log(rng.dirichlet([2, 3, 4], N))),
]
SHAPES = [
    Case("large regions", {"dice"} | BCE, lambda rng: mask(rng, 0.4)),
    Case("small regions", {"dice", "tversky", "focal_tversky"}, lambda rng: mask(rng, 0.02)),
    Case("regions of several classes", {"dice_multiclass"} | CE, lambda rng: rng.integers(0, 4, (6, 24, 24))),
    Case("boxes", {"giou", "ciou", "diou"}, boxes),
    Case("ranks", {"margin_ranking"}, None, {"task": "ranking"}),
    Case("pairs", {"cosine_embedding", "contrastive"}, None, {"examples": "pairs"}),
    Case("triplets", {"triplet_margin"}, None, {"examples": "triplets"}),
    Case("batches", {"info_nce"}, None, {"examples": "batch"}),
    Case("speech", {"ctc"}, None, {"task": "sequence"}),
    Case("draws", {"wasserstein"}, None, {"given": "draws"}),
    Case("teacher", {"distillation_kl"}, None, {"task": "distillation"}),
    Case("preferences", {"soft_margin"}, None, {"task": "preference"}),
    Case("images", {"l1", "charbonnier"}, None, {"task": "image"}),
    Case("critic", {"wasserstein_critic"}, None, {"task": "critic"}),
]
CASES = [*REGRESSION, *AMOUNTS, *CLASSES, *SHAPES]
