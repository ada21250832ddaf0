"""Gradients of no rows, of one row, and of 0-d arrays: an answer or a refusal in words, whatever the loss."""

import numpy as np
import pytest

from lossctl.checking.checks import draw
from lossctl.commands import compute, grad
from lossctl.errors import LossctlError, NotFinite
from lossctl.losses import LOSSES, catalogue
from lossctl.request.options import Options
from lossctl.request.spec import LossSpec, Spec
from lossctl.sources.source import Given


def cut(word, array, shape):
    """An array of the signature with no rows, with one, or without any axis."""
    axes = word.shape.split()
    if shape == "0-d":
        return np.asarray(array.flat[0])
    if "n" not in axes or word.rule == "broadcast":
        return array
    rows = [slice(None)] * array.ndim
    rows[axes.index("n")] = slice(0, 0 if shape == "no rows" else 1)
    return array[tuple(rows)]


def spec_of(loss, shape, reduction, nan, fill=None):
    """The loss on a draw that is cut; `fill` stands for every number of the first input."""
    drawn = draw(loss, varied=False)
    arrays = {one.name: cut(one.word, drawn.arrays[one.name], shape) for one in loss.signature.inputs}
    first = loss.signature.inputs[0].name
    if fill is not None:
        arrays[first] = np.full_like(arrays[first], fill, dtype=float)
    inputs = {name: Given(value=array.tolist()) for name, array in arrays.items()}
    return Spec(losses=(LossSpec(loss.name, {}),), inputs=inputs, options=Options(reduction=reduction, nan=nan))


def answered(run, *arguments):
    """The document of a command, or None where it is refused in words; whatever else is raised is a bug."""
    try:
        return run(*arguments, lambda _: None, document=True)[0].document
    except LossctlError:
        return None


@pytest.mark.parametrize("loss", catalogue().values(), ids=lambda loss: loss.name)
@pytest.mark.parametrize("shape", ["no rows", "one row", "0-d"])
def test_every_loss_answers_or_refuses_in_words(loss, shape):
    for reduction in (*loss.reductions, "batchmean"):
        for nan in ("error", "propagate"):
            for fill in (None, 0.0, np.inf):
                spec = spec_of(loss, shape, reduction, nan, fill)
                answered(compute.run, spec)
                answered(grad.run, spec, grad.Grading(wrt=["all"]))
        answered(grad.run, spec_of(loss, shape, reduction, "propagate"), grad.Grading(check=True))


@pytest.mark.parametrize("name", ["cross_entropy", "nll", "bce", "bce_with_logits", "hinge", "focal", "focal_multiclass"])
def test_the_gradient_of_no_rows_has_no_rows(name, tmp_path):
    loss = LOSSES.get(name)
    drawn = draw(loss, varied=False)
    inputs = {}
    for one in loss.signature.inputs:
        np.save(tmp_path / f"{one.name}.npy", cut(one.word, drawn.arrays[one.name], "no rows"))
        inputs[one.name] = Given(str(tmp_path / f"{one.name}.npy"))
    spec = Spec(losses=(LossSpec(name, {}),), inputs=inputs, options=Options(reduction="sum"))
    document = answered(grad.run, spec, grad.Grading())
    assert (document["gradient"], document["results"][0]["value"]) == ([], 0.0)


def test_a_0d_gradient_that_is_not_finite_is_counted():
    inputs = {"pred": Given(value=0.0), "target": Given(value=2.0)}
    options = Options(reduction="sum", nan="propagate")
    spec = Spec(losses=(LossSpec("poisson_nll", {"log_input": False, "eps": 0}),), inputs=inputs, options=options)
    document = answered(grad.run, spec, grad.Grading())
    assert (document["gradient"], document["gradients"][0]["not_finite"]) == (-np.inf, 1)
    assert document["gradients"][0]["not_finite_at"] == [[]]
    with pytest.raises(NotFinite):
        grad.run(Spec(losses=spec.losses, inputs=inputs), grad.Grading(), lambda _: None, document=True)
