"""Rows that do not belong together are found, the command that is proposed puts them right, and aligned rows are left alone."""

import json
import shlex
import subprocess

import golden
import numpy as np
import pytest

from lossctl.cli.program import program
from lossctl.engine.binding import bind
from lossctl.engine.reduce import Outcome
from lossctl.losses import LOSSES
from lossctl.losses.loss import scalars
from lossctl.request.options import Options
from lossctl.sources.readers import Memory
from lossctl.warnings import ORDER, TRAPS
from lossctl.warnings.order import scattered, string_ranks
from lossctl.warnings.sight import look_at

N = 120
KINDS = ("reversed", "pred0", "pred1", "target0", "target1", "down", "up")


def by_text(first, n=N):
    return np.array(sorted(range(n), key=lambda row: str(row + first)))


def planted(kind, pred, target):
    """Pairs as they would lie in two files after the mistake `kind`."""
    if kind == "reversed":
        return pred, target[::-1]
    if kind in {"down", "up"}:
        step = 1 if kind == "down" else -1
        return np.roll(pred, step, axis=0), target
    order = by_text(int(kind[-1]), len(pred))
    return (pred[order], target) if kind.startswith("pred") else (pred, target[order])


def regression(rng, n=N):
    target = rng.normal(size=n)
    return target + rng.normal(size=n) * 0.1, target


def classes(rng, n=N, count=5):
    target = rng.integers(0, count, n)
    return rng.normal(size=(n, count)) + 9 * np.eye(count)[target], target


def binary(rng, n=N):
    target = rng.integers(0, 2, n)
    return np.clip(target + rng.normal(size=n) * 0.02, 0.01, 0.99), target.astype(float)


DATA = {"mse": regression, "l1": regression, "rmse": regression, "cross_entropy": classes, "bce": binary}


def message(loss, pred, target, **more):
    """What the trap says of arrays in memory."""
    found, options = LOSSES.get(loss), Options()
    readers = {name: Memory(np.asarray(array)) for name, array in {"pred": pred, "target": target, **more}.items()}
    bound = bind(found, readers, scalars(found, {}), options)
    sight = look_at(bound, Outcome(1.0, bound.n), options, {"pred": "p.npy", "target": "t.npy"})
    return TRAPS[ORDER].look(sight)


def run(argv):
    """Run lossctl in this process; return its document."""
    return json.loads(program()([*shlex.split(argv), "-f", "json"], prog_name="lossctl", standalone_mode=False).text)


def obeyed(proposed, folder):
    """The bare value that the proposed command prints, run as it would be typed."""
    command = ["bash", "-c", f"{proposed} -b"]
    done = subprocess.run(
        command, cwd=folder, env=golden.environment(folder), capture_output=True, encoding="utf-8", check=True
    )
    assert "L043" not in done.stderr
    return float(done.stdout)


def write_table(path, **columns):
    rows = zip(*columns.values(), strict=True)
    path.write_text("\n".join([",".join(columns), *(",".join(map(repr, row)) for row in rows)]) + "\n")


def warned(document, code=ORDER):
    return [one["message"] for one in document["warnings"] if one["code"] == code]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("loss", DATA)
def test_arrays_in_another_order_are_put_right(loss, kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pred, target = DATA[loss](np.random.default_rng(KINDS.index(kind)))
    for name, array in zip(("p", "t"), planted(kind, pred, target), strict=True):
        np.save(f"{name}.npy", array)
    document = run(f"compute {loss} p.npy t.npy")
    (text,) = warned(document)
    assert obeyed(text.partition(". Right: ")[2], tmp_path) <= document["results"][0]["value"] / 9


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("apart", [True, False])
def test_tables_without_ids_are_put_right(kind, apart, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pred, target = (array.tolist() for array in planted(kind, *regression(np.random.default_rng(3))))
    write_table(tmp_path / "a.csv", pred=pred, target=target)
    write_table(tmp_path / "b.csv", target=target)
    document = run(f"compute huber:delta=0.5 a.csv:pred {'b.csv' if apart else 'a.csv:target'} --nan skip")
    (text,) = warned(document)
    right = text.partition(". Right: ")[2]
    assert right.endswith("--nan skip")
    assert "huber:delta=0.5" in right
    assert obeyed(right, tmp_path) <= document["results"][0]["value"] / 10


@pytest.mark.parametrize("kind", ["reversed", "pred1", "target1"])
def test_tables_with_ids_are_joined(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pred, target = regression(np.random.default_rng(4))
    ids = planted(kind, np.arange(1, N + 1), np.arange(1, N + 1))
    moved = planted(kind, pred, target)
    for name, own, values in zip(("pred", "target"), ids, moved, strict=True):
        write_table(tmp_path / f"{name}.csv", image=own.tolist(), split=[0] * N, **{name: values.tolist()})
    document = run("compute mse pred.csv:pred target.csv:target --row-order")
    (text,) = warned(document)
    assert text.endswith(". Right: lossctl compute mse pred.csv:pred target.csv:target --on image")
    assert obeyed(text.partition(". Right: ")[2], tmp_path) <= document["results"][0]["value"] / 10


@pytest.mark.parametrize(("key", "shown"), [(":pred", True), ("::#1", False)])
def test_arrays_of_an_archive(key, shown, tmp_path, monkeypatch):
    """NumPy's own reader, which the proposed program uses, knows no places."""
    monkeypatch.chdir(tmp_path)
    pred, target = planted("up", *regression(np.random.default_rng(14)))
    np.savez("d.npz", pred=pred, target=target)
    (text,) = warned(run(f"compute mse d.npz{key} d.npz:target"))
    assert ("Right:" in text) == shown
    if shown:
        assert obeyed(text.partition(". Right: ")[2], tmp_path) < 0.02


def test_ids_that_do_not_help_are_not_proposed(tmp_path, monkeypatch):
    """Both files have their ids in one order, and the targets of one were written in reverse all the same."""
    monkeypatch.chdir(tmp_path)
    pred, target = regression(np.random.default_rng(5))
    write_table(tmp_path / "p.csv", id=range(N), pred=pred.tolist())
    write_table(tmp_path / "t.csv", id=range(N), target=target[::-1].tolist())
    (text,) = warned(run("compute mse p.csv:pred t.csv:target"))
    assert "--on" not in text
    assert "aligned-target.csv" in text
    (joined,) = warned(run("compute mse p.csv:pred t.csv:target --on id"))
    assert "Right:" not in joined


@pytest.mark.parametrize("kind", KINDS)
def test_large_data_are_looked_at_in_pieces(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(6)
    for name, array in zip(("p", "t"), planted(kind, *regression(rng, 30_000)), strict=True):
        np.save(f"{name}.npy", array)
    (text,) = warned(run("compute mse p.npy t.npy"))
    assert "rows looked at" in text
    assert obeyed(text.partition(". Right: ")[2], tmp_path) < 0.02


def test_a_forecast_that_repeats_the_last_value_is_told_apart():
    walk = np.cumsum(np.random.default_rng(7).normal(size=500))
    text = message("mse", np.concatenate([[0], walk[:-1]]), walk)
    assert "one row before it" in text
    assert "a forecast that repeats the last value looks so too" in text


@pytest.mark.parametrize("kind", KINDS)
def test_a_loss_below_zero_is_measured_from_its_least(kind):
    pred, target = planted(kind, *regression(np.random.default_rng(8)))
    text = message("gaussian_nll", pred, target, var=np.full(N, 0.01))
    assert "instead of" in text
    vectors = np.random.default_rng(9).normal(size=(N, 4))
    noisy = vectors + np.random.default_rng(10).normal(size=vectors.shape) * 0.05
    assert message("negative_cosine", *planted(kind, noisy, vectors))
    assert not message("negative_cosine", noisy, vectors)


def test_several_losses_of_one_pair_say_it_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pred, target = planted("reversed", *regression(np.random.default_rng(11)))
    np.save("p.npy", pred)
    np.save("t.npy", target)
    assert len(warned(run("compute mse,l1,huber p.npy t.npy"))) == 1
    assert not warned(run("compute mse p.npy t.npy --ignore L043"))
    mask = json.dumps([1] * N)
    assert not warned(run(f"compute mse p.npy t.npy --mask '{mask}'"))


@pytest.mark.parametrize(("loss", "names"), [("mape", ("y_true", "y_pred")), ("mape", ("pred", "target"))])
def test_exchanged_inputs_need_more_than_a_low_loss(loss, names, tmp_path, monkeypatch):
    """A forecast that is thirty times too high has a thirtieth of its percentage error when exchanged, and is no exchange."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(12)
    target = rng.uniform(1, 2, N)
    write_table(tmp_path / "d.csv", **dict(zip(names, ((target * 30).tolist(), target.tolist()), strict=True)))
    found = warned(run(f"compute {loss} d.csv:{names[0]} d.csv:{names[1]}"), "L036")
    assert bool(found) == (names[0] == "y_true")
    for text in found:
        assert text.endswith(f"Right: lossctl compute {loss} d.csv:{names[1]} d.csv:{names[0]}")
        assert obeyed(text.partition(". Right: ")[2], tmp_path) < 1


def test_exchanged_labels_and_probabilities(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    probabilities, labels = binary(np.random.default_rng(13))
    np.save("p.npy", probabilities)
    np.save("t.npy", labels)
    (text,) = warned(run("compute binary_crossentropy_prob t.npy p.npy"), "L036")
    assert obeyed(text.partition(". Right: ")[2], tmp_path) < 0.1
    assert not warned(run("compute binary_crossentropy_prob p.npy t.npy"), "L036")


@pytest.mark.parametrize("stop", [1, 10, 11, 99, 100, 101, 1234, 20_001])
def test_places_in_string_order_are_those_of_a_sort(stop):
    order = np.array(sorted(range(stop), key=str))
    assert np.array_equal(string_ranks(order, stop), np.arange(stop))
    assert np.array_equal(np.sort(scattered(stop)), np.arange(stop))
