"""Data, and numbers that torch, NumPy or a loop makes of them: nothing here is computed by our engine."""

import math

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
from torch.utils.data import DataLoader, TensorDataset

N = 500
RNG = np.random.default_rng(7)
TARGET = RNG.normal(2, 1.5, N)
PRED = TARGET + RNG.normal(0.1, 0.9, N)
MATRIX = RNG.normal(2, 1.5, (N, 4))
AMOUNTS = RNG.gamma(2, 2, N) + 0.05
SCORES, CLASSES = RNG.normal(0, 1.6, (N, 5)), RNG.choice(5, N, p=[0.4, 0.25, 0.15, 0.15, 0.05])
SCORE, BINARY = RNG.normal(-0.4, 1.7, N), (RNG.random(N) < 0.3).astype(int)
DATA = {
    "real": (PRED, TARGET),
    "columns": (MATRIX + RNG.normal(0.1, 0.9, (N, 4)), MATRIX),
    "column": (PRED[:, None], TARGET),
    "positive": (AMOUNTS * RNG.lognormal(0, 0.3, N), AMOUNTS),
    "counts": (RNG.normal(0.7, 0.4, N), RNG.poisson(2, N).astype(float)),
    "classes": (SCORES, CLASSES),
    "ignored": (SCORES, np.where(RNG.random(N) < 0.2, -1, CLASSES)),
    "from one": (SCORES, CLASSES + 1),
    "shares": (torch.tensor(SCORES).softmax(1).numpy(), CLASSES),
    "binary": (SCORE, BINARY),
    "chances": (np.where(RNG.random(N) < 0.02, 0.0, 1 / (1 + np.exp(-SCORE))), BINARY),
    "signs": (SCORE, 2 * BINARY - 1),
}


def data(kind):
    return DATA[kind]


def tensors(kind):
    pred, target = data(kind)
    return torch.tensor(pred), torch.tensor(target)


def loop(kind, loss, size, *, drop_last=False):
    loader = DataLoader(TensorDataset(*tensors(kind)), batch_size=size, drop_last=drop_last)
    return [(loss(pred, target).item(), len(pred)) for pred, target in loader]


def looped(kind, loss, size, *, drop_last=False):
    return float(np.mean([value for value, _ in loop(kind, loss, size, drop_last=drop_last)]))


def with_torch(kind, loss):
    return float(loss(*tensors(kind)))


def with_numpy(kind, loss):
    return float(loss(*data(kind)))


def keras_bce(pred, target):
    pred = np.clip(pred, 1e-7, 1 - 1e-7)
    return -np.mean(target * np.log(pred) + (1 - target) * np.log(1 - pred))


def sklearn_log_loss(pred, target):
    eps = np.finfo(float).eps
    pred = np.clip(pred, eps, 1 - eps)
    return -np.mean(np.log(np.where(target == 1, pred, 1 - pred)))


def balanced(pred, target):
    weight = len(target) / (5 * torch.bincount(target).double())
    return F.cross_entropy(pred, target, weight=weight)


def focal(pred, target, gamma, alpha):
    p = pred.sigmoid()
    right = torch.where(target == 1, p, 1 - p)
    share = torch.where(target == 1, alpha, 1 - alpha) if alpha >= 0 else 1.0
    return (-share * (1 - right) ** gamma * right.log()).mean()


def hot(target):
    return F.one_hot(target, 5).double()


def focal_classes(pred, target, gamma):
    right = pred.softmax(1).gather(1, target[:, None])
    return (-((1 - right) ** gamma) * right.log()).mean()


def brier(pred, target):
    return F.mse_loss(pred.softmax(1), hot(target))


def wrong(pred, target):
    return (pred.argmax(1) != target).double().mean()


def with_logits(pred, target):
    return F.binary_cross_entropy_with_logits(pred, target.double())


def weighted(pred, target):
    return F.binary_cross_entropy_with_logits(
        pred, target.double(), pos_weight=(target == 0).sum().double() / (target == 1).sum()
    )


# What is reported, on which data, what gives it, and what departs.
PLANTED = [
    ("real", "mse", (), lambda k: with_torch(k, F.mse_loss)),
    ("real", "mse", ("summed",), lambda k: with_torch(k, lambda p, t: F.mse_loss(p, t, reduction="sum"))),
    ("real", "l1", (), lambda k: with_torch(k, F.l1_loss)),
    ("real", "huber", (), lambda k: with_torch(k, F.huber_loss)),
    ("real", "huber", ("delta 1.35",), lambda k: with_torch(k, lambda p, t: F.huber_loss(p, t, delta=1.35))),
    ("real", "smooth_l1", ("beta 0.5",), lambda k: with_torch(k, lambda p, t: F.smooth_l1_loss(p, t, beta=0.5))),
    ("real", "rmse", (), lambda k: with_numpy(k, lambda p, t: np.sqrt(((p - t) ** 2).mean()))),
    ("real", "mse", ("halved",), lambda k: with_numpy(k, lambda p, t: ((p - t) ** 2).mean() / 2)),
    ("real", "mse", ("divided by n - 1",), lambda k: with_numpy(k, lambda p, t: ((p - t) ** 2).sum() / (len(p) - 1))),
    ("real", "pinball", ("q 0.9",), lambda k: with_numpy(k, lambda p, t: np.maximum(0.9 * (t - p), 0.1 * (p - t)).mean())),
    ("real", "mse", ("mean of the means of batches of 64",), lambda k: looped(k, F.mse_loss, 64)),
    (
        "real",
        "mse",
        ("mean of the means of batches of 128", "the smaller last one dropped"),
        lambda k: looped(k, F.mse_loss, 128, drop_last=True),
    ),
    (
        "real",
        "mse",
        ("batches of 32", "their means added up, divided by the number of samples"),
        lambda k: sum(value for value, _ in loop(k, F.mse_loss, 32)) / 500,
    ),
    ("real", "rmse", ("mean of the means of batches of 32",), lambda k: looped(k, lambda p, t: F.mse_loss(p, t).sqrt(), 32)),
    ("real", "mse", ("batches of 64", "the last one alone"), lambda k: loop(k, F.mse_loss, 64)[-1][0]),
    (
        "columns",
        "mse",
        ("summed within samples, mean over samples",),
        lambda k: with_numpy(k, lambda p, t: ((p - t) ** 2).sum(1).mean()),
    ),
    ("column", "mse", ("axes of size 1 dropped",), lambda k: with_numpy(k, lambda p, t: ((p[:, 0] - t) ** 2).mean())),
    ("column", "mse", ("broadcast to 500 x 500: all pairs",), lambda k: with_numpy(k, lambda p, t: ((p - t) ** 2).mean())),
    ("positive", "mape", (), lambda k: with_numpy(k, lambda p, t: (abs(p - t) / t).mean())),
    ("positive", "mape", ("percent on",), lambda k: with_numpy(k, lambda p, t: 100 * (abs(p - t) / t).mean())),
    ("positive", "mape", ("pred and target swapped",), lambda k: with_numpy(k, lambda p, t: (abs(p - t) / p).mean())),
    ("positive", "msle", (), lambda k: with_numpy(k, lambda p, t: ((np.log1p(p) - np.log1p(t)) ** 2).mean())),
    ("positive", "mse", ("logarithms of both",), lambda k: with_numpy(k, lambda p, t: (np.log(p / t) ** 2).mean())),
    ("counts", "poisson_nll", (), lambda k: with_torch(k, F.poisson_nll_loss)),
    ("counts", "poisson_nll", ("full on",), lambda k: with_torch(k, lambda p, t: F.poisson_nll_loss(p, t, full=True))),
    ("classes", "cross_entropy", (), lambda k: with_torch(k, F.cross_entropy)),
    (
        "classes",
        "cross_entropy",
        ("label_smoothing 0.1",),
        lambda k: with_torch(k, lambda p, t: F.cross_entropy(p, t, label_smoothing=0.1)),
    ),
    ("classes", "cross_entropy", ("weights n / (C n_c), 'balanced'",), lambda k: with_torch(k, balanced)),
    (
        "classes",
        "cross_entropy",
        ("softmax before it",),
        lambda k: with_torch(k, lambda p, t: F.cross_entropy(p.softmax(1), t)),
    ),
    ("classes", "nll", (), lambda k: with_torch(k, F.nll_loss)),
    ("classes", "nll", ("softmax before it",), lambda k: with_torch(k, lambda p, t: F.nll_loss(p.softmax(1), t))),
    ("classes", "cross_entropy", ("in bits, base 2",), lambda k: with_torch(k, F.cross_entropy) / math.log(2)),
    ("classes", "perplexity", (), lambda k: math.exp(with_torch(k, F.cross_entropy))),
    ("classes", "focal_multiclass", (), lambda k: with_torch(k, lambda p, t: focal_classes(p, t, 2))),
    ("classes", "mse", ("softmax before it", "labels as one-hot rows"), lambda k: with_torch(k, brier)),
    (
        "classes",
        "bce_with_logits",
        ("labels as one-hot rows",),
        lambda k: with_torch(k, lambda p, t: F.binary_cross_entropy_with_logits(p, hot(t))),
    ),
    ("classes", "zero_one", ("the class of the largest score",), lambda k: with_torch(k, wrong)),
    ("classes", "zero_one", ("the class of the largest score", "1 minus it"), lambda k: 1 - with_torch(k, wrong)),
    ("classes", "cross_entropy", ("mean of the means of batches of 64",), lambda k: looped(k, F.cross_entropy, 64)),
    (
        "ignored",
        "cross_entropy",
        ("ignore_index -1",),
        lambda k: with_torch(k, lambda p, t: F.cross_entropy(p, t, ignore_index=-1)),
    ),
    ("from one", "cross_entropy", ("labels one less",), lambda k: with_torch(k, lambda p, t: F.cross_entropy(p, t - 1))),
    ("shares", "cross_entropy", (), lambda k: with_torch(k, F.cross_entropy)),
    ("shares", "nll", ("the logarithm of pred",), lambda k: with_torch(k, lambda p, t: F.nll_loss(p.log(), t))),
    ("binary", "bce_with_logits", (), lambda k: with_torch(k, with_logits)),
    ("binary", "bce_with_logits", ("sigmoid before it",), lambda k: with_torch(k, lambda p, t: with_logits(p.sigmoid(), t))),
    ("binary", "bce_with_logits", ("pos_weight negatives / positives",), lambda k: with_torch(k, weighted)),
    ("binary", "focal", (), lambda k: with_torch(k, lambda p, t: focal(p, t, 2, 0.25))),
    ("binary", "focal", ("alpha -1", "gamma 1"), lambda k: with_torch(k, lambda p, t: focal(p, t, 1, -1))),
    (
        "binary",
        "soft_margin",
        ("labels 0 and 1 as -1 and 1",),
        lambda k: with_torch(k, lambda p, t: F.soft_margin_loss(p, 2 * t - 1)),
    ),
    ("chances", "bce", (), lambda k: with_torch(k, lambda p, t: F.binary_cross_entropy(p, t.double()))),
    ("chances", "binary_crossentropy_prob", (), lambda k: with_numpy(k, keras_bce)),
    ("chances", "log_loss", (), lambda k: with_numpy(k, sklearn_log_loss)),
    ("signs", "hinge", (), lambda k: with_numpy(k, lambda p, t: np.maximum(0, 1 - p * t).mean())),
]
