"""A loss that the model may be trained under: its value on a batch, for backward, and on held-out rows, by the engine."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.backends import BACKENDS
from lossctl.binding import bind
from lossctl.block import Selection
from lossctl.blocks import Memory, whole
from lossctl.engine import evaluate
from lossctl.errors import NoGradient, NotFinite, UsageError
from lossctl.shapes import tokens
from lossctl.spec import Options
from lossctl.training.heads import Wiring, wire
from lossctl.training.units import Scale

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lossctl.blocks import NumPyArray, Reader
    from lossctl.loss import Loss
    from lossctl.training.data import Data, Part
    from lossctl.training.tasks import Task

PAIR = 2
# Rows that a loss is tried on before it trains anything.
TRIED = 64
OPTIONS = Options(jobs=1)
# Larger is better, although the page does not warn of it.
SCORES = ("explained_variance",)
# What these compare are vectors, boxes or sequences, whatever shapes they would take.
APART = ("embedding", "ranking", "detection", "penalty", "sequence")


@dataclass(frozen=True)
class Candidate:
    """A loss with parameters, named `label`; `tensors` are those of its parameters that are arrays."""

    label: str
    loss: Loss
    params: Mapping[str, Any]
    wiring: Wiring
    tensors: Mapping[str, Reader] = field(default_factory=dict)

    def objective(self, backend: Any, raw: Any, target: Any) -> Any:
        """The mean over a batch, of raw outputs and of targets as the loss sees them, to be differentiated."""
        tensors: dict[str, Any] = {one.name: None for one in self.loss.signature.tensors}
        tensors |= {name: backend.give(np.asarray(whole(reader), np.float64)) for name, reader in self.tensors.items()}
        found = self.loss.terms(backend.xp, self.wiring.train(raw), target, **tensors, **self.params)
        terms: dict[str, Any] = found if isinstance(found, dict) else {"value": found}
        sums = {name: term.sum() for name, term in terms.items()}
        if "weight" not in sums:
            first = next(iter(terms.values()))
            sums["weight"] = first.new_tensor(float(prod(first.shape)))
        return self.loss.finish(backend.xp, sums, **self.params)

    def seen(self, target: NumPyArray) -> NumPyArray:
        """The coded target as the loss sees it: whole numbers stay whole where it reads labels."""
        view = self.wiring.view(target)
        word = self.loss.signature.inputs[1].word
        return view.astype(np.int64 if word.index or view.dtype.kind == "i" else np.float64)

    def value(self, outputs: NumPyArray, target: NumPyArray, *, trained: Wiring | None = None) -> float:
        """The loss of outputs on the coded target; `trained` is how the loss was wired that the model was trained under.

        Raises: what the engine raises, such as OutOfDomain for outputs that this loss does not take.
        """
        torch = BACKENDS.get("torch")()
        read = self.wiring.read
        if self.wiring.shares is not None and trained is not None and trained.shares is None:
            read = self.wiring.shares
        pred = torch.take(read(torch.give(np.asarray(outputs, np.float64))))
        names = [argument.name for argument in self.loss.signature.inputs]
        readers = {names[0]: Memory(pred, "the outputs"), names[1]: Memory(self.seen(target), "the target"), **self.tensors}
        bound = bind(self.loss, readers, self.params, OPTIONS)
        return float(evaluate([bound], BACKENDS.get("numpy")(), OPTIONS, Selection())[0].value)


def candidate(label: str, loss: Loss, params: Mapping[str, Any], tensors: Mapping[str, Reader], data: Data) -> Candidate:
    """Make a candidate that can train the task on the training part of the data.

    Raises: NoGradient for a loss without slopes; UsageError, or what the engine raises, for one that the task does not fit.
    """
    _check(loss, tensors)
    scale = Scale.of(data.task, data.train.target)
    found = Candidate(label, loss, params, wire(loss, dict(params), data.task, scale), tensors)
    _try(found, data.train, data.task)
    return found


def _check(loss: Loss, tensors: Mapping[str, Reader]) -> None:
    """Refuse what cannot train any model, with the reason."""
    if loss.flat:
        message = f"{loss.name} changes in steps, or not at all, with its inputs: it trains nothing."
        raise NoGradient(message, hint=f"Train with {loss.flat}.")
    if loss.name in SCORES or any("higher is better" in text for text in loss.doc.pitfalls):
        message = f"{loss.name} is a score: higher is better, and training would lower it."
        raise UsageError(message, hint=f"lossctl list --task {loss.task} names losses.")
    names = [argument.name for argument in loss.signature.inputs]
    if len(names) != PAIR or loss.task in APART:
        message = f"{loss.name} takes {', '.join(names)}, for the task {loss.task}; a trial has outputs and a target of rows."
        raise UsageError(message, hint="Give losses of pred and target.")
    words = {tensor.name: tensor.word for tensor in loss.signature.tensors}
    by_row = next((name for name in tensors if "n" in tokens(words[name].shape)), None)
    if by_row:
        message = f"{loss.name} would need a {by_row} for each row of each batch."
        raise UsageError(message, hint="Leave it out; weights by class can be given.")


def _try(one: Candidate, part: Part, task: Task) -> None:
    """See whether the loss takes all training targets, is finite near the start of training, and has slopes there.

    Raises: NoGradient, NotFinite, and what the engine raises.
    """
    backend = BACKENDS.get("torch")()
    raw = _first_outputs(backend, len(part), task)
    one.value(backend.take(one.wiring.stand(raw)), part.target)
    few = raw[:TRIED].requires_grad_()
    value = one.objective(backend, few, backend.give(one.seen(part.target[:TRIED])))
    if not value.requires_grad:
        message = f"{one.loss.name} does not depend on the outputs by anything that can be differentiated."
        raise NoGradient(message, hint="Give a loss that has a gradient.")
    slopes = backend.torch.autograd.grad(value, few, allow_unused=True)[0]
    if slopes is None or not bool(slopes.isfinite().all()):
        message = f"{one.loss.name} has no finite gradient at the start of training."
        raise NotFinite(message, hint="Give another loss, or other parameters.")


def _first_outputs(backend: Any, rows: int, task: Task) -> Any:
    """Raw outputs such as an untrained model gives."""
    shape = (rows, task.outputs) if task.wide else (rows,)
    return backend.torch.randn(shape, generator=backend.torch.Generator().manual_seed(0), dtype=backend.torch.float64) / 4
