"""What `grad --tensorboard` writes, read back by TensorBoard's own reader and compared with NumPy."""

import os
import sys
from itertools import pairwise

import golden
import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from lossctl.cli.program import program
from lossctl.errors import InputError
from lossctl.gradient.profile import Profile, Span, check_board, histogram, look, write_board

NO_TENSORBOARD = "import sys; sys.modules['tensorboard'] = None"
FIGURES = ("norm", "mean", "max", "zeros", "saturated", "top_1_percent", "not_finite")


def grad(argv):
    """Run it in this process and in this folder; return what it has to print."""
    return program()(["grad", *argv.split()], prog_name="lossctl", standalone_mode=False).text


def process(folder, argv, prelude="", code=0):
    """Run it as users do."""
    found = golden.run({"argv": f"grad {argv}", "prelude": prelude}, folder)
    assert found.code == code, found.stderr
    return found


def events(folder):
    """Everything in a folder for TensorBoard."""
    reader = EventAccumulator(str(folder), size_guidance={"histograms": 0, "scalars": 0})
    reader.Reload()
    return reader


def scalars(folder, tag):
    return {event.step: event.value for event in events(folder).Scalars(tag)}


def histograms(folder, tag):
    return {event.step: event.histogram_value for event in events(folder).Histograms(tag)}


def counted(values, limits):
    """Count in bins that hold their lower edge below zero, and their upper edge above it."""
    edges = np.asarray([-np.inf, *limits])
    between = [
        (values >= low) & (values < high) if high < 0 else (values > low) & (values <= high) for low, high in pairwise(edges)
    ]
    return [int(part.sum()) for part in between]


def check_histogram(found, values):
    """Compare with NumPy, whose operations have another order."""
    assert found.num == values.size
    assert (found.min, found.max) == pytest.approx((values.min(), values.max()), rel=1e-12)
    assert found.sum == pytest.approx(values.sum(), rel=1e-12, abs=1e-15)
    assert found.sum_squares == pytest.approx((values**2).sum(), rel=1e-12)
    limits = list(found.bucket_limit)
    assert limits == sorted(set(limits))
    assert list(found.bucket) == counted(values, limits)
    assert sum(found.bucket) == values.size


@pytest.fixture
def pair(tmp_path, monkeypatch):
    """A gradient with zeros, both signs and many octaves."""
    monkeypatch.chdir(tmp_path)
    draw = np.random.default_rng(7)
    pred = draw.normal(size=(300, 4)) * 10.0 ** draw.integers(-6, 0, size=(300, 4))
    target = np.where(draw.random((300, 4)) < 0.1, pred, draw.normal(size=(300, 4)) / 2)
    np.save(tmp_path / "pred.npy", pred)
    np.save(tmp_path / "target.npy", target)
    return pred, target


def test_the_histogram_is_that_of_the_gradient(pair, tmp_path):
    pred, target = pair
    grad("mse pred.npy target.npy --tensorboard runs/one")
    assert events(tmp_path / "runs" / "one").Tags()["histograms"] == ["grad/mse/pred"]
    (found,) = histograms(tmp_path / "runs" / "one", "grad/mse/pred").values()
    values = 2 * (pred - target) / pred.size
    assert (values == 0).any()
    check_histogram(found, values)


def test_the_figures_are_those_of_the_gradient(pair, tmp_path):
    pred, target = pair
    grad("mse pred.npy target.npy --tensorboard runs")
    values = 2 * (pred - target) / pred.size
    lengths = np.sort(np.sqrt((values**2).sum(axis=1)))
    expected = {
        "norm": np.sqrt((values**2).sum()),
        "mean": values.mean(),
        "max": np.abs(values).max(),
        "zeros": (values == 0).mean(),
        "saturated": (np.abs(2 * (pred - target)) < 1e-6).mean(),
        "top_1_percent": lengths[-3:].sum() / lengths.sum(),
        "not_finite": 0,
    }
    assert events(tmp_path / "runs").Tags()["scalars"] == ["loss/mse", *(f"grad_{key}/mse/pred" for key in FIGURES)]
    assert scalars(tmp_path / "runs", "loss/mse")[0] == pytest.approx(((pred - target) ** 2).mean(), rel=1e-6)
    for key in FIGURES:
        assert scalars(tmp_path / "runs", f"grad_{key}/mse/pred")[0] == pytest.approx(expected[key], rel=1e-6), key


@pytest.mark.usefixtures("pair")
def test_every_step_adds_to_the_folder(tmp_path):
    for step in (5, 0, 12):
        grad(f"huber:delta=0.5 pred.npy target.npy --tensorboard runs --step {step}")
    tag = "huber:delta=0.5"
    assert (
        set(scalars(tmp_path / "runs", f"loss/{tag}")) == set(histograms(tmp_path / "runs", f"grad/{tag}/pred")) == {0, 5, 12}
    )
    assert all("tfevents" in path.name for path in (tmp_path / "runs").iterdir())


def test_terms_have_a_total_and_values_of_their_own(configs, monkeypatch):
    monkeypatch.chdir(configs)
    shown = grad("multitask.yaml --tensorboard runs --format json")
    found = events(configs / "runs").Tags()
    assert set(found["histograms"]) == {"grad/total/class.pred", "grad/total/box.pred"}
    assert {"loss/total", "loss/class", "loss/box", "grad_norm/total/box.pred"} <= set(found["scalars"])
    assert scalars(configs / "runs", "loss/total")[0] == pytest.approx(0.4705045304362775, rel=1e-6)
    assert scalars(configs / "runs", "loss/box")[0] == pytest.approx(0.16796875, rel=1e-6)
    assert shown.startswith("{")


def test_terms_that_pull_at_one_array_are_shown_together(pair, tmp_path):
    pred, target = pair
    (tmp_path / "two.yaml").write_text(
        "inputs: {pred: pred.npy, target: target.npy}\n"
        "terms:\n  - {name: near, loss: mse}\n  - {name: far, loss: l1, weight: 2}\n"
    )
    grad("two.yaml --tensorboard runs")
    values = (2 * (pred - target) + 2 * np.sign(pred - target)) / pred.size
    found = histograms(tmp_path / "runs", "grad/total/pred")[0]
    assert found.num == values.size
    assert (found.min, found.max) == pytest.approx((values.min(), values.max()), rel=1e-12)
    assert found.bucket[len(found.bucket) // 2] == (values == 0).sum()


def test_a_derivative_by_a_parameter_is_a_scalar(pair, tmp_path):
    grad("huber:delta=0.5 pred.npy target.npy --wrt param:delta --tensorboard runs")
    pred, target = pair
    size = np.abs(pred - target)
    expected = np.where(size > 0.5, size - 0.5, 0).mean()
    assert scalars(tmp_path / "runs", "derivative/huber:delta=0.5/param:delta")[0] == pytest.approx(expected, rel=1e-6)
    assert events(tmp_path / "runs").Tags()["histograms"] == []


@pytest.mark.usefixtures("pair")
def test_nothing_is_printed_beside_the_result(tmp_path):
    (tmp_path / "noisy").mkdir()
    (tmp_path / "noisy" / "tensorflow.py").write_text("print('noise')\nraise ImportError\n")
    prelude = f"import sys; sys.path.insert(0, {str(tmp_path / 'noisy')!r})"
    plain = process(tmp_path, "mse pred.npy target.npy -b --max mse.norm=1e9")
    seen = process(tmp_path, "mse pred.npy target.npy -b --max mse.norm=1e9 --tensorboard runs", prelude)
    assert seen.stdout == plain.stdout
    assert "noise" in seen.stderr, "nothing was there to be kept off stdout"


def test_without_the_package_nothing_is_read(tmp_path):
    seen = process(tmp_path, "mse missing.npy missing.npy --tensorboard runs", NO_TENSORBOARD, code=6)
    said = "lossctl: --tensorboard needs the package 'tensorboard', which is not installed."
    assert seen.stderr == f"{said} Run: pip install 'lossctl[tensorboard]'\n"
    assert not (tmp_path / "runs").exists()


@pytest.mark.usefixtures("pair")
def test_without_the_option_the_package_is_not_missed(tmp_path):
    assert process(tmp_path, "mse pred.npy target.npy -q", NO_TENSORBOARD).stdout


@pytest.mark.usefixtures("pair")
def test_a_run_that_fails_leaves_no_events(tmp_path):
    process(tmp_path, "mse pred.npy missing.npy --tensorboard runs", code=3)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("folder", ["pred.npy", "pred.npy/deeper"])
@pytest.mark.usefixtures("pair")
def test_a_file_is_no_folder(folder, tmp_path):
    seen = process(tmp_path, f"mse missing.npy missing.npy --tensorboard {folder}", code=3)
    assert f"could not be written to '{folder}': '{tmp_path / 'pred.npy'}' is no folder" in seen.stderr


def test_a_folder_that_may_not_be_written_to_is_refused_first(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda place, _: str(place) != str(tmp_path))
    with pytest.raises(InputError, match=f"nothing may be written in '{tmp_path}'"):
        check_board(str(tmp_path / "runs" / "deep"))
    (tmp_path / "runs").mkdir()
    check_board(str(tmp_path / "runs" / "deep"))


def test_a_folder_that_cannot_be_made_leaves_nothing(tmp_path):
    (tmp_path / "runs").symlink_to(tmp_path / "nowhere" / "at" / "all")
    with pytest.raises(InputError, match="could not be written to"):
        write_board(str(tmp_path / "runs"), 0, {"loss/mse": 1.0}, {})
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


@pytest.mark.parametrize(
    "values",
    [
        np.zeros(5),
        np.array([3.0]),
        np.array([-3.0, -4.0]),
        np.array([5e-324, -1e-310, 2.0]),
        np.array([sys.float_info.max, -sys.float_info.max, 1.0, 0.0]),
    ],
    ids=["zeros", "one", "negative", "subnormal", "huge"],
)
def test_edges_of_the_histogram(values):
    found, span = Profile(), Span()
    with np.errstate(over="ignore"):
        found.add(look(values, (0,), 0, 0.0))
    span.put(values, 0)
    made = histogram(found, span)
    assert (made.min, made.max, made.num) == (values.min(), values.max(), values.size)
    assert sum(made.bucket_counts) == values.size
    assert np.isfinite(made.bucket_limits).all()
    assert (np.diff(made.bucket_limits) > 0).all()


def test_what_is_not_finite_is_left_out_of_the_histogram():
    values = np.array([np.nan, 2.0, np.inf, 3.0, -np.inf])
    found, span = Profile(), Span()
    found.add(look(values, (0,), 0, 0.0))
    span.put(values, 0)
    made = histogram(found, span)
    assert (made.min, made.max, made.num, made.sum, made.sum_squares) == (2.0, 3.0, 2, 5.0, 13.0)
    assert sum(made.bucket_counts) == 2
