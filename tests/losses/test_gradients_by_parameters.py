"""Every scalar parameter that is a float may be a tensor, and has the gradient that central differences show."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lossctl.checking.checks import draw, value
from lossctl.losses import LOSSES, catalogue
from lossctl.losses.backends import BACKENDS
from lossctl.losses.loss import Number

XP = BACKENDS.get("torch")().xp
FLOATS = [
    (loss.name, parameter.name, varied)
    for loss in catalogue().values()
    for parameter in loss.signature.parameters
    if isinstance(parameter.word, Number) and parameter.word.kind is float
    for varied in (False, True)
]
# Where the formula is replaced by its limit, which does not depend on the parameter, there is no gradient to follow.
LIMITS = [
    ("smooth_l1", "beta", 0.0),
    ("barron", "alpha", 0.0),
    ("renyi", "alpha", 1.0),
    ("tweedie_deviance", "power", 0.0),
    ("tweedie_deviance", "power", 1.0),
    ("tweedie_deviance", "power", 2.0),
    ("d2_tweedie", "power", 0.0),
    ("focal", "alpha", -1.0),
    ("poly_binary", "alpha", -1.0),
]


def drawn_at(name, parameter, at=None, *, varied=True):
    """A draw that fits any value of the parameter; a power between 1 and 2 wants numbers > 0."""
    drawn = draw(LOSSES.get(name), varied=varied)
    at = 1.5 if parameter == "power" and at is None else at
    if parameter == "power":
        drawn = replace(drawn, arrays={key: np.abs(array) + 0.1 for key, array in drawn.arrays.items()})
    return drawn if at is None else replace(drawn, params={**drawn.params, parameter: at})


def by_parameter(loss, drawn, name):
    """The gradient of the mean by one parameter, through terms and finish; 0 where nothing depends on it."""
    leaf = torch.tensor(float(drawn.params[name]), dtype=torch.float64, requires_grad=True)
    params = {**drawn.params, name: leaf}
    arrays = {key: torch.from_numpy(array) for key, array in drawn.arrays.items()}
    inputs = [arrays.pop(one.name) for one in loss.signature.inputs]
    tensors = {one.name: arrays.get(one.name) for one in loss.signature.tensors}
    result = loss.terms(XP, *inputs, **tensors, **params)
    terms = dict(result) if isinstance(result, dict) else {"value": result}
    terms.setdefault("weight", torch.ones_like(next(iter(terms.values()))))
    total = loss.finish(XP, {key: term.sum() for key, term in terms.items()}, **params)
    found = torch.autograd.grad(total, leaf, allow_unused=True)[0] if total.requires_grad else None
    return total.item(), 0.0 if found is None else found.item()


@pytest.fixture
def every_warning():
    """torch warns once a process where a tensor is made a number on the way; here it does so every time."""
    before = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    yield
    torch.set_warn_always(before)


@pytest.mark.usefixtures("every_warning")
@pytest.mark.parametrize(("name", "parameter", "varied"), FLOATS)
def test_gradient_by_a_parameter_equals_central_differences(name, parameter, varied):
    loss, drawn = LOSSES.get(name), drawn_at(name, parameter, varied=varied)
    at = drawn.params[parameter]
    # Central differences move a tiny eps by a share of itself, and see nothing but rounding if that changes nothing.
    step = 1e-6 * max(abs(at), 1.0) if at == 0 or abs(at) > 1e-5 else 0.5 * at
    sides = [float(value(loss, replace(drawn, params={**drawn.params, parameter: at + s}))) for s in (step, -step)]
    same, found = by_parameter(loss, drawn, parameter)
    numeric = (sides[0] - sides[1]) / (2 * step)
    noise = 1e-15 * abs(same) / step
    assert found == pytest.approx(numeric, rel=1e-5, abs=1e-5 + noise)
    assert same == pytest.approx(float(value(loss, drawn)), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize(("name", "parameter", "at"), LIMITS)
def test_a_limit_has_no_gradient_by_its_parameter(name, parameter, at):
    loss, drawn = LOSSES.get(name), drawn_at(name, parameter, at)
    same, found = by_parameter(loss, drawn, parameter)
    assert found == 0
    assert same == pytest.approx(float(value(loss, drawn)), rel=1e-12)


def test_most_parameters_move_their_loss():
    moved = {(name, p) for name, p, _ in FLOATS if by_parameter(LOSSES.get(name), drawn_at(name, p), p)[1]}
    assert len(moved) > 0.8 * len({(name, p) for name, p, _ in FLOATS})
