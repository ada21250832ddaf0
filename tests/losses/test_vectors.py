"""Every case that torch 2.13 computed in float64: values, gradients, reductions, and refusals."""

import json
from pathlib import Path

import numpy as np
import pytest

from lossctl.commands import grad
from lossctl.engine.binding import bind
from lossctl.engine.block import Selection
from lossctl.engine.reduce import evaluate
from lossctl.errors import LossctlError
from lossctl.losses import LOSSES, catalogue
from lossctl.losses.backends import BACKENDS
from lossctl.losses.loss import scalars
from lossctl.request.options import Options
from lossctl.request.spec import LossSpec, Spec
from lossctl.sources.readers import Memory
from lossctl.sources.source import Given

CASES = json.loads((Path(__file__).parents[1] / "data" / "vectors.json").read_text())["cases"]
ALIASES = {"input": "pred", "log_probs": "pred", "targets": "target"}

# Where torch is wrong: what it overflows to, we compute, and the limit where it has 0 times infinity.
OURS = {
    "ce_ninf_soft0/none": ([0.0], {"input": [[0.0, 0.0]]}),
    "ce_ninf_soft0/mean": (0.0, {"input": [[0.0, 0.0]]}),
    "ce_ninf_soft0/sum": (0.0, {"input": [[0.0, 0.0]]}),
    "bcel_inf/none": ([0.0], {"input": [0.0]}),
    "bcel_inf/mean": (0.0, {"input": [0.0]}),
    "bcel_inf/sum": (0.0, {"input": [0.0]}),
    "kl_00/sum": (0.0, {"input": [0.0]}),
    "softmargin_big/none": ([1000.0], {"input": [1.0]}),
    "softmargin_big/mean": (1000.0, {"input": [1.0]}),
    "softmargin_big/sum": (1000.0, {"input": [1.0]}),
}


def numbers(value):
    """The words nan, inf and -inf stand for numbers."""
    return [numbers(item) for item in value] if isinstance(value, list) else float(value)


def tied(case, options):
    """The case's loss, bound to its arrays."""
    loss = LOSSES.get(case["loss"])
    tensors = {tensor.name for tensor in loss.signature.tensors}
    given = {ALIASES.get(name, name): value for name, value in case["inputs"].items()}
    given |= {name: value for name, value in case["params"].items() if name in tensors}
    readers = {name: Memory(np.asarray(numbers(value), np.float64), name) for name, value in given.items()}
    params = scalars(loss, {name: value for name, value in case["params"].items() if name not in tensors})
    return bind(loss, readers, params, options)


def run(case, nan, backend="numpy", domain="error"):
    options = Options(reduction=case["reduction"], nan=nan, domain=domain)
    return evaluate([tied(case, options)], BACKENDS.get(backend)(), options, Selection())[0].value


def gradients(case):
    """What `lossctl grad` answers, by every input that torch's gradient is known for."""
    tensors = {tensor.name for tensor in LOSSES.get(case["loss"]).signature.tensors}
    inputs = {ALIASES.get(name, name): Given(value=numbers(value)) for name, value in case["inputs"].items()}
    params = {name: numbers(value) if name in tensors else value for name, value in case["params"].items()}
    options = Options(reduction=case["reduction"], nan="propagate", domain="ignore")
    spec = Spec(losses=(LossSpec(case["loss"], params),), inputs=inputs, options=options)
    wrt = {name: ALIASES.get(name, name) for name in case["grad_of_sum"]}
    report, error = grad.run(spec, grad.Grading(wrt=[*wrt.values()]), lambda _: None, document=False)
    assert error is None
    found = report.document["gradient"]
    return {name: found if len(wrt) == 1 else found[own] for name, own in wrt.items()}


def test_every_case_is_one_of_a_loss():
    assert len(CASES) == 341
    assert {case["loss"] for case in CASES} == {loss.name for loss in catalogue().values() if loss.torch}


def test_every_exception_is_a_case():
    assert set(OURS) <= {case["id"] for case in CASES}


@pytest.mark.parametrize("backend", ["numpy", "torch"])
@pytest.mark.parametrize("case", [case for case in CASES if "value" in case], ids=lambda case: case["id"])
def test_value_equals_torch(case, backend):
    wanted, _ = OURS.get(case["id"], (case["value"], None))
    found = run(case, "propagate", backend, domain="ignore")
    np.testing.assert_allclose(np.asarray(found), np.asarray(numbers(wanted)), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("case", [case for case in CASES if "value" in case], ids=lambda case: case["id"])
def test_gradient_equals_torch(case):
    _, wanted = OURS.get(case["id"], (None, case["grad_of_sum"]))
    found = gradients(case)
    assert set(found) == set(wanted)
    for name, gradient in found.items():
        right = np.asarray(numbers(wanted[name]))
        assert np.shape(gradient) == np.shape(numbers(case["inputs"][name]))
        np.testing.assert_allclose(np.reshape(gradient, right.shape), right, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("case", [case for case in CASES if "error" in case], ids=lambda case: case["id"])
def test_what_torch_refuses_is_refused(case):
    with pytest.raises(LossctlError):
        run(case, "error")
