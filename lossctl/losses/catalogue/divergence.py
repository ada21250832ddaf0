"""Distances between distributions, and between distributions over classes, both given as probabilities.

Rows are used as they are: they should add up to 1. Where direction matters, target stands first: D(target, pred).
"""

from __future__ import annotations

from typing import Any

from lossctl.losses.loss import Array, Terms, loss
from lossctl.losses.numerics import (
    NEAR_POWER,
    entropy_unit,
    halves_excess,
    held,
    power_excess,
    probable,
    raised,
    root_gap,
    square_root,
    steep,
    times,
    x_log_y,
)
from lossctl.losses.words import (
    AtLeastOne,
    ClassProbability,
    Draws,
    DrawWeight,
    Flag,
    LogProbability,
    Mass,
    NonNegative,
    OtherDraws,
    OtherDrawWeight,
    Positive,
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
    xp, pred: Draws, target: OtherDraws, *, u_weights: DrawWeight = None, v_weights: OtherDrawWeight = None, p: AtLeastOne = 1.0
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


# Rows whose sum is this near to 1, for each class, add up to it: the rest is what rounding left.
ROUNDING = 2.220446049250313e-16


def off_one(xp: Any, chances: Array) -> Array:
    """By how much each row's sum is off 1: 0 where that is rounding."""
    off = xp.sum(chances, axis=1) - 1
    rounded = xp.abs(off) <= _rounding(xp, chances)
    return off - held(xp, xp.where(rounded, off, xp.zeros_like(off)))


def _rounding(xp: Any, chances: Array) -> float:
    return max(ROUNDING, float(xp.finfo(chances.dtype).eps)) * int(chances.shape[1])


def relative_entropy(xp: Any, target: Array, pred: Array) -> Array:
    """Sum over classes of t ln(t / p): what is beyond the difference of the sums, never below 0, and that difference."""
    beyond, gap = xp.sum(entropy_unit(xp, target, pred), axis=1), xp.sum(target - pred, axis=1)
    value = beyond + gap
    # Rows that add up to the same but for rounding have a divergence of 0 at least.
    lost = (value < 0) & (xp.abs(gap) <= _rounding(xp, pred))
    return value - held(xp, xp.where(lost, gap, xp.zeros_like(gap)))


def log_overlap(xp: Any, first: Array, second: Array, power: float, eps: float) -> Array:
    """The logarithm of the sum over classes of first^power second^(1 - power), but no less than that of eps.

    What a nearly full overlap lacks to 1 is added up by itself, so that its logarithm keeps its digits.
    """
    rest = 1 - power
    nothing, one = xp.zeros_like(first), xp.ones_like(first)
    neither = (first == 0) & (second == 0)
    product = xp.where(neither, nothing, xp.where(neither, one, first) ** power * xp.where(neither, one, second) ** rest)
    total = xp.sum(product, axis=1)
    close = min(abs(power), abs(rest)) < NEAR_POWER
    alike = (first > 0) & (second > 0) & (close | (xp.abs(first - second) < 0.5 * second))
    x, y = xp.where(alike, first, one), xp.where(alike, second, one)
    near = -power * rest * y * power_excess(xp, x, y, power, -rest)
    lacking = xp.where(alike, near, product - power * first - rest * second)
    short = xp.sum(lacking, axis=1) + power * off_one(xp, first) + rest * off_one(xp, second)
    full = xp.abs(short) < 0.5  # noqa: PLR2004 - beyond, nothing cancels
    plain = xp.log(raised(xp, xp.where(full, xp.ones_like(total), total), eps))
    return xp.where(full, xp.log1p(xp.where(full, short, xp.zeros_like(short))), plain)


@loss(
    "distribution",
    source="Kullback & Leibler 1951, doi:10.1214/aoms/1177729694; keras.losses.KLDivergence",
    aliases=("kl_divergence_prob", "keras_kl_divergence"),
)
def kl_div_prob(xp, pred: ClassProbability, target: ClassProbability, *, eps: NonNegative = 1e-7) -> Array:
    """Kullback-Leibler divergence of the target from the prediction, both given as probabilities.

    formula: sum over classes of t ln(t / p), with both raised to at least eps
    example: [[0.6, 0.4], [0.4, 0.6]], [[0, 1], [0, 0]] -> 0.45814304511982884
    example: [[0.5, 0.5]], [[0.9, 0.1]] -> 0.36806420716849715
    eps: the least probability; smaller ones are raised to it.
    use: comparing distributions where the prediction has been through softmax already.
    pitfall: kl_div, as torch has it, takes the prediction as log-probabilities.
    pitfall: where pred is 0 and target is not, the true divergence is infinite; here it is what eps makes of it.
    """
    p, t = xp.clip(pred, eps, 1), xp.clip(target, eps, 1)
    return relative_entropy(xp, t, p)


@loss(
    "distribution",
    source="Lin 1991, doi:10.1109/18.61115; the square of scipy.spatial.distance.jensenshannon",
    aliases=("jsd", "jensen_shannon", "jensen_shannon_divergence"),
)
def js_div(xp, pred: ClassProbability, target: ClassProbability) -> Array:
    """Jensen-Shannon divergence: how far both are from their middle; symmetric, finite, at most ln 2.

    formula: KL(pred, m)/2 + KL(target, m)/2, m = (pred + target)/2, natural logarithms
    example: [[1, 0]], [[0, 1]] -> 0.6931471805599453
    example: [[0.5, 0.25, 0.25]], [[0.25, 0.25, 0.5]] -> 0.042474759198849354
    use: comparing distributions that may have zeros in different places.
    pitfall: scipy's jensenshannon is the square root of it.
    pitfall: probabilities are wanted on both sides, unlike in kl_div.
    """
    return xp.sum(halves_excess(xp, pred, target), axis=1)


@loss("distribution", source="Rényi 1961, Berkeley Symposium 4:547", aliases=("renyi_divergence",))
def renyi(xp, pred: ClassProbability, target: ClassProbability, *, alpha: Positive = 0.5, eps: Positive = 1e-300) -> Array:
    """Rényi divergence of the target from the prediction: Kullback-Leibler at alpha = 1, Bhattacharyya doubled at 1/2.

    formula: ln(sum_c target^alpha pred^(1 - alpha)) / (alpha - 1)
    example: [[0.5, 0.5]], [[0.9, 0.1]] -> 0.22314355131420976
    example: [[0.5, 0.5]], [[0.9, 0.1]], alpha=2 -> 0.494696241836107
    alpha: larger looks more at classes to which pred gives too little.
    eps: the least sum that the logarithm is taken of, so that distributions with nothing in common have a finite value.
    use: privacy accounting, variational inference.
    pitfall: for alpha >= 1 it is infinite where pred is 0 and target is not.
    pitfall: it is not symmetric, except at alpha = 1/2.
    """
    if alpha == 1:
        return relative_entropy(xp, target, pred)
    return log_overlap(xp, target, pred, alpha, eps) / (alpha - 1)


@loss("distribution", source="Hellinger 1909, doi:10.1515/crll.1909.136.210", aliases=("hellinger_distance",))
def hellinger(xp, pred: ClassProbability, target: ClassProbability) -> Array:
    """Hellinger distance: the Euclidean distance of the roots, from 0 to 1.

    formula: sqrt(sum_c (sqrt(pred) - sqrt(target))^2 / 2)
    example: [[1, 0]], [[0, 1]] -> 1.0
    example: [[0.5, 0.5]], [[0.9, 0.1]] -> 0.32491969623290634
    use: comparing distributions by a bounded distance that keeps the triangle inequality.
    pitfall: some call its square by the same name.
    pitfall: its slope is infinite where one probability is 0 and the other is not; at a perfect fit, where the slopes to both
        sides differ, the gradient is taken as 0.
    """
    return square_root(xp, 0.5 * xp.sum(root_gap(xp, pred, target), axis=1))


@loss(
    "distribution",
    source="Levin, Peres & Wilmer 2017, Markov Chains and Mixing Times, ch. 4",
    aliases=("tvd", "total_variation_distance"),
)
def total_variation_dist(xp, pred: ClassProbability, target: ClassProbability) -> Array:
    """The largest difference that both give to the probability of any event.

    formula: sum_c |pred - target| / 2
    example: [[0.5, 0.5]], [[0.9, 0.1]] -> 0.4
    use: comparing distributions in terms of probabilities.
    pitfall: total variation of images, which sums differences of neighbours, is something else.
    """
    gap = xp.abs(pred - target)
    # Where both are 0, or both 1, one side of the kink is outside: the derivative is that of the other.
    gap = xp.where((pred == 0) & (target == 0), pred + target, gap)
    gap = xp.where((pred == 1) & (target == 1), 2 - pred - target, gap)
    return 0.5 * xp.sum(gap, axis=1)


@loss("distribution", source="Bhattacharyya 1943, Bull. Calcutta Math. Soc. 35:99", aliases=("bhattacharyya_distance",))
def bhattacharyya(xp, pred: ClassProbability, target: ClassProbability, *, eps: Positive = 1e-300) -> Array:
    """Minus the logarithm of the overlap of two distributions.

    formula: -ln sum_c sqrt(pred target)
    example: [[0.5, 0.5]], [[0.9, 0.1]] -> 0.11157177565710488
    eps: the least overlap, so that distributions with nothing in common have a finite value.
    use: bounds on the error of telling two distributions apart.
    pitfall: it does not keep the triangle inequality; hellinger does.
    """
    return 0.0 - log_overlap(xp, target, pred, 0.5, eps)


@loss(
    "distribution",
    source="Pearson 1900, doi:10.1080/14786440009463897",
    aliases=("chi_squared", "chi2_divergence", "pearson_chi2"),
)
def chi2(xp, pred: ClassProbability, target: ClassProbability) -> Array:
    """Pearson's chi-squared divergence of the target from the prediction.

    formula: sum_c (target - pred)^2 / pred, 0 where both are 0
    example: [[0.5, 0.5]], [[0.9, 0.1]] -> 0.64
    use: tests of observed against expected shares; pred is what was expected.
    pitfall: it is infinite where pred is 0 and target is not.
    pitfall: the test statistic is this times the number of observations; Neyman's divides by the target instead.
    """
    gap = target - pred
    neither = (pred == 0) & (target == 0)
    parts = gap * gap / xp.where(neither, xp.ones_like(pred), pred)
    # Nothing on both sides: p itself is what it costs to move from there, and more of the target than nothing is infinite.
    return xp.sum(xp.where(neither, pred, parts) + steep(xp, target, neither), axis=1)
