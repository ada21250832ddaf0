"""Small data sets whose outcomes are known, and candidates for them."""

import numpy as np

from lossctl.guides.trial.data import divide, understand
from lossctl.guides.trial.running import Budget, candidate, scores_of
from lossctl.guides.trial.trial import Plan, train_all
from lossctl.request.lookup import by_shape, resolve
from lossctl.request.spec import Spec, parse_losses
from lossctl.sources.source import Given

BUDGET = Budget(steps=60, batch=32, lr=0.05, model="linear")


def features(n=120, p=3, seed=0):
    return np.random.default_rng(seed).normal(size=(n, p))


def numbers(n=120, seed=0):
    """A linear relation with a little noise."""
    x = features(n, seed=seed)
    return x, x @ [1.0, -2.0, 0.5] + 0.1 * np.random.default_rng(seed + 1).normal(size=n)


def classes(n=150, seed=0):
    """Three classes, each around a corner of its own."""
    codes = np.arange(n) % 3
    return features(n, seed=seed) * 0.5 + 2 * np.eye(3)[codes], codes


def two(n=120, seed=0):
    x = features(n, seed=seed)
    return x, (x[:, 0] + 0.3 * np.random.default_rng(seed + 1).normal(size=n) > 0).astype(int)


def labels(n=120, seed=0):
    x = features(n, seed=seed)
    return x, (x[:, :2] + 0.2 * np.random.default_rng(seed + 1).normal(size=(n, 2)) > 0).astype(int)


MADE = {"regression": numbers, "classification": classes, "binary": two, "multilabel": labels}


def data(x, y, task="", share=0.3):
    found, coded = understand(np.asarray(y), task)
    return divide(np.asarray(x, float), coded, found, share)


def candidates(text, given):
    """Candidates as the command line makes them."""
    task, rows = given.task, len(given.train)
    shapes = {"pred": (rows, task.outputs) if task.wide else (rows,), "target": given.train.target.shape}
    spec = Spec(losses=parse_losses(text), positional=(Given(text="a"), Given(text="b")))
    asked = [by_shape(one, shapes) for one in resolve(spec)]
    return [candidate(f"{place}:{one.label}", one.loss, one.params, {}, given) for place, one in enumerate(asked)]


def tried(text, given, budget=BUDGET, seeds=2, *, tune=False):
    plan = Plan(budget, seeds, scores_of(given.task), tune)
    return train_all(candidates(text, given), given, plan, lambda _: None)
