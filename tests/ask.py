"""How these tests ask for a loss: arrays in, an outcome out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lossctl.engine.binding import bind
from lossctl.engine.block import Selection
from lossctl.engine.reduce import evaluate
from lossctl.losses import LOSSES
from lossctl.losses.backends import BACKENDS
from lossctl.losses.loss import Loss, scalars
from lossctl.request.options import Options
from lossctl.sources.readers import Memory

PLAIN = Options()


def reader(array, name="array"):
    return Memory(np.asarray(array), name)


def split(loss, named):
    """Tell tensor parameters from scalars."""
    tensors = {tensor.name for tensor in loss.signature.tensors}
    return {n: reader(v, n) for n, v in named.items() if n in tensors}, {n: v for n, v in named.items() if n not in tensors}


def tie(name, *arrays, options=PLAIN, **named):
    """Bind a loss to arrays in the order of its inputs."""
    loss = name if isinstance(name, Loss) else LOSSES.get(name)
    readers = {
        argument.name: reader(array, argument.name) for argument, array in zip(loss.signature.inputs, arrays, strict=True)
    }
    tensors, numbers = split(loss, named)
    return bind(loss, readers | tensors, scalars(loss, numbers), options)


def select(weights=None, mask=None, groups=None):
    return Selection(
        None if weights is None else reader(weights, "weights"),
        None if mask is None else reader(mask, "mask"),
        None if groups is None else np.asarray(groups),
    )


def ask_all(bounds, options=PLAIN, **selected):
    return evaluate(bounds, BACKENDS.get(options.backend)(), options, select(**selected))


def ask(name, *arrays, options=PLAIN, weights=None, mask=None, groups=None, **named):
    """Evaluate one loss; `named` holds its parameters, tensors included."""
    return ask_all([tie(name, *arrays, options=options, **named)], options, weights=weights, mask=mask, groups=groups)[0]


def value(name, *arrays, **named):
    return ask(name, *arrays, **named).value


def none(name, *arrays, options=PLAIN, **named):
    """The unreduced loss, as an array."""
    return np.asarray(value(name, *arrays, options=replace(options, reduction="none"), **named))
