"""The losses of torch.nn.functional on random float64 arrays: every shape, parameter, weight and reduction; and refusals."""

import itertools

import numpy as np
import pytest
from ask import none, tie, value

from lossctl.losses import LOSSES
from lossctl.request.options import Options

REDUCTIONS = ("mean", "sum", "none")
ELEMENTWISE = [(6,), (4, 3), (2, 3, 2), (1,), (1, 1), ()]
ROWS = [(5, 4), (1, 4), (5, 1), (4,)]
VECTORS = [(6, 3), (1, 3), (3,)]


def drawn(seed=0):
    return np.random.default_rng(seed)


def signs(rng, shape):
    return rng.choice([-1.0, 1.0], size=shape)


def equal(name, arrays, *, whole=(), **named):
    """Compare with torch under every reduction; `whole` names the inputs and parameters that are labels."""
    import torch

    loss = LOSSES.get(name)
    order = [argument.name for argument in loss.signature.inputs]

    def tensor(key, given):
        return torch.tensor(np.asarray(given, np.int64 if key in whole else np.float64))

    inputs = [tensor(key, given) for key, given in zip(order, arrays, strict=True)]
    more = {key: tensor(key, given) if isinstance(given, np.ndarray) else given for key, given in named.items()}
    for reduction in REDUCTIONS:
        wanted = getattr(torch.nn.functional, loss.torch)(*inputs, **more, reduction=reduction).numpy()
        found = value(name, *arrays, **named, options=Options(reduction=reduction))
        assert np.shape(found) == wanted.shape
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape", ELEMENTWISE, ids=str)
@pytest.mark.parametrize("beta", [0.0, 1e-300, 0.3, 1.0, 5.0])
def test_smooth_l1(shape, beta):
    rng = drawn()
    equal("smooth_l1", (3 * rng.normal(size=shape), rng.normal(size=shape)), beta=beta)


@pytest.mark.parametrize("shape", ELEMENTWISE, ids=str)
@pytest.mark.parametrize("margin", [-0.5, 0.0, 1.0, 2.5])
def test_margins_of_elements(shape, margin):
    rng = drawn(1)
    one, two, target = rng.normal(size=shape), rng.normal(size=shape), signs(rng, shape)
    equal("hinge_embedding", (one, target), margin=margin)
    equal("margin_ranking", (one, two, target), margin=margin)
    equal("soft_margin", (20 * one, target))


@pytest.mark.parametrize("shape", ELEMENTWISE, ids=str)
@pytest.mark.parametrize(("log_input", "full", "eps"), list(itertools.product((True, False), (True, False), (1e-8, 0.5))))
def test_poisson_nll(shape, log_input, full, eps):
    rng = drawn(2)
    pred = rng.normal(size=shape) if log_input else rng.uniform(0, 3, size=shape)
    target = rng.poisson(2, size=shape).astype(float)
    equal("poisson_nll", (pred, target), log_input=log_input, full=full, eps=eps)


@pytest.mark.parametrize("shape", ELEMENTWISE, ids=str)
def test_bce(shape):
    rng = drawn(3)
    pred, target = rng.uniform(size=shape), rng.uniform(size=shape)
    equal("bce", (pred, target))
    equal("bce", (np.round(pred), np.round(target)))
    for beside in {shape, shape[-1:], ()}:
        equal("bce", (pred, target), weight=rng.uniform(0, 2, size=beside))


@pytest.mark.parametrize("shape", [(4,), (5, 4), (5, 4, 3), (3, 4, 2, 3), (1, 1), (2, 4, 1, 1)], ids=str)
@pytest.mark.parametrize("ignore", [-100, 2])
def test_nll(shape, ignore):
    rng = drawn(4)
    axis = 0 if len(shape) == 1 else 1
    pred = rng.normal(size=shape)
    target = rng.integers(0, min(shape[axis], 2), size=(*shape[:axis], *shape[axis + 1 :]))
    if target.ndim:
        target[..., -1:] = ignore if target[..., -1:].size < target.size else 0
    for named in ({}, {"weight": rng.uniform(0.2, 3, size=shape[axis])}):
        equal("nll", (pred, target), whole={"target"}, ignore_index=ignore, **named)


def test_nll_at_minus_infinity():
    # What is ignored costs nothing, whatever stands there.
    pred = [[-np.inf, -1.0], [-2.0, -np.inf]]
    assert none("nll", pred, [-100, 0], options=Options(nan="propagate")).tolist() == [0.0, 2.0]
    assert none("nll", pred, [0, 0], options=Options(nan="propagate")).tolist() == [np.inf, 2.0]


@pytest.mark.parametrize("shape", ROWS, ids=str)
@pytest.mark.parametrize(("p", "margin"), list(itertools.product((1, 2), (-0.5, 0.0, 1.0, 2.5))))
def test_multi_margin(shape, p, margin):
    rng = drawn(5)
    pred, target = rng.normal(size=shape), rng.integers(0, shape[-1], size=shape[:-1])
    for named in ({}, {"weight": rng.uniform(0, 2, size=shape[-1])}):
        equal("multi_margin", (pred, target), whole={"target"}, p=p, margin=margin, **named)


@pytest.mark.parametrize("shape", ROWS, ids=str)
@pytest.mark.parametrize("seed", range(5))
def test_multilabel_margin(shape, seed):
    # Labels repeat, lists end anywhere or nowhere, and hold labels behind their end.
    rng = drawn(seed)
    equal("multilabel_margin", (rng.normal(size=shape), rng.integers(-1, shape[-1], size=shape)), whole={"target"})


@pytest.mark.parametrize("shape", ROWS, ids=str)
@pytest.mark.parametrize("soft", [False, True])
def test_multilabel_soft_margin(shape, soft):
    rng = drawn(6)
    pred, target = 5 * rng.normal(size=shape), rng.uniform(size=shape)
    for named in ({}, {"weight": rng.uniform(0, 2, size=shape[-1])}):
        equal("multilabel_soft_margin", (pred, target if soft else np.round(target)), **named)


@pytest.mark.parametrize("shape", VECTORS, ids=str)
@pytest.mark.parametrize("margin", [-1.0, 0.0, 0.5])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_cosine_embedding(shape, margin, scale):
    rng = drawn(7)
    one, two = scale * rng.normal(size=shape), rng.normal(size=shape)
    equal("cosine_embedding", (one, two, signs(rng, shape[:-1])), margin=margin)


def test_cosine_of_zero_vectors():
    equal("cosine_embedding", (np.zeros((2, 3)), np.zeros((2, 3)), np.array([1.0, -1.0])), margin=-0.25)


@pytest.mark.parametrize("shape", [*VECTORS, (2, 3, 4), (2, 1, 2, 3)], ids=str)
@pytest.mark.parametrize(("margin", "swap"), list(itertools.product((0.1, 2.0), (False, True))))
def test_triplet_margin_with_distance(shape, margin, swap):
    rng = drawn(8)
    triples = tuple(rng.normal(size=shape) for _ in range(3))
    equal("triplet_margin_with_distance", triples, margin=margin, swap=swap)
    assert value("triplet_margin_with_distance", *triples, margin=margin, swap=swap) == value(
        "triplet_margin", *triples, margin=margin, swap=swap
    )


@pytest.mark.parametrize(("batch", "further"), [((), ()), ((5,), ()), ((1,), ()), ((5,), (2,)), ((3,), (2, 2))], ids=str)
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_linear_cross_entropy(batch, further, smoothing):
    rng = drawn(9)
    classes, features = 4, 3
    pred, matrix = rng.normal(size=(*batch, features)), rng.normal(size=(classes, *further, features))
    labels = rng.integers(0, classes, size=(*batch, *further))
    soft = rng.dirichlet(np.ones(classes), size=(*batch, *further))
    soft = np.moveaxis(soft, -1, len(batch))
    tensors = {"linear_bias": rng.normal(size=(classes, *further)), "weight": rng.uniform(0.2, 3, size=classes)}
    for names in ((), ("linear_bias",), ("weight",), ("linear_bias", "weight")):
        named = {name: tensors[name] for name in names} | {"label_smoothing": smoothing}
        equal("linear_cross_entropy", (pred, matrix, labels), whole={"target"}, **named)
        equal("linear_cross_entropy", (pred, matrix, soft), **named)


def test_linear_cross_entropy_with_as_many_features_as_classes():
    # The target has the shape of pred, which says nothing: it is compared with that of the scores.
    rng = drawn(10)
    pred, matrix, labels = rng.normal(size=(4, 4)), rng.normal(size=(4, 4)), rng.integers(0, 4, size=4)
    equal("linear_cross_entropy", (pred, matrix, labels), whole={"target"}, ignore_index=int(labels[0]))
    equal("linear_cross_entropy", (pred, matrix, rng.dirichlet(np.ones(4), size=4)))


def test_linear_cross_entropy_counts_its_scores_when_blocks_are_cut():
    assert tie("lce", np.zeros((2, 3)), np.zeros((100, 5, 3)), np.zeros((2, 5))).elements == 500
