"""How a model's raw outputs reach a loss, and how targets look to it: by the words of the loss's two inputs.

Raw outputs near 0 and 1 should stand for common and for large targets, whatever the units: real numbers are the median of the
training targets plus raw outputs in units of their interquartile range, which outliers do not stretch; numbers above a bound
are a softplus of raw outputs in units of the mean.

One raw score z of two classes is read as the scores -z/2 and z/2 where a loss has one a class, so that softmax and sigmoid
agree. A loss on real numbers is given one-hot targets, and of two classes z + 1/2 against 0 and 1: whatever the loss, the
decision falls where z is 0. What another loss was trained to, it reads through softmax or sigmoid.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from lossctl.errors import UsageError
from lossctl.guides.trial.data import BINARY, CLASSES, LABELS, REGRESSION, Task
from lossctl.losses import words

if TYPE_CHECKING:
    from lossctl.losses.loss import Loss, Tensor
    from lossctl.sources.readers import NumPyArray


Change = Callable[[Any], Any]


@dataclass(frozen=True)
class Scale:
    """Where the training targets lie: their median, interquartile range (else standard deviation), and mean, by column."""

    task: Task
    centre: NumPyArray
    spread: NumPyArray
    mean: NumPyArray

    @staticmethod
    def of(task: Task, target: NumPyArray) -> Scale:
        """The scale of training targets (n,) or (n, k)."""
        low, centre, high = np.quantile(target, [0.25, 0.5, 0.75], axis=0)
        wide, deviation = high - low, target.std(axis=0)
        spread = np.where(wide > 0, wide, np.where(deviation > 0, deviation, 1.0))
        return Scale(task, centre, spread, target.mean(axis=0))

    def above(self, bound: float) -> NumPyArray:
        """How far the mean lies above a bound; 1 where it does not."""
        return np.where(self.mean > bound, self.mean - bound, 1.0)


@dataclass(frozen=True)
class Units:
    """A way to make a loss's first input of raw outputs, numbers in the target's units of them, and the input of these."""

    says: str
    train: Callable[[Scale], Change]
    stand: Callable[[Scale], Change]
    read: Change


def same(numbers: Any) -> Any:
    """The numbers as they are."""
    return numbers


def real(scale: Scale) -> Change:
    """Any real number."""
    return lambda raw: raw * raw.new_tensor(scale.spread) + raw.new_tensor(scale.centre)


def positive(scale: Scale, bound: float = 0.0) -> Change:
    """Numbers above a bound."""
    unit = scale.above(bound)
    return lambda raw: raw.logaddexp(raw.new_zeros(())) * raw.new_tensor(unit) + bound


def above_minus_one(scale: Scale) -> Change:
    """Numbers above -1."""
    return positive(scale, -1.0)


def log_rate(scale: Scale) -> Change:
    """The logarithm of a rate."""
    shift = np.log(scale.above(0.0))
    return lambda raw: raw + raw.new_tensor(shift)


def rate(scale: Scale) -> Change:
    """The rate itself."""
    logarithm = log_rate(scale)
    return lambda raw: logarithm(raw).exp()


IN_UNITS = {
    "real": Units("raw outputs in the target's units", real, real, same),
    "unknown": Units("raw outputs in the target's units", real, real, same),
    "rate": Units("the logarithm of a rate", log_rate, rate, lambda numbers: numbers.log()),
    "positive": Units("softplus", positive, positive, same),
    "non-negative": Units("softplus", positive, positive, same),
    "above -1": Units("softplus less 1", above_minus_one, above_minus_one, same),
}
COLUMNS, LABELLED, ELEMENTS = "columns", "labelled", "elements"


def _words(*hints: Any) -> set[Tensor]:
    return {get_args(hint)[1] for hint in hints}


def half_up(raw: Any) -> Any:
    """One half above the raw outputs."""
    return raw + 0.5


def _softmax(raw: Any) -> Any:
    return raw.softmax(1)


def _sigmoid(raw: Any) -> Any:
    return raw.sigmoid()


@dataclass(frozen=True)
class Head:
    """Turns raw outputs, seen in a `form`, into what a loss takes."""

    says: str
    form: str
    change: Change


@dataclass(frozen=True)
class Wiring:
    """Everything between the model and a loss.

    `train` makes its first input of raw outputs; `stand` makes of them the outputs that all losses are evaluated on, which
    `read` makes its first input of. `view` makes its target of the coded one. `head` and `target` say so in words.
    `shares` stands for `read` where a loss on real numbers meets scores of classes, which it was not trained on: those are
    read as probabilities.
    """

    head: str
    target: str
    train: Change
    stand: Change
    read: Change
    view: Callable[[NumPyArray], NumPyArray]
    shares: Change | None = None


HEADS: tuple[tuple[set[Tensor], Head], ...] = (
    (_words(words.ClassLogits, words.ClassScores), Head("raw scores", COLUMNS, same)),
    (_words(words.ClassLogProbability, words.LogProbability), Head("log_softmax", COLUMNS, lambda raw: raw.log_softmax(1))),
    (_words(words.ClassProbability, words.Chances), Head("softmax", COLUMNS, _softmax)),
    (_words(words.LabelLogits, words.LabelScores), Head("raw scores", LABELLED, same)),
    (_words(words.Logits, words.Score), Head("raw scores", ELEMENTS, same)),
    (_words(words.Probability), Head("sigmoid", ELEMENTS, _sigmoid)),
    (_words(words.Real), Head("raw outputs", ELEMENTS, same)),
    (_words(words.Unknown), Head("raw outputs", ELEMENTS, same)),
)
SIGNS = _words(words.Sign, words.PlusMinus)
CODES = _words(words.ClassTarget, words.Label)
LISTS = _words(words.LabelList)
HOT = _words(
    words.Binary, words.Probability, words.MultiHot, words.SoftMultiHot, words.Mass, words.ClassProbability, words.Real
)
NUMBERS = _words(words.Real, words.NonNegativeReal, words.PositiveReal, words.AboveMinusOne, words.Unknown)
UNKNOWN, REAL = _words(words.Unknown), _words(words.Real)


def wire(loss: Loss, params: dict[str, Any], task: Task, scale: Scale) -> Wiring:
    """Find what a loss of two inputs needs to be trained with.

    Raises: UsageError where the task has no such outputs or targets.
    """
    pred, target = (argument.word for argument in loss.signature.inputs)
    if task.name == REGRESSION:
        return _number_wiring(loss, params, (pred, target), scale)
    head = next((head for known, head in HEADS if pred in known), None)
    if head is None or (head.form == COLUMNS and task.name == LABELS):
        raise _refused(loss, task, f"it takes {pred.says}, which this model does not give")
    shares = None
    if pred in REAL:
        head = head if task.name == CLASSES else Head("raw outputs + 1/2", ELEMENTS, half_up)
        shares = _softmax if task.name == CLASSES else _sigmoid
    said, view = _target_input(loss, task, target, head.form)
    form = _seen(task, head.form)
    read: Change = lambda raw: head.change(form(raw))  # noqa: E731 - two steps in one
    return Wiring(head.says, said, read, same, read, view, shares)


def _refused(loss: Loss, task: Task, why: str) -> UsageError:
    message = f"{loss.name} cannot train {task.says}: {why}."
    return UsageError(
        message, hint=f"lossctl list --task {'regression' if task.name == REGRESSION else 'classification'} names others."
    )


def _seen(task: Task, form: str) -> Change:
    """Raw outputs in a form: one score of two classes has columns only once they are made."""
    if task.name != BINARY or form == ELEMENTS:
        return same
    return _two if form == COLUMNS else _one


def _two(raw: Any) -> Any:
    half = raw[:, None] / 2
    return half * half.new_tensor([-1.0, 1.0])


def _one(raw: Any) -> Any:
    return raw[:, None]


def _target_input(loss: Loss, task: Task, word: Tensor, form: str) -> tuple[str, Callable[[NumPyArray], NumPyArray]]:
    """How the target looks to a loss, in words and as a function of the coded one."""
    if word in UNKNOWN and task.name == CLASSES:
        return "class indices", same
    if word in CODES and form == COLUMNS:
        return "class indices", same
    if word in SIGNS:
        return "1 and -1", lambda codes: 2 * hot(task, codes, form) - 1
    if word in LISTS:
        return "lists of labels", lambda codes: listed(hot(task, codes, form))
    if word in HOT | UNKNOWN:
        single = form == ELEMENTS and task.name == BINARY
        return "0 and 1" if single or task.name == LABELS else "one-hot", lambda codes: hot(task, codes, form)
    raise _refused(loss, task, f"its target holds {word.says}")


def hot(task: Task, codes: NumPyArray, form: str) -> NumPyArray:
    """Codes as 0.0 and 1.0: a column for each class or label; of two classes, one number where outputs are one number."""
    if task.name == LABELS:
        return codes.astype(np.float64)
    if task.name == BINARY and form != COLUMNS:
        single = codes.astype(np.float64)
        return single[:, None] if form == LABELLED else single
    return np.eye(len(task.classes))[codes]


def listed(marks: NumPyArray) -> NumPyArray:
    """The labels that apply in each row (n, l), ended by -1."""
    order = np.argsort(-marks, axis=1, kind="stable")
    return np.where(np.take_along_axis(marks, order, axis=1) == 1, order, -1)


def _number_wiring(loss: Loss, params: dict[str, Any], given: tuple[Tensor, Tensor], scale: Scale) -> Wiring:
    """Outputs in the target's units, which each loss reads as it needs them."""
    pred, target = given
    known = {word: kind for kind, hint in KINDS.items() for word in _words(hint)}
    if pred not in known or target not in NUMBERS:
        task = scale.task
        takes = f"it takes {pred.says}" if pred not in known else f"its target holds {target.says}"
        raise _refused(loss, task, f"{takes}, not numbers of any size")
    kind = known[pred]
    if kind == "rate" and not params.get("log_input"):
        kind = "positive"
    units = IN_UNITS[kind]
    return Wiring(units.says, "numbers", units.train(scale), units.stand(scale), units.read, same)


KINDS = {
    "real": words.Real,
    "unknown": words.Unknown,
    "rate": words.RateOrLog,
    "positive": words.PositiveReal,
    "non-negative": words.NonNegativeReal,
    "above -1": words.AboveMinusOne,
}
