"""One run: a model with the weights of its seed, trained under one loss for a number of steps, and looked at on the way.

The loss gives its value on a batch, for backward, and on held-out rows by the engine. Outputs are what stands before every
loss's own reading: raw scores (n, C) of classes, one raw score (n,) of the second of two classes, raw scores (n, L) of labels,
or numbers in the target's units. A class is the one with the largest score; a label, or the second class, applies above 0. The
task's usual scores are computed of them, and the error of each row that verdicts are about.
"""

from __future__ import annotations

import math
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.engine.binding import bind
from lossctl.engine.block import Selection
from lossctl.engine.reduce import evaluate
from lossctl.errors import BadParameter, NoGradient, NotFinite, UsageError, near
from lossctl.guides.trial.data import BINARY, CLASSES, LABELS, REGRESSION, Data, Task, TrainingRows
from lossctl.guides.trial.heads import Scale, Wiring, wire
from lossctl.losses import LOSSES
from lossctl.losses.backends import BACKENDS
from lossctl.request.options import Options
from lossctl.sources.readers import Memory, NumPyArray, Reader, whole
from lossctl.statistics.ordered import ranked_above

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from lossctl.losses.loss import Loss


PAIR = 2
# Rows that a loss is tried on before it trains anything.
TRIED = 64
OPTIONS = Options(jobs=1)
# Larger is better, although the page does not warn of it.
SCORES = ("explained_variance",)
# What these compare are vectors, boxes or sequences, whatever shapes they would take.
APART = ("embedding", "ranking", "detection", "penalty", "sequence")


@dataclass(frozen=True)
class TrainedLoss:
    """A loss with parameters, named `label`; `tensors` are those of its parameters that are arrays."""

    label: str
    loss: Loss
    params: Mapping[str, Any]
    wiring: Wiring
    tensors: Mapping[str, Reader] = field(default_factory=dict)

    def objective(self, backend: Any, raw: Any, target: Any) -> Any:
        """The mean over a batch, of raw outputs and of targets as the loss sees them, to be differentiated."""
        tensors: dict[str, Any] = {tensor.name: None for tensor in self.loss.signature.tensors}
        tensors |= {name: backend.give(np.asarray(whole(reader), np.float64)) for name, reader in self.tensors.items()}
        computed = self.loss.terms(backend.xp, self.wiring.train(raw), target, **tensors, **self.params)
        terms: dict[str, Any] = computed if isinstance(computed, dict) else {"value": computed}
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


def candidate(label: str, loss: Loss, params: Mapping[str, Any], tensors: Mapping[str, Reader], data: Data) -> TrainedLoss:
    """Make a candidate that can train the task on the training part of the data.

    Raises: NoGradient for a loss without slopes; UsageError, or what the engine raises, for one that the task does not fit.
    """
    # Refuse what cannot train any model, with the reason.
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
    by_row = next((name for name in tensors if "n" in words[name].shape.split()), None)
    if by_row:
        message = f"{loss.name} would need a {by_row} for each row of each batch."
        raise UsageError(message, hint="Leave it out; weights by class can be given.")
    scale = Scale.of(data.task, data.train.target)
    trained = TrainedLoss(label, loss, params, wire(loss, dict(params), data.task, scale), tensors)
    _try(trained, data.train, data.task)
    return trained


def _try(trained: TrainedLoss, part: TrainingRows, task: Task) -> None:
    """See whether the loss takes all training targets, is finite near the start of training, and has slopes there.

    Raises: NoGradient, NotFinite, and what the engine raises.
    """
    backend = BACKENDS.get("torch")()
    # Raw outputs such as an untrained model gives.
    rows = len(part)
    shape = (rows, task.outputs) if task.wide else (rows,)
    raw = backend.torch.randn(shape, generator=backend.torch.Generator().manual_seed(0), dtype=backend.torch.float64) / 4
    trained.value(backend.take(trained.wiring.stand(raw)), part.target)
    few = raw[:TRIED].requires_grad_()
    value = trained.objective(backend, few, backend.give(trained.seen(part.target[:TRIED])))
    if not value.requires_grad:
        message = f"{trained.loss.name} does not depend on the outputs by anything that can be differentiated."
        raise NoGradient(message, hint="Give a loss that has a gradient.")
    slopes = backend.torch.autograd.grad(value, few, allow_unused=True)[0]
    if slopes is None or not bool(slopes.isfinite().all()):
        message = f"{trained.loss.name} has no finite gradient at the start of training."
        raise NotFinite(message, hint="Give another loss, or other parameters.")


@dataclass(frozen=True)
class Score:
    """A score of outputs against the coded target; `higher` says that more is better."""

    name: str
    higher: bool
    of: Callable[[Task, NumPyArray, NumPyArray], float]


def decided(task: Task, outputs: NumPyArray) -> NumPyArray:
    """The classes or labels that outputs stand for; numbers stand for themselves."""
    if task.name == REGRESSION:
        return outputs
    return outputs.argmax(axis=1) if task.name == CLASSES else (outputs > 0).astype(np.int64)


# Which loss of the catalogue gives each row's error, and what it is called.
ERRORS = {
    REGRESSION: ("mse", "squared errors"),
    CLASSES: ("zero_one", "wrong classes"),
    BINARY: ("zero_one", "wrong classes"),
    LABELS: ("hamming", "shares of wrong labels"),
}


def errors(task: Task, outputs: NumPyArray, target: NumPyArray) -> NumPyArray:
    """The error (n,) of each row: 0 or 1 for a class, the share of wrong labels, or the squared error."""
    samples = _evaluated(ERRORS[task.name][0], task, outputs, target, per_sample=True).samples
    return np.asarray(samples[1], np.float64)


def _evaluated(name: str, task: Task, outputs: NumPyArray, target: NumPyArray, **how: Any) -> Any:
    readers = {"pred": Memory(decided(task, outputs), "pred"), "target": Memory(target, "target")}
    options = Options(nan="propagate", domain="ignore", jobs=1, **how)
    return evaluate([bind(LOSSES.get(name), readers, {}, options)], BACKENDS.get("numpy")(), options, Selection())[0]


def _by_loss(name: str, *, less_than_one: bool = False) -> Callable[[Task, NumPyArray, NumPyArray], float]:
    """A score that is a loss of the catalogue, or what it lacks of 1."""

    def score(task: Task, outputs: NumPyArray, target: NumPyArray) -> float:
        value = float(_evaluated(name, task, outputs, target).value)
        return 1 - value if less_than_one else value

    return score


def auc(_: Task, outputs: NumPyArray, target: NumPyArray) -> float:
    """The chance that a row with the label has a larger score than one without, ties counting half; the mean over labels.

    Labels that all rows have, or none, are left out; NaN where no other is left.
    """
    columns = zip(np.atleast_2d(outputs.T), np.atleast_2d(target.T), strict=True)
    areas = [ranked_above(scores, labels == 1) for scores, labels in columns]
    defined = [area for area in areas if area is not None]
    return float(np.mean(defined)) if defined else math.nan


def f1(task: Task, outputs: NumPyArray, target: NumPyArray) -> float:
    """2 TP / (2 TP + FP + FN): of the second of two classes, else the mean over classes or labels.

    A class or label that neither the target nor the model has is left out if it is a class, and counts 0 if it is a label.
    """
    given = decided(task, outputs)
    codes = range(task.outputs) if task.name == CLASSES else (1,)
    pairs = [(given == code, target == code) for code in codes]
    if task.name == LABELS:
        pairs = list(zip(given.T == 1, target.T == 1, strict=True))
    overlaps = [_overlap(predicted, actual) for predicted, actual in pairs]
    if task.name == CLASSES:
        overlaps = [overlap for overlap in overlaps if not math.isnan(overlap)]
    return float(np.mean(np.nan_to_num(overlaps)))


def _overlap(first: NumPyArray, second: NumPyArray) -> float:
    total = int(first.sum() + second.sum())
    return 2 * int((first & second).sum()) / total if total else math.nan


ACCURACY = Score("accuracy", higher=True, of=_by_loss("zero_one", less_than_one=True))
AUC, F1 = Score("auc", higher=True, of=auc), Score("f1", higher=True, of=f1)
TASK_SCORES: dict[str, tuple[Score, ...]] = {
    REGRESSION: (Score("r2", higher=True, of=_by_loss("r2")), Score("rmse", higher=False, of=_by_loss("rmse"))),
    CLASSES: (ACCURACY, F1),
    BINARY: (ACCURACY, AUC, F1),
    LABELS: (F1, AUC),
}


def scores_of(task: Task, first: str = "") -> tuple[Score, ...]:
    """The scores of a task, the one that is asked for first.

    Raises: BadParameter for a score that the task does not have.
    """
    known = {score.name: score for score in TASK_SCORES[task.name]}
    if first and first not in known:
        raise BadParameter(f"--score knows no '{first}' for {task.name}.", hint=near(first, known, "scores"))
    chosen = known.pop(first) if first else known.pop(next(iter(known)))
    return chosen, *known.values()


# How often a run is looked at, besides before its first step.
LOOKS = 20
# Within this share of its whole improvement a run has converged.
NEAR = 0.05


@dataclass(frozen=True)
class Budget:
    """What every run may use. `hidden` is the width of the layer that only an MLP has."""

    steps: int = 1000
    batch: int = 64
    lr: float = 0.01
    model: str = "mlp"
    hidden: int = 64

    @property
    def looks(self) -> list[int]:
        """After how many steps a run is looked at, from 0 to the last."""
        return sorted({round(self.steps * look / LOOKS) for look in range(LOOKS + 1)})


@dataclass(frozen=True)
class TrainingRun:
    """One run: its score at each look, its outputs on held-out rows, and the step at which it diverged, if it did."""

    seed: int
    scores: tuple[float, ...]
    outputs: NumPyArray | None
    diverged: int | None
    seconds: float

    @property
    def final(self) -> float:
        """The score after the last step; NaN where the run diverged."""
        return self.scores[-1] if self.diverged is None else math.nan


def converged(looks: list[int], scores: tuple[float, ...], *, higher: bool) -> int | None:
    """The first look at which the score is within 5 % of its improvement from the first look to the last, or beyond.

    None where it did not improve.
    """
    sign = 1 if higher else -1
    gains = [sign * (score - scores[0]) for score in scores]
    if not gains[-1] > 0:
        return None
    return next(look for look, gain in zip(looks, gains, strict=True) if gain >= (1 - NEAR) * gains[-1])


@contextmanager
def repeatable(torch: Any, seed: int) -> Iterator[None]:
    """One thread, and random numbers from the seed; afterwards both are as they were."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(threads)


def built(torch: Any, inputs: int, outputs: int, budget: Budget) -> Any:
    """A linear model, or one with a hidden layer of ReLU, in float64, with torch's own initial weights."""
    layer = torch.nn.Linear
    if budget.model == "linear":
        return layer(inputs, outputs, dtype=torch.float64)
    first, last = (layer(*sizes, dtype=torch.float64) for sizes in ((inputs, budget.hidden), (budget.hidden, outputs)))
    return torch.nn.Sequential(first, torch.nn.ReLU(), last)


def batches(torch: Any, rows: int, size: int, seed: int) -> Iterator[Any]:
    """Row numbers, batch after batch and epoch after epoch, each epoch in an order of its own."""
    random = torch.Generator().manual_seed(seed)
    while True:
        yield from torch.randperm(rows, generator=random).split(size)


def train(  # noqa: PLR0913, PLR0917 - everything that a run depends on
    candidate: TrainedLoss, data: Data, budget: Budget, seed: int, score: Score, tick: Callable[[int], None]
) -> TrainingRun:
    """Train under one loss, calling `tick` with the number of steps that were done since.

    A loss that is NaN or infinite ends the run: it has diverged.
    """
    backend = BACKENDS.get("torch")()
    torch = backend.torch
    began = time.perf_counter()
    with repeatable(torch, seed):
        model = built(torch, data.train.features.shape[1], data.task.outputs, budget)
        walk = _TrainingWalk(
            candidate, data, backend, model, batches(torch, len(data.train), min(budget.batch, len(data.train)), seed)
        )
        optimizer = torch.optim.Adam(model.parameters(), lr=budget.lr)
        scores, diverged = [walk.score(score)], None
        for start, stop in zip(budget.looks, budget.looks[1:], strict=False):
            diverged = walk.go(optimizer, start, stop)
            tick((stop if diverged is None else budget.steps) - start)
            if diverged is None and not np.isfinite(walk.outputs()).all():
                diverged = stop
            if diverged is not None:
                break
            scores.append(walk.score(score))
    outputs = walk.outputs() if diverged is None else None
    return TrainingRun(seed, tuple(scores), outputs, diverged, time.perf_counter() - began)


@dataclass
class _TrainingWalk:
    """A model on its way."""

    candidate: TrainedLoss
    data: Data
    backend: Any
    model: Any
    batches: Iterator[Any]

    def __post_init__(self) -> None:
        """Put rows into torch's hands once."""
        train, test = self.data.train, self.data.test
        self.features, self.held_out = self.backend.give(train.features), self.backend.give(test.features)
        self.target = self.backend.give(self.candidate.seen(train.target))

    def raw(self, features: Any) -> Any:
        """The model's outputs, in an axis of their own only if the task has several."""
        outputs = self.model(features)
        return outputs if self.data.task.wide else outputs[:, 0]

    def go(self, optimizer: Any, start: int, stop: int) -> int | None:
        """Take the steps from `start` to `stop`; returns the first at which the loss is not finite, counted from 1."""
        for step in range(start + 1, stop + 1):
            rows = next(self.batches)
            optimizer.zero_grad()
            value = self.candidate.objective(self.backend, self.raw(self.features[rows]), self.target[rows])
            if not math.isfinite(float(value.detach())):
                return step
            # A batch may have nothing that counts, such as one without any foreground.
            if value.requires_grad:
                value.backward()
                optimizer.step()
        return None

    def outputs(self) -> NumPyArray:
        """The outputs on held-out rows, as all losses are evaluated on them."""
        with self.backend.torch.no_grad():
            return np.asarray(self.backend.take(self.candidate.wiring.stand(self.raw(self.held_out))))

    def score(self, score: Score) -> float:
        """The task's score on held-out rows."""
        return score.of(self.data.task, self.outputs(), self.data.test.target)
