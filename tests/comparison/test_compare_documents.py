"""Documents of comparisons, names of systems, ids, gates, and what the command imports."""

import json
import subprocess
import sys

import golden
import jsonschema
import numpy as np
import pytest
from asking import compared, document, entries, save, table

from lossctl.commands.listing import run as schema
from lossctl.comparison.result import names
from lossctl.errors import GateFailed, ShapeMismatch, Undecided

HEAVY = ("torch", "scipy", "array_api_compat", "pandas", "pydantic", "yaml", "rich", "pyarrow")


@pytest.fixture
def tables(folder):
    """Two systems and a target in three tables, whose rows stand in different orders."""
    rng = np.random.default_rng(13)
    target, one, other = rng.normal(size=(3, 80))
    other = target + 0.5 * (other - target)
    group = np.where(np.arange(80) < 40, "left", "right")
    ids = np.array([f"s{row}" for row in range(80)])
    for name, column, values, order in (
        ("a", "pred", one, np.arange(80)),
        ("b", "pred", other, rng.permutation(80)),
        ("y", "target", target, rng.permutation(80)),
    ):
        more = {"g": group[order]} if name == "y" else {}
        table(folder / f"{name}.csv", id=ids[order], **{column: values[order]}, **more)
    return {"a": one, "b": other, "y": target, "g": group}


def test_ids_are_aligned_across_files(tables):
    found = entries("mse", ["a.csv:pred", "b.csv:pred"], target="y.csv:target", on="id", by="g")
    change = (tables["b"] - tables["y"]) ** 2 - (tables["a"] - tables["y"]) ** 2
    assert [key[1] for key in found] == ["b.csv:pred"] * 3
    assert found["mse", "b.csv:pred"]["difference"] == pytest.approx(change.mean(), rel=1e-12)
    for group in ("left", "right"):
        wanted = change[tables["g"] == group].mean()
        assert found["mse", "b.csv:pred", group]["difference"] == pytest.approx(wanted, rel=1e-12)


@pytest.mark.usefixtures("tables")
def test_other_ids_are_refused(folder):
    text = (folder / "b.csv").read_text().replace("s7,", "x7,")
    (folder / "b.csv").write_text(text)
    with pytest.raises(ShapeMismatch, match="x7"):
        document("mse", ["a.csv:pred", "b.csv:pred"], target="y.csv:target", on="id")


@pytest.mark.parametrize(
    ("sources", "wanted"),
    [
        (["preds/a.npy", "preds/b.npy"], ["a", "b"]),
        (["p.csv:a", "p.csv:b", "q.csv"], ["a", "b", "q"]),
        (["p.csv::a", "q.csv::a"], ["p.csv:a", "q.csv:a"]),
        (["one/p.npy", "two/p.npy"], ["one/p.npy", "two/p.npy"]),
        (["a.npy", "a.npz"], ["a.npy", "a.npz"]),
        (["m.npz:v1.0", "m.npz:v1.5"], ["v1.0", "v1.5"]),
        (["[1.5, 2]", "[1.5, 3]"], ["[1.5, 2]", "[1.5, 3]"]),
    ],
)
def test_names_of_systems(sources, wanted):
    assert names(sources) == wanted


RUNS = {
    "several": "mse,rmse,r2 a.npy b.npy c.npy -t t.npy",
    "groups": "mse a.npy b.npy c.npy -t t.npy --by g.npy --nan skip",
    "explained": "mse,r2 a.npy b.npy -t t.npy --explain g.npy",
    "reruns": "mse,l1 a.npy b.npy c.npy -t t.npy --suggest-tol",
    "in time": "mse a.npy b.npy -t t.npy --order g.npy --horizon 2",
    "one sample": "mse '[1]' '[2]' -t '[3]'",
    "no numbers": "mse '[1, null]' '[2, 3]' -t '[3, 3]' --nan propagate",
}


@pytest.mark.usefixtures("systems")
@pytest.mark.parametrize("argv", RUNS.values(), ids=RUNS)
def test_documents_are_valid_strict_and_the_same_again(argv, folder):
    save(folder, g=np.arange(60) % 7)
    first, again = (golden.run({"argv": f"compare {argv} -f json --jobs {jobs}"}, folder) for jobs in (1, 8))
    assert first.code == 0, first.stderr
    assert (first.stdout, first.stderr) == (again.stdout, again.stderr)

    def strictly(token):
        raise ValueError(token)

    made = json.loads(first.stdout, parse_constant=strictly)
    jsonschema.Draft202012Validator(json.loads(schema("result"))).validate(made)
    assert {one["system"] for one in made["results"]} >= {one["system"] for one in made.get("comparisons", ())}


@pytest.mark.usefixtures("systems")
def test_imports_nothing_heavy(folder):
    argv = "compare mse,rmse a.npy b.npy c.npy -t t.npy --explain a.npy -f json"
    found = subprocess.run(
        [sys.executable, "-X", "importtime", *golden.command(argv)[1:]],
        cwd=folder,
        env=golden.environment(folder),
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    modules = {line.rpartition("|")[2].strip().partition(".")[0] for line in found.stderr.splitlines() if "|" in line}
    assert "numpy" in modules
    assert not modules & set(HEAVY)


@pytest.mark.usefixtures("systems")
@pytest.mark.parametrize(
    ("gates", "error"),
    [
        ({"max_abs": ["mse=10"]}, None),
        ({"max_abs": ["mse=0.1"]}, GateFailed),
        ({"max_rel": ["mse[b]=90%"]}, None),
        ({"max_rel": ["mse[c]=90%"]}, GateFailed),
        ({"max_rel": ["mse=0%"], "require": ["sig"]}, GateFailed),
        ({"max_abs": ["mse[b]=0.5"], "require": ["noninf"]}, Undecided),
        ({"max_abs": ["mse[b]=3"], "require": ["equiv"]}, None),
        ({"max": ["mse[a]=0.1"]}, GateFailed),
    ],
)
def test_gates(gates, error):
    report, found, _ = compared("mse", ["a.npy", "b.npy", "c.npy"], target="t.npy", **gates)
    assert type(found) is (error or type(None))
    keys = [check["key"] for check in report.document["checks"]]
    assert keys
    assert len(keys) == (2 if "[" not in keys[0] else 1)


@pytest.mark.usefixtures("systems")
def test_gates_of_a_group(folder):
    save(folder, g=np.arange(60) % 2)
    report, error, _ = compared("mse", ["a.npy", "c.npy"], target="t.npy", by="g.npy", max_abs=["mse@1=0.5"])
    assert isinstance(error, GateFailed)
    assert report.document["checks"][0]["value"] == report.document["comparisons"][2]["value"]


def doubts(*losses):
    below = compared(",".join(losses), ["a.npy", "b.npy"], target="t.npy")[0].more
    return [row["doubt"] for part in below if part.title == "handle with care" for row in part.rows]


def test_the_winner_turns_with_the_loss(folder):
    rows = np.arange(400)
    save(folder, t=rows % 2, a=rows % 2 + 1.0, b=rows % 2 + np.where(rows < 20, 4.0, 0.5))
    assert "it is better under l1 and worse under mse" not in doubts("mse", "r2")
    assert "it is better under l1 and worse under mse" not in doubts("mse", "rmse")
    save(folder, b=rows % 2 + np.where(rows < 24, 4.0, 0.5))
    assert "it is better under l1 and worse under mse" in doubts("mse", "l1")


def test_scores_are_better_where_they_are_higher(folder):
    rows = np.arange(400)
    save(folder, t=rows % 2, a=rows % 2 + 1.0, b=rows % 2 + 0.5)
    assert not [doubt for doubt in doubts("mse", "r2") if "worse under" in doubt]


def test_a_few_samples_that_decide_are_said(folder):
    rows = np.arange(400)
    save(folder, t=np.zeros(400), a=np.ones(400), b=np.where(rows < 3, 20.0, 0.9))
    assert any("outermost 1 %" in doubt for doubt in doubts("mse"))
    save(folder, b=np.full(400, 0.9))
    assert not any("outermost 1 %" in doubt for doubt in doubts("mse"))
