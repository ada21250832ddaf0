"""What machines read of a gradient: every part of it is in the schema, and nothing else is."""

import copy
import json

import numpy as np
import pytest
from differentiating import SCHEMA, answered, printed

from lossctl.commands import grad
from lossctl.errors import GateFailed

RNG = np.random.default_rng(16)
N = 12
ENTRY = {
    "wrt", "shape", "dtype", "norm", "mean", "max", "at", "zeros", "saturated", "top_1_percent", "not_finite", "not_finite_at",
    "histogram",
}  # fmt: skip
EVERYTHING = ("--by", "groups.npy", "--clip-norm", 1, "--clip-value", 0.1, "--precision", "fp16,bf16", "--check")


@pytest.fixture
def argv(save):
    save(groups=np.arange(N) % 3)
    return ["cross_entropy", *save(pred=RNG.normal(size=(N, 4)), target=RNG.integers(0, 4, N))]


def test_a_plain_entry(argv):
    (entry,) = answered(*argv)["gradients"]
    assert set(entry) == ENTRY | {"classes"}
    assert (entry["wrt"], entry["shape"], entry["dtype"]) == ("pred", [N, 4], "float64")
    assert sum(row["positive"] + row["negative"] for row in entry["histogram"]) == 4 * N


def test_an_entry_with_everything(argv):
    (entry,) = answered(*argv, *EVERYTHING)["gradients"]
    assert set(entry) == ENTRY | {"classes", "groups", "conflicts", "clip", "precision", "check"}
    assert [row["format"] for row in entry["precision"]] == ["fp16", "bf16"]
    assert set(entry["clip"]) == {"by_norm", "by_value"}


def parts(document):
    """Every mapping in a document, to be spoilt."""
    if isinstance(document, dict):
        yield document
    for value in document.values() if isinstance(document, dict) else document if isinstance(document, list) else ():
        yield from parts(value)


def test_the_schema_knows_every_key_and_takes_no_other(argv):
    document = answered(*argv, *EVERYTHING)
    entry = document["gradients"][0]
    for number in range(len(list(parts(entry)))):
        spoilt = copy.deepcopy(document)
        list(parts(spoilt["gradients"][0]))[number]["extra"] = 1
        assert not SCHEMA.is_valid(spoilt)
    for key in ENTRY:
        spoilt = copy.deepcopy(document)
        del spoilt["gradients"][0][key]
        assert not SCHEMA.is_valid(spoilt)


@pytest.mark.parametrize(
    "changes",
    [{"zeros": 1.5}, {"zeros": None}, {"at": [-1]}, {"dtype": "float16"}, {"max": -1.0}, {"top_1_percent": 2}, {"clip": {}}],
)
def test_what_cannot_be_is_refused(argv, changes):
    document = answered(*argv)
    document["gradients"][0].update(changes)
    assert not SCHEMA.is_valid(document)


def test_several_gradients_go_by_name(save):
    save(p=np.array([1.0, 3.0]), t=np.array([0.0, 0.0]))
    document = answered("huber", "p.npy", "t.npy", "--wrt", "all,param:delta")
    assert document["gradient"] == {"pred": [0.5, 0.5], "target": [-0.5, -0.5], "param:delta": 1.0}
    assert [entry["wrt"] for entry in document["gradients"]] == ["pred", "target"]
    alone = answered("huber", "p.npy", "t.npy", "--wrt", "param:delta")
    assert alone["gradient"] == 1.0
    assert alone["gradients"] == []


def test_numbers_that_json_cannot_hold_are_null(save):
    save(p=np.array([np.nan, np.inf, 1.0]), t=np.zeros(3))
    document = answered("mse", "p.npy", "t.npy", "--nan", "propagate", "--wrt", "all")
    assert document["gradient"]["pred"] == [None, None, pytest.approx(2 / 3)]
    assert document["gradients"][1]["not_finite"] == 2
    everything = answered("rmse", "p.npy", "t.npy", "--nan", "propagate", "--precision", "fp32", "--clip-norm", 1)
    assert everything["gradient"] == [None] * 3
    assert everything["gradients"][0]["not_finite"] == 3


def test_a_large_gradient_is_where_it_was_written(save, monkeypatch):
    monkeypatch.setattr(grad, "SMALL", 5)
    argv = ["mse", *save(pred=RNG.normal(size=(3, 2)), target=RNG.normal(size=(3, 2)))]
    assert answered(*argv)["gradient"] == {"files": [], "shape": [3, 2]}
    assert answered(*argv, "-o", "g.npy", "-o", "g.csv")["gradient"] == {"files": ["g.npy", "g.csv"], "shape": [3, 2]}


def test_no_samples(save):
    document = answered(
        "mse", *save(pred=np.zeros((0, 2)), target=np.zeros((0, 2))), "--reduction", "sum", "--precision", "fp16"
    )
    assert document["gradient"] == []
    assert document["gradients"][0]["norm"] == 0


def test_documents_may_be_files_beside_arrays(argv, folder):
    printed(*argv, "-o", "g.npy", "-o", "g.json", "-q")
    document = json.loads((folder / "g.json").read_text())
    SCHEMA.validate(document)
    np.testing.assert_array_equal(np.load("g.npy"), document["gradient"])
    assert [one["sha256"] is not None for one in document["inputs"]] == [True, True]


def test_gates_look_at_figures(argv):
    value = answered(*argv)["gradients"][0]["norm"]
    document = answered(*argv, "--max", f"cross_entropy.norm={value}", "--min", f"pred.norm={value}")
    assert [check["passed"] for check in document["checks"]] == [True, True]
    result = printed(*argv, "--max", f"pred.norm={value / 2}", "-q")
    assert isinstance(result.error, GateFailed)
