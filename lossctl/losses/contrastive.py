"""Losses of two vectors and whether they belong together."""

from typing import Any

from lossctl.loss import loss
from lossctl.numerics import at_least, relu, square_root
from lossctl.words import Array, Embedding, Flag, NonNegative, PairLabel, Positive, Vector, ZeroOrOne


def cosine(xp: Any, first: Array, second: Array, eps: float) -> Array:
    """The cosine along the last axis; squared lengths are raised to eps, so that of a zero vector it is 0."""
    lengths = at_least(xp, xp.sum(first * first, axis=-1), eps) * at_least(xp, xp.sum(second * second, axis=-1), eps)
    return xp.sum(first * second, axis=-1) / xp.sqrt(lengths)


@loss(
    "embedding",
    source="Hadsell 2006, doi:10.1109/CVPR.2006.100",
    aliases=("contrastive_loss", "siamese", "hadsell"),
)
def contrastive(
    xp,
    input1: Vector,
    input2: Vector,
    target: PairLabel,
    *,
    margin: Positive = 1.0,
    similar_label: ZeroOrOne = 1,
    half: Flag = False,
) -> Array:
    """Pulls pairs that belong together to one place, and others apart until their distance is the margin.

    formula: y d^2 + (1 - y) max(0, margin - d)^2, d = ||input1 - input2||_2, y = 1 for pairs that belong together
    example: [[0, 0], [0, 0]], [[0.5, 0], [0.5, 0]], [1, 0] -> 0.25
    example: [[0, 0], [0, 0]], [[0, 2], [0, 0.5]], [1, 1], half=True -> 1.0625
    example: [[0, 0]], [[0, 2]], [0], similar_label=0 -> 4.0
    margin: the distance from which on pairs that do not belong together cost nothing.
    similar_label: the label of pairs that belong together: 1 in most code, 0 in the paper.
    half: take half of it, as the paper does.
    use: learning from pairs that someone has called same or different: signatures, faces, near-duplicates.
    pitfall: the paper labels similar pairs 0, most code 1; the wrong one learns the opposite. Look at similar_label first.
    pitfall: contrastive losses over all pairs of a batch (NT-Xent, info_nce) are other numbers.
    pitfall: the gradient of pairs at distance 0 that do not belong together has no direction; here it is 0.
    """
    gap = input1 - input2
    square = xp.sum(gap * gap, axis=-1)
    short = relu(xp, margin - square_root(xp, square))
    same = target if similar_label else 1 - target
    return (0.5 if half else 1.0) * (same * square + (1 - same) * short * short)


@loss(
    "embedding",
    source="keras.losses.CosineSimilarity; Salton 1975, doi:10.1145/361219.361220",
    aliases=("negative_cosine_similarity",),
)
def negative_cosine(xp, pred: Embedding, target: Embedding, *, eps: NonNegative = 1e-12) -> Array:
    """Minus the cosine of two vectors, from -1 for one direction to 1 for opposite ones.

    formula: -<pred, target> / (||pred|| ||target||) along the last axis
    example: [[3, 4], [1, 0]], [[3, 4], [0, 1]] -> -0.5
    eps: the least squared length of a vector, so that of a zero vector the cosine is 0.
    use: vectors of which only the direction counts.
    pitfall: it is negative where vectors agree, as in Keras: a loss that falls below 0 is no error.
    pitfall: Keras calls it CosineSimilarity, a name under which torch, optax and scikit-learn give the cosine itself, a score.
    """
    return -cosine(xp, pred, target, eps)


@loss("embedding", source="optax.losses.cosine_distance; scipy.spatial.distance.cosine")
def cosine_distance(xp, pred: Embedding, target: Embedding, *, eps: NonNegative = 1e-12) -> Array:
    """One minus the cosine of two vectors: 0 for one direction, 1 for right angles, 2 for opposite ones.

    formula: 1 - <pred, target> / (||pred|| ||target||) along the last axis
    example: [[3, 4], [1, 0]], [[3, 4], [0, 1]] -> 0.5
    eps: the least squared length of a vector, so that of a zero vector the cosine is 0.
    use: vectors of which only the direction counts; retrieval.
    pitfall: the length of vectors changes nothing, so it may grow or vanish unseen.
    pitfall: it is no metric: it breaks the triangle inequality.
    """
    return 1 - cosine(xp, pred, target, eps)
