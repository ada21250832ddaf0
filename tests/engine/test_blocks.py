import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes

from lossctl.sources.readers import Broadcast, Memory, Moved, Reshaped, cuts, reshaped, stretched, whole

shapes = array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=3)


def numbered(shape):
    return np.arange(np.prod(shape, dtype=int)).reshape(shape)


def check_view(view, wanted, array, placed):
    """Every range along every axis is the same range of `wanted`, and every element's place is its place in `array`."""
    assert view.shape == wanted.shape
    for axis, size in enumerate(wanted.shape):
        for start in range(size):
            for stop in range(start, size + 1):
                np.testing.assert_array_equal(view.read(start, stop, axis), np.take(wanted, range(start, stop), axis))
    for index in np.ndindex(wanted.shape):
        assert array[tuple(placed(view.place(index)))] == wanted[index]


def brackets(text):
    return [int(number) for number in text.strip("[]").split(", ") if number]


@given(shapes, st.data())
def test_reshaped(shape, data):
    array = numbered(shape)
    wide = [size for size in shape if size != 1]
    for _ in range(data.draw(st.integers(0, 3))):
        wide.insert(data.draw(st.integers(0, len(wide))), 1)
    view = reshaped(Memory(array), tuple(wide))
    check_view(view, array.reshape(wide), array, brackets)


@given(shapes, st.data())
def test_moved(shape, data):
    axes = st.integers(0, len(shape) - 1)
    source, target = data.draw(axes), data.draw(axes)
    array = numbered(shape)
    check_view(Moved(Memory(array), source, target), np.moveaxis(array, source, target), array, brackets)


@given(shapes, st.data())
def test_stretched(shape, data):
    wide = tuple(data.draw(st.integers(1, 3)) if size == 1 else size for size in shape)
    wide = (*data.draw(st.lists(st.integers(1, 3), max_size=2)), *wide)
    array = numbered(shape)
    check_view(stretched(Memory(array), wide), np.broadcast_to(array, wide), array, brackets)


def test_views_of_views():
    array = numbered((2, 1, 3))
    view = Broadcast(Moved(Reshaped(Memory(array), (2, 3, 1)), 0, 1), (3, 2, 4))
    check_view(view, np.broadcast_to(np.swapaxes(array.reshape(2, 3, 1), 0, 1), (3, 2, 4)), array, brackets)


@pytest.mark.parametrize("shape", [(0,), (0, 2), (2, 0)])
def test_views_of_nothing(shape):
    view = reshaped(Memory(np.zeros(shape)), (1, *shape))
    assert whole(view).shape == (1, *shape)
    assert view.read(0, 0, 1).shape == (1, 0, *shape[1:])


def test_a_single_number():
    number = Memory(np.float64(3.0))
    assert whole(number) == 3.0
    assert whole(stretched(number, (2, 2))).tolist() == [[3.0, 3.0], [3.0, 3.0]]
    assert stretched(number, (2, 2)).place((1, 1)) == "[]"


def test_views_keep_name_type_and_facts():
    inner = Memory(np.arange(3, dtype=np.int8), "labels.npy")
    view = stretched(inner, (2, 3))
    assert (view.name, view.dtype, view.facts()) == ("labels.npy", np.int8, inner.facts())
    assert inner.facts()["sha256"] == hashlib.sha256(b"\x00\x01\x02").hexdigest()


def test_facts_do_not_depend_on_the_order_in_memory():
    array = numbered((2, 3))
    assert Memory(np.asfortranarray(array)).facts() == Memory(array).facts()


@given(st.integers(0, 50), st.integers(0, 9), st.integers(1, 20))
def test_cuts_cover_every_sample_once(samples, elements, block):
    spans = list(cuts(samples, elements, block=block))
    assert [number for start, stop in spans for number in range(start, stop)] == list(range(samples))
    assert all((stop - start) * elements <= max(block, elements) for start, stop in spans)
    assert spans


def test_a_whole_loss_is_not_cut():
    assert list(cuts(1_000_000, 0)) == [(0, 1_000_000)]


def test_a_prefix_is_cut_at_the_same_places():
    assert list(cuts(100, 3, block=12))[:5] == list(cuts(20, 3, block=12))
