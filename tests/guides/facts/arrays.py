"""Arrays of every kind, drawn with a seed, in several sizes."""

import numpy as np

from lossctl.guides.facts import facts_of
from lossctl.sources.readers import Memory

SIZES = (30, 200, 5000)


def softmax(scores):
    shifted = np.exp(scores - scores.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def scores(rng, n, columns=4):
    return rng.normal(size=(n, columns)) * 2


def one_hot(rng, n, columns=4):
    return np.eye(columns)[rng.integers(0, columns, n)]


def corners(rng, n):
    low = rng.uniform(0, 100, (n, 2))
    return np.concatenate([low, low + rng.uniform(1, 50, (n, 2))], axis=1)


def gaps(rng, n):
    points = rng.normal(size=(min(n, 300), 3))
    return np.sqrt(((points[:, None] - points) ** 2).sum(axis=-1))


def smoothed(rng, n):
    return one_hot(rng, n) * 0.9 + 0.025


def with_void(rng, n, void):
    labels = rng.integers(0, 5, n)
    labels[:: n // 10] = void
    labels[1:6] = np.arange(5)
    return labels


# Name, the kind that comes first, and the array.
KINDS = {
    "logits of 2 classes": ("logits", lambda rng, n: scores(rng, n, 2)),
    "logits in float32": ("logits", lambda rng, n: scores(rng, n).astype(np.float32)),
    "softmax": ("simplex", lambda rng, n: softmax(scores(rng, n))),
    "softmax in half precision": ("simplex", lambda rng, n: softmax(scores(rng, n, 20)).astype(np.float16)),
    "softmax to 3 digits": ("simplex", lambda rng, n: softmax(scores(rng, n)).round(3)),
    "softmax to 2 digits in float32": ("simplex", lambda rng, n: softmax(scores(rng, n)).astype(np.float32).round(2)),
    "soft labels": ("simplex", smoothed),
    "classes last": ("simplex", lambda rng, n: softmax(scores(rng, n * 6, 5)).reshape(n, 6, 5)),
    "softmax of maps": ("simplex", lambda rng, n: np.moveaxis(softmax(scores(rng, n * 6, 5)).reshape(n, 6, 5), 2, 1)),
    "log softmax": ("log_probabilities", lambda rng, n: np.log(softmax(scores(rng, n)))),
    "log softmax with -inf": ("log_probabilities", lambda rng, n: np.log(np.c_[softmax(scores(rng, n)), np.zeros(n)])),
    "one sigmoid": ("probabilities", lambda rng, n: rng.beta(0.5, 0.5, n)),
    "sigmoids by label": ("probabilities", lambda rng, n: rng.random((n, 4))),
    "labels": ("labels", lambda rng, n: rng.integers(0, 10, n)),
    "labels as floats": ("labels", lambda rng, n: rng.integers(0, 3, n).astype(float)),
    "labels from 1": ("labels", lambda rng, n: rng.integers(1, 6, n)),
    "labels and -100": ("labels", lambda rng, n: with_void(rng, n, -100)),
    "labels and 255": ("labels", lambda rng, n: with_void(rng, n, 255)),
    "label maps": ("labels", lambda rng, n: rng.integers(0, 6, (n, 4, 4))),
    "0 and 1": ("binary", lambda rng, n: rng.integers(0, 2, n)),
    "0.0 and 1.0": ("binary", lambda rng, n: rng.integers(0, 2, n).astype(float)),
    "booleans": ("binary", lambda rng, n: rng.random(n) < 0.4),
    "0 and 1 in a column": ("binary", lambda rng, n: rng.integers(0, 2, (n, 1))),
    "-1 and 1": ("plus_minus", lambda rng, n: rng.choice([-1.0, 1.0], n)),
    "one-hot floats": ("one_hot", one_hot),
    "multi-hot": ("multi_hot", lambda rng, n: (rng.random((n, 5)) < 0.3).astype(np.uint8)),
    "masks": ("mask", lambda rng, n: rng.random((n, 6, 6)) < 0.2),
    "masks of bytes": ("mask", lambda rng, n: (rng.random((n, 6, 6)) < 0.2).astype(np.uint8) * 255),
    "few counts": ("counts", lambda rng, n: rng.poisson(100, n)),
    "sales": ("counts", lambda rng, n: np.r_[rng.negative_binomial(1, 0.01, n - 1), 0].astype(float)),
    "row numbers": ("ids", lambda _, n: np.arange(n)),
    "shuffled ids": ("ids", lambda rng, n: rng.permutation(n) + 5_000_000),
    "Unix times": ("times", lambda _, n: 1.7e9 + 3600 * np.arange(n)),
    "milliseconds in any order": ("times", lambda rng, n: rng.integers(1_600_000_000_000, 1_700_000_000_000, n)),
    "a grid": ("times", lambda _, n: 0.5 + np.arange(n) * 0.1),
    "boxes": ("boxes", corners),
    "distances of all pairs": ("distances", gaps),
    "values": ("real", lambda rng, n: rng.normal(5, 40, n)),
    "embeddings": ("real", lambda rng, n: (x := scores(rng, n)) / np.linalg.norm(x, axis=1, keepdims=True)),
    "prices": ("positive", lambda rng, n: rng.lognormal(3, 1, n)),
    "ratings": ("proportions", lambda rng, n: np.r_[0, 0.25, 0.5, 0.75, 1, rng.integers(0, 5, n - 5) / 4]),
    "constants": ("constant", lambda _, n: np.full(n, 0.3)),
}


def drawn(name, n, seed=0):
    with np.errstate(divide="ignore"):
        return np.asarray(KINDS[name][1](np.random.default_rng((seed, n)), n))


def facts(values):
    return facts_of(Memory(np.asarray(values)))
