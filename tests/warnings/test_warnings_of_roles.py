"""What the places and the names of inputs say: the same input twice, and columns whose names contradict their roles."""

import io
import json
import shlex
import sys
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from lossctl.cli.program import program

COLUMNS = {
    "y_true": [1, 2, 4],
    "ridge": [2, 2.5, 3],
    "y_pred": [1.5, 2, 5],
    "actual_price": [1, 2, 3],
    "prob": [2, 2, 5],
    "y": [3, 2, 1],
    "score": [1, 2, 5],
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = zip(*COLUMNS.values(), strict=True)
    (tmp_path / "d.csv").write_text("\n".join([",".join(COLUMNS), *(",".join(map(str, row)) for row in rows)]) + "\n")
    np.save("y_true.npy", [1.0, 2.0, 4.0])
    np.save("model.npy", [2.0, 2.5, 3.0])
    (tmp_path / "link.csv").symlink_to("d.csv")
    np.savez("d.npz", **{name: np.array(values, float) for name, values in COLUMNS.items()})
    parquet.write_table(pa.table({name: np.array(values, float) for name, values in COLUMNS.items()}), "d.parquet")
    return tmp_path


def said(*words):
    """The warnings of a command, by code."""
    printed = program()([*words, "-f", "json"], prog_name="lossctl", standalone_mode=False)
    return {one["code"]: one["message"] for one in json.loads(printed.text)["warnings"]}


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("loss", "pred", "target", "message"),
    [
        ("mape", "y_true", "ridge", "pred is 'y_true', which is the name of a target"),
        ("mape", "ridge", "y_pred", "target is 'y_pred', which is the name of a prediction"),
        (
            "mape",
            "y_true",
            "y_pred",
            "pred is 'y_true', which is the name of a target, and target is 'y_pred', which is the name of a prediction",
        ),
        ("poisson_deviance", "ridge", "prob", "target is 'prob', which is the name of a prediction"),
        (
            "mape",
            "y",
            "prob",
            "pred is 'y', which is the name of a target, and target is 'prob', which is the name of a prediction",
        ),
        ("mape", "#1", "#2", "pred is 'y_true', which is the name of a target"),
    ],
)
def test_names_that_contradict_roles(loss, pred, target, message):
    found = said("compute", loss, f"d.csv:{pred}", f"d.csv:{target}").get("L054", "")
    exchanged = shlex.join([f"d.csv:{target}", f"d.csv:{pred}"])
    assert found == f"{message}. Exchanged: lossctl compute {loss} {exchanged}"
    assert "L054" not in said("compute", loss, f"d.csv:{target}", f"d.csv:{pred}")


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("loss", "pred", "target"),
    [
        ("mse", "y_true", "ridge"),
        ("huber", "y_true", "y_pred"),
        ("msle", "actual_price", "ridge"),
        ("rmse", "y_true", "prob"),
        ("mape", "ridge", "y"),
        ("mape", "y", "ridge"),
        ("mape", "ridge", "score"),
        ("mape", "y_pred", "prob"),
        ("mape", "y_true", "actual_price"),
    ],
)
def test_names_that_do_not(loss, pred, target):
    assert "L054" not in said("compute", loss, f"d.csv:{pred}", f"d.csv:{target}")


@pytest.mark.usefixtures("folder")
def test_files_and_systems_have_names_too():
    assert "L054" in said("compute", "mape", "y_true.npy", "model.npy")
    assert "L054" not in said("compute", "mape", "model.npy", "y_true.npy")
    assert "L054" in said("compare", "mape", "d.csv:ridge", "d.csv:actual_price", "-t", "d.csv:y_pred")
    assert "L054" in said("grad", "mape", "d.csv:y_true", "d.csv:ridge")
    for path in ("d.npz", "d.parquet"):
        assert "L054" in said("compute", "mape", f"{path}:#1", f"{path}:#2")
        assert "L054" not in said("compute", "mape", f"{path}:#2", f"{path}:#1")


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("pred", "target"),
    [
        ("d.csv:ridge", "d.csv:ridge"),
        ("d.csv:ridge", "./d.csv:ridge"),
        ("d.csv:ridge", "link.csv:ridge"),
        ("d.csv:ridge", "d.csv:#2"),
        ("d.csv::ridge", "link.csv:#2"),
        ("d.npz:ridge", "./d.npz:#2"),
        ("d.parquet:#2", "d.parquet:ridge"),
        ("model.npy", "model.npy"),
        ("model.npy", "./model.npy"),
        ("d.csv:y*", "d.csv:y*"),
    ],
)
def test_the_same_input_twice(pred, target):
    found = said("compute", "mse", pred, target)
    assert found["L042"].startswith("pred and target are the same input, ")
    if "*" not in pred:
        assert "L042" in said("compare", "mse", "d.csv:y", pred, "-t", target)
    assert "L042" not in said("compute", "mse", pred, target, "--ignore", "L042")


@pytest.mark.usefixtures("folder")
def test_other_inputs_are_not_the_same():
    assert "L042" not in said("compute", "mse", "d.csv:y_true", "d.csv:ridge")
    # The same values in other places, too few to tell.
    assert "L042" not in said("compute", "mse", "d.csv:y_true", "y_true.npy")
    # Written in place, twice, where everybody sees it.
    assert "L042" not in said("compute", "mse", "[1, 2]", "[1, 2]")


def test_a_pipe_of_one_column(monkeypatch):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"1\n2\n5\n")))
    assert said("compute", "mse", "-", "-")["L042"] == (
        "pred and target are the same input, standard input: every prediction is compared with itself"
    )


def test_a_pipe_of_two_columns(monkeypatch):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"pred,target\n1,2\n2,2\n5,4\n")))
    assert "L042" not in said("compute", "mse", "-", "-")
