"""Losses of label sequences against scores over time."""

from typing import Any

from lossctl.errors import BadParameter, OutOfDomain
from lossctl.losses.loss import Array, Terms, loss
from lossctl.losses.numerics import followed, held, log_sum_exp
from lossctl.losses.words import Flag, FrameCount, Index, LabelCount, SequenceLabels, SequenceLogProbability


def share_of_labels(xp: Any, sums: Terms, **_: Any) -> Array:  # noqa: ARG001 - every finish has this header
    """Divide each sequence by its number of labels, then average, as torch does."""
    return sums["share"] / sums["weight"]


def check_labels(xp: Any, index: Array, pred: Array, target: Array, _: Array, lengths: Array, blank: int, **__: Any) -> None:
    """Check what torch reads out of bounds: blank or unknown labels within the lengths."""
    classes = pred.shape[2]
    if blank >= classes:
        message = f"blank={blank}, but the scores have {classes} classes."
        raise BadParameter(message, hint=f"blank must lie in 0..{classes - 1}.")
    wrong = ((target < 0) | (target >= classes) | (target == blank)) & _within(xp, target, lengths)
    if xp.any(wrong):
        row, column = divmod(int(xp.argmax(xp.reshape(xp.astype(wrong, xp.int8), (-1,)))), target.shape[1])
        place, label = f"label {column} of sequence {int(index[row])}", int(target[row, column])
        message = f"target: {place} is {label}, which is not one of 0..{classes - 1} other than blank={blank}."
        raise OutOfDomain(message, hint="Remove blanks from the targets, or name the right blank with -p blank=K.")


def _within(xp: Any, target: Array, lengths: Array) -> Array:
    """Which places of the padded targets belong to their sequences."""
    return xp.arange(target.shape[1], device=target.device)[None, :] < lengths[:, None]


@loss(
    "sequence",
    torch="ctc_loss",
    source="Graves 2006, doi:10.1145/1143844.1143891; torch.nn.CTCLoss",
    finish=share_of_labels,
    aliases=("ctc_loss", "connectionist_temporal_classification"),
    guard=check_labels,
)
def ctc(
    xp,
    pred: SequenceLogProbability,
    target: SequenceLabels,
    input_lengths: FrameCount,
    target_lengths: LabelCount,
    *,
    blank: Index = 0,
    zero_infinity: Flag = False,
) -> Terms:
    """Negative log-probability of a label sequence over all its alignments with the frames.

    formula: -log sum over alignments of prod_t p(label_t); the mean divides each sequence by its number of labels
    example: [[[-0.5108256237659907, -1.2039728043259361, -2.3025850929940455]], [[-1.6094379124341003,
        -0.6931471805599453, -1.2039728043259361]], [[-1.2039728043259361, -1.2039728043259361,
        -0.916290731874155]]], [[1, 2]], [3], [2] -> 0.6602533102909438
    blank: the class that means no label.
    zero_infinity: count sequences that cannot be aligned as 0 instead of infinity.
    use: speech and handwriting, where labels have an order but no times.
    pitfall: time comes first: log-probabilities are (T, N, C), the batch is axis 1.
    pitfall: a sequence needs as many frames as labels, and one more for each repeated label, or the loss is infinite.
    pitfall: raw scores in place of log-probabilities give a number, and a wrong one.
    pitfall: the gradient by pred follows torch's convention: the derivative plus e^pred within input_lengths, which is the
        gradient by the raw scores where pred is their log_softmax. Central differences of pred show the derivative alone.
    pitfall: the gradient of an infinite loss is nan, as in torch; with zero_infinity it is 0.
    """
    inside = _within(xp, target, target_lengths)
    labels = _with_blanks(xp, xp.where(inside, target, xp.full_like(target, blank)), blank)
    value = -_log_likelihood(xp, pred, labels, input_lengths, target_lengths, blank)
    if followed(pred):
        more = _more_of_torch(xp, pred, input_lengths)
        value = value + (more if zero_infinity else _lost(xp, value == xp.inf, more))
    if zero_infinity:
        value = xp.where(xp.isinf(value), xp.zeros_like(value), value)
    least = xp.clip(target_lengths, 1, None)
    return {"value": value, "share": value / xp.astype(least, value.dtype)}


def _with_blanks(xp: Any, target: Array, blank: int) -> Array:
    """Labels with a blank before, between and after: (N, 2S + 1)."""
    pairs = xp.stack([xp.full_like(target, blank), target], axis=2)
    last = xp.full_like(target[:, :1], blank) if target.shape[1] else xp.full((target.shape[0], 1), blank, dtype=target.dtype)
    return xp.concat([xp.reshape(pairs, (target.shape[0], 2 * target.shape[1])), last], axis=1)


def _log_likelihood(xp: Any, pred: Array, labels: Array, frames: Array, lengths: Array, blank: int) -> Array:
    """Run the forward recursion over time, all sequences in step; starting in the first blank before any frame."""
    impossible = xp.full(labels.shape, -xp.inf, dtype=pred.dtype, device=pred.device)
    places = xp.arange(labels.shape[1], device=labels.device)[None, :]
    skips = (labels != blank) & (labels != _shift(xp, labels, 2, blank))
    state = xp.where(places == 0, xp.zeros_like(impossible), impossible)
    for time in range(pred.shape[0]):
        skipped = xp.where(skips, _shift(xp, state, 2, -xp.inf), impossible)
        reached = log_sum_exp(xp, xp.stack([state, _shift(xp, state, 1, -xp.inf), skipped], axis=0), axis=0)
        moved = reached + xp.take_along_axis(pred[time, :, :], labels, axis=1)
        state = xp.where((time < frames)[:, None], moved, state)
    ends = (places == 2 * lengths[:, None]) | (places == 2 * lengths[:, None] - 1)
    return log_sum_exp(xp, xp.where(ends, state, impossible), axis=1)


def _more_of_torch(xp: Any, pred: Array, frames: Array) -> Array:
    """A zero for each sequence whose derivative is what torch adds to ours: e^pred in the frames that count."""
    inside = xp.arange(pred.shape[0], device=pred.device)[:, None] < frames[None, :]
    mass = xp.sum(xp.where(inside[:, :, None], xp.exp(pred), xp.zeros_like(pred)), axis=(0, 2))
    return xp.where(xp.isfinite(mass), mass - held(xp, mass), xp.zeros_like(mass))


def _lost(xp: Any, infinite: Array, zeros: Array) -> Array:
    """The zeros, with derivative nan where the loss is infinite: that of a root at 0, times 0."""
    root = xp.sqrt(xp.where(infinite, zeros, xp.ones_like(zeros)))
    return xp.where(infinite, root * root, zeros)


def _shift(xp: Any, array: Array, by: int, fill: float) -> Array:
    """Move columns to the right, filling in from the left."""
    padding = xp.full_like(array[:, :1], fill)
    return xp.concat([*[padding] * by, array], axis=1)[:, : array.shape[1]]
