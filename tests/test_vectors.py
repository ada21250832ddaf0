"""Every case that torch 2.13 computed in float64: values, gradients, reductions, and refusals."""

import json
from pathlib import Path

import numpy as np
import pytest

from lossctl.backends import BACKENDS
from lossctl.binding import bind, scalars
from lossctl.block import Selection
from lossctl.blocks import Memory, whole
from lossctl.engine import evaluate
from lossctl.errors import LossctlError
from lossctl.fold import unreduced
from lossctl.losses import LOSSES, catalogue
from lossctl.spec import Options
from lossctl.values import cast

CASES = json.loads((Path(__file__).parent / "data" / "vectors.json").read_text())["cases"]
ALIASES = {"input": "pred", "log_probs": "pred", "targets": "target"}

# Where torch is wrong: what it overflows to, we compute.
OURS = {
    "softmargin_big/none": ([1000.0], {"input": [1.0]}),
    "softmargin_big/mean": (1000.0, {"input": [1.0]}),
    "softmargin_big/sum": (1000.0, {"input": [1.0]}),
}
# Gradients by these inputs are not compared, for the reasons beside them.
NOT_COMPARED = {
    # torch clamps the variance unseen by autograd, so that below eps it has the gradient of eps; ours is that of a constant.
    "gauss": {"var"},
    "gauss_full": {"var"},
    # The gradient of an infinite loss is nan in torch; here it is 0, as that of a constant.
    "ctc_short": {"log_probs"},
    "ctc_rep": {"log_probs"},
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


def run(case, nan, backend="numpy"):
    options = Options(reduction=case["reduction"], nan=nan)
    return evaluate([tied(case, options)], BACKENDS.get(backend)(), options, Selection())[0].value


def gradients(case):
    """Gradients through our terms, of the reduced loss, or of its sum where it is not reduced."""
    backend, options = BACKENDS.get("torch")(), Options(nan="propagate")
    bound = tied(case, options)
    arrays = {slot.input.name: backend.give(cast(whole(slot.reader), slot, options)) for slot in bound.slots}
    leaves = {name: arrays[ALIASES.get(name, name)].requires_grad_() for name in case["grad_of_sum"]}
    terms = unreduced(bound, arrays, backend.xp)
    terms.setdefault("weight", backend.xp.ones_like(next(iter(terms.values()))))
    sums = {name: term.sum() for name, term in terms.items()}
    totals = {"mean": bound.loss.finish(backend.xp, sums, **bound.params), "batchmean": sums["value"] / bound.n}
    total = totals.get(case["reduction"], sums["value"])
    if total.requires_grad:
        total.backward()
    return {name: np.zeros(leaf.shape) if leaf.grad is None else leaf.grad.numpy() for name, leaf in leaves.items()}


def by_logits(case, gradient):
    """torch's CTC gives the gradient by the scores that log_softmax was applied to, and calls it that by log_probs."""
    return gradient - np.exp(numbers(case["inputs"]["log_probs"])) * gradient.sum(axis=-1, keepdims=True)


def test_every_case_is_one_of_a_loss():
    assert len(CASES) == 341
    assert {case["loss"] for case in CASES} == {loss.name for loss in catalogue().values() if loss.torch}


def test_every_exception_is_a_case():
    assert set(OURS) <= {case["id"] for case in CASES}
    assert set(NOT_COMPARED) <= {case["id"].partition("/")[0] for case in CASES}


@pytest.mark.parametrize("backend", ["numpy", "torch"])
@pytest.mark.parametrize("case", [case for case in CASES if "value" in case], ids=lambda case: case["id"])
def test_value_equals_torch(case, backend):
    wanted, _ = OURS.get(case["id"], (case["value"], None))
    np.testing.assert_allclose(np.asarray(run(case, "propagate", backend)), np.asarray(numbers(wanted)), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("case", [case for case in CASES if "value" in case], ids=lambda case: case["id"])
def test_gradient_equals_torch(case):
    _, wanted = OURS.get(case["id"], (None, case["grad_of_sum"]))
    found = gradients(case)
    for name in set(found) - NOT_COMPARED.get(case["id"].partition("/")[0], set()):
        right = np.asarray(numbers(wanted[name]))
        ours = by_logits(case, found[name]) if case["loss"] == "ctc" else found[name]
        np.testing.assert_allclose(ours.reshape(right.shape), right, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("case", [case for case in CASES if "error" in case], ids=lambda case: case["id"])
def test_what_torch_refuses_is_refused(case):
    with pytest.raises(LossctlError):
        run(case, "error")
