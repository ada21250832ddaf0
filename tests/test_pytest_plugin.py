"""The fixture `lossctl_check`, in test suites of others that run here as processes of their own."""

import os
import subprocess
import sys
from importlib.metadata import EntryPoint

import golden
import pytest

ENTRY = "[pytest11]\nlossctl = lossctl.pytest_plugin\n"
SUITE = """
import numpy as np
import pytest
import torch

from lossctl.errors import ShapeMismatch

PRED, TARGET = np.array([2.5, 5.0, 3.0]), np.array([3.0, 5.0, 2.5])


def test_it_returns_the_value(lossctl_check):
    assert lossctl_check("mse", PRED, TARGET, max=0.2) == pytest.approx(1 / 6)


def test_a_bound_that_fails(lossctl_check):
    with pytest.raises(AssertionError, match="^gate failed: mse = 0.16666666666666666, wanted <= 0.1.$"):
        lossctl_check("mse", PRED, TARGET, max=0.1)
    with pytest.raises(AssertionError, match="wanted >= 1.0"):
        lossctl_check("MSELoss", PRED, TARGET, min=1)


def test_close_to_a_value(lossctl_check):
    lossctl_check("mse", PRED, TARGET, expect=1 / 6)
    lossctl_check("mse", PRED, TARGET, expect=0.17, rtol=0.1)
    lossctl_check("mse", PRED, TARGET, expect=0.17, rtol=0, atol=0.01)
    with pytest.raises(AssertionError, match="within rtol 1e-09"):
        lossctl_check("mse", PRED, TARGET, expect=0.17)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_tensors(lossctl_check, dtype):
    pred = torch.tensor(PRED, dtype=dtype, requires_grad=True)
    assert lossctl_check("mse", pred, torch.tensor(TARGET)) == pytest.approx(1 / 6)


def test_files_and_lists(lossctl_check, tmp_path):
    np.save(tmp_path / "pred.npy", PRED)
    value = lossctl_check("mse", tmp_path / "pred.npy", [3.0, 5.0, 2.5])
    assert value == lossctl_check("mse", str(tmp_path / "pred.npy"), TARGET)


def test_parameters_inputs_and_reductions(lossctl_check):
    assert lossctl_check("huber", [0.0, 2.0], [0.0, 0.0], delta=1.0) == 0.75
    assert lossctl_check("huber:delta=1", [0.0, 2.0], [0.0, 0.0], reduction="sum") == 1.5
    scores, labels = torch.randn(5, 3, dtype=torch.float64), torch.tensor([0, 1, 2, 1, 0])
    weight = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    theirs = torch.nn.functional.cross_entropy(scores, labels, weight=weight)
    assert lossctl_check("cross_entropy", scores, labels, weight=weight) == pytest.approx(theirs.item())
    spread = np.full(3, 2.0)
    theirs = torch.nn.functional.gaussian_nll_loss(*map(torch.tensor, (PRED, TARGET, spread)))
    assert lossctl_check("gaussian_nll", PRED, TARGET, var=spread) == pytest.approx(theirs.item())


def test_what_cannot_be_computed_is_no_failed_gate(lossctl_check):
    with pytest.raises(ShapeMismatch):
        lossctl_check("mse", PRED, TARGET[:2])
"""
IMPORTS = """
import sys
import pytest
before = set(sys.modules)
import lossctl.pytest_plugin
print(*sorted({name.partition(".")[0] for name in set(sys.modules) - before}))
print(*sorted(name for name in set(sys.modules) - before if name.startswith("lossctl")))
"""


@pytest.fixture
def suite(tmp_path):
    (tmp_path / "test_suite.py").write_text(SUITE)
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    return tmp_path


def run(folder, *flags, path=(), **variables):
    env = golden.environment(folder) | variables
    env["PYTHONPATH"] = os.pathsep.join([env["PYTHONPATH"], *map(str, path)])
    command = [sys.executable, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", *flags]
    return subprocess.run(
        command, cwd=folder, env=env, capture_output=True, encoding="utf-8", timeout=golden.PATIENCE, check=False
    )


def test_the_fixture_in_a_suite(suite):
    # Where lossctl is installed, its entry point would name the same module a second time.
    done = run(suite, "-p", "lossctl.pytest_plugin", PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    assert done.returncode == 0, done.stdout
    assert "9 passed" in done.stdout


def test_the_project_declares_the_entry_point():
    text = (golden.ROOT / "pyproject.toml").read_text()
    assert '[project.entry-points.pytest11]\nlossctl = "lossctl.pytest_plugin"\n' in text
    assert EntryPoint("lossctl", "lossctl.pytest_plugin", "pytest11").load().lossctl_check


def test_pytest_finds_it_by_its_entry_point(suite, tmp_path_factory):
    installed = tmp_path_factory.mktemp("installed")
    info = installed / "plugged_in-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugged-in\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY)
    done = run(suite, "-k", "returns_the_value", path=[installed])
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


def test_it_imports_nothing_before_a_test_asks(tmp_path):
    env = golden.environment(tmp_path)
    done = subprocess.run(
        [sys.executable, "-P", "-c", IMPORTS],
        env=env,
        capture_output=True,
        encoding="utf-8",
        timeout=golden.PATIENCE,
        check=True,
    )
    tops, own = done.stdout.splitlines()
    assert not {"numpy", "typer", "torch", "yaml", "pydantic", "rich"} & set(tops.split())
    assert own.split() == ["lossctl", "lossctl.pytest_plugin"]
