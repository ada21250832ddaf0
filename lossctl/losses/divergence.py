"""Distances between distributions."""

from typing import Any

from lossctl.loss import Terms, loss
from lossctl.numerics import probable, times, x_log_y
from lossctl.words import (
    Array,
    AtLeastOne,
    Draws,
    DrawWeight,
    Flag,
    LogProbability,
    Mass,
    OtherDraws,
    OtherDrawWeight,
)


def transported(xp: Any, sums: Terms, **_: Any) -> Array:  # noqa: ARG001 - every finish has this header
    """The cost of moving all mass, which is already a share of it."""
    return sums["cost"]


@loss(
    "distribution",
    torch="kl_div",
    source="Kullback & Leibler 1951, doi:10.1214/aoms/1177729694; torch.nn.KLDivLoss",
    aliases=("kl", "kld", "kullback_leibler", "relative_entropy", "kl_divergence"),
    reductions=("mean", "sum", "none", "batchmean"),
)
def kl_div(xp, pred: LogProbability, target: Mass, *, log_target: Flag = False) -> Array:
    """Kullback-Leibler divergence of the target from the prediction, which must already be log-probabilities.

    formula: t (ln t - pred), 0 where t = 0; with log_target e^t (t - pred)
    example: [[-1.6094379124341003, -1.2039728043259361, -0.6931471805599453]], [[0.25, 0.25, 0.5]] -> 0.003401832876687938
    log_target: the target is given as log-probabilities too.
    use: distillation, variational models, matching a distribution; with --reduction batchmean.
    pitfall: mean divides by the number of elements, which is no divergence; batchmean divides by the batch and is.
    pitfall: pred is log-probabilities and target probabilities; both as probabilities gives a negative, wrong number.
    """
    if log_target:
        return probable(xp, target, pred)
    return x_log_y(xp, target, target) - times(xp, target, pred, steep=True)


@loss(
    "distribution",
    source="Vallender 1974, doi:10.1137/1118101; scipy.stats.wasserstein_distance for p = 1",
    finish=transported,
    reductions=("mean",),
    whole=True,
    aliases=("emd", "earth_mover", "earth_movers_distance", "w1", "wasserstein_distance"),
)
def wasserstein(
    xp,
    pred: Draws,
    target: OtherDraws,
    *,
    u_weights: DrawWeight = None,
    v_weights: OtherDrawWeight = None,
    p: AtLeastOne = 1.0,
) -> Terms:
    """The least cost of moving one sample's mass onto another's along the line.

    formula: integral over q in [0, 1] of |F^-1(q) - G^-1(q)|^p; not rooted for p > 1
    example: [0, 1, 3], [5, 6, 8] -> 5.0
    example: [0, 1, 3], [5, 6] -> 4.166666666666667
    u_weights: the mass of each draw in pred; equal where not given.
    v_weights: the mass of each draw in target; equal where not given.
    p: the power of the distance.
    use: comparing two one-dimensional samples, which may differ in size, as distributions.
    pitfall: it pairs by rank, not by row: it says nothing about single predictions.
    pitfall: the loss of a WGAN critic is called Wasserstein too and is another number: a difference of means.
    """
    u, upper = _levels(xp, pred, u_weights)
    v, lower = _levels(xp, target, v_weights)
    cuts = xp.sort(xp.concat([upper, lower]))
    width = cuts - xp.concat([xp.zeros_like(cuts[:1]), cuts[:-1]])
    middle = cuts - width / 2
    gap = xp.take(u, _rank(xp, upper, middle)) - xp.take(v, _rank(xp, lower, middle))
    return {"cost": xp.abs(gap) ** p * width}


def _levels(xp: Any, draws: Array, weights: Array | None) -> tuple[Array, Array]:
    """Sorted draws, and the share of mass up to and with each."""
    order = xp.argsort(draws)
    mass = xp.ones_like(draws) if weights is None else xp.take(weights, order)
    total = xp.cumulative_sum(mass)
    return xp.take(draws, order), total / total[-1:]


def _rank(xp: Any, levels: Array, at: Array) -> Array:
    """Which draw holds the mass at each level; rounding may not run over the end."""
    return xp.clip(xp.searchsorted(levels, at), None, levels.shape[0] - 1)
