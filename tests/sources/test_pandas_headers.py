"""What pandas writes is read as pandas means it, in every way to write a frame or a series without names.

`to_csv` below writes the same bytes as `DataFrame.to_csv` of pandas 2, which the tests do without.
"""

import gzip
import itertools
from pathlib import Path

import numpy as np
import pytest
from told import told

RNG = np.random.default_rng(7)
ROWS = 6
SCORES = RNG.normal(size=(ROWS, 3))
LABELS = RNG.integers(0, 3, ROWS)
# log sum exp - the score of the label, by hand.
CE = float(np.mean(np.log(np.exp(SCORES).sum(axis=1)) - SCORES[np.arange(ROWS), LABELS]))
VALUES = RNG.normal(size=ROWS)
OTHERS = RNG.normal(size=ROWS)
MSE = float(np.mean((VALUES - OTHERS) ** 2))
WAYS = {
    "as it is": {},
    "without the index": {"index": False},
    "tabs": {"sep": "\t"},
    "semicolons": {"sep": ";", "index": False},
    "all in quotes": {"quoting": 1},
    "words in quotes": {"quoting": 2, "index": False},
    "few digits": {"float_format": "%.3e", "index": False},
}


NONNUMERIC = 2


def to_csv(values, path, *, index=True, **style):
    """Write columns without names as pandas does; `index` is whether to write row numbers, or what stands in their place."""
    sep, quoting, form = style.get("sep", ","), style.get("quoting", 0), style.get("float_format")
    columns = [list(column) for column in np.atleast_2d(np.asarray(values).T)]
    rows = [[form % one if form and isinstance(one, float) else one for one in row] for row in zip(*columns, strict=True)]
    lines = [list(range(len(columns))), *rows]
    if index is not False:
        names = range(len(rows)) if index is True else index
        lines = [[name, *line] for name, line in zip(["", *names], lines, strict=True)]
    text = "".join(sep.join(cell(one, quoting) for one in line) + "\n" for line in lines)
    Path(path).write_bytes(gzip.compress(text.encode()) if path.endswith(".gz") else text.encode())


def cell(one, quoting):
    return f'"{one}"' if quoting == 1 or (quoting == NONNUMERIC and isinstance(one, str)) else str(one)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("scores", "labels"), list(itertools.product(WAYS, ["as it is", "without the index", "all in quotes"]))
)
def test_scores_and_labels(capsys, scores, labels):
    to_csv(SCORES, "s.csv", **WAYS[scores])
    to_csv(LABELS, "y.csv", **WAYS[labels])
    found = told(capsys, "compute", "ce", "s.csv:*", "y.csv", "-f", "json").document["results"][0]
    assert found["n"] == ROWS
    assert found["value"] == pytest.approx(CE, rel=1e-3 if scores == "few digits" else 1e-12)


@pytest.mark.parametrize(("one", "other"), list(itertools.product(WAYS, WAYS)))
def test_values(capsys, one, other):
    to_csv(VALUES, "p.csv", **WAYS[one])
    to_csv(OTHERS, "t.csv.gz", **WAYS[other])
    found = told(capsys, "compute", "mse", "p.csv", "t.csv.gz", "-f", "json").document["results"][0]
    assert found["n"] == ROWS
    assert found["value"] == pytest.approx(MSE, rel=1e-2 if "few digits" in {one, other} else 1e-12)


@pytest.mark.parametrize(
    "index", [list("abcdef"), list(range(3, 9)), [f"2024-03-{day:02}" for day in range(1, 7)], [5, 2, 9, 1, 7, 3]]
)
def test_an_index_of_any_kind(capsys, index):
    to_csv(SCORES, "s.csv", index=index)
    to_csv(LABELS, "y.csv", index=index)
    found = told(capsys, "compute", "ce", "s.csv:*", "y.csv", "-f", "json").document["results"][0]
    assert (found["n"], found["value"]) == (ROWS, pytest.approx(CE))


def test_one_hot_targets(capsys):
    hot = np.eye(3, dtype=int)[LABELS]
    to_csv(SCORES, "s.csv", index=False)
    to_csv(hot, "y.csv", index=False)
    # Mean squared error over 18 numbers.
    found = told(capsys, "compute", "mse", "s.csv:*", "y.csv:*", "-b")
    assert found.value == pytest.approx(np.mean((SCORES - hot) ** 2))


def test_weights_and_a_mask(capsys):
    to_csv(VALUES, "p.csv", index=False)
    np.save("t.npy", OTHERS)
    to_csv([0, 1, 1, 0, 1, 1], "m.csv", index=False)
    to_csv([1.0, 2, 1, 3, 1, 1], "w.csv", index=False)
    kept = np.array([0, 1, 1, 0, 1, 1], bool)
    found = told(capsys, "compute", "mse", "p.csv", "t.npy", "--mask", "m.csv", "-b")
    assert found.value == pytest.approx(np.mean((VALUES - OTHERS)[kept] ** 2))
    found = told(capsys, "compute", "l1", "p.csv", "t.npy", "--weights", "w.csv", "-b")
    assert found.value == pytest.approx(np.average(np.abs(VALUES - OTHERS), weights=[1, 2, 1, 3, 1, 1]))


def test_groups(capsys):
    to_csv(VALUES, "p.csv", index=False)
    to_csv(list("abbaba"), "g.csv", index=False)
    found = told(capsys, "compute", "mse", "p.csv", "0", "--broadcast", "--by", "g.csv", "-f", "json").document["results"]
    assert [(one["group"], one["n"]) for one in found[1:]] == [("a", 3), ("b", 3)]
    assert found[1]["value"] == pytest.approx(np.mean(VALUES[[0, 3, 5]] ** 2))
