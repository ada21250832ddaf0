"""Measures of how far two distributions over classes are apart, both given as probabilities.

Rows are used as they are: they should add up to 1. Where direction matters, target stands first: D(target, pred).
"""

from typing import Any

from lossctl.loss import loss
from lossctl.numerics import share, square_root, x_log_y
from lossctl.words import Array, ClassProbability, NonNegative, Positive


def overlap(xp: Any, first: Array, second: Array, power: float) -> Array:
    """Sum over classes of first^power second^(1 - power), where first is not 0."""
    nothing = first == 0
    one = xp.ones_like(first)
    product = xp.where(nothing, one, first) ** power * xp.where(nothing, one, second) ** (1 - power)
    return xp.sum(xp.where(nothing, xp.zeros_like(first), product), axis=1)


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
    return xp.sum(t * xp.log(t / p), axis=1)


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
    middle = 0.5 * (pred + target)
    halves = 0.5 * (x_log_y(xp, pred, pred) + x_log_y(xp, target, target))
    return xp.sum(halves - x_log_y(xp, middle, middle), axis=1)


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
        return xp.sum(x_log_y(xp, target, target) - x_log_y(xp, target, pred), axis=1)
    return xp.log(xp.clip(overlap(xp, target, pred, alpha), eps, None)) / (alpha - 1)


@loss("distribution", source="Hellinger 1909, doi:10.1515/crll.1909.136.210", aliases=("hellinger_distance",))
def hellinger(xp, pred: ClassProbability, target: ClassProbability) -> Array:
    """Hellinger distance: the Euclidean distance of the roots, from 0 to 1.

    formula: sqrt(sum_c (sqrt(pred) - sqrt(target))^2 / 2)
    example: [[1, 0]], [[0, 1]] -> 1.0
    example: [[0.5, 0.5]], [[0.9, 0.1]] -> 0.32491969623290634
    use: comparing distributions by a bounded distance that keeps the triangle inequality.
    pitfall: some call its square by the same name.
    pitfall: its slope is infinite where one probability is 0 and the other is not; where both are equal, or both 0, the
        gradient is taken as 0.
    """
    neither = (pred == 0) & (target == 0)
    p, t = (xp.where(neither, xp.ones_like(chance), chance) for chance in (pred, target))
    gap = xp.sqrt(p) - xp.sqrt(t)
    return square_root(xp, 0.5 * xp.sum(gap * gap, axis=1))


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
    return 0.5 * xp.sum(xp.abs(pred - target), axis=1)


@loss("distribution", source="Bhattacharyya 1943, Bull. Calcutta Math. Soc. 35:99", aliases=("bhattacharyya_distance",))
def bhattacharyya(xp, pred: ClassProbability, target: ClassProbability, *, eps: Positive = 1e-300) -> Array:
    """Minus the logarithm of the overlap of two distributions.

    formula: -ln sum_c sqrt(pred target)
    example: [[0.5, 0.5]], [[0.9, 0.1]] -> 0.11157177565710488
    eps: the least overlap, so that distributions with nothing in common have a finite value.
    use: bounds on the error of telling two distributions apart.
    pitfall: it does not keep the triangle inequality; hellinger does.
    """
    return -xp.log(xp.clip(overlap(xp, target, pred, 0.5), eps, None))


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
    return xp.sum(share(xp, (target - pred) ** 2, pred), axis=1)
