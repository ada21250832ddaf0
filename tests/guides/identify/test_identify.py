"""Reported numbers are found again, by the name, the parameters and the reduction that gave them."""

import json
import math
import shlex
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from planted import DATA, PLANTED, data
from typer.testing import CliRunner

from lossctl.commands.identify import Identifying, reported_of, run
from lossctl.errors import BadParameter, Undecided, UsageError
from lossctl.guides.identify.ranking import Candidate, Reduced, rank, read_reported
from lossctl.request.arguments import compute_spec

IDS = [f"{kind}: {loss} {', '.join(departs)}" for kind, loss, departs, _ in PLANTED]
planted = pytest.mark.parametrize(("kind", "loss", "departs", "value"), PLANTED, ids=IDS)


def asked(folder, value: str, kind: str, **options):
    pred, target = data(kind)
    np.save(folder / "pred.npy", pred)
    np.save(folder / "target.npy", target)
    sources = [str(folder / "pred.npy"), str(folder / "target.npy")]
    words = replace(Identifying(value=value), **options)
    spec = compute_spec(["mse", *sources], words, set())
    report, error = run(spec, reported_of(words, sources, set()), lambda _: None, top=words.top, document=True)
    return report.document, error


def ways(candidate):
    return [(one["loss"], tuple(one["departs"])) for one in (candidate, *candidate["same"])]


@planted
def test_a_number_of_four_digits_is_found(kind, loss, departs, value, tmp_path):
    document, error = asked(tmp_path, f"{value(kind):#.4g}", kind)
    assert error is None
    assert any((loss, departs) in ways(one) for one in document["candidates"][:3])


@planted
def test_a_number_of_all_digits_comes_first(kind, loss, departs, value, tmp_path):
    document, error = asked(tmp_path, repr(value(kind)), kind)
    assert error is None
    assert (loss, departs) in ways(document["candidates"][0])


def test_the_command_of_a_candidate_gives_its_value(tmp_path, monkeypatch):
    from lossctl.cli.program import program

    monkeypatch.chdir(tmp_path)
    seen = set()
    for kind, _, _, value in PLANTED[::2]:
        document, _ = asked(tmp_path, repr(value(kind)), kind)
        first = document["candidates"][0]
        if first["command"] and first["command"] not in seen:
            seen.add(first["command"])
            words = shlex.split(first["command"])[1:]
            printed = CliRunner().invoke(program(), [*words, "-f", "json"], standalone_mode=False).return_value
            (result,) = json.loads(printed.text)["results"]
            assert result["value"] == pytest.approx(first["value"], rel=1e-12)
    assert len(seen) > 12


@pytest.mark.usefixtures("doubles")
def test_the_line_of_torch_gives_the_value(tmp_path):
    tried = 0
    for kind, _, _, value in PLANTED[1::2]:
        pred, target = map(torch.tensor, data(kind))
        number = value(kind)
        document, _ = asked(tmp_path, repr(number), kind)
        for line in document["candidates"][0]["python"]:
            if "torch" in line and "one_hot" not in line and kind != "column":
                names = {"torch": torch, "math": math, "pred": pred, "target": floating(line, target)}
                with np.errstate(all="ignore"):
                    assert float(eval(line, names)) == pytest.approx(number, rel=2e-6)  # noqa: S307 - our own line
                tried += 1
    assert tried > 12


@pytest.fixture
def doubles():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def floating(line, target):
    return target.double() if "binary_cross" in line else target


@pytest.mark.parametrize(
    ("line", "value", "call"),
    [
        ("real", "mse", "keras.losses.MeanSquaredError()(target, pred)"),
        ("real", "mse", "sklearn.metrics.mean_squared_error(target, pred)"),
        ("chances", "log_loss", "sklearn.metrics.log_loss(target, pred)"),
        ("chances", "binary_crossentropy_prob", "keras.losses.BinaryCrossentropy()(target, pred)"),
    ],
)
def test_other_frameworks_are_named(line, value, call, tmp_path):
    number = next(give(kind) for kind, loss, departs, give in PLANTED if (kind, loss, departs) == (line, value, ()))
    document, _ = asked(tmp_path, repr(number), line)
    assert call in document["candidates"][0]["python"]


def test_what_nothing_gives_is_undecided_with_the_nearest(tmp_path):
    document, error = asked(tmp_path, "123456.789", "real")
    assert isinstance(error, Undecided)
    assert error.message.startswith("Nothing in the catalogue gives 123456.789; nearest: ")
    assert [one["match"] for one in document["candidates"]] == [False] * 3


def test_few_digits_are_not_oversold(tmp_path):
    number = f"{float(np.mean((DATA['real'][0] - DATA['real'][1]) ** 2)):.17g}"
    chances = [asked(tmp_path, number[:digits], "real")[0]["by_chance"] for digits in (3, 4, 6)]
    assert chances[0] > 9 * chances[1] > 80 * chances[2] > 0


def test_chance_is_how_many_agree_with_numbers_that_nobody_computed():
    rng = np.random.default_rng(3)
    trial = SimpleNamespace(bound=SimpleNamespace(loss=SimpleNamespace(name="mse", torch="mse_loss")))
    crowd = [Candidate(trial, Reduced(float(value)), ()) for value in np.exp(rng.uniform(-4, 4, 4000))]
    ranked = [rank(crowd, read_reported(f"{value:.3g}")) for value in np.exp(rng.uniform(-1, 1, 300))]
    found, expected = [len(one.matches) for one in ranked], [one.chance for one in ranked]
    assert np.mean(found) == pytest.approx(np.mean(expected), rel=0.1)


def test_rtol_widens(tmp_path):
    exact = float(np.mean((DATA["real"][0] - DATA["real"][1]) ** 2))
    assert isinstance(asked(tmp_path, f"{exact * 1.0003:.12g}", "real", top=1)[1], Undecided)
    document, error = asked(tmp_path, f"{exact * 1.0003:.12g}", "real", rtol=1e-3)
    assert error is None
    assert document["candidates"][0]["loss"] == "mse"


def test_parameters_that_are_typed_stay(tmp_path):
    pred, target = map(torch.tensor, DATA["real"])
    value = float(torch.nn.functional.huber_loss(pred, target, delta=0.3))
    document, _ = asked(tmp_path, repr(value), "real", param=["delta=0.3"])
    assert (document["candidates"][0]["loss"], document["candidates"][0]["departs"]) == ("huber", [])
    assert "huber:delta=0.3" in document["candidates"][0]["command"]


def test_a_loss_of_three_inputs_and_a_standard_deviation_for_its_variance(tmp_path):
    pred, target = data("real")
    np.save(tmp_path / "var.npy", np.full(len(pred), 0.8))
    value = float(
        torch.nn.functional.gaussian_nll_loss(
            *map(torch.tensor, (pred, target)), torch.full((len(pred),), 0.64, dtype=torch.float64)
        )
    )
    document, _ = asked(tmp_path, repr(value), "real", input=[f"var={tmp_path / 'var.npy'}"])
    assert ("gaussian_nll", ("var is a standard deviation",)) in ways(document["candidates"][0])


def test_nan_and_infinity_name_the_losses_that_give_them(tmp_path):
    np.save(tmp_path / "nan.npy", np.array([1.0, np.nan, 3.0]))
    words = Identifying(value="nan", top=1000)
    sources = [str(tmp_path / "nan.npy")] * 2
    report, error = run(
        compute_spec(["mse", *sources], words, set()),
        reported_of(words, sources, set()),
        lambda _: None,
        top=words.top,
        document=False,
    )
    assert error is None
    assert {"mse", "l1", "rmse", "huber"} <= {row["loss"] for row in report.rows}
    assert {row["command"] for row in report.rows if row["loss"] == "l1" and row["departs"] == "nothing"} == {
        f"lossctl compute l1 {sources[0]} {sources[1]} --nan=propagate"
    }


def test_blocks_change_nothing(tmp_path):
    rng = np.random.default_rng(0)
    pred, target = rng.normal(size=(2, 700_001))
    means = [((pred[i : i + 64] - target[i : i + 64]) ** 2).mean() for i in range(0, len(pred), 64)]
    for name, array in (("pred", pred), ("target", target)):
        np.save(tmp_path / f"{name}.npy", array)
    words = Identifying(value=repr(float(np.mean(means))))
    sources = [str(tmp_path / "pred.npy"), str(tmp_path / "target.npy")]
    spec = compute_spec(["mse", *sources], words, set())
    report, _ = run(spec, reported_of(words, sources, set()), lambda _: None, top=words.top, document=True)
    assert ("mse", ("mean of the means of batches of 64",)) in ways(report.document["candidates"][0])


def test_ten_thousand_samples_take_less_than_three_seconds(tmp_path):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "pred.npy", rng.normal(size=(10_000, 10)))
    np.save(tmp_path / "target.npy", rng.integers(0, 10, 10_000))
    words = Identifying(value="2.8")
    sources = [str(tmp_path / "pred.npy"), str(tmp_path / "target.npy")]
    spec = compute_spec(["mse", *sources], words, set())
    start = time.process_time()
    run(spec, reported_of(words, sources, set()), lambda _: None, top=words.top, document=False)
    assert time.process_time() - start < 6, "two cores for three seconds"


@pytest.mark.parametrize(
    ("text", "value", "half", "digits"),
    [
        ("0.3655", 0.3655, 5e-5, 4),
        ("0.36550", 0.3655, 5e-6, 5),
        ("1e-3", 1e-3, 5e-4, 1),
        ("1.20e2", 120, 0.5, 3),
        ("-2", -2, 0.5, 1),
        ("0", 0, 0, 0),
        ("0.00", 0, 5e-3, 1),
        ("inf", math.inf, 0, 0),
    ],
)
def test_digits_say_how_near_is_near(text, value, half, digits):
    found = read_reported(text)
    assert (found.value, found.digits) == (value, digits)
    assert found.half == pytest.approx(half)
    assert found.agrees(value)
    assert not found.agrees(value - 1.01 * half - 1e-6 if math.isfinite(value) else 1.0)


def test_a_whole_zero_is_exactly_zero():
    assert read_reported("0").agrees(0.0)
    assert not read_reported("0").agrees(1e-9)


@pytest.mark.parametrize(
    ("value", "sources", "error"), [("", ["a"], UsageError), ("1", [], UsageError), ("x", ["a"], BadParameter)]
)
def test_what_is_missing_is_said(value, sources, error):
    with pytest.raises(error):
        reported_of(Identifying(value=value), sources, set())
