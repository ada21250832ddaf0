"""Saved results with any one thing deleted or replaced: every command that reads them computes, or refuses in words."""

import copy
import json
import socket

import numpy as np
import pytest
from inside import run

CODES = {0, 1, 2, 3, 4, 5}
REPLACEMENTS = [
    None,
    True,
    7,
    -1,
    0.5,
    1e308,
    10**400,
    "zz",
    "1e400",
    "",
    [],
    {},
    [[]],
    {"a": [None, {"b": -0.0}]},
    "os:getcwd",
]
WRITERS = {
    "compute": "compute mse,huber:delta=.5 a.npy t.npy --max mse=9",
    "groups": "compute mse,l1 x.csv:p x.csv:y --by g --weights x.csv:w",
    "samples": "compute mse x.csv:p x.csv:y --per-sample --stats --nan skip",
    "ids": "compute mse,l1 x.csv:p x.csv:y --on id --worst 2",
    "tensors": "compute ce:weight=@w.npy '[[1, 2, 3], [3, 1, 1]]' '[0, 2]' --reduction none",
    "nothing": "compute mse '[1, null]' '[1, 2]' --nan propagate",
    "terms": "compute spec.yaml",
    "gradient": "grad mse a.npy t.npy --clip-norm 0.01 --precision fp16 --check",
    "both": "grad spec.yaml --wrt all",
    "compare": "compare mse,l1 a.npy b.npy -t t.npy --resamples 99 --by g.npy --explain g.npy --max-rel mse=500%",
    "losses": "compare mse,l1 a.npy -t t.npy --resamples 99",
    "reruns": "compare mse a.npy b.npy -t t.npy --suggest-tol",
    "merge": "merge part.json --max mse=9",
    "identify": "identify a.npy t.npy --value 0.5 --top 1",
    "recommend": "recommend --task regression",
    "diagnose": "diagnose h.csv",
    "inspect": "inspect a.npy",
    "check": "check spec.yaml",
    "verify": "verify l1",
    "info": "info l1",
}
READERS = [
    "verify m.json",
    "check m.json",
    "check m.json --max mse=1e9",
    "check m.json --against good.json --max-rel mse=2% --require mse=sig",
    "compute mse,l1 a.npy t.npy --against m.json --max-rel mse=2% --require l1=noninf",
]
SPEC = """\
terms:
  - {name: a, loss: mse, weight: 2}
  - {name: b, loss: 'huber:delta=.5', inputs: {pred: [1, 2, 3, 4, 5, 6, 7, 8], target: t.npy}}
inputs: {pred: a.npy, target: t.npy}
gates: [{key: a, max: 9}]
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A folder with the results of every command."""
    folder = tmp_path_factory.mktemp("written")
    rng = np.random.default_rng(1)
    target = rng.normal(size=8)
    for name, values in {
        "t": target,
        "a": target + 0.1,
        "b": target + rng.normal(size=8),
        "g": [0, 1] * 4,
        "w": [1.0, 2, 4],
    }.items():
        np.save(folder / f"{name}.npy", np.asarray(values))
    (folder / "x.csv").write_text("id,p,y,g,w\na,1,2,u,1\nb,2,2,v,2\nc,3,1,u,1\n")
    (folder / "h.csv").write_text("step,loss\n" + "".join(f"{step},{1 / (step + 1)}\n" for step in range(40)))
    (folder / "spec.yaml").write_text(SPEC)
    assert run("compute mse a.npy t.npy --partial part.json", folder).code == 0
    assert run("compute mse,l1 a.npy t.npy --per-sample -o good.json", folder).code == 0
    for name, argv in WRITERS.items():
        done = run(f"{argv} -o {name}.json", folder)
        assert done.code in {0, 1, 5}, (argv, done.stderr)
    return folder


def nodes(document, path=()):
    """Every place of a document."""
    items = document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from nodes(item, (*path, key))


def mutants(document):
    """Every document in which one thing is missing, or another."""
    for path in nodes(document):
        yield path, "deleted", changed(document, path, None, delete=True)
        for replacement in REPLACEMENTS:
            yield path, replacement, changed(document, path, replacement)


def changed(document, path, replacement, *, delete=False):
    found = copy.deepcopy(document)
    place = found
    for key in path[:-1]:
        place = place[key]
    if delete:
        del place[path[-1]]
    else:
        place[path[-1]] = copy.deepcopy(replacement)
    return found


def look(folder, mutant, where, monkeypatch, readers):
    """Run every command on one document."""

    def connect(*_):
        message = f"{where}: a network was reached"
        raise AssertionError(message)

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket.socket, "connect_ex", connect)
    monkeypatch.setattr("lossctl.engine.cluster.on_cluster", connect)
    (folder / "m.json").write_text(json.dumps(mutant))
    for reader in readers:
        done = run(f"{reader} -f json", folder)
        assert done.code in CODES, (where, reader, done.code, done.stderr)
        assert done.code == 0 or json.loads(done.stderr.splitlines()[-1])["error"]["message"], (where, reader)


@pytest.mark.parametrize("name", WRITERS)
def test_some_mutants(written, name, monkeypatch):
    document = json.loads((written / f"{name}.json").read_text())
    every = list(mutants(document))
    step = max(1, len(every) // 40)
    for number, (path, what, mutant) in enumerate(every[::step]):
        look(written, mutant, (name, path, what), monkeypatch, [READERS[number % len(READERS)]])


@pytest.mark.slow
@pytest.mark.parametrize("name", WRITERS)
def test_every_mutant(written, name, monkeypatch):
    document = json.loads((written / f"{name}.json").read_text())
    for path, what, mutant in mutants(document):
        look(written, mutant, (name, path, what), monkeypatch, READERS)


@pytest.mark.parametrize(
    "name",
    ["compute", "groups", "samples", "ids", "tensors", "nothing", "terms", "gradient", "both", "compare", "losses", "reruns"],
)
def test_what_nobody_changed_comes_out_again(written, name):
    done = run(f"verify {name}.json", written)
    assert (done.code, done.stderr) == (0, "")


@pytest.mark.parametrize("name", [*WRITERS][12:])
def test_what_cannot_be_computed_again_is_refused_in_words(written, name):
    done = run(f"verify {name}.json", written)
    assert done.code in {2, 3}
    assert f"lossctl {name}" in done.stderr
