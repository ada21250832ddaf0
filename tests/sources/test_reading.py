"""How inputs were read: what stands in results under `inputs[].read`, and what -v says."""

import json

import numpy as np
import pytest
from jsonschema import validate
from told import told

from lossctl.checking.saved import load_schema as load


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text("id;p;y\n1;2;3\n4;5;7\n")
    (tmp_path / "n.txt").write_text("1 2\n3 4\n")
    np.save("p.npy", np.asarray([1.0, 2.0]))
    for name, text in {"a.csv": "p,q\n1,2\n", "b.csv": "1,2\n"}.items():
        (tmp_path / "s").mkdir(exist_ok=True)
        (tmp_path / "s" / name).write_text(text)
    return tmp_path


def test_results_say_how_each_input_was_read(capsys):
    found = told(capsys, "compute", "mse", "t.csv:p", "t.csv:y", "-f", "json").document
    assert [one["read"] for one in found["inputs"]] == [{"rows": 2, "header": True, "delimiter": ";"}] * 2
    validate(found, json.loads(load("result-1")))
    found = told(capsys, "compute", "mse", "n.txt:#1", "p.npy", "--weights", "[1,2]", "-f", "json").document
    assert [one["read"] for one in found["inputs"]] == [{"rows": 2, "header": False, "delimiter": ""}, {"rows": 2}, {"rows": 2}]
    found = told(capsys, "compute", "mse", "n.txt:*", "[[1,2],[3,4]]", "-f", "json").document
    assert found["inputs"][0]["read"] == {"rows": 2, "header": False, "delimiter": "", "columns": ["#1", "#2"]}
    found = told(capsys, "compute", "mse", "s/*.csv:#2", "1", "--broadcast", "-f", "json").document
    assert found["inputs"][0]["read"] == {"rows": 2, "files": 2, "header": None, "delimiter": ","}
    assert found["inputs"][1]["read"] == {"rows": None}
    validate(found, json.loads(load("result-1")))


@pytest.mark.parametrize(
    "line",
    [
        "compute mse t.csv:p t.csv:y",
        "grad mse t.csv:p t.csv:y",
        "compare mse t.csv:p n.txt:#1 t.csv:y",
        "identify --value 2.5 t.csv:p t.csv:y",
        "recommend t.csv:p t.csv:y",
        "inspect t.csv",
        "trial t.csv:p t.csv:y --steps 1 --seeds 2 --test-share .5 --task regression",
    ],
)
def test_every_command_that_reads_tables_says_it_with_v(capsys, line):
    wanted = "(t.csv:p): shape (2,), float64, the first row as names, delimiter ';'"
    assert any(wanted in text for text in told(capsys, *line.split(), "-v").said)
    assert not any(wanted in text for text in told(capsys, *line.split()).said)
    assert not any(wanted in text for text in told(capsys, *line.split(), "-v", "-q").said)


def test_diagnose_says_it_with_v(here, capsys):
    (here / "h.tsv").write_text("step\tloss\n" + "".join(f"{i}\t{1 / (i + 1)}\n" for i in range(40)))
    wanted = "lossctl: h.tsv: the first row as names, delimiter '\\t'"
    assert wanted in told(capsys, "diagnose", "h.tsv", "-v").said
    assert wanted not in told(capsys, "diagnose", "h.tsv").said


def test_v_names_white_space_blocks_and_shards(capsys):
    said = told(capsys, "compute", "mse", "n.txt:*", "[[1,2],[3,4]]", "-v").said
    assert "lossctl: pred (n.txt:*): shape (2, 2), float64, no header, delimiter white space, columns '#1', '#2'" in said
    said = told(capsys, "compute", "mse", "s/*.csv:#2", "1", "--broadcast", "-v").said
    assert "lossctl: pred (s/*.csv): shape (2,), float64, 2 files, a header in some files, delimiter ','" in said
