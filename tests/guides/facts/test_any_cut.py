"""Any cut into blocks gives the same facts, and a large file takes no more memory than a small one."""

import subprocess
import sys

import numpy as np
import pytest
from arrays import KINDS, drawn

from lossctl.guides.facts import arrays, facts_of, facts_of_both
from lossctl.sources.readers import Memory, cuts

MIB = 1 << 20
PEAK = """
import resource, sys
from lossctl.guides.facts import facts_of
from lossctl.sources.files import Files
from lossctl.sources.source import Given
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
found = facts_of(Files().open(Given(text=sys.argv[1]), "pred"))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, found["kind"], found["n"])
"""


def cut_at(monkeypatch, block):
    """Let all passes cut blocks of another size."""
    monkeypatch.setattr(arrays, "cuts", lambda samples, elements: cuts(samples, elements, block=block))


def close(one, other):
    """The same facts, floats to 1e-9."""
    assert one.keys() == other.keys()
    for name, value in one.items():
        if isinstance(value, float) and other[name] is not None:
            assert value == pytest.approx(other[name], rel=1e-9, abs=1e-9), name
        elif name in {"column_means", "class_counts"} and value is not None:
            assert np.asarray(value, float) == pytest.approx(np.asarray(other[name], float), rel=1e-9, nan_ok=True), name
        elif name != "looks":
            assert value == other[name], name


@pytest.mark.parametrize("block", [1, 7, 1000])
@pytest.mark.parametrize("name", KINDS)
def test_blocks_of_any_size_give_the_same_facts(name, block, monkeypatch):
    array = drawn(name, 200)
    whole = facts_of(Memory(array))
    cut_at(monkeypatch, block)
    close(whole.values, facts_of(Memory(array)).values)


def test_blocks_of_any_size_take_the_same_sample(monkeypatch):
    array = np.random.default_rng(0).normal(size=(70_001, 3))
    array[::11, 1] = np.nan
    whole = facts_of(Memory(array))
    assert whole["sampled"]
    cut_at(monkeypatch, 4096)
    close(whole.values, facts_of(Memory(array)).values)


@pytest.mark.parametrize("block", [1, 7, 64])
def test_blocks_of_any_size_give_the_same_facts_of_a_pair(block, monkeypatch):
    rng = np.random.default_rng(0)
    pred, target = Memory(rng.normal(size=(60, 3))), Memory(rng.normal(size=(60, 3)))
    whole = facts_of_both(pred, target)
    cut_at(monkeypatch, block)
    for one, other in zip(whole, facts_of_both(pred, target), strict=True):
        close(one.values, other.values)


def test_memory_order_changes_nothing():
    array = drawn("logits in float32", 200)
    assert facts_of(Memory(np.asfortranarray(array))) == facts_of(Memory(array))


def peak(path):
    """How much memory in bytes looking at a file adds to what its program takes."""
    found = subprocess.run([sys.executable, "-c", PEAK, path], capture_output=True, text=True, check=True)
    grown, *what = found.stdout.split()
    return int(grown) * 1024, what


@pytest.mark.slow
def test_memory_does_not_grow_with_the_array(tmp_path):
    rows = 240 * MIB // (8 * 16)
    array = np.lib.format.open_memmap(tmp_path / "a.npy", "w+", np.float64, (rows, 16))
    for start in range(0, rows, 1 << 16):
        array[start : start + (1 << 16)] = np.random.default_rng(start).normal(size=array[start : start + (1 << 16)].shape)
    array.flush()
    del array
    grown, what = peak(tmp_path / "a.npy")
    assert what == ["logits", str(rows)]
    assert grown < 80 * MIB
