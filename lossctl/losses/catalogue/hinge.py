"""Losses of scores whose sign or order decides: they ask for a distance from the border."""

from typing import Any

from lossctl.losses.catalogue.classification import at_label, is_label, one_hot
from lossctl.losses.loss import Array, loss
from lossctl.losses.numerics import at_least, either, nowhere_nan, times
from lossctl.losses.words import ClassScores, ClassTarget, Label, Positive, Score, Sign


def lacking(xp: Any, gap: Array) -> Array:
    """max(0, gap), with torch's derivative of clamp, 1 where the gap is exactly 0."""
    return at_least(xp, gap, 0)


@loss(
    "classification",
    source="Cortes & Vapnik 1995, doi:10.1007/BF00994018; Keras Hinge, sklearn.metrics.hinge_loss",
    aliases=("hinge_loss", "svm", "binary_hinge", "max_margin"),
)
def hinge(xp, pred: Score, target: Sign, *, margin: Positive = 1.0) -> Array:
    """Asks that a score lie on its label's side of 0 by a margin: the loss of support vector machines.

    formula: max(0, margin - target pred); its derivative where both are equal is that of torch's clamp, -target
    example: [0.5, 0.5, 2, -1, 1], [1, -1, -1, -1, -1] -> 1.4
    example: [0.5, 0.5, 2, -1, 1], [1, 0, 0, 0, 0] -> 1.4
    margin: how far on the right side costs nothing.
    use: binary classifiers of which only the decision counts; critics and discriminators.
    pitfall: labels are 1 and -1; 0 is read as -1, as in Keras.
    pitfall: torch.nn has no such loss: hinge_embedding is another one, and takes distances.
    pitfall: scores are wanted; probabilities never reach a margin of 1 on the negative side.
    """
    return lacking(xp, margin - target * pred)


@loss(
    "classification",
    source="Lee & Mangasarian 2001, doi:10.1023/A:1011215321374; Keras SquaredHinge",
    aliases=("l2_hinge",),
)
def squared_hinge(xp, pred: Score, target: Sign, *, margin: Positive = 1.0) -> Array:
    """Hinge loss squared: smooth at the margin, and hard on what is far on the wrong side.

    formula: max(0, margin - target pred)^2
    example: [0.5, 0.5, 2, -1, 1], [1, -1, -1, -1, -1] -> 3.1
    margin: how far on the right side costs nothing.
    use: support vector machines trained by gradients.
    pitfall: labels are 1 and -1; 0 is read as -1, as in Keras.
    pitfall: one mislabelled sample can outweigh all others.
    """
    gap = lacking(xp, margin - target * pred)
    return gap * gap


@loss("classification", source="Keras CategoricalHinge")
def categorical_hinge(xp, pred: ClassScores, target: ClassTarget) -> Array:
    """Asks that the right class's score exceed the largest other by 1, as Keras computes it.

    formula: max(0, 1 + max_c (1 - t[c]) pred[c] - sum_c t[c] pred[c])
    example: [[0.9, 0.2], [0.4, 0.7]], [[1, 0], [0, 1]] -> 0.5
    example: [[0.9, 0.2], [0.4, 0.7]], [0, 1] -> 0.5
    use: reproducing Keras; crammer_singer_hinge is the textbook's form.
    pitfall: the right class's own entry counts as 0 in the maximum, so where all other scores are negative they do not
        matter, and the loss is larger than crammer_singer_hinge.
    """
    chosen = one_hot(xp, target, pred)
    return lacking(xp, 1 + xp.max(times(xp, 1 - chosen, pred), axis=1) - xp.sum(times(xp, chosen, pred), axis=1))


@loss(
    "classification",
    source="Crammer & Singer 2001, JMLR 2:265; sklearn.metrics.hinge_loss, optax.losses.multiclass_hinge_loss",
    aliases=("multiclass_hinge", "crammer_singer"),
)
def crammer_singer_hinge(xp, pred: ClassScores, target: Label) -> Array:
    """Asks that the right class's score exceed the largest other by 1.

    formula: max(0, 1 + max_{c != y} pred[c] - pred[y])
    example: [[1, 2, 3], [0, -1, 2]], [2, 1] -> 2.0
    use: multi-class support vector machines.
    pitfall: multi_margin in torch adds up all classes that come too near and divides by their number: another value.
    """
    others = either(xp, is_label(xp, target, pred), xp.full_like(pred, -xp.inf), pred)
    return lacking(xp, 1 + xp.max(others, axis=1) - at_label(xp, pred, target))


@loss("classification", source="Rosenblatt 1958, doi:10.1037/h0042519; optax.losses.perceptron_loss")
def perceptron(xp, pred: Score, target: Sign) -> Array:
    """Counts how far a score lies on the wrong side of 0, and nothing on the right one.

    formula: max(0, -target pred); its derivative at 0 is -target, so that undecided scores are moved
    example: [0.5, 0.5, 2], [1, -1, -1] -> 0.8333333333333334
    use: online learning; a baseline for hinge.
    pitfall: scores of 0 cost nothing, so it can be minimised by a network that always says 0.
    pitfall: labels are 1 and -1; 0 is read as -1.
    """
    return lacking(xp, -target * pred)


@loss(
    "classification",
    source="Collins 2002, doi:10.3115/1118693.1118694; optax.losses.multiclass_perceptron_loss",
    aliases=("multiclass_perceptron_loss",),
)
def multiclass_perceptron(xp, pred: ClassScores, target: Label) -> Array:
    """Counts by how much the largest score exceeds that of the right class.

    formula: max_c pred[c] - pred[y]
    example: [[1, 2, 3], [0, -1, 2]], [2, 1] -> 1.5
    use: structured prediction and online learning, where only the decision counts.
    pitfall: equal scores cost nothing; crammer_singer_hinge asks for a margin.
    """
    value = xp.max(pred, axis=1) - at_label(xp, pred, target)
    if nowhere_nan(xp, value):
        return value
    # The one infinite score is that of the right class, which then is the largest; of several none is.
    alone = xp.sum(xp.astype(pred == xp.inf, pred.dtype), axis=1) == 1
    return xp.where(alone & (at_label(xp, pred, target) == xp.inf), xp.zeros_like(value), value)


@loss("classification", source="Freund & Schapire 1997, doi:10.1006/jcss.1997.1504", aliases=("exp_loss", "adaboost"))
def exponential(xp, pred: Score, target: Sign) -> Array:
    """The loss that AdaBoost minimises: it grows without measure on the wrong side.

    formula: e^(-target pred)
    example: [0, 1], [1, 1] -> 0.6839397205857212
    use: boosting; the score that minimises it is half the log-odds.
    pitfall: a few wrong labels decide everything; soft_margin has the same purpose and grows linearly.
    pitfall: it overflows where a wrong score is beyond 709.
    """
    return xp.exp(-target * pred)


@loss(
    "classification",
    source="Arjovsky 2017, arXiv:1701.07875",
    aliases=("wgan", "critic", "wgan_critic"),
)
def wasserstein_critic(xp, pred: Score, target: Sign) -> Array:  # noqa: ARG001
    """The critic of a Wasserstein GAN: high scores for real samples (1), low ones for generated samples (-1).

    formula: -target pred; its sum over as many real as generated samples is their number times E[fake] - E[real]
    example: [2, 1, -1, 0.5], [1, 1, -1, -1] -> -0.875
    use: training a critic whose slope is kept below 1 by other means.
    pitfall: much Keras code takes the mean of target pred with real samples as -1: the same loss with labels turned round.
    pitfall: over a batch of half real, half generated samples the mean is half of E[fake] - E[real].
    pitfall: without a bound on the critic's slope it falls without end; clip weights or punish the gradient.
    pitfall: the distance between two samples that is called Wasserstein too is wasserstein.
    """
    return -target * pred
