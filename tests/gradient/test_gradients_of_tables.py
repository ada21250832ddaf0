"""Columns, blocks of columns and joined tables: one gradient a row, in the order of the first input."""

import csv
import json

import golden
import numpy as np
import pytest
import torch
from differentiating import answered, printed, written
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

RNG = np.random.default_rng(13)
N = 21


def write(path, header, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


@pytest.fixture
def tables(folder):
    """Scores of three classes, labels and weights under ids, in one order here and another one there."""
    scores, labels, weights = RNG.normal(size=(N, 3)), RNG.integers(0, 3, N), RNG.uniform(0.5, 2, N)
    order = RNG.permutation(N)
    write(folder / "scores.csv", ["id", "s_0", "s_1", "s_2"], [[f"a{i}", *scores[i].tolist()] for i in range(N)])
    write(folder / "labels.csv", ["label", "id", "w"], [[labels[i], f"a{i}", weights[i]] for i in order])
    return scores, labels, weights, order


def wanted(scores, labels, weights=None):
    leaf = torch.from_numpy(np.array(scores)).requires_grad_()
    losses = F.cross_entropy(leaf, torch.from_numpy(labels), reduction="none")
    by = torch.ones(N, dtype=torch.float64) if weights is None else torch.from_numpy(weights)
    return torch.autograd.grad((losses * by).sum() / by.sum(), leaf)[0].numpy()


@pytest.mark.usefixtures("small_blocks")
def test_a_block_of_columns_beside_labels_of_another_order(tables, folder):
    scores, labels, _, order = tables
    found = written(folder / "out.npy", "cross_entropy", "scores.csv:s_*", "labels.csv:label", "--on", "id")
    np.testing.assert_allclose(found, wanted(scores, labels), rtol=1e-12, atol=1e-16)
    shuffled = written(folder / "out.npy", "cross_entropy", "scores.csv:s_*", "labels.csv:label", "--row-order")
    np.testing.assert_allclose(shuffled, wanted(scores, labels[order]), rtol=1e-12, atol=1e-16)


@pytest.mark.usefixtures("small_blocks")
def test_weights_are_joined_and_ids_written(tables, folder):
    scores, labels, weights, _ = tables
    printed(
        "cross_entropy", "scores.csv:s_*", "labels.csv:label", "--on", "id", "--weights", "labels.csv:w", "-o", "out.csv", "-q"
    )  # fmt: skip
    with (folder / "out.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["id", "pred_0", "pred_1", "pred_2"]
    assert [row[0] for row in rows] == [f"a{i}" for i in range(N)]
    found = np.array([row[1:] for row in rows], float)
    np.testing.assert_allclose(found, wanted(scores, labels, weights), rtol=1e-12, atol=1e-16)


@pytest.mark.usefixtures("small_blocks")
def test_by_a_target_that_is_joined_it_is_in_the_order_of_the_first_input(folder):
    pred, target, order = RNG.normal(size=N), RNG.normal(size=N), RNG.permutation(N)
    write(folder / "p.csv", ["id", "p"], [[i, pred[i]] for i in range(N)])
    write(folder / "t.csv", ["id", "t"], [[i, target[i]] for i in order])
    found = written(folder / "out.npy", "mse", "p.csv:p", "t.csv:t", "--on", "id", "--wrt", "target")
    np.testing.assert_allclose(found, 2 * (target - pred) / N, rtol=1e-12)


def test_columns_of_whole_numbers_have_a_gradient(folder):
    write(folder / "t.csv", ["p", "t"], [[i, 2 * i] for i in range(N)])
    document = answered("mse", "t.csv:p", "t.csv:t", "--wrt", "all")
    np.testing.assert_allclose(document["gradient"]["pred"], -2 * np.arange(N) / N, rtol=1e-13)
    np.testing.assert_allclose(document["gradient"]["target"], 2 * np.arange(N) / N, rtol=1e-13)


def test_the_same_array_as_both_inputs_has_a_gradient_by_each(folder):
    write(folder / "t.csv", ["p"], [[i] for i in range(N)])
    document = answered("mse", "t.csv:p", "t.csv:p", "--wrt", "all")
    assert document["gradient"] == {"pred": [0.0] * N, "target": [0.0] * N}


def test_from_stdin(folder):
    argv = "grad mse -:p -:t --wrt pred,target --format json -o out.npz"
    outcome = golden.run({"argv": argv, "stdin": "p,t\n1,2\n5,1\n"}, folder)
    assert outcome.code == 0, outcome.stderr
    assert json.loads(outcome.stdout)["gradient"] == {"pred": [-1, 4], "target": [1, -4]}
    with np.load(folder / "out.npz") as archive:
        assert {name: archive[name].tolist() for name in archive} == {"pred": [-1, 4], "target": [1, -4]}
