"""A gradient put under the tags that TensorBoard shows it by: `loss/…`, `grad/…` and `grad_norm/…`, with the loss's name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lossctl.commands.grad_answer import facts
from lossctl.tensorboard import Span, histogram, write_board

if TYPE_CHECKING:
    from lossctl.commands.answer import Answer
    from lossctl.commands.grad_answer import Found

TOTAL = "total"


def show(folder: str, step: int, answer: Answer, found: Found) -> None:
    """Write the loss, each gradient's figures and histogram, and derivatives by parameters to a folder of TensorBoard's.

    Raises: MissingExtra, InputError.
    """
    head = answer.asked[0].label if answer.total is None else TOTAL
    histograms = {
        f"grad/{head}/{name}": histogram(gradient.profile, sink)
        for name, gradient in found.gradients.items()
        for sink in gradient.sinks
        if isinstance(sink, Span)
    }
    write_board(folder, step, _losses(answer) | _figures(head, found), histograms)


def _losses(answer: Answer) -> dict[str, float]:
    """The value of the loss; of a weighted sum, the total and the value of each term before its weight."""
    values = {f"loss/{one.label}": float(outcome.value) for one, outcome in zip(answer.asked, answer.outcomes, strict=True)}
    return values if answer.total is None else values | {f"loss/{TOTAL}": answer.total}


def _figures(head: str, found: Found) -> dict[str, float]:
    figures = {
        f"grad_{key}/{head}/{name}": float(value)
        for name, gradient in found.gradients.items()
        for key, value in facts(gradient).items()
        if isinstance(value, float | int)
    }
    return figures | {f"derivative/{head}/{name}": number for name, number in found.numbers.items()}
