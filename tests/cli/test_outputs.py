"""No output is ever written over an input, or over another output, whatever they are called and whichever command it is."""

import json
import os
import subprocess

import golden
import numpy as np
import pytest

from lossctl.cli.command import options_of
from lossctl.cli.program import COMMANDS, _run, program
from lossctl.progress import Nobody, watched_by

SPEC = "loss: mse\ninputs: {pred: p.csv, target: t.csv}\ngates: [{key: mse, max: 99}]\n"
# Lines whose last word is an input, under a name with a suffix that results are written in. {0} is that input.
LINES = {
    "compute": "compute mse t.csv {0}",
    "compute by name": "compute mse p.csv -i target={0}",
    "compute with a key": "compute mse p.csv {0}:y",
    "compute weights": "compute mse p.csv t.csv --weights {0}",
    "compute mask": "compute mse p.csv t.csv --mask ones.csv --weights {0}",
    "compute by": "compute mse p.csv t.csv --by {0}",
    "compute pattern": "compute mse f/*.csv t.csv",
    "compute folder": "compute mse f t.csv",
    "compute a parameter": "compute ce:weight=@{0} logits.npy labels.npy",
    "compute a parameter by -p": "compute ce logits.npy labels.npy -p weight=@{0}",
    "compute a spec": "compute s.yaml",
    "compare": "compare mse t.csv {0} t.csv",
    "compare by -t": "compare mse t.csv p.csv -t {0}",
    "compare baseline": "compare mse t.csv --baseline {0} -t t.csv",
    "compare clusters": "compare mse t.csv p.csv t.csv --cluster-by {0}",
    "compare explain": "compare mse t.csv p.csv t.csv --explain {0}",
    "inspect": "inspect {0}",
    "diagnose": "diagnose {0}",
    "recommend": "recommend {0}",
    "recommend of two": "recommend t.csv {0}",
    "trial": "trial t.csv {0} --steps 1",
    "identify": "identify --value 1 p.csv {0}",
    "grad": "grad mse t.csv {0}",
    "check": "check {0}",
    "verify": "verify {0}",
    "check against": "check saved2.json --max-abs mse=1 --against {0}",
    "compute against": "compute mse p.csv t.csv --max-abs mse=1 --against {0}",
    "merge": "merge {0}",
    "merge against": "merge partial2.json --max-abs mse=1 --against {0}",
    "check a spec": "check s.yaml",
    "check a folder": "check specs",
}
JSON = {"check", "verify", "check against", "compute against", "merge against"}


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("p.csv", "t.csv", "ones.csv"):
        (tmp_path / name).write_text("y\n1.5\n1\n1\n1\n")
    (tmp_path / "s.yaml").write_text(SPEC)
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "s.yaml").write_text(SPEC.replace("p.csv", "../p.csv").replace("t.csv", "../t.csv"))
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "a.csv").write_text("y\n1.5\n1\n")
    (tmp_path / "f" / "b.csv").write_text("y\n1\n1\n")
    np.save(tmp_path / "logits.npy", np.zeros((2, 4)))
    np.save(tmp_path / "labels.npy", np.array([0, 1]))
    for name in ("saved.json", "saved2.json"):
        assert _run(["compute", "mse", "p.csv", "t.csv", "-o", name, "-qq"]) == 0
    for name in ("partial.json", "partial2.json"):
        assert _run(["compute", "mse", "p.csv", "t.csv", "--partial", name, "-qq"]) == 0
    return tmp_path


def input_of(title):
    return {"merge": "partial.json", "compute pattern": "f/b.csv", "compute folder": "f/b.csv"}.get(
        title, "saved.json" if title in JSON else "p.csv"
    )


class Passes(Nobody):
    """Hears of passes over data."""

    def __init__(self):
        self.begun = []

    def begin(self, what, total, *, of_bytes=False):  # noqa: ARG002 - what a watch is told
        self.begun.append(what)


@pytest.mark.parametrize("link", ["", "hard", "symbolic", "long"])
@pytest.mark.parametrize("title", LINES)
def test_an_input_is_not_written_over(title, link, here, capsys):
    name = input_of(title)
    before = (here / name).read_bytes()
    output = {"": name, "long": f"{here}/f/../{name}"}.get(link, f"other{name[name.rindex('.') :]}")
    if link == "hard":
        os.link(here / name, here / output)
    elif link == "symbolic":
        (here / output).symlink_to(name)
    code = _run([*LINES[title].format(name).replace("f/*.csv", "f/?.csv").split(), "-o", output])
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert f"-o {output} would write over an input" in err
    assert (here / name).read_bytes() == before
    assert not list(here.glob("**/.lossctl*"))


@pytest.mark.parametrize("title", [title for title in LINES if title.startswith(("c", "m"))])
def test_a_summary_is_not_added_to_an_input(title, here, capsys):
    name = input_of(title)
    before = (here / name).read_bytes()
    line = LINES[title].format(name).replace("f/*.csv", "f/?.csv")
    assert _run([*line.split(), "--summary", name]) == 2
    assert f"--summary {name} would write over an input" in capsys.readouterr().err
    assert (here / name).read_bytes() == before


@pytest.mark.parametrize("name", ["logits.npy", "a.npz"])
def test_a_summary_is_not_added_to_what_is_no_text(name, here, capsys):
    # A spec that cannot be read does not say which files it means.
    (here / "s.yaml").write_text(f"loss: mse\nno: 1\ninputs: {{pred: {name}, target: t.csv}}\n")
    np.savez("a.npz", y=np.ones(4))
    before = (here / name).read_bytes()
    assert _run(["check", "s.yaml", "--summary", name]) == 3
    assert "holds no text" in capsys.readouterr().err
    assert (here / name).read_bytes() == before


@pytest.mark.parametrize("name", ["s.yaml", "p.csv", "t.csv"])
def test_a_partial_is_not_written_over_what_a_spec_names(name, here, capsys):
    # A partial holds no gates.
    (here / "s.yaml").write_text(SPEC.partition("gates")[0])
    before = (here / name).read_bytes()
    assert _run(["compute", "s.yaml", "--partial", name]) == 2
    assert f"--partial {name} would write over an input" in capsys.readouterr().err
    assert (here / name).read_bytes() == before


def test_a_gradient_is_not_written_over_an_input(here, capsys):
    os.link("logits.npy", "alias.npy")
    before = (here / "logits.npy").read_bytes()
    for name in ("logits.npy", "alias.npy", "./logits.npy"):
        assert _run(["grad", "ce", "logits.npy", "labels.npy", "-o", name]) == 2
        assert f"-o {name} would write over an input" in capsys.readouterr().err
    assert (here / "logits.npy").read_bytes() == before


def test_standard_input_may_be_a_file_too(here):
    before = (here / "p.csv").read_bytes()
    with (here / "p.csv").open("rb") as stdin:
        words = golden.command("compute mse - t.csv -o p.csv")
        seen = subprocess.run(words, cwd=here, env=golden.environment(here), stdin=stdin, capture_output=True, check=False)
    assert (seen.returncode, seen.stdout) == (2, b"")
    assert (here / "p.csv").read_bytes() == before


@pytest.mark.parametrize(
    "outputs",
    [
        "-o a.json -o a.json",
        "-o a.json -o ./a.json",
        "-o a.json -o f/../a.json",
        "-o a.json --partial a.json",
        "--partial a.json --summary a.json",
        "-o a.md --summary a.md",
        "-o old.json -o hard.json",
        "-o old.json -o soft.json",
        "-o new.json -o dangling.json",
    ],
)
def test_two_outputs_are_not_one_file(outputs, here, capsys):
    (here / "old.json").write_text("old")
    os.link("old.json", "hard.json")
    (here / "soft.json").symlink_to("old.json")
    (here / "dangling.json").symlink_to("new.json")
    assert _run(["compute", "mse", "p.csv", "t.csv", *outputs.split()]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "would be one file" in err
    assert (here / "old.json").read_text() == "old"
    assert not {"a.json", "a.md", "new.json"} & {path.name for path in here.iterdir()}


def test_outputs_apart_are_written(here, capsys):
    line = "compute mse p.csv t.csv -b -o a.json -o a.csv -o f/a.json --summary a.md"
    assert _run(line.split()) == 0
    assert capsys.readouterr().out == "0.0\n"
    assert json.loads((here / "a.json").read_text())["results"][0]["value"] == 0.0
    assert (here / "a.json").read_bytes() == (here / "f" / "a.json").read_bytes()
    # Once more: results of another run are no inputs.
    assert _run(line.split()) == 0


@pytest.mark.parametrize("mode", ["wb", "ab"])
def test_stdout_is_an_output_too(mode, here):
    for words, code in (("-o out.json", 2), ("--summary out.json", 0 if mode == "ab" else 2)):
        with (here / "out.json").open(mode) as stdout:
            line = golden.command(f"compute mse p.csv t.csv -b {words}")
            seen = subprocess.run(line, cwd=here, env=golden.environment(here), stdout=stdout, stderr=-1, check=False)
        assert seen.returncode == code
        assert code == 0 or b"would be one file" in seen.stderr


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("title", LINES)
def test_nothing_is_computed_before_it_is_refused(title):
    name, passes = input_of(title), Passes()
    line = [*LINES[title].format(name).replace("f/*.csv", "f/?.csv").split(), "-o", name]
    with watched_by(passes):
        assert _run(line) == 2
    assert passes.begun == []
    # The same line with an output of its own computes, where it is one that does.
    with watched_by(passes):
        _run([*line[:-1], f"new{name[name.rindex('.') :]}"])
    assert passes.begun or title.startswith(("check", "merge", "diagnose", "recommend", "verify", "inspect", "trial"))


def test_every_option_that_names_a_file_is_guarded():
    """An option is an output, or it is one of these inputs: whoever adds one has to say which."""
    inputs = {"against"}
    found = {}
    for command in program().registered_commands:
        wrapped = getattr(command.callback, "__wrapped__", None)
        if wrapped is None:
            continue
        _, every = options_of(wrapped)
        named = {name for name, row in every.items() if row.metavar in {"FILE", "DIR"}}
        flagged = {name for name, row in every.items() if row.writes}
        assert named - inputs == flagged
        found[command.name or wrapped.__name__] = flagged
    assert {name for name in COMMANDS if name != "schema"} == {name.rstrip("_") for name in found}
    assert all("output" in flagged for flagged in found.values())


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("compute mse t.csv ones.csv --min mse=1", 1),
        ("compute mse t.csv ones.csv --max mse=1", 0),
        ("grad mse t.csv ones.csv --min mse=1", 1),
        ("compare mse p.csv ones.csv t.csv --min mse=1", 1),
        ("check saved.json --min mse=1", 1),
        ("check saved.json --max mse=1", 0),
        ("merge partial.json --min mse=1", 1),
        ("identify --value 77.25 p.csv t.csv", 5),
        ("diagnose rising.csv --fail-on any", 1),
        ("verify changed.json", 1),
        ("verify saved.json", 0),
    ],
)
def test_output_if_passed(line, code, here, capsys):
    (here / "rising.csv").write_text("loss\n" + "".join(f"{2.0**step}\n" for step in range(60)))
    (here / "changed.json").write_text((here / "saved.json").read_text().replace('"value": 0.0', '"value": 0.5'))
    (here / "old.json").write_text("old")
    assert _run([*line.split(), "-o", "r.json", "-o", "old.json", "--output-if", "passed"]) == code
    err = capsys.readouterr().err
    assert ("not written, since not everything passed: r.json, old.json" in err) == (code != 0)
    assert (here / "r.json").exists() == (code == 0)
    assert ((here / "old.json").read_text() == "old") == (code != 0)
    assert _run([*line.split(), "-o", "r.json"]) == code
    assert (here / "r.json").exists()
    assert not list(here.glob(".lossctl*"))


def test_output_if_is_for_files_of_results_alone(here, capsys):
    line = "compute mse t.csv ones.csv --min mse=1 -o r.json --summary s.md --output-if passed -q"
    assert _run(line.split()) == 1
    assert "not written" not in capsys.readouterr().err
    assert (here / "s.md").read_text().startswith("## lossctl compute: FAIL")
    assert not (here / "r.json").exists()
    assert _run(["compute", "mse", "t.csv", "ones.csv", "--output-if", "later"]) == 2
    assert "--output-if takes always, passed, not 'later'. Its default is always." in capsys.readouterr().err


def test_a_gradient_is_an_output_that_has_to_pass(here):
    line = "grad ce logits.npy labels.npy -o g.npy --output-if passed --max ce="
    assert _run(f"{line}1".split()) == 1
    assert not (here / "g.npy").exists()
    assert _run(f"{line}2".split()) == 0
    assert np.load(here / "g.npy").shape == (2, 4)
