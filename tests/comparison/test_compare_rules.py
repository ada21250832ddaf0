"""What a comparison must keep: signs, seeds, other systems, other orders, and what it refuses."""

import numpy as np
import pytest
from asking import compared, document, entries, save, table

from lossctl.engine.fold import fold
from lossctl.errors import BadParameter, NoSuchReduction, NotFinite, ShapeMismatch, UsageError

ALL = ["a.npy", "b.npy", "c.npy"]
TURNED = {"low": "high", "low_one_sided": "high_one_sided"}


@pytest.mark.parametrize("loss", ["mse", "rmse", "r2"])
@pytest.mark.parametrize("size", [3, 60, 200])
def test_the_other_way_round_is_the_negative_to_the_bit(folder, loss, size):
    rng = np.random.default_rng(size)
    target, one, other = rng.normal(size=(3, size))
    save(folder, t=target, a=one, b=other)
    there = entries(loss, ["a.npy", "b.npy"], target="t.npy")[loss, "b"]
    back = entries(loss, ["b.npy", "a.npy"], target="t.npy")[loss, "a"]
    assert there["difference"] == -back["difference"] != 0
    for name, turned in TURNED.items():
        assert (there[name], there[turned]) == (back[turned] and -back[turned], back[name] and -back[name])
    for name in ("p", "p_adjusted", "error", "needed", "detectable"):
        assert there[name] == back[name]
    assert (there["wins"], there["losses"]) == (back["losses"], back["wins"])
    assert loss == "r2" or there["low"] < there["difference"] < there["high"]


@pytest.mark.usefixtures("systems")
@pytest.mark.parametrize("loss", ["mse", "rmse", "huber:delta=0.5"])
def test_another_system_changes_no_raw_p(loss):
    alone, beside = (entries(loss, preds, target="t.npy")[loss, "b"] for preds in (ALL[:2], ALL))
    changing = {"p_adjusted", "verdict", "seed_flips", "needed"}
    assert {name: one for name, one in alone.items() if name not in changing} == {
        name: one for name, one in beside.items() if name not in changing
    }


def test_identical_systems(systems, folder):
    np.save(folder / "same.npy", systems["a"])
    for loss in ("mse", "rmse"):
        entry = entries(loss, ["a.npy", "same.npy"], target="t.npy")[loss, "same"]
        assert (entry["p"], entry["p_adjusted"], entry["verdict"], entry["difference"]) == (1.0, 1.0, "identical", 0.0)
        assert (entry["low"], entry["high"]) == (0.0, 0.0)


@pytest.mark.parametrize(("size", "p"), [(1, 1.0), (2, 0.5), (5, 2 / 32)])
def test_few_samples(folder, size, p):
    save(folder, t=np.zeros(size), a=np.arange(1.0, size + 1), b=np.arange(1.0, size + 1) * 3)
    entry = entries("l1", ["a.npy", "b.npy"], target="t.npy")["l1", "b"]
    assert (entry["p"], entry["n"], entry["verdict"]) == (p, size, "undecided")
    assert (entry["low"] is None) == (size == 1)


def test_constant_differences(folder):
    save(folder, t=np.zeros(60), a=np.ones(60), b=np.full(60, 3.0))
    entry = entries("l1", ["a.npy", "b.npy"], target="t.npy")["l1", "b"]
    assert (entry["low"], entry["high"], entry["verdict"]) == (2.0, 2.0, "worse")
    assert entry["p"] <= 0.0002


@pytest.mark.usefixtures("systems")
def test_seeds_and_resamples():
    one, again, other = (entries("mse", ALL, target="t.npy", seed=seed)["mse", "b"] for seed in (0, 0, 1))
    assert one == again
    assert one["p"] != other["p"]
    assert abs(one["p"] - other["p"]) < 0.03
    fewer = entries("mse", ALL, target="t.npy", resamples=99)["mse", "b"]["p"]
    assert fewer * 100 == pytest.approx(round(fewer * 100))


@pytest.mark.usefixtures("systems")
def test_alpha_moves_verdicts_and_intervals():
    strict, loose = (entries("mse", ALL, target="t.npy", alpha=alpha)["mse", "c"] for alpha in (0.001, 0.2))
    assert strict["low"] < loose["low"]
    assert loose["high"] < strict["high"]
    assert strict["p"] == loose["p"]


@pytest.mark.usefixtures("systems")
def test_jobs_change_nothing():
    one = document("mse,rmse", ALL, target="t.npy", jobs=1)
    assert document("mse,rmse", ALL, target="t.npy", jobs=8) == one


@pytest.mark.usefixtures("systems")
def test_blocks_change_no_verdict(monkeypatch):
    one = entries("mse,rmse", ALL, target="t.npy")
    monkeypatch.setattr("lossctl.engine.fold.fold.__kwdefaults__", {**fold.__kwdefaults__, "block": 7})
    other = entries("mse,rmse", ALL, target="t.npy")
    for key, entry in one.items():
        assert other[key]["p"] == entry["p"]
        assert other[key]["difference"] == pytest.approx(entry["difference"], rel=1e-12)


def test_rows_that_any_system_lacks_are_left_out_of_all(systems, folder):
    kept = np.ones(60, bool)
    for name, row in (("a", 3), ("b", 17), ("b", 40)):
        systems[name][row], kept[row] = np.nan, False
    save(folder, **systems)
    entry = entries("mse", ALL, target="t.npy", nan="skip")["mse", "b"]
    save(folder, **{name: array[kept] for name, array in systems.items()})
    assert entry == entries("mse", ALL, target="t.npy")["mse", "b"]
    assert entry["n"] == 57


def test_a_row_that_is_no_number_is_named_with_its_file(systems, folder):
    systems["b"][7] = np.nan
    save(folder, **systems)
    with pytest.raises(NotFinite, match=r"b\.npy"):
        document("mse", ALL, target="t.npy")
    entry = entries("mse", ALL, target="t.npy", nan="propagate")["mse", "b"]
    assert (entry["verdict"], entry["value"], entry["why"]) == ("not tested", None, "it is not finite")


def test_weights_and_masks(systems, folder):
    rng = np.random.default_rng(9)
    weights, mask = rng.uniform(size=60), rng.integers(0, 2, 60)
    save(folder, w=weights, m=mask)
    change = (systems["b"] - systems["t"]) ** 2 - (systems["a"] - systems["t"]) ** 2
    weighted = entries("mse", ALL, target="t.npy", weights="w.npy")["mse", "b"]
    assert weighted["difference"] == pytest.approx(np.sum(weights * change) / np.sum(weights), rel=1e-12)
    masked = entries("mse", ALL, target="t.npy", mask="m.npy")["mse", "b"]
    save(folder, **{name: array[mask == 1] for name, array in systems.items()})
    assert masked == entries("mse", ALL, target="t.npy")["mse", "b"]


def test_groups_are_comparisons_of_their_own(systems, folder):
    groups = np.arange(60) % 2
    save(folder, g=groups)
    found = entries("mse,rmse", ALL, target="t.npy", by="g.npy")
    assert len(found) == 2 * 2 * 3
    save(folder, **{name: array[groups == 1] for name, array in systems.items()})
    alone = entries("mse,rmse", ALL, target="t.npy")
    for key, entry in alone.items():
        grouped = found[(*key, "1")]
        assert grouped.pop("group") == "1"
        assert grouped["verdict"] == entry["verdict"]
        words = {name for name, item in entry.items() if isinstance(item, str | bool | None)}
        numbers = [{name: one[name] for name in one if name not in words} for one in (grouped, entry)]
        assert numbers[0] == pytest.approx(numbers[1], rel=1e-9)


def test_order_and_groups_go_together(systems, folder):
    groups, times = np.arange(60) % 2, np.random.default_rng(1).permutation(60)
    save(folder, g=groups, w=times)
    found = entries("mse", ALL, target="t.npy", by="g.npy", order="w.npy", horizon=3)
    place = np.argsort(times)
    place = place[groups[place] == 0]
    save(folder, **{name: array[place] for name, array in systems.items()})
    assert found["mse", "b", "0"]["p"] == pytest.approx(entries("mse", ALL, target="t.npy", horizon=3)["mse", "b"]["p"])


@pytest.mark.usefixtures("folder")
def test_dates_are_an_order(folder):
    rng = np.random.default_rng(3)
    target, one, other = rng.normal(size=(3, 30))
    days = [f"2024-01-{day:02}" for day in range(1, 31)]
    table(folder / "x.csv", day=days, a=one, b=other, y=target)
    mixed = rng.permutation(30)
    table(folder / "m.csv", day=np.array(days)[mixed], a=one[mixed], b=other[mixed], y=target[mixed])
    straight, sorted_ = (
        entries("mse", [f"{name}.csv:a", f"{name}.csv:b"], target=f"{name}.csv:y", order="day", horizon=4)["mse", "b"]
        for name in ("x", "m")
    )
    assert straight["test"] == "Diebold-Mariano"
    for name in ("p", "low", "high", "error"):
        assert sorted_[name] == pytest.approx(straight[name], rel=1e-12)
    assert straight["low"] == pytest.approx(2 * straight["difference"] - straight["high"])


def test_clusters_are_flipped_as_a_whole(systems, folder):
    twice = {name: np.repeat(array, 2) for name, array in systems.items()}
    save(folder, **twice, u=np.repeat(np.arange(100, 160), 2))
    plain, clustered = (entries("mse", ALL, target="t.npy", **more)["mse", "b"] for more in ({}, {"cluster_by": "u.npy"}))
    save(folder, **systems)
    single = entries("mse", ALL, target="t.npy")["mse", "b"]
    assert clustered["p"] == single["p"] > plain["p"]
    assert (clustered["units"], clustered["n"]) == (60, 120)
    assert clustered["error"] == pytest.approx(single["error"])


@pytest.mark.usefixtures("systems")
@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"test": "t", "cluster_by": "t.npy"}, UsageError),
        ({"test": "flip", "horizon": 2}, UsageError),
        ({"test": "t", "order": "t.npy"}, UsageError),
        ({"correction": "bonferroni"}, BadParameter),
        ({"alpha": 0.5}, BadParameter),
        ({"alpha": 0.0}, BadParameter),
        ({"reduction": "none"}, NoSuchReduction),
        ({"reduction": "batchmean"}, NoSuchReduction),
        ({"suggest_tol": True, "baseline": "a.npy"}, UsageError),
        ({"test": "mcnemar"}, UsageError),
    ],
)
def test_what_is_refused(options, error):
    with pytest.raises(error):
        document("mse", ALL, **{"target": "t.npy", **options})


@pytest.mark.usefixtures("systems")
@pytest.mark.parametrize("preds", [["a.npy", "b.npy", "a.npy"], ["a.npy", "./a.npy"]])
def test_the_same_file_twice(preds):
    with pytest.raises(UsageError, match="given twice"):
        document("mse", preds, target="t.npy")


@pytest.mark.usefixtures("systems")
def test_tests_that_no_pooled_loss_has():
    with pytest.raises(UsageError, match="rmse"):
        document("mse,rmse", ALL, target="t.npy", test="t")


def test_other_lengths(systems, folder):
    np.save(folder / "b.npy", systems["b"][:-1])
    with pytest.raises(ShapeMismatch):
        document("mse", ALL, target="t.npy")


@pytest.mark.usefixtures("systems")
def test_the_baseline_comes_first_and_only_once():
    entry = next(iter(entries("mse", ALL, target="t.npy", baseline="./c.npy").values()))
    assert (entry["baseline"], entry["system"]) == ("c", "a")
    assert compared("mse", ALL, target="t.npy", baseline="c.npy")[0].rows[0]["system"] == "c"
