"""The default test rejects a true null as often as it says, and finds what the t-test finds."""

import importlib.machinery
import importlib.util
import math

import golden
import pytest

RUNS = 2000


def load(name):
    """A script that has no suffix, as a module."""
    loader = importlib.machinery.SourceFileLoader(name, str(golden.ROOT / "scripts" / name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    loader.exec_module(module)
    return module


calibrate = load("calibrate")


@pytest.mark.slow
@pytest.mark.parametrize("size", calibrate.SIZES)
@pytest.mark.parametrize("law", calibrate.LAWS)
def test_default_test_is_calibrated_and_powerful(law, size):
    found = calibrate.rates(law, size, RUNS)
    assert abs(found.rejected - 0.05) <= 3 * math.sqrt(0.05 * 0.95 / RUNS)
    assert found.found >= found.found_by_t - 0.02


def test_runs_are_reproducible_and_rates_their_means():
    runs = [calibrate.run("normal", 20, number) for number in range(5)]
    assert calibrate.rates("normal", 20, 5) == pytest.approx([sum(each) / 5 for each in zip(*runs, strict=True)])


def test_a_true_difference_is_found_more_often_than_none():
    found = calibrate.rates("normal", 20, 40)
    assert found.rejected < 0.3 < found.found
