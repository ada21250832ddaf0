"""Gradients of files that are larger than the memory that differentiating them takes."""

import numpy as np
import pytest
from large import MB, run

WIDTH = 25


def pieces(rows, seed):
    """A random array of 1000 rows, again and again."""
    piece = np.random.default_rng(seed).normal(size=(1000, WIDTH)).astype(np.float32)
    return piece, rows // 1000


def write(path, piece, count):
    header = {"descr": piece.dtype.str, "fortran_order": False, "shape": (len(piece) * count, piece.shape[1])}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for _ in range(count):
            file.write(piece.tobytes())


def check(folder, size, limit):
    """Differentiate a pair of files of `size` bytes each."""
    rows = size // (4 * WIDTH) // 1000 * 1000
    (pred, count), (target, _) = pieces(rows, 1), pieces(rows, 2)
    write(folder / "p.npy", pred, count)
    write(folder / "t.npy", target, count)
    document, peak = run(folder, "grad", "mse", "p.npy", "t.npy", "-o", "g.npy")
    difference = 2 * (pred.astype(float) - target) / (rows * WIDTH)
    entry = document["gradients"][0]
    assert entry["norm"] == pytest.approx(np.linalg.norm(difference) * np.sqrt(count), rel=1e-9)
    found = np.load(folder / "g.npy", mmap_mode="r")
    assert found.shape == (rows, WIDTH)
    for start in (0, (count // 2) * 1000, (count - 1) * 1000):
        np.testing.assert_allclose(found[start : start + 1000], difference, rtol=1e-6)
    assert document["gradient"] == {"files": ["g.npy"], "shape": [rows, WIDTH]}
    assert peak < limit * MB


def test_files_of_100_mb_take_less_than_450_mb(tmp_path):
    check(tmp_path, 100 * MB, 450)


@pytest.mark.slow
def test_files_of_2_gb_take_less_than_500_mb(tmp_path):
    check(tmp_path, 2000 * MB, 500)
