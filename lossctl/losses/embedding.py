"""Losses of vectors: what should lie close, and what far apart."""

from collections.abc import Callable
from typing import Any

from lossctl.loss import Terms, loss
from lossctl.losses.contrastive import direction
from lossctl.losses.labels import log_chance
from lossctl.numerics import at_least, norm
from lossctl.words import Array, Embedding, Flag, NonNegative, NormDegree, Positive, Vector

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
    (found, _), (wanted, _) = direction(xp, pred, 0.0), direction(xp, target, 0.0)
    scores = found @ xp.matrix_transpose(wanted) / temperature
    own = xp.arange(scores.shape[0], device=scores.device)
    return {"value": -log_chance(xp, scores, own)}
