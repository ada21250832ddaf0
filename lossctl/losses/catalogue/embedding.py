"""Losses of vectors: whether two belong together, what should lie close, and what far apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lossctl.losses.catalogue.classification import log_chance
from lossctl.losses.loss import Array, Terms, loss
from lossctl.losses.numerics import at_least, held, norm, relu, square_root
from lossctl.losses.words import Embedding, Flag, NonNegative, NormDegree, PairLabel, Positive, Vector, ZeroOrOne


def scaled(xp: Any, vectors: Array) -> tuple[Array, Array]:
    """Vectors whose largest entry lies between 1 and 2, and the power of two that they were divided by; zeros stay."""
    size = held(xp, xp.abs(vectors))
    largest = xp.max(size, axis=-1, keepdims=True) if size.shape[-1] else xp.sum(size, axis=-1, keepdims=True)
    one = xp.ones_like(largest)
    scale = xp.where(largest > 0, 2.0 ** xp.floor(xp.log2(xp.where(largest > 0, largest, one))), one)
    return vectors / scale, scale


def direction(xp: Any, vectors: Array, eps: float) -> tuple[Array, Array]:
    """Vectors over their length along the last axis, which counts as eps at least; and which are longer than that.

    A vector of zeros stays what it is. No square overflows or vanishes.
    """
    vectors, scale = scaled(xp, vectors)
    square = xp.sum(vectors * vectors, axis=-1, keepdims=True)
    nothing = square == 0
    length = xp.sqrt(xp.where(nothing, xp.ones_like(square), square))
    long = (length * scale > eps) & ~nothing
    unit = vectors / xp.where(long, length, eps / scale if eps else xp.ones_like(scale))
    # Without eps a vector of zeros has no direction, and none that it could move to.
    unit = unit if eps else xp.where(nothing, xp.zeros_like(unit), unit)
    return unit, xp.squeeze(long, axis=-1)


def cosine(xp: Any, first: Array, second: Array, eps: float) -> Array:
    """The cosine along the last axis, 0 for a vector of zeros."""
    return xp.sum(direction(xp, first, eps)[0] * direction(xp, second, eps)[0], axis=-1)


def rest_of_product(xp: Any, x: Array, y: Array) -> Array:
    """What rounding takes from x y, which gradients do not see (Dekker 1971, doi:10.1007/BF01397083)."""
    x, y = held(xp, x), held(xp, y)
    half = 1 + 2.0 ** (27 if x.dtype == xp.float64 else 12)
    (x_high, x_low), (y_high, y_low) = ((high := half * z - (half * z - z), z - high) for z in (x, y))
    return ((x_high * y_high - x * y) + x_high * y_low + x_low * y_high) + x_low * y_low


@loss("embedding", source="Hadsell 2006, doi:10.1109/CVPR.2006.100", aliases=("contrastive_loss", "siamese", "hadsell"))
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
def negative_cosine(xp, pred: Embedding, target: Embedding, *, eps: NonNegative = 1e-7) -> Array:
    """Minus the cosine of two vectors, from -1 for one direction to 1 for opposite ones.

    formula: -<pred, target> / (||pred|| ||target||) along the last axis
    example: [[3, 4], [1, 0]], [[3, 4], [0, 1]] -> -0.5
    eps: the least length of a vector: what is shorter has a smaller cosine, as in Keras, and a zero vector a cosine of 0.
    use: vectors of which only the direction counts.
    pitfall: it is negative where vectors agree, as in Keras: a loss that falls below 0 is no error.
    pitfall: Keras calls it CosineSimilarity, a name under which torch, optax and scikit-learn give the cosine itself, a score.
    """
    return -cosine(xp, pred, target, eps)


@loss("embedding", source="optax.losses.cosine_distance; scipy.spatial.distance.cosine")
def cosine_distance(xp, pred: Embedding, target: Embedding, *, eps: NonNegative = 0.0) -> Array:
    """One minus the cosine of two vectors: 0 for one direction, 1 for right angles, 2 for opposite ones.

    formula: 1 - <pred, target> / (||pred|| ||target||) along the last axis
    example: [[3, 4], [1, 0]], [[3, 4], [0, 1]] -> 0.5
    eps: the least length of a vector; 0, as in optax, divides each by its own, however short it is.
    use: vectors of which only the direction counts; retrieval.
    pitfall: a zero vector has no direction: its cosine counts as 0, its distance as 1 and its gradient, without eps, as 0;
        optax and scipy give nan.
    pitfall: the length of vectors changes nothing, so it may grow or vanish unseen.
    pitfall: it is no metric: it breaks the triangle inequality.
    """
    (first, long), (second, far) = direction(xp, pred, eps), direction(xp, target, eps)
    inner = xp.sum(first * second, axis=-1)
    # Nearly parallel vectors: from what one of them has across the other, which keeps its digits.
    close = long & far & (inner > 0.5)  # noqa: PLR2004 - beyond, nothing cancels
    one = xp.ones_like(inner)
    (p, _), (t, _) = scaled(xp, pred), scaled(xp, target)
    along = xp.expand_dims(xp.sum(p * t, axis=-1) / xp.where(close, xp.sum(p * p, axis=-1), one), axis=-1)
    across = (t - along * p) - rest_of_product(xp, along, p)
    square = xp.sum(across * across, axis=-1) / xp.where(close, xp.sum(t * t, axis=-1), one)
    return xp.where(close, square / (1 + xp.where(close, inner, one)), 1 - inner)


Distance = Callable[[Array, Array], Array]


def triplet(
    xp: Any, anchor: Array, positive: Array, negative: Array, distance: Distance, margin: float, *, swap: bool
) -> Array:
    """By how much the positive is not nearer than the negative by the margin, for any distance."""
    far = distance(anchor, negative)
    if swap:
        far = xp.minimum(far, distance(positive, negative))
    return at_least(xp, distance(anchor, positive) - far + margin, 0)


@loss(
    "embedding",
    torch="triplet_margin_loss",
    source="Balntas 2016, BMVC, doi:10.5244/C.30.119; torch.nn.TripletMarginLoss",
    aliases=("triplet", "triplet_margin_loss", "triplet_loss"),
)
def triplet_margin(
    xp,
    anchor: Embedding,
    positive: Embedding,
    negative: Embedding,
    *,
    margin: Positive = 1.0,
    p: NormDegree = 2.0,
    eps: NonNegative = 1e-6,
    swap: Flag = False,
) -> Array:
    """Pulls a positive towards an anchor until it is nearer than a negative by a margin.

    formula: max(0, d(a, p) - d(a, n) + margin), d(u, v) = ||u - v + eps||_p
    example: [[0, 0]], [[1, 0]], [[1, 0.5]] -> 0.8819663528913022
    example: [[0, 0]], [[1, 0]], [[1, 0.5]], swap=True -> 1.4999999999995
    margin: by how much the positive must be nearer.
    p: the norm's degree.
    eps: added to each component of a difference, as torch does.
    swap: measure the negative from the positive where that is nearer.
    use: learning embeddings from triplets: faces, re-identification, retrieval.
    pitfall: random triplets soon cost nothing; mine hard negatives.
    pitfall: a mean close to the margin with tiny distances means that all embeddings have collapsed to a point.
    """
    return triplet(xp, anchor, positive, negative, lambda u, v: norm(xp, u - v + eps, p, axis=-1), margin, swap=swap)


@loss(
    "embedding",
    source="van den Oord 2018, arXiv:1807.03748; one direction of CLIP, arXiv:2103.00020",
    whole=True,
    pairs=True,
    aliases=("infonce", "info_nce_loss"),
)
def info_nce(xp, pred: Vector, target: Vector, *, temperature: Positive = 0.07) -> Terms:
    """Row i of pred must find row i of target among all rows, by cosine similarity.

    formula: -log softmax_j(cos(pred_i, target_j) / temperature)[i]
    example: [[1, 0], [0, 1]], [[1, 0], [0, 1]], temperature=1 -> 0.31326168751822286
    temperature: divides the similarities; smaller is sharper.
    use: contrastive learning from pairs: two views, image and text, query and document.
    pitfall: the other rows are the negatives, so the value depends on the batch and grows with its size.
    pitfall: a zero vector has no direction: its similarities count as 0, and so does its gradient.
    pitfall: duplicates in the batch are treated as negatives of each other.
    """
    (result, _), (wanted, _) = direction(xp, pred, 0.0), direction(xp, target, 0.0)
    scores = result @ xp.matrix_transpose(wanted) / temperature
    own = xp.arange(scores.shape[0], device=scores.device)
    return {"value": -log_chance(xp, scores, own)}
