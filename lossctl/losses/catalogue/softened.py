"""Softmax losses with softened targets or other links: smoothing, distillation, noisy labels, imbalance."""

from typing import Any

from lossctl.losses.catalogue.classification import (
    at_label,
    counted,
    label_cross_entropy,
    log_chance,
    one_hot,
    per_class,
    soft_cross_entropy,
)
from lossctl.losses.loss import Array, Terms, loss
from lossctl.losses.numerics import exp_excess, log_softmax, probable, scaled, times
from lossctl.losses.words import (
    ClassCount,
    ClassLogits,
    ClassProbability,
    Flag,
    Fraction,
    Integer,
    Label,
    NonNegative,
    Positive,
    Scalar,
)


def exponential_of_mean(xp: Any, sums: Terms, **_: Any) -> Array:
    """The exponential of the pooled mean."""
    return xp.exp(sums["nll"] / sums["weight"])


@loss(
    "classification",
    source="Szegedy 2016, arXiv:1512.00567; timm LabelSmoothingCrossEntropy",
    aliases=("lsce", "label_smoothing_cross_entropy", "label_smoothing"),
)
def label_smoothing_ce(
    xp, pred: ClassLogits, target: Label, *, smoothing: Fraction = 0.1, ignore_index: Integer = -100
) -> Terms:
    """Cross-entropy with a share of each target spread evenly over the classes: less sure, often better calibrated.

    formula: (1 - smoothing) CE + smoothing mean_c(-ln p[c]), p = softmax(pred)
    example: [[1, 2, 3]], [2] -> 0.5076059644443804
    smoothing: the share that is spread; the right class keeps 1 - smoothing + smoothing/C.
    ignore_index: the label of samples that count for nothing.
    use: image classification and translation, against networks that are too sure.
    pitfall: its least value is not 0 but the entropy of the smoothed target, so it is not to be compared with cross_entropy.
    pitfall: a network trained with it is a worse teacher for distillation.
    """
    return label_cross_entropy(xp, pred, target, None, ignore_index, smoothing)


@loss(
    "classification",
    source="Hinton 2015, arXiv:1503.02531; timm SoftTargetCrossEntropy",
    aliases=("distillation_ce", "soft_target_cross_entropy", "soft_ce"),
)
def soft_target_ce(xp, pred: ClassLogits, target: ClassProbability) -> Terms:
    """Cross-entropy against probabilities: mixed labels, or what a teacher says.

    formula: -sum_c target[c] ln p[c], p = softmax(pred)
    example: [[1, 2, 3]], [[0.2, 0.3, 0.5]] -> 1.1076059644443806
    use: mixup, cutmix, votes of annotators, distillation at temperature 1.
    pitfall: its least value is the entropy of the target, not 0; kl_div has 0 there.
    pitfall: targets are used as they are: rows that do not add up to 1 scale their samples.
    """
    return soft_cross_entropy(xp, log_softmax(xp, pred, axis=1), target, None, 0.0)


@loss(
    "classification",
    source="Hinton 2015, arXiv:1503.02531; sum over classes, as reduction='batchmean' of torch.nn.KLDivLoss",
    aliases=("kd", "knowledge_distillation"),
)
def distillation_kl(xp, pred: ClassLogits, target: ClassLogits, *, temperature: Positive = 4.0) -> Array:
    """Divergence of a teacher's softened answer (target) from a student's (pred), both given as raw scores.

    formula: T^2 sum_c q[c] (ln q[c] - ln p[c]), q = softmax(target / T), p = softmax(pred / T)
    example: [[1, 2, 3]], [[1, 2, 3]] -> 0.0
    example: [[1, 2, 3]], [[3, 2, 1]], temperature=1 -> 1.1504207652088827
    temperature: both scores are divided by it; T^2 keeps gradients of one size.
    use: training a small network on the answers of a large one, beside cross_entropy on the labels.
    pitfall: student first, teacher second; the divergence is not the same the other way round.
    pitfall: code without the T^2, or with the mean over classes, gives other values and needs another weight.
    """
    student = log_softmax(xp, pred / temperature, axis=1)
    teacher = log_softmax(xp, target / temperature, axis=1)
    # What both add up to cancels: of nearly equal answers it would leave nothing but rounding.
    apart = student - teacher
    near = xp.abs(apart) < 0.5  # noqa: PLR2004 - beyond, nothing cancels
    close = xp.exp(teacher) * exp_excess(xp, xp.where(near, apart, xp.zeros_like(apart)))
    far = probable(xp, teacher, student) + (xp.exp(student) - xp.exp(teacher))
    return temperature**2 * xp.sum(xp.where(near, close, far), axis=1)


@loss("classification", source="Wang 2019, arXiv:1908.06112", aliases=("symmetric_cross_entropy",))
def symmetric_ce(
    xp,
    pred: ClassLogits,
    target: Label,
    *,
    alpha: NonNegative = 0.1,
    beta: NonNegative = 1.0,
    log_zero: Scalar = -4.0,
    ignore_index: Integer = -100,
) -> Terms:
    """Cross-entropy and its reverse, which wrong labels pull at less.

    formula: alpha (-ln p[y]) + beta (-log_zero) (1 - p[y]), p = softmax(pred)
    example: [[0, 0]], [1] -> 2.0693147180559944
    alpha: the weight of cross-entropy; the paper has 0.1 for CIFAR-10 and 6 for CIFAR-100.
    beta: the weight of the reverse; the paper has 1 and 0.1.
    log_zero: what stands for ln 0 in the reverse, where the label gives other classes no probability.
    ignore_index: the label of samples that count for nothing.
    use: training on labels of which some are wrong.
    pitfall: code that clips labels at 1e-4 has log_zero = -9.21 instead of the paper's -4.
    """
    logp = log_chance(xp, pred, target, ignore_index)
    return counted(xp, scaled(xp, -alpha, logp) + beta * log_zero * xp.expm1(logp), target, ignore_index)


@loss("classification", source="Reed 2015, arXiv:1412.6596", aliases=("bootstrap", "bootstrapping_ce"))
def bootstrapping(
    xp, pred: ClassLogits, target: Label, *, beta: Fraction = 0.95, hard: Flag = False, ignore_index: Integer = -100
) -> Terms:
    """Cross-entropy whose target is partly what the network itself believes.

    formula: -sum_c (beta [c = y] + (1 - beta) b[c]) ln p[c], b = p, or 1 for the largest p and 0 elsewhere (hard)
    example: [[0, 0]], [1] -> 0.6931471805599453
    beta: the share of the label; the paper takes 0.95 for soft and 0.8 for hard beliefs.
    hard: believe in the most probable class alone; of several the first.
    ignore_index: the label of samples that count for nothing.
    use: training on labels of which some are wrong.
    pitfall: with beta near 0 the network agrees with itself and learns nothing.
    pitfall: the gradient goes through the belief too; code that detaches it has the same value and another gradient.
    """
    logp = log_softmax(xp, pred, axis=1)
    believed = one_hot(xp, xp.argmax(pred, axis=1), pred) if hard else xp.exp(logp)
    own = -xp.sum(times(xp, believed, logp), axis=1)
    value = scaled(xp, -beta, at_label(xp, logp, target, ignore_index)) + scaled(xp, 1 - beta, own)
    return counted(xp, value, target, ignore_index)


@loss(
    "classification",
    source="Martins & Astudillo 2016, arXiv:1602.02068; optax.losses.multiclass_sparsemax_loss",
    aliases=("multiclass_sparsemax", "sparsemax_loss"),
)
def sparsemax(xp, pred: ClassLogits, target: Label, *, ignore_index: Integer = -100) -> Terms:
    """The loss of the projection onto the simplex, which gives most classes a probability of exactly 0.

    formula: -z[y] + sum over z > tau of (z^2 - tau^2)/2 + 1/2, tau such that sum max(0, z - tau) = 1
    example: [[1, 2, 3], [0, -1, 2]], [2, 1] -> 1.5
    ignore_index: the label of samples that count for nothing.
    use: classification and attention with few classes of positive probability.
    pitfall: it is 0, with gradient 0, as soon as the right score leads by 1.
    """
    scores = pred - xp.max(pred, axis=1, keepdims=True)
    tau = _threshold(xp, scores)
    kept = xp.clip(scores, tau, None)
    value = 0.5 * (1 + xp.sum(kept * kept - tau * tau, axis=1)) - at_label(xp, scores, target, ignore_index)
    return counted(xp, value, target, ignore_index)


def _threshold(xp: Any, scores: Array) -> Array:
    """The tau at which sum max(0, scores - tau) is 1 along axis 1, from the sorted scores."""
    ordered = -xp.sort(-scores, axis=1)
    total = xp.cumulative_sum(ordered, axis=1)
    count = per_class(xp, xp.arange(1, scores.shape[1] + 1, dtype=scores.dtype, device=scores.device), scores)
    inside = 1 + count * ordered > total
    size = xp.sum(xp.astype(inside, scores.dtype), axis=1, keepdims=True)
    return (xp.sum(xp.where(inside, ordered, xp.zeros_like(ordered)), axis=1, keepdims=True) - 1) / size


@loss("classification", source="Menon 2021, arXiv:2007.07314", aliases=("logit_adjustment", "balanced_softmax"))
def logit_adjusted(
    xp, pred: ClassLogits, target: Label, *, counts: ClassCount = None, tau: NonNegative = 1.0, ignore_index: Integer = -100
) -> Terms:
    """Cross-entropy after adding to each score the logarithm of its class's share: rare classes must be further ahead.

    formula: -ln softmax(pred + tau ln(counts / sum(counts)))[y]
    example: [[0, 0]], [1], counts=[9, 1] -> 2.302585092994046
    counts: how many samples of each class the training data has; all alike where not given.
    tau: how much of the shares is added; 0 leaves cross_entropy.
    ignore_index: the label of samples that count for nothing.
    use: long tails, where all classes matter alike.
    pitfall: nothing is added when predicting; adding it there too undoes the effect.
    """
    scores = pred if counts is None else pred + per_class(xp, tau * xp.log(counts / xp.sum(counts)), pred)
    return label_cross_entropy(xp, scores, target, None, ignore_index)


@loss(
    "classification",
    source="Jelinek 1977, doi:10.1121/1.2016299; torchmetrics Perplexity",
    finish=exponential_of_mean,
    reductions=("mean",),
    aliases=("ppl",),
)
def perplexity(xp, pred: ClassLogits, target: Label, *, ignore_index: Integer = -100) -> Terms:
    """Among how many equally probable classes the model would be as unsure: e to the mean cross-entropy.

    formula: exp(mean of -ln softmax(pred)[y])
    example: [[1, 1, 1], [0, 0, 0]], [2, 0] -> 3.0
    ignore_index: the label of samples that count for nothing, such as padding.
    use: language models; train on cross_entropy, report this.
    pitfall: the mean of batch perplexities is not the perplexity of the data; here the exponential is taken last.
    pitfall: numbers for different tokenizers cannot be compared.
    pitfall: classes stand on axis 1; for scores (N, T, C) use --class-dim -1.
    """
    terms = label_cross_entropy(xp, pred, target, None, ignore_index)
    return {"nll": terms["value"], "weight": terms["weight"]}
