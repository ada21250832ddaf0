"""Files larger than the memory that writing them takes."""

import subprocess
import sys

import golden
import pytest
from reading import ALL

MIB = 1 << 20
# A short run first, so that imports and buffers are not counted.
PROGRAM = """
import sys
import numpy as np
from memory import peak
from lossctl.gradient.writing import Field, opened

def write(rows):
    block = np.random.default_rng(0).normal(size=(4096, 8))
    with opened(sys.argv[1], [Field("pred", (rows, 8), block.dtype)]) as sinks:
        for start in range(0, rows, len(block)):
            sinks["pred"].put(block, start)
        for column in range(2):
            sinks["pred"].put(np.zeros((rows, 1)), column, 1)

write(4096)
before = peak()
write(int(sys.argv[2]))
print(peak() - before)
"""


def growth(path, size):
    """By how many bytes the peak of memory grows when `size` bytes are written."""
    rows = size // 64
    command = [sys.executable, "-c", PROGRAM, str(path), str(rows)]
    found = subprocess.run(
        command, capture_output=True, text=True, check=True, env=golden.environment(path.parent, golden.ROOT / "tests")
    )
    assert path.stat().st_size >= rows * 8
    return int(found.stdout)


@pytest.mark.parametrize("suffix", ALL)
def test_writing_takes_less_memory_than_the_array(tmp_path, suffix):
    assert growth(tmp_path / f"g{suffix}", 80 * MIB) < 60 * MIB


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ALL)
def test_memory_does_not_grow_with_the_array(tmp_path, suffix):
    assert growth(tmp_path / f"g{suffix}", 240 * MIB) < 60 * MIB
