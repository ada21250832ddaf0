"""Losses of pairs and triplets of vectors."""

from lossctl.loss import loss
from lossctl.losses.embedding import triplet
from lossctl.numerics import at_least, either, norm
from lossctl.words import Array, Embedding, Flag, PairSign, Positive, Scalar, Vector

# torch adds this to each squared length, so that vectors of length 0 have a cosine: 1e-12, which it keeps in float32.
SQUARED_LENGTH_EPS = 9.999999960041972e-13
# What torch.nn.functional.pairwise_distance adds to each component of a difference.
DIFFERENCE_EPS = 1e-6


@loss(
    "embedding",
    torch="cosine_embedding_loss",
    source="torch.nn.CosineEmbeddingLoss",
    aliases=("cosine_emb", "cosine_embedding_loss"),
)
def cosine_embedding(xp, input1: Vector, input2: Vector, target: PairSign, *, margin: Scalar = 0.0) -> Array:
    """Turns pairs that belong together to one direction, and others apart until their cosine is below a margin.

    formula: 1 - cos(input1, input2) where target = 1, max(0, cos(input1, input2) - margin) where target = -1
    example: [[1, 0], [0, 0], [3, 4]], [[0, 1], [1, 1], [3, 4]], [1, 1, -1] -> 0.9999999999999867
    example: [[1, 0], [3, 4]], [[0, 1], [3, 4]], [-1, -1], margin=0.5 -> 0.24999999999998002
    margin: the cosine from which on pairs that do not belong together cost something, -1 to 1.
    use: learning whether two texts, images or faces belong together, where only the direction of vectors counts.
    pitfall: labels are 1 and -1; with 0 for "not together" torch counts such pairs as 0 and says nothing, here it is an error.
    pitfall: the length of vectors changes nothing, so collapsed and exploding embeddings look alike.
    pitfall: 1e-12 is added to each squared length, as in torch, so vectors shorter than 1e-5 have a smaller cosine than they
        should; the cosine of a zero vector is 0, and its gradient as large as 1e6.
    """
    inner = xp.sum(input1 * input2, axis=-1)
    first = xp.sum(input1 * input1, axis=-1) + SQUARED_LENGTH_EPS
    second = xp.sum(input2 * input2, axis=-1) + SQUARED_LENGTH_EPS
    cosine = inner / xp.sqrt(first * second)
    nothing = xp.zeros_like(cosine)
    apart = either(xp, target == -1, at_least(xp, cosine - margin, 0), nothing)
    return either(xp, target == 1, 1 - cosine, nothing) + apart


@loss(
    "embedding",
    torch="triplet_margin_with_distance_loss",
    source="Balntas 2016, BMVC, doi:10.5244/C.30.119; torch.nn.TripletMarginWithDistanceLoss",
    aliases=("triplet_distance", "triplet_margin_with_distance_loss"),
)
def triplet_margin_with_distance(
    xp, anchor: Embedding, positive: Embedding, negative: Embedding, *, margin: Positive = 1.0, swap: Flag = False
) -> Array:
    """The triplet loss with torch's default distance, the Euclidean one: what its class gives without distance_function.

    formula: max(0, d(a, p) - d(a, n) + margin), d(u, v) = ||u - v + 1e-6||_2
    example: [[0, 0]], [[1, 0]], [[1, 0.5]] -> 0.8819663528913022
    example: [[0, 0]], [[1, 0]], [[1, 0.5]], swap=True -> 1.4999999999995
    margin: by how much the positive must be nearer.
    swap: measure the negative from the positive where that is nearer.
    use: checking a training that uses this class; triplet_margin is the same with the norm's degree as a parameter.
    pitfall: torch takes any Python function as distance_function; a distance other than the default is a loss of your own
        here, given by its path, or triplet_margin with another p.
    """
    return triplet(xp, anchor, positive, negative, lambda u, v: norm(xp, u - v + DIFFERENCE_EPS, 2, axis=-1), margin, swap=swap)
