"""Folders with predictions of a few systems."""

import asking
import numpy as np
import pytest


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def systems(folder):
    """A target of 60 samples, and three predictions of it, each noisier than the one before."""
    rng = np.random.default_rng(5)
    target = rng.normal(size=60)
    preds = {name: target + scale * rng.normal(size=60) for name, scale in (("a", 1.0), ("b", 1.1), ("c", 2.0))}
    asking.save(folder, t=target, **preds)
    return {"t": target, **preds}
