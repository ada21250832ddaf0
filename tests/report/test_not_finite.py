"""Infinity keeps its sign in every format, and what reads results reads it back."""

import json
import math

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from lossctl.checking.saved import fault, load
from lossctl.checking.saved import load_schema as schema_of
from lossctl.cli.program import program
from lossctl.errors import GateFailed, LossctlError
from lossctl.report import number_of, strict
from lossctl.sources.source import locate

INF = math.inf
SCHEMA = Draft202012Validator(json.loads(schema_of("result-1")))
# -target pred: -inf and inf, whatever is finite, and NaN.
CRITIC = ["compute", "wasserstein_critic", "[inf, -inf, 2, nan]", "[1, 1, 1, 1]", "--nan", "propagate", "-q"]


def run(*argv):
    return program()(list(argv), prog_name="lossctl", standalone_mode=False)


def answer(*argv):
    document = json.loads(run(*argv, "-f", "json").text)
    SCHEMA.validate(document)
    assert fault(document, "result-1") == ""
    return document


@pytest.mark.parametrize(
    ("pred", "word"), [("[inf]", "-inf"), ("[-inf]", "inf"), ("[nan]", "nan"), ("[inf, -inf]", "nan"), ("[1]", None)]
)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_value_has_its_sign(pred, word, reduction):
    argv = ["compute", "wasserstein_critic", pred, pred.replace("-", "").replace("inf", "1").replace("nan", "1")]
    argv += ["--nan", "propagate", "-q", "--reduction", reduction]
    result = answer(*argv)["results"][0]
    assert result.get("status") == word
    assert (result["value"] is None) == (word is not None)
    assert number_of(result) == pytest.approx(float(word or -1), nan_ok=True)
    for style in ("value", "tsv", "csv"):
        assert (word or "-1.0") in run(*argv, "-f", style).text.replace("\t", ",").replace("\n", ",").split(",")


def test_unreduced_values():
    result = answer(*CRITIC, "--reduction", "none")["results"][0]
    assert result["value"] == [None, None, -2.0, None]
    assert result["status"] == "nan"
    assert result["not_finite"] == [
        {"index": [0], "status": "-inf"},
        {"index": [1], "status": "inf"},
        {"index": [3], "status": "nan"},
    ]
    assert run(*CRITIC, "--reduction", "none", "-f", "value").text == "-inf\ninf\n-2.0\nnan\n"
    cell = run(*CRITIC, "--reduction", "none", "-f", "tsv").text.splitlines()[1].split("\t")[1]
    assert cell == "[-inf,inf,-2.0,nan]"
    np.testing.assert_equal(locate(cell).literal, [-INF, INF, -2, math.nan])


def test_samples_and_statistics():
    result = answer(*CRITIC, "--per-sample")["results"][0]
    assert [(one["value"], one.get("status")) for one in result["samples"]] == [
        (None, "-inf"),
        (None, "inf"),
        (-2.0, None),
        (None, "nan"),
    ]
    assert [line.split("\t")[2] for line in run(*CRITIC, "--per-sample", "-f", "tsv").text.splitlines()[1:]] == [
        "-inf",
        "inf",
        "-2.0",
        "nan",
    ]
    stats = answer("compute", "wasserstein_critic", "[inf, 1, 2]", "[1, 1, 1]", "--nan", "propagate", "-q", "--stats")[
        "results"
    ][0]
    assert stats["stats"]["statuses"]["min"] == "-inf"
    assert stats["stats"]["min"] is None
    assert "max" not in stats["stats"]["statuses"]


def test_gradients_checks_and_parameters():
    soft = ["grad", "ce", "[[-inf, 0, 0]]", "[[0, .5, .5]]", "--nan", "propagate", "-q"]
    one = answer(*soft, "--wrt", "target")
    assert one["gradient"] == [[None, pytest.approx(math.log(2)), pytest.approx(math.log(2))]]
    assert one["gradient_not_finite"] == [{"index": [0, 0], "status": "inf"}]
    both = answer(*soft, "--wrt", "all")
    assert both["gradient_not_finite"] == [{"wrt": "target", "index": [0, 0], "status": "inf"}]
    assert run(*soft, "--wrt", "target", "-f", "value").text.splitlines()[0] == "inf"
    critic = ["compute", "wasserstein_critic", "[inf]", "[1]", "--nan", "propagate", "-q"]
    check = answer(*critic, "--max", "wasserstein_critic=inf")["checks"][0]
    assert (check["value"], check["status"], check["bound"], check["statuses"]) == (None, "-inf", None, {"bound": "inf"})
    assert check["passed"] is True
    pairwise = answer("compute", "triplet_margin:p=inf", "[[1, 2]]", "[[1, 3]]", "[[4, 4]]", "-q")
    assert pairwise["results"][0]["params"]["p"] == "inf"


def test_saved_results_are_read_with_their_sign(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, pred in (("low", "[inf, 1]"), ("high", "[-inf, 1]"), ("plain", "[1, 1]")):
        run("compute", "wasserstein_critic", pred, "[1, 1]", "--nan", "propagate", "-q", "--stats", "-o", f"{name}.json")
    values = {name: load(f"{name}.json").values() for name in ("low", "high", "plain")}
    assert [values[name]["wasserstein_critic"] for name in values] == [-INF, INF, -1]
    assert (values["low"]["wasserstein_critic.min"], values["high"]["wasserstein_critic.max"]) == (-INF, INF)
    now = ["compute", "wasserstein_critic", "[1, 1]", "[1, 1]", "-q", "--max-abs", "wasserstein_critic=0.5", "--against"]
    assert isinstance(run(*now, "low.json").error, GateFailed | LossctlError)
    assert run(*now, "high.json").error is None
    verified = run("verify", "low.json")
    assert verified.error is None
    changed = json.loads((tmp_path / "low.json").read_text())
    changed["results"][0]["status"] = "inf"
    (tmp_path / "low.json").write_text(json.dumps(changed))
    assert isinstance(run("verify", "low.json").error, GateFailed)


def test_a_request_holds_what_was_written_in_place(tmp_path, monkeypatch):
    """A spec's -.inf is -inf again when its result is verified, and no NaN."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spec.yaml").write_text("loss: ce\ninputs: {pred: [[-.inf, 0.0, 1.0]], target: [1]}\n")
    run("compute", "spec.yaml", "-q", "-o", "out.json")
    assert json.loads((tmp_path / "out.json").read_text())["request"]["inputs"]["pred"] == {"value": [["-inf", 0.0, 1.0]]}
    assert run("verify", "out.json").error is None


def test_strict():
    given = {"a": -INF, "b": [INF], "c": math.nan, "d": {"value": [[1.0, -INF]]}, "params": {"p": INF}, "request": [math.nan]}
    assert strict(given) == {
        "a": None,
        "b": [None],
        "c": None,
        "d": {"value": [[1.0, None]], "status": "-inf", "not_finite": [{"index": [0, 1], "status": "-inf"}]},
        "params": {"p": "inf"},
        "request": ["nan"],
        "statuses": {"a": "-inf"},
    }
    assert number_of(strict(given), "a") == -INF
    assert all(math.isnan(number_of(strict(given), key)) for key in ("c", "e"))
