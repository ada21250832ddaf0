"""Statistics that follow CONTRIBUTING to the letter: in the document, its schema and the table, with many samples and few."""

import json

import contributing
import golden
import numpy as np
import pytest
from asking import compared, document, entries, save

from lossctl.checking.saved import fault
from lossctl.comparison.statistics import STATISTICS, of_moments, of_samples

PREDS = ["a.npy", "b.npy"]


@pytest.fixture
def toys(systems):
    """Two more statistics: the largest gain of a sample, and the mean difference."""
    ours = dict(STATISTICS)
    of_samples("largest_gain", column="largest gain", called="gains")(lambda base, other: float((base - other).max()))
    of_moments("mean_difference")(lambda apart: apart.moments.mean)
    yield {name: (systems[name] - systems["t"]) ** 2 for name in "abc"}
    STATISTICS.clear()
    STATISTICS.update(ours)


def many(monkeypatch):
    """Let 20 samples be too many to hold."""
    for module in ("lossctl.statistics.arrays", "lossctl.comparison.judging", "lossctl.comparison.judging"):
        monkeypatch.setattr(f"{module}.LARGE", 20)


def test_the_recipe_gives_a_key_and_a_column(systems, folder, tmp_path_factory):
    copy = contributing.follow("Add a statistic to compare", tmp_path_factory.mktemp("copy"))
    outcome = golden.run({"argv": "compare mse a.npy b.npy -t t.npy -f json", "env": {"PYTHONPATH": str(copy)}}, folder)
    assert outcome.code == 0, outcome.stderr
    apart = (systems["b"] - systems["t"]) ** 2 - (systems["a"] - systems["t"]) ** 2
    found = json.loads(outcome.stdout)["comparisons"][0]
    assert found["effect_size"] == pytest.approx(apart.mean() / apart.std(ddof=1), rel=1e-12)
    assert list(found)[-2:] == ["skewed", "effect_size"]


def test_they_stand_in_the_document_and_the_table(toys):
    found = entries("mse,rmse", PREDS, target="t.npy")
    assert found["mse", "b"]["largest_gain"] == pytest.approx((toys["a"] - toys["b"]).max(), rel=1e-12)
    assert found["mse", "b"]["mean_difference"] == pytest.approx((toys["b"] - toys["a"]).mean(), rel=1e-12)
    assert found["rmse", "b"]["largest_gain"] is found["rmse", "b"]["mean_difference"] is None
    table = next(part for part in compared("mse,rmse", PREDS, target="t.npy")[0].more if part.title == "sample by sample")
    assert table.columns[-2:] == ("rank correlation", "largest gain")
    assert [row["largest gain"] for row in table.rows] == [found["mse", "b"]["largest_gain"]]


def test_of_many_samples_those_that_need_them_are_left_out_and_said(toys, monkeypatch):
    many(monkeypatch)
    _, _, said = compared("mse", PREDS, target="t.npy")
    assert "so many samples are not held: the top 1 %, trimming, rank correlations and gains are left out" in said
    found = entries("mse", PREDS, target="t.npy")["mse", "b"]
    assert found["largest_gain"] is None
    assert found["mean_difference"] == pytest.approx((toys["b"] - toys["a"]).mean(), rel=1e-12)


@pytest.mark.usefixtures("toys")
def test_groups_have_them_and_the_schema_knows_them(folder):
    save(folder, g=np.arange(60) % 2)
    found = document("mse", PREDS, target="t.npy", by="g.npy")
    assert all("largest_gain" in entry for entry in found["comparisons"])
    assert fault(found, "result-1") == ""
    found["comparisons"][0]["largest_gain"] = "much"
    assert "largest_gain" in fault(found, "result-1")


def test_a_name_is_taken_once():
    with pytest.raises(ValueError, match="a statistic 'wins' already"):
        of_moments("wins")(lambda apart: apart.n)
