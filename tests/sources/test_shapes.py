import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import mutually_broadcastable_shapes

from lossctl.sources import readers

sizes = st.lists(st.integers(0, 4), max_size=4).map(tuple)


@pytest.mark.parametrize(
    ("spec", "shape", "dims"),
    [
        ("n *d", (3,), {"n": (3,), "d": ()}),
        ("n *d", (3, 4, 5), {"n": (3,), "d": (4, 5)}),
        ("n c *d", (3, 4), {"n": (3,), "c": (4,), "d": ()}),
        ("n *d e", (3, 4, 5), {"n": (3,), "d": (4,), "e": (5,)}),
        ("n *d e", (3, 5), {"n": (3,), "d": (), "e": (5,)}),
        ("t n c", (7, 2, 3), {"t": (7,), "n": (2,), "c": (3,)}),
    ],
)
def test_match_binds_every_dim(spec, shape, dims):
    assert readers.match(spec, shape, {}) == dims


@pytest.mark.parametrize(
    ("spec", "shape", "known"),
    [
        ("n *d", (), {}),
        ("n c *d", (3,), {}),
        ("n", (3, 1), {}),
        ("n *d", (3, 4), {"n": (2,)}),
        ("n *d", (3, 4), {"d": ()}),
        ("n *d", (3,), {"d": (4,)}),
        ("n n", (2, 3), {}),
    ],
)
def test_match_refuses(spec, shape, known):
    before = dict(known)
    assert readers.match(spec, shape, known) is None
    assert known == before


@given(sizes)
def test_what_matches_once_matches_again_under_its_own_dims(shape):
    dims = readers.match("n *d", shape, {})
    assert (dims is None) == (shape == ())
    if dims is not None:
        assert readers.match("n *d", shape, dims) == dims


@pytest.mark.parametrize(
    ("spec", "dims", "said"),
    [
        ("n *d", {"n": (4,), "d": (1,)}, "(4, 1)"),
        ("n *d", {"n": (4,), "d": ()}, "(4,)"),
        ("n c *d", {"n": (4,)}, "(4, C, d1..)"),
        ("n", {}, "(N,)"),
    ],
)
def test_say(spec, dims, said):
    assert readers.say(spec, dims) == said


def test_sample_axis():
    assert [readers.sample_axis(spec) for spec in ("n *d", "t n c", "c")] == [0, 1, None]


@given(mutually_broadcastable_shapes(num_shapes=3, min_side=0))
def test_broadcast_is_numpy_s(drawn):
    assert readers.broadcast(*drawn.input_shapes) == drawn.result_shape


@given(sizes, sizes)
def test_broadcast_refuses_what_numpy_refuses(one, other):
    try:
        wanted = np.broadcast_shapes(one, other)
    except ValueError:
        wanted = None
    assert readers.broadcast(one, other) == wanted


@pytest.mark.parametrize(
    ("spec", "shape", "left"),
    [
        ("n *d", (3, 1), (3,)),
        ("n *d", (1, 3, 1, 2), (1, 3, 2)),
        ("n *d", (1,), (1,)),
        ("n c *d", (3, 1), (3, 1)),
        ("n c *d", (1, 4, 5, 1), (1, 4, 5)),
        ("n *d e", (3, 1), (3, 1)),
        ("n *d e", (3, 1, 1), (3, 1)),
        ("t n c", (1, 3, 3), (1, 3, 3)),
        ("n", (3, 1), (3,)),
        ("n", (), ()),
        ("*d", (1, 1), ()),
    ],
)
def test_squeezed_keeps_the_axes_that_have_a_meaning(spec, shape, left):
    assert readers.squeezed(spec, shape) == left


@pytest.mark.parametrize(
    ("spec", "shape", "wide"),
    [("n c *d", (2, 5), (2, 1, 5)), ("n *d e", (2, 5), (2, 5, 1)), ("n *d", (2, 5), (2, 5)), ("n c *d", (2,), (2, 1))],
)
def test_lifted_stands_beside_the_other_dims(spec, shape, wide):
    assert readers.lifted(spec, shape) == wide
