"""The noise floor of reruns."""

import math

import numpy as np
import pytest
from asking import compared, document, save
from scipy import stats

from lossctl.comparison.judging import noise
from lossctl.errors import UsageError


@pytest.mark.parametrize(("runs", "alpha"), [(2, 0.05), (5, 0.05), (20, 0.1)])
def test_tolerance_is_that_of_the_t_distribution(runs, alpha):
    values = np.random.default_rng(runs).normal(5, 0.1, runs).tolist()
    found = noise(values, alpha)
    assert (found.mean, found.std) == pytest.approx((np.mean(values), np.std(values, ddof=1)))
    assert (found.low, found.high) == (min(values), max(values))
    wanted = stats.t.ppf(1 - alpha / 2, runs - 1) * math.sqrt(2) * np.std(values, ddof=1)
    assert found.tolerance == pytest.approx(wanted, rel=1e-9)
    assert found.relative == pytest.approx(wanted / np.mean(values), rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("runs", [2, 5])
def test_two_further_runs_differ_by_more_as_often_as_alpha_says(runs):
    rng = np.random.default_rng(1)
    draws = rng.normal(size=(4_000, runs + 2))
    beyond = [abs(row[-1] - row[-2]) > noise(row[:runs].tolist(), 0.1).tolerance for row in draws]
    assert abs(np.mean(beyond) - 0.1) < 0.015


def test_reruns_without_noise():
    found = noise([0.1] * 3, 0.05)
    assert (found.std, found.tolerance, found.mean) == (0.0, 0.0, 0.1)
    assert found.gates("mse") == ("--max-rel mse=0%", "--max-abs mse=0")


def test_gates_are_rounded_up_and_read_back():
    found = noise([1.0, 1.01, 0.99, 1.02, 1.0, 0.98], 0.05)
    relative, absolute = found.gates("huber:delta=0.5")
    shown = float(absolute.rpartition("=")[2])
    assert found.tolerance <= shown <= found.tolerance * 1.1
    assert relative.startswith("--max-rel huber:delta=0.5=")
    assert relative.endswith("%")
    assert found.relative <= float(relative.rpartition("=")[2][:-1]) / 100 <= found.relative * 1.1


def test_a_mean_of_zero_has_no_percent():
    assert noise([-1.0, 1.0], 0.05).gates("x")[0].startswith("--max-abs x=")


@pytest.mark.parametrize(("tolerance", "shown"), [(0.0123, "0.013"), (1234.0, "1300"), (0.012, "0.012"), (9.96, "10")])
def test_rounding(tolerance, shown):
    half = tolerance / noise([0.0, 1.0, 0.0, 1.0], 0.05).tolerance
    found = noise([0.0, half, 0.0, half], 0.05)
    assert found.tolerance == pytest.approx(tolerance, rel=1e-12)
    up = float(found.gates("k")[1].rpartition("=")[2])
    assert up == pytest.approx(float(shown), rel=0.09)
    assert up >= found.tolerance


def test_the_command(folder):
    rng = np.random.default_rng(1)
    target = rng.normal(size=40)
    save(folder, t=target, **{f"r{run}": target + rng.normal(size=40) for run in range(3)})
    runs = [f"r{run}.npy" for run in range(3)]
    report, error, said = compared("mse,l1", runs, target="t.npy", suggest_tol=True)
    values = [np.mean((np.load(run) - target) ** 2) for run in runs]
    assert error is None
    assert report.rows[0]["tolerance"] == pytest.approx(noise(values, 0.05).tolerance)
    assert report.rows[0]["gate"].startswith("--max-rel mse=")
    assert any("5 or more" in line for line in said)
    found = document("mse,l1", runs, target="t.npy", suggest_tol=True)
    assert [(one["loss"], one["runs"], one["few"]) for one in found["tolerances"]] == [("mse", 3, True), ("l1", 3, True)]
    assert "comparisons" not in found
    with pytest.raises(UsageError, match="at least two"):
        compared("mse", runs[:1], target="t.npy", suggest_tol=True)
