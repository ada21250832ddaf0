"""One run: a model with the weights of its seed, trained under one loss for a number of steps, and looked at on the way."""

from __future__ import annotations

import math
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.backends import BACKENDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lossctl.blocks import NumPyArray
    from lossctl.training.candidates import Candidate
    from lossctl.training.data import Data
    from lossctl.training.scores import Score

MODELS = ("linear", "mlp")
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
class Run:
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


def train(one: Candidate, data: Data, budget: Budget, seed: int, score: Score, tick: Callable[[int], None]) -> Run:  # noqa: PLR0913, PLR0917 - everything that a run depends on
    """Train under one loss, calling `tick` with the number of steps that were done since.

    A loss that is NaN or infinite ends the run: it has diverged.
    """
    backend = BACKENDS.get("torch")()
    torch = backend.torch
    began = time.perf_counter()
    with repeatable(torch, seed):
        model = built(torch, data.train.features.shape[1], data.task.outputs, budget)
        walk = _Walk(one, data, backend, model, batches(torch, len(data.train), min(budget.batch, len(data.train)), seed))
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
    return Run(seed, tuple(scores), outputs, diverged, time.perf_counter() - began)


@dataclass
class _Walk:
    """A model on its way."""

    one: Candidate
    data: Data
    backend: Any
    model: Any
    batches: Iterator[Any]

    def __post_init__(self) -> None:
        """Put rows into torch's hands once."""
        train, test = self.data.train, self.data.test
        self.features, self.held = self.backend.give(train.features), self.backend.give(test.features)
        self.target = self.backend.give(self.one.seen(train.target))

    def raw(self, features: Any) -> Any:
        """The model's outputs, in an axis of their own only if the task has several."""
        found = self.model(features)
        return found if self.data.task.wide else found[:, 0]

    def go(self, optimizer: Any, start: int, stop: int) -> int | None:
        """Take the steps from `start` to `stop`; returns the first at which the loss is not finite, counted from 1."""
        for step in range(start + 1, stop + 1):
            rows = next(self.batches)
            optimizer.zero_grad()
            value = self.one.objective(self.backend, self.raw(self.features[rows]), self.target[rows])
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
            return np.asarray(self.backend.take(self.one.wiring.stand(self.raw(self.held))))

    def score(self, score: Score) -> float:
        """The task's score on held-out rows."""
        return score.of(self.data.task, self.outputs(), self.data.test.target)
