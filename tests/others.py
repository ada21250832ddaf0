# ruff: noqa: ARG001, T201 - what users write
"""Losses as users write them, right and wrong; test_foreign.py calls them by their path."""

import sys

import numpy as np
import torch
from torch import nn

from lossctl.losses.words import Probability

PI = 3.14


class Scaled(nn.Module):
    """The mean square, scaled. A second sentence."""

    def __init__(self, alpha, weight=None):
        super().__init__()
        self.alpha, self.weight = alpha, weight

    def forward(self, pred, target):
        square = (pred - target) ** 2
        if self.weight is not None:
            square = square * self.weight
        return self.alpha * square.mean()


class Raising(nn.Module):
    def __init__(self):
        super().__init__()
        self.factor = 1 / 0


class Uncallable:
    pass


class Callable:
    def __init__(self, factor=1):
        self.factor = factor

    def __call__(self, pred, target):
        return self.factor * (pred - target).abs().mean()


no_module = Callable()


class Doubling(torch.autograd.Function):
    @staticmethod
    def forward(ctx, error):
        ctx.save_for_backward(error)
        return error**2

    @staticmethod
    def backward(ctx, by):
        (error,) = ctx.saved_tensors
        return by * error


def one_wrong_backward(pred, target):
    return Doubling.apply(pred - target).mean()


def halved(pred, target, reduction="mean"):
    values = (pred - target) ** 2
    return {"mean": values.mean() / 2, "sum": values.sum() / 2, "none": values}[reduction]


def powered(pred, target, *, power=2):
    return (pred - target).abs() ** power


def keywords(pred, target, **options):
    return options["factor"] * (pred - target).abs().mean()


def with_numpy(pred, target):
    return np.mean(np.abs(pred.astype(np.float64) - target))


def weighted_numpy(pred, target, weight=None):
    return np.sum(np.abs(pred - target).astype(float) * weight, axis=1)


def plain_number(pred, target):
    return float(abs(pred - target).mean())


def worded(pred: Probability, target: Probability):
    return (pred - target).abs()


def returns_none(pred, target):
    return None


def returns_pair(pred, target):
    return pred, "target"


def returns_shape(pred, target):
    return torch.zeros(2)


def raises(pred, target):
    message = "not\ntoday"
    raise ValueError(message)


def misspelt(pred, target):
    return (pred - target).squared()


def exits(pred, target):
    sys.exit(7)


def endless(pred, target):
    return endless(pred, target)


def shapes(pred, target):
    return pred @ target[:2] + target[0, :3] + pred


def not_a_number(pred, target):
    return (pred * 0 / 0).mean()


def detached(pred, target):
    return ((pred - target) ** 2).mean().detach()


def ordered(pred, target):
    return ((pred - target) ** 2)[0].mean()


def talks(pred, target):
    print("hello")
    return (pred - target).abs().mean()
