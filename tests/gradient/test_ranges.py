"""Ranges in any order, along any axis, from several threads."""

import math
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes
from reading import ALL, assert_holds, fields

from lossctl.gradient import sinks as stored
from lossctl.gradient.sinks import Field, MemorySink
from lossctl.gradient.writing import opened

RANDOM = np.random.default_rng(4)


def ranges(size, step, axis):
    """Slices of an axis, the last first."""
    for start in reversed(range(0, size, step)):
        yield start, (slice(None),) * axis + (slice(start, start + step),)


def write(path, array, axis, step, threads=1):
    with opened(str(path), fields({"pred": array})) as sinks, ThreadPoolExecutor(threads) as pool:
        parts = [(array[where], start) for start, where in ranges(array.shape[axis], step, axis)]
        for done in [pool.submit(sinks["pred"].put, part, start, axis) for part, start in parts]:
            done.result()


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("suffix", ALL)
def test_ranges_out_of_order_along_each_axis(tmp_path, suffix, axis):
    array = RANDOM.normal(size=(6, 7, 5))
    write(tmp_path / f"g{suffix}", array, axis, 2)
    assert_holds(tmp_path / f"g{suffix}", {"pred": array})


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("suffix", [".npy", ".safetensors", ".npz"])
def test_threads_write_beside_one_another(tmp_path, suffix, axis):
    # Rows of one byte an element: neighbours share every word of memory.
    array = RANDOM.integers(0, 255, size=(300, 301), dtype=np.uint8)
    write(tmp_path / f"g{suffix}", array, axis, 3, threads=8)
    assert_holds(tmp_path / f"g{suffix}", {"pred": array})


@pytest.mark.parametrize(("short", "window"), [(-1, 1 << 20), (1 << 20, 4096), (1 << 20, 1 << 20)])
def test_long_rows_and_short_ones_and_several_mappings_write_the_same(tmp_path, monkeypatch, short, window):
    monkeypatch.setattr(stored, "SHORT", short)
    monkeypatch.setattr(stored, "WINDOW", window)
    array = RANDOM.normal(size=(900, 3, 11)).astype(np.float32)
    write(tmp_path / "g.npy", array, 1, 2)
    assert_holds(tmp_path / "g.npy", {"pred": array})


def test_fields_do_not_overlap(tmp_path):
    arrays = {"h": RANDOM.normal(size=(50, 3)).astype(np.float16), "d": RANDOM.normal(size=(40, 7)), "i": np.arange(9)}
    with opened(str(tmp_path / "g.safetensors"), fields(arrays)) as sinks:
        for name, axis in [("i", 0), ("h", 1), ("d", 1)]:
            for start, where in ranges(arrays[name].shape[axis], 2, axis):
                sinks[name].put(arrays[name][where], start, axis)
    assert_holds(tmp_path / "g.safetensors", arrays)


def test_layout_in_memory_and_type_of_a_range_do_not_matter(tmp_path):
    array = RANDOM.normal(size=(20, 6))
    with opened(str(tmp_path / "g.npy"), [Field("pred", (20, 6), np.dtype(np.float32))]) as sinks:
        sinks["pred"].put(np.asfortranarray(array)[:10], 0)
        sinks["pred"].put(array[::-1][:10][::-1], 10)
    assert_holds(tmp_path / "g.npy", {"pred": array.astype(np.float32)})


def test_a_write_that_stops_short_goes_on(tmp_path, monkeypatch):
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda descriptor, view, offset: real(descriptor, view[:100], offset))
    array = RANDOM.normal(size=(100, 3))
    write(tmp_path / "g.npy", array, 0, 40)
    assert_holds(tmp_path / "g.npy", {"pred": array})


def test_a_read_that_stops_short_goes_on(tmp_path, monkeypatch):
    real = os.preadv
    monkeypatch.setattr(os, "preadv", lambda descriptor, views, offset: real(descriptor, [views[0][:100]], offset))
    array = RANDOM.normal(size=(100, 3))
    write(tmp_path / "g.npz", array, 0, 40)
    assert_holds(tmp_path / "g.npz", {"pred": array})


@pytest.mark.parametrize("axis", [0, 1])
def test_memory_takes_ranges_too(axis):
    array = RANDOM.normal(size=(6, 7))
    sink = MemorySink(Field("pred", (6, 7), np.dtype(np.float64)))
    for start, where in ranges(array.shape[axis], 2, axis):
        sink.put(array[where], start, axis)
    np.testing.assert_array_equal(sink.array, array)


def test_memory_takes_a_single_number():
    sink = MemorySink(Field("pred", (), np.dtype(np.float32)))
    sink.put(np.array(2.5), 0)
    assert (sink.array.shape, sink.array.dtype, float(sink.array)) == ((), np.float32, 2.5)


BAD = [
    ((3, 4), 8, 0),
    ((3, 4), -1, 0),
    ((3, 5), 0, 0),
    ((3,), 0, 0),
    ((10, 4), 1, 1),
    ((10, 4), 0, 2),
    ((10, 4), 0, -1),
    ((), 0, 0),
]


@pytest.mark.parametrize(("shape", "start", "axis"), BAD)
def test_a_range_that_does_not_fit_is_refused(tmp_path, shape, start, axis):
    field = Field("pred", (10, 4), np.dtype(np.float64))
    with pytest.raises(ValueError, match="no part of pred"):
        MemorySink(field).put(np.zeros(shape), start, axis)
    with opened(str(tmp_path / "g.npy"), [field]) as sinks, pytest.raises(ValueError, match="no part of pred"):
        sinks["pred"].put(np.zeros(shape), start, axis)
    with pytest.raises(ValueError, match="no part of pred"):
        MemorySink(Field("pred", (), field.dtype)).put(np.zeros(1), 0)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    shape=array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=6),
    suffix=st.sampled_from(ALL),
    step=st.integers(1, 4),
    data=st.data(),
)
def test_any_cut_along_any_axis_gives_the_same_file(tmp_path, shape, suffix, step, data):
    array = np.arange(math.prod(shape), dtype=np.float64).reshape(shape)
    write(tmp_path / f"any{suffix}", array, data.draw(st.integers(0, len(shape) - 1)), step, threads=2)
    assert_holds(tmp_path / f"any{suffix}", {"pred": array})
