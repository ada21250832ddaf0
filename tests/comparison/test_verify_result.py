"""Saved results that come out again, and those that do not."""

import json

import golden
import numpy as np
import pytest
from asking import save, table

SPEC = (
    "terms:\n  - {name: a, loss: mse, weight: 2}\n  - {name: b, loss: 'huber:delta=.5'}\ninputs: {pred: a.npy, target: t.npy}\n"
)
RUNS = {
    "compute": "compute mse,huber:delta=.5 a.npy t.npy --stats",
    "options": "compute mse x.csv:p x.csv:y --weights w.npy --by x.csv:g --nan skip --worst 2 --jobs 3",
    "ids": "compute mse x.csv:p x.csv:y --on id --per-sample",
    "tensors": "compute ce:weight=@w3.npy '[[1, 2, 3], [3, 1, 1]]' '[0, 2]'",
    "terms": "compute sub/spec.yaml",
    "unreduced": "compute mse '[1, null]' '[1, 2]' --reduction none --nan propagate",
    "sets": "compute @regression a.npy t.npy",
    "gradient": "grad mse a.npy t.npy --wrt all --clip-norm 0.01 --precision fp16",
    "compared": "compare mse,rmse a.npy b.npy -t t.npy --seed 3 --baseline b.npy --by g.npy",
    "explained": "compare mse a.npy b.npy -t t.npy --explain g.npy --order g.npy",
    "reruns": "compare mse a.npy b.npy -t t.npy --suggest-tol",
    "shards": "compute mse 'shard*.npy' '[1, 2, 3]'",
}


@pytest.fixture
def saved(systems, folder):
    save(folder, g=np.arange(60) % 3, w=np.arange(1.0, 5), w3=[1.0, 2, 4], shard1=[1.0, 2], shard2=[4.0])
    table(folder / "x.csv", id=list("abcd"), p=[1, 2, "", 4], y=[2, 2, 3, 3], g=list("uvuv"))
    (folder / "sub").mkdir()
    save(folder / "sub", a=systems["a"], t=systems["t"])
    (folder / "sub" / "spec.yaml").write_text(SPEC)

    def command(argv):
        return golden.run({"argv": argv}, folder)

    return command


@pytest.mark.parametrize("argv", RUNS.values(), ids=RUNS)
def test_comes_out_again(saved, argv, folder):
    if "--on" in argv:
        table(folder / "x.csv", id=list("abcd"), p=[1, 2, 3, 4], y=[2, 2, 3, 3], g=list("uvuv"))
    assert saved(f"{argv} -o r.json").code == 0
    again = saved("verify r.json")
    assert (again.code, again.stderr) == (0, "")
    assert "result " in again.stdout
    assert "failed" not in again.stdout


def test_a_changed_file_is_said(saved, folder):
    saved("compute mse a.npy t.npy -o r.json")
    save(folder, a=np.zeros(60))
    again = saved("verify r.json")
    assert again.code == 1
    assert "pred a.npy: the file has changed" in again.stderr
    assert "result mse" not in again.stdout


def test_a_missing_file(saved, folder):
    saved("compute mse a.npy t.npy -o r.json")
    (folder / "t.npy").unlink()
    assert saved("verify r.json").code == 3
    assert saved("verify gone.json").code == 3


def test_another_number_is_said(saved, folder):
    saved("compare mse a.npy b.npy -t t.npy -o r.json")
    result = json.loads((folder / "r.json").read_text())
    result["comparisons"][0]["p"] += 1e-6
    (folder / "r.json").write_text(json.dumps(result))
    again = saved("verify r.json")
    assert again.code == 1
    assert "comparison mse b: p was" in again.stderr
    assert saved("verify r.json --rtol 1e-2").code == 0


def test_a_result_that_says_too_little(saved, folder):
    saved("compute mse a.npy t.npy -o r.json")
    result = json.loads((folder / "r.json").read_text())
    del result["request"]
    (folder / "r.json").write_text(json.dumps(result))
    again = saved("verify r.json")
    assert again.code == 3
    assert "does not say what it was asked for" in again.stderr


def test_code_is_imported_only_on_request(saved, folder):
    (folder / "mine.py").write_text("def loss(pred, target):\n    return ((pred - target) ** 2).mean()\n")
    assert saved("compute ./mine.py:loss a.npy t.npy -o r.json").code == 0
    assert saved("verify r.json").code == 2
    assert saved("verify r.json --allow-code").code == 0


def test_standard_input_is_gone(saved, folder):
    done = golden.run({"argv": "compute mse -:p x.csv:y -o r.json --in-format csv", "stdin": "p\n1\n2\n3\n4\n"}, folder)
    assert done.code == 0, done.stderr
    again = saved("verify r.json")
    assert again.code == 2
    assert "standard input, which cannot be read again" in again.stderr
