"""Opening: shapes that do not fit are refused, with numbers only where these take no more than a block to compute."""

import numpy as np
import pytest
from inside import run

NUMBERS = "Broadcasting them would take {} pairs and give {}; matching them row by row gives {}."


@pytest.fixture
def folder(tmp_path):
    np.save(tmp_path / "column.npy", np.arange(3.0)[:, None])
    np.save(tmp_path / "target.npy", np.arange(3.0) + 1)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "limit", "said"), [("PAIRS", 9, True), ("PAIRS", 8, False), ("BLOCK", 3, True), ("BLOCK", 2, False)]
)
def test_both_values_are_computed_of_few_pairs_and_of_one_block(folder, monkeypatch, name, limit, said):
    monkeypatch.setattr(f"lossctl.engine.opening.{name}", limit)
    done = run("compute mse column.npy target.npy", folder)
    # Each of 0, 1, 2 against each of 1, 2, 3: squares of 1, 2, 3; 0, 1, 2; 1, 0, 1.
    assert (done.code, NUMBERS.format(9, "2.33333", "1") in done.stderr) == (3, said)


def test_inputs_of_other_sizes_are_not_computed(folder):
    done = run("compute mse column.npy [1,2]", folder)
    assert (done.code, "Broadcasting" in done.stderr) == (3, False)
