"""Losses in files of the user's, right and wrong, called by their path."""

from pathlib import Path

import golden
import numpy as np
import pytest
from foreign import OTHER, REAL, SHARE, compute

from lossctl.commands.listing import info_page as info
from lossctl.commands.verify import run as verify
from lossctl.errors import (
    BadParameter,
    LossctlError,
    NoSuchReduction,
    OutOfDomain,
    PluginFailed,
    ShapeMismatch,
    UnknownName,
    UsageError,
)
from lossctl.sources.source import Given

SOURCE = Path(__file__).parents[1] / "others.py"
MINE = f"{SOURCE}:"


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("Scaled:alpha=2", 2 * np.mean((REAL - OTHER) ** 2)),
        ("Scaled:alpha=2,weight=1,2,3,4", 2 * np.mean((REAL - OTHER) ** 2 * [1, 2, 3, 4])),
        ("halved", np.mean((REAL - OTHER) ** 2) / 2),
        ("powered:power=3", np.mean(np.abs(REAL - OTHER) ** 3)),
        ("with_numpy", np.mean(np.abs(REAL - OTHER))),
        ("weighted_numpy:weight=1,2,3,4", np.mean(np.abs(REAL - OTHER) @ [1, 2, 3, 4])),
        ("plain_number", np.mean(np.abs(REAL - OTHER))),
        ("no_module", np.mean(np.abs(REAL - OTHER))),
        ("Callable:factor=3", 3 * np.mean(np.abs(REAL - OTHER))),
        ("keywords:factor=3", 3 * np.mean(np.abs(REAL - OTHER))),
        ("one_wrong_backward", np.mean((REAL - OTHER) ** 2)),
    ],
)
def test_file_of_the_users(name, wanted):
    assert compute(MINE + name, REAL, OTHER)[0]["value"] == pytest.approx(wanted, rel=1e-13)


def test_an_array_result_has_values_and_a_number_none():
    values = compute(f"{MINE}powered", REAL, OTHER, reduction="none")[0]["value"]
    np.testing.assert_allclose(values, (REAL - OTHER) ** 2)
    total = compute(f"{MINE}powered", REAL, OTHER, reduction="sum")[0]["value"]
    assert total == pytest.approx(np.sum((REAL - OTHER) ** 2))
    for options in ({"reduction": "none"}, {"reduction": "sum"}, {"per_sample": True}):
        with pytest.raises(NoSuchReduction, match="with_numpy"):
            compute(f"{MINE}with_numpy", REAL, OTHER, **options)
    with pytest.raises(UsageError, match="--weights"):
        compute(f"{MINE}with_numpy", REAL, OTHER, weights=Given(value=[1.0] * 6))


@pytest.mark.parametrize(
    ("name", "kind", "says"),
    [
        ("nothing", UnknownName, "no attribute 'nothing'"),
        ("PI", UnknownName, "is a float, not a loss"),
        ("Uncallable", UnknownName, "cannot be called"),
        ("Scaled", BadParameter, "needs 'alpha' to be made"),
        ("Scaled:alhpa=1", BadParameter, "no parameter 'alhpa'"),
        ("halved:reduction=sum", BadParameter, "--reduction chooses it"),
        ("Raising", PluginFailed, "Raising could not be made: ZeroDivisionError: division by zero"),
        ("returns_none", PluginFailed, "returns_none returned NoneType"),
        ("returns_pair", PluginFailed, "returns_pair returned tuple"),
        ("returns_shape", PluginFailed, r"returned shape \(2,\), neither one number"),
        ("raises", OutOfDomain, r"raises failed on inputs of shape \(6, 4\), \(6, 4\): ValueError: not today"),
        ("misspelt", PluginFailed, "AttributeError: .* no attribute 'squared'"),
        ("exits", PluginFailed, "exits failed .* SystemExit: 7"),
        ("endless", PluginFailed, "endless failed .* RecursionError"),
        ("shapes", ShapeMismatch, "shapes failed .* RuntimeError: mat1 and mat2 shapes"),
        ("not_a_number", LossctlError, "not_a_number is nan"),
    ],
)
def test_what_raises_is_named(name, kind, says):
    with pytest.raises(kind, match=says) as caught:
        compute(MINE + name, REAL, OTHER)
    assert name.partition(":")[0] in caught.value.message
    assert "\n" not in caught.value.paragraph()


def results(name):
    report, error = verify(MINE + name)
    return {row["check"]: (row["result"], row["detail"]) for row in report.rows}, error


def test_verify_finds_a_wrong_backward():
    found, error = results("one_wrong_backward")
    assert found["gradient"][0] == "failed"
    assert found["gradient"][1].startswith("its own backward is wrong, the gradient by ")
    assert error.code == 1


@pytest.mark.parametrize(
    ("name", "check", "result", "says"),
    [
        ("Scaled:alpha=2,weight=1,2,3", "gradient", "passed", "central"),
        ("with_numpy", "gradient", "skipped", "calculates with NumPy"),
        ("detached", "gradient", "failed", "cut off from its inputs"),
        ("ordered", "permutation", "failed", "permuted"),
        ("halved", "reductions", "failed", "sum of the unreduced"),
        ("powered", "reductions", "passed", "add up"),
        ("worded", "permutation", "passed", "order"),
        ("powered", "doc", "skipped", "their own docs"),
    ],
)
def test_verify_of_a_users_file(name, check, result, says):
    found, _ = results(name)
    assert found[check][0] == result
    assert says in found[check][1]


def test_verify_names_what_takes_nothing():
    with pytest.raises(PluginFailed, match=r"raises takes none of the samples.*not today"):
        verify(f"{MINE}raises")
    with pytest.raises(BadParameter, match="needs 'alpha'"):
        verify(f"{MINE}Scaled")


def test_info_says_what_the_header_says():
    text = {row["what"]: row["text"] for row in info(f"{MINE}Scaled").rows}
    assert text["loss"] == f"{MINE}Scaled: The mean square, scaled."
    assert {"input pred", "input target", "param alpha", "param weight"} <= set(text)
    assert text["source"] == f"{MINE}Scaled"


def test_a_word_of_ours_is_kept():
    with pytest.raises(OutOfDomain, match=r"outside of \[0, 1\]"):
        compute(f"{MINE}worded", REAL, SHARE)


def test_what_is_printed_goes_to_stderr(capsys):
    compute(f"{MINE}talks", REAL, OTHER)
    said = capsys.readouterr()
    assert (said.out, said.err.count("hello")) == ("", 1)


def test_a_spec_runs_code_only_if_allowed(tmp_path):
    (tmp_path / "mine.py").write_text("def loss(pred, target):\n    return abs(pred - target)\n")
    (tmp_path / "s.yaml").write_text("loss: ./mine.py:loss\ninputs: {pred: [1, 2], target: [0, 0]}\n")
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    refused = golden.run({"argv": "compute ../s.yaml -b"}, folder)
    assert refused.code == 2
    assert "--allow-code" in refused.stderr
    allowed = golden.run({"argv": "compute ../s.yaml -b --allow-code"}, folder)
    assert (allowed.code, allowed.stdout) == (0, "1.5\n"), allowed.stderr
