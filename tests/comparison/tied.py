"""How these tests ask for losses of arrays."""

from __future__ import annotations

import numpy as np

from lossctl.comparison.constant import constants
from lossctl.comparison.side_by_side import side_by_side
from lossctl.engine.binding import bind
from lossctl.engine.block import Selection
from lossctl.losses import LOSSES
from lossctl.losses.backends import BACKENDS
from lossctl.losses.loss import scalars
from lossctl.request.options import Options
from lossctl.sources.readers import Memory

PLAIN = Options()
NUMPY = BACKENDS.get("numpy")()
ALL = Selection()


def tie(name, pred, target, options=PLAIN, **named):
    """Bind a loss to a prediction, a target and parameters."""
    loss = LOSSES.get(name)
    tensors = {tensor.name for tensor in loss.signature.tensors}
    readers = {"pred": Memory(np.asarray(pred), "pred"), "target": Memory(np.asarray(target), "target")}
    readers |= {name: Memory(np.asarray(value), name) for name, value in named.items() if name in tensors}
    return bind(loss, readers, scalars(loss, {name: value for name, value in named.items() if name not in tensors}), options)


def chosen(**given):
    """A selection with weights or a mask."""
    return Selection(**{name: Memory(np.asarray(values), name) for name, values in given.items()})


def constant(bound, options=PLAIN, selection=ALL):
    return constants([bound], NUMPY, options, selection)[0]


def beside(*bounds, options=PLAIN, selection=ALL):
    return side_by_side(bounds, NUMPY, options, selection)
