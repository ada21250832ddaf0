"""What these tests share: runs in an empty folder, over more than one block."""

import numpy as np
import pytest

from lossctl.gradient import passes


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of a few elements, so that small files have several of them."""
    monkeypatch.setitem(passes.stream.__kwdefaults__, "block", 8)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def save(folder):
    """Writes arrays as NAME.npy, and returns their paths in the same order."""

    def save(**arrays):
        for name, array in arrays.items():
            np.save(folder / f"{name}.npy", array)
        return [f"{name}.npy" for name in arrays]

    return save
