"""What the tests of other people's losses share: arrays of every kind, and `compute` without a process."""

import numpy as np
import torch

from lossctl.commands.compute import run
from lossctl.request.options import Options
from lossctl.request.spec import Spec, parse_losses
from lossctl.sources.source import Given

RNG = np.random.default_rng(3)
REAL, OTHER, THIRD = (RNG.normal(size=(6, 4)) for _ in range(3))
SHARE, VARIANCE = RNG.uniform(0.05, 0.95, size=(6, 4)), RNG.uniform(0.5, 2, size=(6, 4))
ONES, CLASSES, SIGNS = RNG.integers(0, 2, (6, 4)), RNG.integers(0, 4, 6), RNG.choice([-1.0, 1.0], 6)
LOGS = np.log(SHARE / SHARE.sum(1, keepdims=True))
FRAMES = torch.log_softmax(torch.tensor(RNG.normal(size=(9, 6, 5))), -1).numpy()
LABELS, LENGTHS, COUNTS = RNG.integers(1, 5, (6, 3)), RNG.integers(7, 10, 6), RNG.integers(1, 4, 6)


def compute(name, *arrays, **options):
    given = tuple(Given(value=np.asarray(array).tolist()) for array in arrays)
    spec = Spec(losses=parse_losses(name), positional=given, options=Options(**options))
    return run(spec, lambda _: None, document=False)[0].rows
