"""Every JSON document that real runs print: valid against its schema, strict, and the same bytes on a rerun."""

import json

import golden
import jsonschema
import numpy as np
import pytest
import yaml

from lossctl.commands.listing import run as schema
from lossctl.request.specfile import spec_schema

TABLE = "id,pred,target,g,w\nb,1,2,x,1\na,3,5,y,2\nc,4,,x,1\n"
OTHER = "id,target\na,5\nb,2\nc,4\n"
TERMS = """
terms:
  - {name: a, loss: mse, weight: 2}
  - {name: b, loss: 'huber:delta=.5', weight: -0.5, inputs: {pred: [1, 2], target: [2, 4]}}
inputs: {pred: p.npy, target: {file: t.npz, key: t}}
gates: [{key: total, max: 0}, {key: a, expect: 0.1666, rtol: 0.01}]
"""

RUNS = {
    "plain": "mse p.npy t.npz:t",
    "several": "mse,l1,huber:delta=.5 p.npy t.npz:t",
    "in place": "mse '[[1, 2], [3, 4]]' '[[1, 1], [1, 1]]'",
    "unreduced": "mse '[[1, 2], [3, 4]]' '[[1, 1], [1, null]]' --reduction none --nan propagate",
    "nan": "mse table.csv table.csv --nan propagate --max mse=1",
    "infinite": "l1 '[1e308, -Infinity]' '[0, 0]' --nan propagate --expect l1=inf",
    "skipped": "mse table.csv table.csv --nan skip --min-coverage .9 --stats",
    "groups": "mse,l1 table.csv table.csv --nan skip --by g --max mse@x=0.5",
    "samples": "mse table.csv other.csv --on id --per-sample --by g --stats",
    "worst": "mse table.csv:pred other.csv --on id --worst 2 --weights table.csv:w",
    "tensors": "ce:weight=@t.npz:w,label_smoothing=.1 '[[1, 2, 3], [3, 1, 1]]' '[0, 2]' --mask '[1, 1]'",
    "tensors in place": "ce '[[1, 2, 3], [3, 1, 1]]' '[0, -1]' -p weight=1,2,.5 --ignore-index -1",
    "four inputs": "ctc '[[[-1, -1, -2]], [[-1, -2, -1]]]' '[[1]]' '[2]' '[1]'",
    "all at once": "wasserstein p.npy '[1, 2]'",
    "sums": "kl_div '[[-1, -2]]' '[[0.5, 0.5]]' --reduction batchmean",
    "shards": "mse 'shard*.npy' '[1, 2, 3]'",
    "terms": "terms.yaml",
    "terms without a number": "terms.yaml -i pred='[1, null, 2]' --nan propagate",
}


def strictly(token):
    message = f"{token} is no JSON"
    raise ValueError(message)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("documents")
    golden.write_files({"table.csv": TABLE, "other.csv": OTHER, "terms.yaml": TERMS}, folder)
    np.save(folder / "p.npy", [2.5, 5, 3])
    np.savez(folder / "t.npz", t=np.float32([3, 5, 2.5]), w=[1.0, 2, 4])
    np.save(folder / "shard1.npy", [1.0, 2])
    np.save(folder / "shard2.npy", [4.0])
    return folder


def printed(argv, folder):
    outcome = golden.run({"argv": argv}, folder)
    assert outcome.code in {0, 1, 5}, outcome.stderr
    return outcome.stdout


@pytest.mark.parametrize("argv", RUNS.values(), ids=RUNS)
def test_documents_are_valid_strict_and_reproducible(argv, folder):
    text = printed(f"compute {argv} --format json", folder)
    document = json.loads(text, parse_constant=strictly)
    jsonschema.Draft202012Validator(json.loads(schema("result"))).validate(document)
    assert text == printed(f"compute {argv} --format json --jobs 3", folder)


@pytest.mark.parametrize("argv", ["list", "list --task regression", "info ctc", "verify l1"])
def test_pages_are_strict_and_reproducible(argv, folder):
    text = printed(f"{argv} --format json", folder)
    document = json.loads(text, parse_constant=strictly)
    assert document["schema"] == f"lossctl/{argv.split()[0]}/1"
    assert text == printed(f"{argv} --format json", folder)


@pytest.mark.parametrize("argv", ["mse p.npy t.npz:t --stats", "terms.yaml", "mse table.csv table.csv --nan propagate"])
def test_lines_and_files_say_the_same_as_the_document(argv, folder):
    document = json.loads(printed(f"compute {argv} --format json -o written.json -o written.jsonl", folder))
    assert json.loads(golden.plain((folder / "written.json").read_text())) == document
    lines = (folder / "written.jsonl").read_text().splitlines()
    assert [json.loads(line, parse_constant=strictly) for line in lines] == document["results"]


@pytest.mark.parametrize(
    "argv", ["mse p.npy gone.npy", "mse p.npy t.npz:t --wurst 2", "mes p.npy t.npz:t", "mse p.npy '[1, 2]'"]
)
def test_errors_are_json_objects(argv, folder):
    outcome = golden.run({"argv": f"compute {argv} --format json"}, folder)
    error = json.loads(outcome.stderr)["error"]
    assert (outcome.stdout, outcome.code) == ("", error["code"])
    assert all(error[word] for word in ("kind", "message", "hint"))


def test_the_spec_of_these_runs_is_valid():
    jsonschema.Draft202012Validator(spec_schema()).validate(yaml.safe_load(TERMS))
