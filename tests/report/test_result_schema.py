import copy
import json

import pytest
from jsonschema import Draft202012Validator

from lossctl.checking.saved import load_schema as load
from lossctl.checking.saved import names
from lossctl.errors import UnknownName

SCHEMA = json.loads(load("result-1"))
SAMPLE = {
    "schema": "lossctl/result/1",
    "version": "0.1.0",
    "command": "compute",
    "signature": "mse|red:mean",
    "inputs": [{"role": "pred", "path": "pred.npy", "key": None, "shape": [4], "dtype": "float64", "sha256": "0" * 64}],
    "results": [{"loss": "mse", "params": {}, "reduction": "mean", "value": 0.3125, "n": 4}],
    "checks": [],
    "warnings": [{"code": "L002", "message": "a warning"}],
}
FULL = {
    "status": "nan",
    "value": None,
    "name": "box",
    "group": "a",
    "weight": 0.5,
    "share": None,
    "term_value": 0.1,
    "skipped": 2,
    "coverage": 0.5,
    "stats": dict.fromkeys(["std", "min", "max", "p25", "median", "p75", "p95", "p99"]),
    "samples": [{"index": 0, "id": "x", "value": None}, {"index": 1, "value": 2.5}],
}
CHECK = {"key": "mse", "kind": "max", "bound": 3.0, "value": 2.0, "passed": True, "message": "ok", "rtol": 0.0}


def valid(document):
    return Draft202012Validator(SCHEMA).is_valid(document)


def changed(**changes):
    document = copy.deepcopy(SAMPLE)
    document["results"][0].update(changes)
    return document


def test_the_schema_is_one():
    Draft202012Validator.check_schema(SCHEMA)
    assert names() == ["result-1"]
    assert load("result-1.json") == load("result-1")


def test_an_unknown_schema_has_near_names():
    with pytest.raises(UnknownName, match="no schema 'result-2'") as caught:
        load("result-2")
    assert "result-1" in caught.value.hint


@pytest.mark.parametrize(
    "document",
    [
        SAMPLE,
        changed(**FULL),
        changed(value=[[1.0, None], [2, 3]], status="inf"),
        changed(value=[]),
        {**SAMPLE, "checks": [CHECK, {**CHECK, "passed": None}]},
        {**SAMPLE, "total": {"value": None, "status": "inf"}},
        {**SAMPLE, "gradient": [[0.5, None]]},
    ],
)
def test_results_that_are_right(document):
    Draft202012Validator(SCHEMA).validate(document)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {**SAMPLE, "schema": "lossctl/result/2"},
        {**SAMPLE, "extra": 1},
        {**SAMPLE, "total": {"value": 1.0, "status": "nan"}},
        {**SAMPLE, "checks": [{"key": "mse"}]},
        {**SAMPLE, "inputs": [{**SAMPLE["inputs"][0], "sha256": "abc"}]},
        {**SAMPLE, "warnings": [{"message": "no code"}]},
        changed(value="0.5"),
        changed(value=[["a"]]),
        changed(value=1.0, status="nan"),
        changed(status="odd"),
        changed(n=-1),
        changed(reduction="median"),
        changed(coverage=1.5),
        changed(stats={"mean": 1.0}),
        changed(samples=[{"index": 0}]),
        changed(extra=1),
        {key: value for key, value in SAMPLE.items() if key != "signature"},
    ],
)
def test_results_that_are_wrong(document):
    assert not valid(document)
