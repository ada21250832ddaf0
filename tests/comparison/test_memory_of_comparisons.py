"""Memory that comparisons and figures by sample take, which must not grow with the number of samples."""

import large
import numpy as np
import pytest
from large import MB


def pair(folder, millions):
    """A target and two predictions of it, with the losses of both made by hand."""
    pieces = {"t": large.numbers(1), "a": large.numbers(2, around=1), "b": large.numbers(3, 1.001, around=1)}
    for name, made in pieces.items():
        large.write(folder / f"{name}.npy", millions, made)
    large.write(folder / "g.npy", millions, lambda number: np.random.default_rng([4, number]).integers(0, 300, large.PIECE))
    total = np.zeros(2)
    square = 0.0
    for number in range(millions):
        target, *preds = (pieces[name](number).astype(float) for name in "tab")
        losses = [(pred - target) ** 2 for pred in preds]
        total += [loss.sum() for loss in losses]
        square += ((losses[1] - losses[0]) ** 2).sum()
    n = millions * large.PIECE
    difference = (total[1] - total[0]) / n
    error = np.sqrt((square / n - difference**2) / (n - 1))
    return total / n, difference, error


def check(folder, millions, limit):
    values, difference, error = pair(folder, millions)
    found, peak = large.run(folder, "compare", "mse,rmse", "a.npy", "b.npy", "-t", "t.npy")
    assert peak < limit * MB
    one = next(one for one in found["comparisons"] if one["loss"] == "mse")
    assert [one["base"], one["value"]] == pytest.approx(values, rel=1e-12)
    assert one["difference"] == pytest.approx(difference, rel=1e-9)
    assert one["error"] == pytest.approx(error, rel=1e-9)
    assert (one["test"], one["interval"], one["units"]) == ("paired t", "t", millions * large.PIECE)
    found, peak = large.run(folder, "compute", "mse", "a.npy", "t.npy", "--by", "g.npy", "--worst", "3")
    assert peak < limit * MB
    assert sum("group" in one for one in found["results"]) == 300
    found, peak = large.run(folder, "compute", "mse", "a.npy", "t.npy", "--stats")
    assert peak < limit * MB
    assert found["results"][0]["stats"]["median"] == pytest.approx(0.4549, abs=0.01)


def test_files_of_20_mb_take_less_than_250_mb(tmp_path):
    check(tmp_path, 5, 250)


@pytest.mark.slow
def test_files_of_400_mb_take_less_than_400_mb(tmp_path):
    check(tmp_path, 100, 400)
