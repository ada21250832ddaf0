"""`check` of specs: alone, in folders and suites; one row a gate, and an exit code for all of them."""

import json

import pytest

from lossctl.cli.program import program
from lossctl.errors import BadSpec, MissingFile
from lossctl.request.spec import Gate
from lossctl.request.specfile import read_spec, read_suite

HEAD = "loss: mse\ninputs: {pred: [2.5, 5.0, 3.0], target: [3.0, 5.0, 2.5]}\n"
FILES = {
    "good.yaml": f"{HEAD}gates: [{{key: mse, max: 1}}, {{key: mse, min: 0.1}}]\n",
    "bad.yaml": f"{HEAD}gates: [{{key: mse, max: 0.1}}]\n",
    "open.yaml": "loss: mse\nnan: propagate\ninputs: {pred: ['nan'], target: [1.0]}\ngates: [{key: mse, max: 1}]\n",
    "none.yaml": HEAD,
    "typo.yaml": f"{HEAD}gtaes: []\n",
    "lost.yaml": "loss: mse\ninputs: {pred: gone.npy, target: gone.npy}\ngates: [{key: mse, max: 1}]\n",
    "outside.yaml": "loss: bce\ninputs: {pred: [2.0], target: [1.0]}\ngates: [{key: bce, max: 1}]\n",
}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs check in a folder of specs; returns its document and the error it ends with."""
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        (tmp_path / name).write_text(text.replace("['nan']", "nan.json"))
    (tmp_path / "nan.json").write_text("[null]")

    def check(*words):
        printed = program()(["check", *words, "-f", "json", "-q"], prog_name="lossctl", standalone_mode=False)
        return json.loads(printed.text), printed.error

    return check


@pytest.mark.parametrize(
    ("names", "code"),
    [
        (["good"], 0),
        (["good", "bad"], 1),
        (["open"], 5),
        (["good", "open"], 5),
        (["open", "bad", "typo"], 1),
        (["open", "typo"], 2),
        (["none"], 2),
        (["lost", "typo"], 3),
        (["typo", "lost"], 2),
        (["outside", "open"], 4),
        (["outside", "bad"], 1),
    ],
)
def test_the_exit_code_is_that_of_the_worst(run, names, code):
    document, error = run(*(f"{name}.yaml" for name in names))
    assert (error.code if error else 0) == code
    assert {check["file"] for check in document["checks"]} == {f"{name}.yaml" for name in names}


def test_the_run_goes_on_after_a_failure(run):
    document, error = run("typo.yaml", "bad.yaml", "good.yaml")
    kinds = [(check["file"], check["kind"], check["passed"]) for check in document["checks"]]
    assert kinds == [
        ("typo.yaml", "error", None),
        ("bad.yaml", "max", False),
        ("good.yaml", "max", True),
        ("good.yaml", "min", True),
    ]
    assert document["checks"][0]["error"]["kind"] == "BadSpec"
    assert "bad.yaml: gate failed" in error.message
    assert "unknown key 'gtaes'" in error.message
    assert "good.yaml" not in error.message


def test_folders_patterns_and_suites(run, tmp_path):
    (tmp_path / "sub" / "deep").mkdir(parents=True)
    for name in ("sub/a.yaml", "sub/deep/b.yml"):
        (tmp_path / name).write_text(FILES["good.yaml"])
    (tmp_path / "sub" / "suite.yaml").write_text("specs: [a.yaml, 'deep/*.yml', ../bad.yaml]\n")
    assert run("sub/deep", "sub/a.yaml")[0]["files"] == ["sub/deep/b.yml", "sub/a.yaml"]
    assert run("sub/**/*.y*ml", "sub/a.yaml")[0]["files"] == ["sub/a.yaml", "sub/deep/b.yml", "sub/../bad.yaml"]
    document, error = run("sub/suite.yaml")
    assert document["files"] == ["sub/a.yaml", "sub/deep/b.yml", "sub/../bad.yaml"]
    assert error.code == 1


def test_nothing_that_matches(run, tmp_path):
    (tmp_path / "empty").mkdir()
    for path in ("empty", "x*.yaml"):
        with pytest.raises(MissingFile, match="no spec"):
            run(path)
    assert run("nan.txt")[1].code == 2


def test_gates_that_are_typed_come_on_top(run):
    document, error = run("good.yaml", "--max", "mse=0.01")
    assert [check["bound"] for check in document["checks"]] == [1.0, 0.1, 0.01]
    assert error.code == 1
    assert run("none.yaml", "--max", "mse=1")[1] is None


def test_a_spec_names_its_baseline(run, tmp_path):
    (tmp_path / "sub").mkdir()
    program()(["compute", "good.yaml", "--per-sample", "-o", "sub/base.json", "-qq"], standalone_mode=False)
    gates = "[{key: mse, max_rel: 2%}, {key: mse, max_abs: 0.5, require: noninf}, {require: sig}, {key: mse, max: 1}]"
    text = f"{HEAD}per_sample: true\nagainst: base.json\nalpha: 0.1\ngates: {gates}\n"
    (tmp_path / "sub" / "spec.yaml").write_text(text)
    document, error = run("sub/spec.yaml")
    assert error is None
    found = [(check["kind"], check["bound"], check.get("require")) for check in document["checks"]]
    assert found == [("max", 1.0, None), ("max_rel", 0.02, "sig"), ("max_abs", 0.5, "noninf")]
    assert document["checks"][2]["alpha"] == 0.1
    spec = read_spec("sub/spec.yaml")
    assert (spec.against, spec.alpha) == ("sub/base.json", 0.1)
    assert spec.gates[2] == Gate("", "require", 0.0, require="sig")


@pytest.mark.parametrize(
    ("gate", "said"),
    [
        ("{max: 1}", "the key 'key' is missing"),
        ("{key: mse}", "one of max, min, expect, max_abs, max_rel and require is missing"),
        ("{key: mse, max: 1, require: sig}", "'require' cannot stand beside 'max'"),
        ("{key: mse, max_abs: 1, max_rel: 2%}", "'max_rel' cannot stand beside 'max_abs'"),
        ("{key: mse, max_rel: 2percent}", "max_rel"),
        ("{key: mse, require: maybe}", "should be 'point', 'sig', 'noninf' or 'equiv'"),
    ],
)
def test_gates_that_say_nothing(tmp_path, gate, said):
    (tmp_path / "spec.yaml").write_text(f"{HEAD}gates: [{gate}]\n")
    with pytest.raises(BadSpec, match="line 3") as caught:
        read_spec(str(tmp_path / "spec.yaml"))
    assert said in caught.value.message


@pytest.mark.parametrize("text", ["specs: []", "specs: a.yaml", "specs: [1]", "specs: [a.yaml]\nloss: mse"])
def test_suites_that_are_none(tmp_path, text):
    (tmp_path / "suite.yaml").write_text(text)
    with pytest.raises(BadSpec, match="'specs'"):
        read_suite(str(tmp_path / "suite.yaml"))


def test_a_broken_suite_is_said_and_not_passed_over(run, tmp_path):
    (tmp_path / "suite.yaml").write_text("specs: []\n")
    (tmp_path / "twice.yaml").write_text("specs: [suite.yaml, nested.yaml, good.yaml]\n")
    (tmp_path / "nested.yaml").write_text("specs: [good.yaml]\n")
    document, error = run("twice.yaml")
    assert error.code == 2
    said = [check["message"] for check in document["checks"]]
    assert "'specs' should be a list" in said[0]
    assert "'nested.yaml' is a suite, and stands in another one" in said[1]
    assert document["checks"][2]["passed"]
