"""The slices that carry a difference, and the samples that changed most."""

from itertools import pairwise

import numpy as np
import pytest
from asking import compared, document, table

from lossctl.comparison.explaining import BINS, column_of
from lossctl.errors import UnknownKey, UsageError
from lossctl.statistics.flips import adjust, flip_test

GROUPS = np.array(["u", "v", "w"])


@pytest.fixture
def planted(folder):
    """Two systems that differ in group v alone, where b is worse, and slightly the other way in w."""
    rng = np.random.default_rng(11)
    group = rng.integers(0, 3, 300)
    target, one, noise = rng.normal(size=(3, 300))
    other = one + np.where(group == 1, 1.5, np.where(group == 2, -0.01, 0)) * np.sign(one - target)
    columns = {"id": [f"k{row}" for row in range(300)], "a": one, "b": other, "y": target, "g": GROUPS[group], "x": noise}
    table(folder / "x.csv", **columns)
    return columns


def told(**options):
    return document("l1", ["x.csv:a", "x.csv:b"], target="x.csv:y", **options)["explanations"][0]


def test_slices_share_out_the_difference(planted):
    found = told(explain=["g"])
    change = np.abs(planted["b"] - planted["y"]) - np.abs(planted["a"] - planted["y"])
    slices = {one["name"]: one for one in found["slices"]}
    assert next(iter(slices)) == "v"
    assert sum(one["share"] for one in slices.values()) == pytest.approx(1, rel=1e-12)
    for name, one in slices.items():
        part = change[planted["g"] == name]
        assert (one["n"], one["column"]) == (len(part), "g")
        assert one["difference"] == pytest.approx(part.mean(), rel=1e-9, abs=1e-15)
        assert one["share"] == pytest.approx(part.sum() / change.sum(), rel=1e-9, abs=1e-15)
    assert slices["v"]["significant"]
    assert (slices["w"]["opposite"], slices["v"]["opposite"], slices["u"]["opposite"]) == (True, False, False)
    assert not slices["u"]["significant"]


def test_slices_are_tested_by_flips_and_corrected_by_holm(planted):
    change = np.abs(planted["b"] - planted["y"]) - np.abs(planted["a"] - planted["y"])
    slices = {one["name"]: one for one in told(explain=["g"])["slices"]}
    p = np.array([flip_test(change[planted["g"] == name]).p[0] for name in GROUPS])
    assert [slices[name]["p"] for name in GROUPS] == pytest.approx(p.tolist())
    assert [slices[name]["p_adjusted"] for name in GROUPS] == pytest.approx(adjust(p, "holm").tolist())


def test_examples_have_ids_losses_and_entries(planted):
    found = told(explain=["g,x"], on="id")
    change = np.abs(planted["b"] - planted["y"]) - np.abs(planted["a"] - planted["y"])
    worst = found["worse"]
    assert len(worst) == 5
    assert {planted["g"][one["index"]] for one in worst} == {"v"}
    for one in [*worst, *found["better"]]:
        assert one["id"] == f"k{one['index']}"
        assert one["value"] - one["base"] == pytest.approx(change[one["index"]])
        assert one["columns"] == {"g": planted["g"][one["index"]], "x": str(planted["x"][one["index"]])}
    assert [one["value"] - one["base"] for one in worst] == pytest.approx(np.sort(change)[:-6:-1].tolist())
    assert all(one["value"] < one["base"] for one in found["better"])


def test_numbers_are_cut_at_quantiles(planted):
    slices = [one for one in told(explain=["x"])["slices"] if one["column"] == "x"]
    assert [one["n"] for one in slices] == [60] * BINS
    ends = sorted(tuple(float(end) for end in one["name"].split(" to ")) for one in slices)
    assert ends[0][0] == pytest.approx(planted["x"].min(), rel=1e-3)
    assert ends[-1][1] == pytest.approx(planted["x"].max(), rel=1e-3)
    assert all(before[1] < after[0] for before, after in pairwise(ends))


@pytest.mark.usefixtures("planted")
def test_tables_stand_below():
    titles = [part.title for part in compared("l1", ["x.csv:a", "x.csv:b"], target="x.csv:y", explain=["g", "x"])[0].more]
    assert titles[-3:] == ["slices of g", "slices of x", "what changed most"]


@pytest.mark.usefixtures("planted")
def test_pooled_losses_have_slices_without_shares():
    entry = document("rmse", ["x.csv:a", "x.csv:b"], target="x.csv:y", explain=["g"])["explanations"][0]
    assert entry["slices"][0]["name"] == "v"
    assert {one["share"] for one in entry["slices"]} == {None}
    assert entry["slices"][0]["significant"]


@pytest.mark.usefixtures("planted")
def test_what_cannot_be_explained():
    with pytest.raises(UnknownKey):
        told(explain=["colour"])
    with pytest.raises(UsageError, match="couples samples"):
        document("r2", ["x.csv:a", "x.csv:b"], target="x.csv:y", explain=["g"])


def test_few_numbers_are_categories_in_their_order():
    column = column_of("k", ["10", "9", "", "9"])
    assert (list(column.slices), column.codes.tolist()) == (["9", "10", "(none)"], [1, 0, 2, 0])


def test_many_numbers_with_gaps():
    column = column_of("k", [*(str(number) for number in range(20)), "", "nan"])
    counts = np.bincount(column.codes)
    assert counts.sum() == 22
    assert counts[list(column.slices).index("(none)")] == 2
    assert len(column.slices) == BINS + 1


def test_numbers_that_are_mostly_one():
    column = column_of("k", [*("0" for _ in range(90)), *(str(number) for number in range(1, 31))])
    assert column.slices[0] == "0 to 0" or column.slices[0].startswith("0 to ")
    assert np.bincount(column.codes).min() > 0
