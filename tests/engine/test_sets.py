"""Sets of losses: what fits is computed in the pass that there is anyway, and what does not is left out and said."""

from collections import Counter

import numpy as np
import pytest
from inside import run

from lossctl.engine.opening import prepare
from lossctl.losses import catalogue
from lossctl.request.spec import Spec, parse_losses
from lossctl.sources.npy import NpyPart
from lossctl.sources.source import Given


@pytest.fixture
def folder(tmp_path):
    random = np.random.default_rng(0)
    np.save(tmp_path / "signed.npy", random.normal(size=400))
    np.save(tmp_path / "target.npy", random.normal(size=400))
    np.save(tmp_path / "rates.npy", random.uniform(0.5, 2, 400))
    np.save(tmp_path / "counts.npy", random.uniform(0.5, 2, 400))
    late = random.uniform(0.5, 2, 400_000)
    np.save(tmp_path / "many.npy", late)
    late[-1] = -0.5
    np.save(tmp_path / "late.npy", late)
    return tmp_path


@pytest.fixture
def reads(monkeypatch):
    """Elements that were read of each file."""
    found = Counter()
    read = NpyPart.read

    def counted(self, start, stop, axis=0):
        array = read(self, start, stop, axis)
        found[self.stored.name] += array.size
        return array

    monkeypatch.setattr(NpyPart, "read", counted)
    return found


def names(done):
    return [line.split("\t")[0] for line in done.stdout.splitlines()[1:]]


def alone(name, pred, target, folder):
    done = run(f"compute {name} {pred} {target}", folder)
    return done.stdout.splitlines()[1] if done.code == 0 else None


@pytest.mark.parametrize("pred", ["signed.npy", "rates.npy"])
def test_a_set_is_what_each_of_its_losses_is_alone(folder, pred):
    target = "target.npy" if pred == "signed.npy" else "counts.npy"
    done = run(f"compute @regression {pred} {target}", folder)
    members = [loss.name for loss in catalogue().values() if loss.task == "regression" and len(loss.signature.inputs) == 2]
    each = {name: alone(name, pred, target, folder) for name in members}
    assert done.stdout.splitlines()[1:] == [line for line in each.values() if line]
    left = [name for name, line in each.items() if line is None]
    assert (", ".join(left) in done.stderr) == bool(left)


def test_a_set_reads_its_inputs_once_for_all_losses_that_are_cut_alike(folder, reads):
    assert run("compute @regression rates.npy counts.npy -q", folder).code == 0
    few = dict(reads)
    reads.clear()
    kept = names(run("compute @regression rates.npy counts.npy -q", folder))
    reads.clear()
    assert run(f"compute {','.join(kept)} rates.npy counts.npy -q", folder).code == 0
    assert few == reads


# The members of @regression that refuse targets below zero.
REFUSING = {"poisson_deviance", "gamma_deviance", "keras_poisson", "poisson_nll", "msle", "rmsle"}


@pytest.mark.parametrize("large", [True, False])
@pytest.mark.parametrize(
    "argv",
    [
        "compute {} rates.npy signed.npy",
        "compute {} rates.npy signed.npy --worst 3",
        "compute {} rates.npy signed.npy --stats",
        "compute {} rates.npy signed.npy --per-sample",
        "compare {} rates.npy -t signed.npy",
        "compare {} rates.npy counts.npy -t signed.npy --resamples 99",
        "compare {} rates.npy counts.npy -t signed.npy --suggest-tol",
    ],
)
def test_whether_values_fit_is_not_asked_apart(folder, reads, monkeypatch, argv, large):
    """A member that refuses the values reads them once, to see that it does; the others read as if it were not there."""
    monkeypatch.setattr("lossctl.statistics.arrays.LARGE", 100 if large else 200_000)
    # On one thread, since the samples that constants are looked for on may be read by several at once.
    done = run(f"{argv.format('@regression')} --jobs 1", folder)
    every = Counter(reads)
    reads.clear()
    alone = run(f"{argv.format(','.join(dict.fromkeys(names(done))))} --jobs 1", folder)
    assert (done.code, done.stdout) == (0, alone.stdout)
    assert ("so many samples are not held" in done.stderr) == (large and "--resamples" in argv)
    refusals = len(REFUSING) * (2 if "counts.npy" in argv else 1)
    left = done.stderr.partition("left out, since the inputs do not fit them: ")[2].splitlines()[0].split(", ")
    assert set(left) >= REFUSING
    assert all(count <= reads[name] + 400 * refusals for name, count in every.items())


def test_opening_a_set_reads_nothing(folder, reads, monkeypatch):
    monkeypatch.chdir(folder)
    spec = Spec(parse_losses("@regression"), (Given(text="rates.npy"), Given(text="signed.npy")))
    prepared = prepare(spec, lambda _: None)
    assert REFUSING < {one.loss.name for one in prepared.asked} < set(prepared.members)
    assert not reads


def test_a_value_at_the_very_end_leaves_a_loss_out(folder):
    done = run("compute @regression late.npy many.npy --jobs 3", folder)
    assert done.code == 0
    assert "poisson_deviance" not in names(done)
    assert "poisson_deviance" in done.stderr
    assert "mse" in names(done)


@pytest.mark.parametrize(
    "argv",
    [
        "compute @regression nan.npy counts.npy",
        "compute @regression nan.npy counts.npy --worst 2",
        "compare @regression nan.npy -t counts.npy",
        "compare @regression rates.npy nan.npy -t counts.npy",
        "compare @regression rates.npy nan.npy -t counts.npy --suggest-tol",
    ],
)
@pytest.mark.parametrize("large", [100, 200_000])
def test_what_all_losses_refuse_is_said_as_it_is(folder, monkeypatch, argv, large):
    monkeypatch.setattr("lossctl.statistics.arrays.LARGE", large)
    np.save(folder / "nan.npy", np.r_[np.nan, np.ones(399)])
    done = run(argv, folder)
    assert (done.code, done.stdout, "pred (nan.npy) at [0] is nan" in done.stderr) == (4, "", True), done.stderr


def test_a_loss_that_is_named_is_not_left_out(folder):
    done = run("compute poisson_deviance,@ranking signed.npy target.npy", folder)
    assert done.code == 4


@pytest.mark.parametrize("losses", ["@regression", "@image", "l1,@image"])
def test_parts_of_a_set_compute_the_same_losses(folder, losses):
    for part in (1, 2):
        done = run(f"compute {losses} rates.npy counts.npy --part {part}/2 --partial {part}.json", folder)
        assert done.code == 0, done.stderr
        assert ("r2" in done.stderr) == (losses == "@regression")
    whole = run(f"compute {losses} rates.npy counts.npy", folder).stdout.splitlines()
    assert run("merge 1.json 2.json", folder).stdout.splitlines() == [
        line for line in whole if line[:4] == "loss" or not catalogue()[line.split("\t")[0]].whole
    ]


@pytest.mark.parametrize(
    "argv",
    ["compare @regression signed.npy rates.npy -t target.npy --resamples 99", "compare @regression signed.npy -t target.npy"],
)
def test_a_comparison_leaves_out_what_does_not_fit(folder, argv):
    done = run(argv, folder)
    assert done.code == 0, done.stderr
    assert "left out, since the inputs do not fit them" in done.stderr
    assert "poisson_deviance" not in names(done)
