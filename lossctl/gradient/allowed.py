"""By what a loss can be differentiated, and why not by the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lossctl.errors import BadParameter, NoGradient, near
from lossctl.signature import Anything, Number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lossctl.binding import Bound
    from lossctl.loss import Loss
    from lossctl.signature import Parameter, Tensor

PARAM = "param:"


def chosen(bound: Bound, wrt: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The inputs and scalar parameters that `wrt` names; nothing stands for the first input, `all` for all that can be.

    Raises: NoGradient with the reason and the nearest loss that has one; BadParameter for an unknown name.
    """
    loss = bound.loss
    if loss.flat:
        message = f"{loss.name} has no gradient to train with: it is 0 wherever it exists, or that of one sample alone."
        raise NoGradient(message, hint=f"Train with {loss.flat}: lossctl grad {loss.flat} …")
    words = {slot.input.name: slot.input.word for slot in bound.slots}
    params = {parameter.name: parameter for parameter in loss.signature.parameters}
    names = list(wrt) or [loss.signature.inputs[0].name]
    if "all" in names and "all" not in words:
        every = [name for name, word in words.items() if not _reason(name, word)]
        names = every + [name for name in names if name != "all"]
    inputs = tuple(dict.fromkeys(_input(loss, name, words) for name in names if not name.startswith(PARAM)))
    numbers = [name.removeprefix(PARAM) for name in names if name.startswith(PARAM)]
    return inputs, tuple(dict.fromkeys(_parameter(loss, name, params) for name in numbers))


def _input(loss: Loss, name: str, words: dict[str, Tensor]) -> str:
    if name not in words:
        message = f"{loss.name} was given no input '{name}' to be differentiated by."
        known = [*words, *(f"{PARAM}{parameter.name}" for parameter in loss.signature.parameters)]
        raise BadParameter(message, hint=near(name, known, "names for --wrt"))
    reason = _reason(name, words[name])
    if reason:
        others = [other for other, word in words.items() if not _reason(other, word)]
        hint = f"There is a gradient by {', '.join(others)}." if others else "There is none by any other input either."
        message = f"{loss.name} has no gradient by {name}: {reason}."
        raise NoGradient(message, hint=hint)
    return name


def _reason(name: str, word: Tensor) -> str:
    """Why there is no gradient by an input, or nothing."""
    if word.upto:
        return f"{name} holds lengths, which are whole numbers"
    if word.index:
        return (
            f"{name} holds labels, which are whole numbers; targets that are probabilities have one"
            if word.classes
            else (f"{name} holds whole numbers")
        )
    listed = ", ".join(f"{value:g}" for value in word.domain.values)
    return f"{name} takes only the values {listed}" if listed else ""


def _parameter(loss: Loss, name: str, params: dict[str, Parameter]) -> str:
    if name not in params:
        message = f"{loss.name} has no scalar parameter '{name}' to be differentiated by."
        raise BadParameter(message, hint=near(name, params, "parameters"))
    word = params[name].word
    if not (isinstance(word, Number) and word.kind is float):
        kind = "a Python value of somebody else's" if isinstance(word, Anything) else word.says
        message = f"{loss.name} has no derivative by {name}: it takes {kind}."
        raise NoGradient(message, hint="Compare two of its values with lossctl compute.")
    return name
