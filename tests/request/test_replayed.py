"""What a file may ask for: a result or a partial result is data, and runs no code, reaches no network and waits for nobody."""

import json
import os
import socket

import numpy as np
import pytest
from inside import run as run_in

from lossctl.commands.partial import checksum
from lossctl.request.models import ReplayedOptions, spec_of
from lossctl.request.options import Options, rows

# They reach other machines, run code, use up this one, or change no number.
NEVER = {"cluster", "jobs", "max_memory", "part", "allow_code", "allow_remote", "min_coverage", "ignore", "strict"}
ADDRESSES = ["HTTPS://127.0.0.1:9/a.npy:p", "s3://bucket/a.npy"]
MINE = "def loss(pred, target):\n    open('ran', 'w').close()\n    return ((pred - target) ** 2).mean()\n"


def test_only_what_says_how_data_are_read_and_reduced_is_replayed():
    assert {name for name, row in rows(Options).items() if not row.replayed} == NEVER
    assert ReplayedOptions.model_fields.keys() == rows(Options).keys() - NEVER


@pytest.fixture
def changed(tmp_path, monkeypatch):
    """Saves a result, changes its document, and runs a command on it; sockets that anyone opens are a failure."""
    monkeypatch.chdir(tmp_path)
    np.save("a.npy", [1.0, 2.0])
    np.save("b.npy", [1.0, 4.0])
    assert run_in("compute mse a.npy b.npy --max mse=9 -o r.json", tmp_path).code == 0

    def run(change, argv="verify r.json"):
        document = json.loads((tmp_path / "r.json").read_text())
        change(document)
        (tmp_path / "r.json").write_text(json.dumps(document))
        return run_in(argv, tmp_path)

    return run


def options(**more):
    return lambda document: document["request"].setdefault("options", {}).update(more)


@pytest.fixture
def listener():
    """A port that must stay alone."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        yield server
        with pytest.raises(BlockingIOError):
            server.accept()


@pytest.mark.parametrize(
    "argv", ["verify r.json", "check r.json", "check r.json --max mse=9", "check r.json --against r.json --max-rel mse=2%"]
)
def test_a_result_reaches_no_scheduler(changed, listener, argv):
    address = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
    done = changed(options(cluster=address), argv)
    assert done.code == (3 if argv.startswith("verify") else 0)
    assert ("request.options.cluster" in done.stderr) == argv.startswith("verify")


@pytest.mark.parametrize("name", sorted(NEVER))
def test_options_that_no_file_may_ask_for(changed, name):
    done = changed(options(**{name: 1}))
    assert (done.code, f"request.options.{name}" in done.stderr) == (3, True)


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize(
    "put",
    [
        lambda document, address: document["request"]["positional"][1].update(source=address),
        lambda document, address: document["request"].update(
            inputs={"pred": {"source": address}, "target": {"source": "b.npy"}}, positional=[]
        ),
        lambda document, address: options(weights={"source": address})(document),
        lambda document, address: options(mask={"source": address})(document),
        lambda document, address: options(by=address)(document),
        lambda document, address: document["request"].update(losses=[{"name": "ce", "params": {"weight": f"@{address}"}}]),
        lambda document, address: document["request"].update(
            losses=[], positional=[], terms=[{"name": "a", "loss": {"name": "mse"}, "inputs": {"pred": {"source": address}}}]
        ),
    ],
    ids=["positional", "inputs", "weights", "mask", "by", "params", "terms"],
)
def test_a_result_reads_no_address(changed, put, address):
    done = changed(lambda document: put(document, address))
    assert done.code == 2
    assert "no file reaches a network by itself" in done.stderr
    assert "--allow-remote" in done.stderr


def test_a_result_that_does_not_say_what_was_read_comes_out(changed):
    def older(document):
        for one in document["inputs"]:
            del one["read"]

    assert changed(older).code == 0


def test_a_result_that_left_the_backend_open_comes_out_with_numpy(changed, tmp_path):
    def older(document):
        options(backend="auto")(document)
        document["signature"] = document["signature"].replace("backend:numpy", "backend:auto")

    assert changed(older, "verify r.json -o found.json").code == 0
    document = json.loads((tmp_path / "r.json").read_text())
    spec = spec_of(document["request"], "r.json", allow_code=False)
    assert (document["request"]["options"]["backend"], spec.options.backend) == ("auto", "numpy")


@pytest.mark.usefixtures("changed")
@pytest.mark.parametrize("which", [("1.json",), ("1.json", "2.json")])
def test_parts_that_left_the_backend_open_add_up_with_numpy(tmp_path, which):
    for part in (1, 2):
        assert run_in(f"compute mse a.npy b.npy --part {part}/2 --partial {part}.json", tmp_path).code == 0
    for name in which:
        document = json.loads((tmp_path / name).read_text())
        document["request"]["options"] = {"backend": "auto"}
        document["checksum"] = checksum(document)
        (tmp_path / name).write_text(json.dumps(document))
    done = run_in("merge 1.json 2.json --format json", tmp_path)
    found = json.loads(done.stdout)
    assert (done.code, found["results"][0]["value"], "|backend:numpy|" in found["signature"]) == (0, 2.0, True)


@pytest.mark.parametrize("text", ["-", "-:p", "-::p"])
def test_a_result_does_not_wait_for_standard_input(changed, text):
    done = changed(lambda document: document["request"]["positional"][0].update(source=text))
    assert (done.code, "standard input" in done.stderr) == (2, True)


def test_a_result_does_not_wait_for_a_pipe(changed, tmp_path):
    os.mkfifo(tmp_path / "pipe.npy")
    done = changed(lambda document: document["request"]["positional"][0].update(source="pipe.npy"))
    assert (done.code, "neither a file nor a folder" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document["request"].update(losses=[{"name": "./mine.py:loss"}]),
        lambda document: document["request"].update(losses=[{"name": "mine:loss"}]),
        lambda document: document["request"].update(losses=[{"name": "some_plugin"}]),
        lambda document: document["request"].update(losses=[], terms=[{"name": "a", "loss": {"name": "mine.py:loss"}}]),
        options(backend="mine:loss"),
        options(in_format="mine:loss"),
        options(in_format="some_plugin"),
    ],
)
def test_a_result_runs_no_code(changed, change, tmp_path):
    (tmp_path / "mine.py").write_text(MINE)
    done = changed(change)
    assert (done.code, "would run code" in done.stderr, "--allow-code" in done.stderr) == (2, True, True)
    assert not (tmp_path / "ran").exists()


def test_a_result_takes_no_more_memory_than_it_may(tmp_path):
    np.save(tmp_path / "m.npy", np.zeros(300))
    assert run_in("compute r2 m.npy m.npy --nan propagate --max-memory 1 -o m.json", tmp_path).code == 0
    np.save(tmp_path / "m.npy", np.arange(90_000.0))
    assert run_in("compute r2 m.npy m.npy -o m.json", tmp_path).code == 0
    done = run_in("verify m.json --max-memory 1", tmp_path)
    assert (done.code, "--max-memory" in done.stderr) == (3, True)
    assert run_in("verify m.json --max-memory 64", tmp_path).code == 0


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (options(nan="zz"), "request.options.nan"),
        (options(class_dim="1"), "request.options.class_dim"),
        (options(part=[2, 1, 1]), "request.options.part"),
        (options(weights={"source": "a.npy", "value": [1]}), "request.options.weights"),
        (lambda document: document.update(signature=7), "signature"),
        (lambda document: document.update(schema="lossctl/result/2"), "lossctl/result/2"),
        (lambda document: document["results"][0].update(n=True), "results[0].n"),
        (lambda document: document["results"][0].update(value="0.5"), "results[0].value"),
        (lambda document: document["inputs"][0].update(shape=[1.5]), "inputs[0].shape[0]"),
        (lambda document: document["inputs"][0].pop("sha256"), "sha256"),
        (lambda document: document.update(more=1), "'more'"),
        (lambda document: document["request"]["losses"][0].pop("name"), "request.losses.0.name"),
        (lambda document: document["request"]["positional"].append({}), "request.positional.2"),
    ],
)
def test_what_is_not_understood_is_refused_with_its_place(changed, change, place):
    done = changed(change)
    assert (done.code, place in done.stderr) == (3, True), done.stderr


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda document: document.update(signature=document["signature"].replace("mse", "l1")), "signature"),
        (lambda document: document.update(inputs=[]), "0 are named, and 2 are read"),
        (lambda document: document["inputs"].reverse(), "inputs"),
        (lambda document: document["inputs"][0].update(shape=[3]), "shape"),
        (lambda document: document["request"].update(losses=[{"name": "l1"}]), "signature"),
    ],
)
def test_a_document_that_contradicts_itself_does_not_come_out(changed, change, says):
    done = changed(change)
    assert (done.code, says in done.stderr) == (1, True), done.stderr


@pytest.mark.parametrize(
    "text", ['{"schema": "lossctl/result/1", "results": NaN}', '{"schema": 1, "schema": 2}', "[" * 9000, "[]", "7"]
)
def test_json_that_is_none(tmp_path, text):
    (tmp_path / "r.json").write_text(text)
    for argv in ("verify r.json", "check r.json --max mse=1", "compute mse [1] [2] --against r.json --max-rel mse=1%"):
        assert run_in(argv, tmp_path).code == 3


@pytest.mark.parametrize(
    ("argv", "what"),
    [("identify [1,2] [2,4] --value 2.5", "identify"), ("inspect [1,2]", "inspect"), ("list", "list"), ("verify l1", "verify")],
)
def test_what_other_commands_wrote_is_named(tmp_path, argv, what):
    assert run_in(f"{argv} -o r.json", tmp_path).code in {0, 5}
    done = run_in("verify r.json", tmp_path)
    assert (done.code, f"what lossctl {what} wrote" in done.stderr) == (3, True), done.stderr
