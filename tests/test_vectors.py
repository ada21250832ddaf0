"""Every case that torch 2.13 computed in float64 for a loss that lossctl has: values, reductions, and refusals."""

import json
from pathlib import Path

import numpy as np
import pytest

from lossctl.backends import BACKENDS
from lossctl.binding import bind, scalars
from lossctl.block import Selection
from lossctl.blocks import Memory
from lossctl.engine import evaluate
from lossctl.errors import LossctlError
from lossctl.losses import LOSSES, catalogue
from lossctl.spec import Options

CASES = [
    case
    for case in json.loads((Path(__file__).parent / "data" / "vectors.json").read_text())["cases"]
    if case["loss"] in catalogue()
]
ALIASES = {"input": "pred", "log_probs": "pred", "targets": "target"}


def numbers(value):
    """The words nan, inf and -inf stand for numbers."""
    return [numbers(item) for item in value] if isinstance(value, list) else float(value)


def run(case, nan, backend="numpy"):
    loss = LOSSES.get(case["loss"])
    tensors = {tensor.name for tensor in loss.signature.tensors}
    given = {ALIASES.get(name, name): value for name, value in case["inputs"].items()}
    given |= {name: value for name, value in case["params"].items() if name in tensors}
    readers = {name: Memory(np.asarray(numbers(value), np.float64), name) for name, value in given.items()}
    params = scalars(loss, {name: value for name, value in case["params"].items() if name not in tensors})
    options = Options(reduction=case["reduction"], nan=nan)
    bound = bind(loss, readers, params, options)
    return evaluate([bound], BACKENDS.get(backend)(), options, Selection())[0].value


def test_the_cases_of_every_loss_are_here():
    assert len(CASES) == 220
    assert {case["loss"] for case in CASES} == {loss.name for loss in catalogue().values() if loss.torch}


@pytest.mark.parametrize("backend", ["numpy", "torch"])
@pytest.mark.parametrize("case", [case for case in CASES if "value" in case], ids=lambda case: case["id"])
def test_value_equals_torch(case, backend):
    np.testing.assert_allclose(
        np.asarray(run(case, "propagate", backend)), np.asarray(numbers(case["value"])), rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("case", [case for case in CASES if "error" in case], ids=lambda case: case["id"])
def test_what_torch_refuses_is_refused(case):
    with pytest.raises(LossctlError):
        run(case, "error")
