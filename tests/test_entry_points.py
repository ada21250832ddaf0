"""A real package, built and installed here, whose losses are found by name."""

import json
import os
import subprocess
import sys

import golden
import numpy as np
import pytest

PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "sharp-losses"
version = "1.0"

[project.entry-points."lossctl.losses"]
sharp = "sharp_losses:Sharp"
fourth = "sharp_losses:fourth"
worded = "sharp_losses:worded"
mse = "sharp_losses:fourth"
broken = "sharp_losses.broken:Nothing"
"""
MODULE = '''
"""Losses of a package."""
from torch import nn

from lossctl.losses.loss import loss
from lossctl.losses.words import Real


class Sharp(nn.Module):
    """The power of the error."""

    def __init__(self, power=1.0, reduction="mean"):
        super().__init__()
        self.power, self.reduction = power, reduction

    def forward(self, pred, target):
        values = (pred - target).abs() ** self.power
        return {"mean": values.mean(), "sum": values.sum(), "none": values}[self.reduction]


def fourth(pred, target):
    return ((pred - target) ** 4).mean()


@loss("regression", source="a package")
def worded(xp, pred: Real, target: Real):
    """Eight times the error."""
    return 8 * (pred - target)
'''
PATIENCE = 300


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder that pip installed the package into."""
    project, target = tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("installed")
    package = project / "sharp_losses"
    package.mkdir()
    (project / "pyproject.toml").write_text(PROJECT)
    (package / "__init__.py").write_text(MODULE)
    (package / "broken.py").write_text("raise ValueError('half a package')\n")
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    flags = ["--disable-pip-version-check", "--target", str(target), str(project)]
    built = subprocess.run([*pip, *flags], capture_output=True, encoding="utf-8", timeout=PATIENCE, check=False)
    assert built.returncode == 0, built.stderr
    return target


@pytest.fixture
def lossctl(installed, tmp_path):
    np.save(tmp_path / "p.npy", [3.0, 5.0])
    np.save(tmp_path / "t.npy", [1.0, 2.0])
    path = os.pathsep.join([golden.environment(tmp_path)["PYTHONPATH"], str(installed)])

    def run(argv):
        return golden.run({"argv": argv, "env": {"PYTHONPATH": path}}, tmp_path)

    return run


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sharp", 2.5),
        ("Sharp:power=2", 6.5),
        ("sharp:power=2 --reduction sum", 13.0),
        ("fourth", 48.5),
        ("worded", 20.0),
        ("mse", 6.5),
        ("sharp_losses:fourth", 48.5),
    ],
)
def test_loss_of_a_package_is_computed(lossctl, name, value):
    name, _, rest = name.partition(" ")
    found = lossctl(f"compute {name} p.npy t.npy -b {rest}")
    assert (found.code, found.stdout.strip()) == (0, repr(value)), found.stderr


def test_list_shows_what_packages_have_and_imports_none_of_it(lossctl):
    found = lossctl("list --task others -f json")
    names = {row["name"]: row["source"] for row in json.loads(found.stdout)["losses"]}
    assert set(names) == {"sharp", "fourth", "worded", "broken"}, found.stderr
    assert names["sharp"].endswith("sharp_losses:Sharp")
    assert "sharp" in lossctl("list").stdout


def test_verify_and_info(lossctl):
    found = lossctl("verify sharp:power=3 -f json")
    checks = {row["check"]: row["result"] for row in json.loads(found.stdout)["checks"]}
    assert found.code == 0, found.stderr
    assert {name for name, result in checks.items() if result == "passed"} == {"permutation", "reductions", "gradient"}
    assert "The power of the error." in lossctl("info sharp").stdout


def test_broken_package_is_named(lossctl):
    found = lossctl("compute broken p.npy t.npy")
    assert found.code == 2
    assert "'broken (sharp_losses.broken:Nothing)' could not be imported: ValueError: half a package." in found.stderr
    assert "Traceback" not in found.stderr


def test_near_names_know_those_of_packages(lossctl):
    assert "Did you mean 'fourth'?" in lossctl("compute forth p.npy t.npy").stderr
