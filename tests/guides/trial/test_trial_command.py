"""The command: what it reads, says, prints and writes."""

import hashlib
import json
import math
import os
import pty
import signal
import subprocess
import sys

import golden
import made
import numpy as np
import pytest

from lossctl.commands.trial import Training, run
from lossctl.errors import NothingLeft, ShapeMismatch, UnreadableFile

QUICK = {"steps": 20, "seeds": 2, "model": "linear", "lr": 0.05}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A folder with features and targets of every task."""
    monkeypatch.chdir(tmp_path)
    for task, make in made.MADE.items():
        x, y = make(60)
        np.save(f"{task}_x.npy", x)
        np.save(f"{task}_y.npy", y)
    return tmp_path


def held(task="classification", losses="", **options):
    """Run, and return the report and what was said."""
    said = []
    report = run(f"{task}_x.npy", f"{task}_y.npy", Training(losses=losses, **(QUICK | options)), said.append)
    return report, said


def test_the_document_holds_what_the_table_shows():
    report, _ = held("regression", "mse,huber:delta=2", tune=True, time=True)
    document = json.loads(json.dumps(report.document))
    assert (document["schema"], document["task"]) == ("lossctl/trial/1", "regression")
    assert document["rows"] == {"train": 42, "test": 18}
    assert document["budget"] == {"steps": 20, "batch": 64, "lr": 0.05, "model": "linear", "hidden": 64, "tuned": True}
    assert document["seeds"] == [0, 1]
    for row, entry in zip(report.rows, document["results"], strict=True):
        assert row["loss"] == entry["loss"]
        assert row["r2"] == entry["scores"]["r2"]["mean"] == pytest.approx(np.mean(entry["scores"]["r2"]["values"]))
        assert [curve[-1] for curve in entry["curves"]] == entry["scores"]["r2"]["values"]
        assert row["p"] == (None if math.isnan(entry["p_adjusted"]) else entry["p_adjusted"])
        assert row["lr"] == entry["lr"]
        assert row["seconds"] == pytest.approx(np.mean(entry["seconds"]))
        assert {len(curve) for curve in entry["curves"]} == {len(document["looks"])}
    first = document["results"][0]
    assert report.more[0].rows[0]["huber:delta=2"] == first["evaluated"]["huber:delta=2"]["mean"]
    assert (first["head"], first["target"]) == ("raw outputs in the target's units", "numbers")
    assert document["results"][1]["params"] == {"delta": 2.0}


def test_defaults_are_said():
    report, said = held("multilabel")
    assert said[0] == "taken as 2 labels, any number of which apply, by the values of the target; --task says otherwise"
    assert said[1].startswith("trained under bce_with_logits, focal, ")
    assert "shares of wrong labels on 18 held-out rows, averaged over 2 seeds" in said[-1]
    assert said[-1].endswith("this covers the sampling of held-out rows and these seeds only")
    assert report.document["verdicts_on"] == "shares of wrong labels"


def test_focal_is_that_of_classes_where_there_are_classes():
    report, said = held("classification", "cross_entropy,focal:gamma=3")
    assert report.rows[1]["loss"] == "focal_multiclass:gamma=3"
    assert "'focal' is taken as focal_multiclass, since pred has one score a class" in said


def test_one_loss_under_several_names_has_several_rows():
    report, _ = held("regression", "mse,l2,mse,l1")
    assert [row["loss"] for row in report.rows] == ["mse", "l2", "mse (2)", "l1"]
    assert report.rows[0]["r2"] == report.rows[1]["r2"]
    assert [row["verdict"] for row in report.rows[:3]] == ["baseline", "identical", "identical"]


def test_weights_of_classes_are_read_from_a_file():
    np.save("w.npy", [1.0, 1, 50])
    report, _ = held("classification", "cross_entropy,cross_entropy:weight=@w.npy")
    plain, weighted = report.document["results"]
    assert weighted["loss"] == "cross_entropy:weight=@w.npy"
    assert plain["evaluated"][plain["loss"]]["mean"] != weighted["evaluated"][plain["loss"]]["mean"]


def test_epochs_are_passes_over_the_training_rows():
    report, _ = held("regression", "mse", epochs=3, batch=16, steps=1000)
    assert report.document["budget"]["steps"] == 3 * 3


def test_a_divergence_is_said_and_counted():
    report, said = held("binary", "bce_with_logits,exponential", lr=1e4, model="mlp", steps=40)
    assert [row["diverged"] for row in report.rows] == [0, 2]
    assert (report.rows[1]["accuracy"], report.rows[1]["verdict"]) == (None, "diverged")
    assert any("exponential diverged (seed 0 at step " in text for text in said)
    assert [each["seed"] for each in report.document["results"][1]["diverged"]] == [0, 1]


def test_images_are_laid_flat_and_a_feature_may_be_alone():
    np.save("images.npy", made.features(60, 12).reshape(60, 3, 4))
    said = []
    report = run("images.npy", "regression_y.npy", Training(losses="mse", **QUICK), said.append)
    assert report.document["features"]["used"] == 12
    assert "features of shape (60, 3, 4) are taken as 12 columns" in said
    np.save("one.npy", made.features(60, 1)[:, 0])
    alone = run("one.npy", "regression_y.npy", Training(losses="mse", **QUICK), said.append)
    assert alone.document["features"]["used"] == 1


@pytest.mark.parametrize(
    ("content", "target", "error", "says"),
    [
        ("x,y\n" + "1,2\n" * 30, "t.csv:y", ShapeMismatch, "have 60 rows and the target"),
        ("y\n" + "a\n1\n" * 30, "t.csv:y", UnreadableFile, "'a' is not a number"),
    ],
)
def test_a_target_that_cannot_be_read_is_refused(here, content, target, error, says):
    (here / "t.csv").write_text(content)
    with pytest.raises(error) as refused:
        run("regression_x.npy", target, Training(losses="mse", **QUICK), lambda _: None)
    assert says in refused.value.message


@pytest.mark.parametrize("large", [0, 1 << 20])
def test_the_document_names_what_was_read_as_text_too(here, monkeypatch, large):
    monkeypatch.setattr("lossctl.sources.table.LARGE", large)
    (here / "t.csv").write_text("kind,n\n" + "cat,1\ndog,2\n" * 30)
    report = run("binary_x.npy", "t.csv:kind", Training(losses="bce", **QUICK), lambda _: None)
    features, target = report.document["inputs"]
    assert (features["role"], features["path"], features["shape"]) == ("features", "binary_x.npy", [60, 3])
    assert (target["role"], target["path"], target["key"], target["dtype"]) == ("target", "t.csv", "kind", "text")
    assert target["sha256"] == hashlib.sha256((here / "t.csv").read_bytes()).hexdigest()
    assert report.document["classes"] == ["cat", "dog"]


def test_features_that_are_all_the_target_are_refused():
    with pytest.raises(NothingLeft):
        run("regression_y.npy", "regression_y.npy", Training(losses="mse", **QUICK), lambda _: None)


ARGV = "trial classification_x.npy classification_y.npy --steps 20 --seeds 2 --format json"


def test_a_rerun_gives_the_same_bytes(here):
    first, second = (
        subprocess.run(golden.command(ARGV), env=golden.environment(here) | threads, capture_output=True, check=True).stdout
        for threads in ({}, {"OMP_NUM_THREADS": "2"})
    )
    assert first == second
    assert b"seconds" not in first


def terminal(argv, here):
    """A process whose stderr is a terminal, and the end to read it from."""
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        golden.command(argv), cwd=here, env=golden.environment(here), stdout=subprocess.PIPE, stderr=theirs
    )
    os.close(theirs)
    return child, ours


def shown(ours):
    parts = []
    while True:
        try:
            parts.append(os.read(ours, 65536))
        except OSError:
            return b"".join(parts)
        if not parts[-1]:
            return b"".join(parts)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_an_interrupt_ends_the_bar_and_exits_130(here):
    child, ours = terminal("trial regression_x.npy regression_y.npy --seeds 999", here)
    seen = b""
    while b"training" not in seen and child.poll() is None:
        seen += os.read(ours, 65536)
    child.send_signal(signal.SIGINT)
    seen += shown(ours)
    assert child.wait(golden.PATIENCE) == 130
    assert child.stdout.read() == b""
    assert b"%" in seen
    child.stdout.close()
    os.close(ours)


@pytest.mark.parametrize("value", ["9" * 23, "200000000"])
def test_a_hidden_layer_that_fits_into_no_memory(value, tmp_path, monkeypatch, capsys):
    from lossctl.cli.program import _run

    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text("x,y\n" + "".join(f"{i},{i % 7 + 0.5}\n" for i in range(40)))
    line = ["trial", "t.csv:x", "t.csv:y", "--steps", "1", "--seeds", "1", "--losses", "mse"]
    assert _run([*line, "--hidden", value]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    # 32 bytes for each weight: from one feature, to one output, and the bias.
    assert f"--hidden {value} makes a model of about {int(value) * 96 / 2**20:,.0f} MiB" in err
    assert _run([*line, "--hidden", value, "--model", "linear"]) == 0
    assert _run([*line, "--batch", "9" * 23, "-qq"]) == 0
