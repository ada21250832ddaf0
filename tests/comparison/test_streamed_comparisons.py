"""Comparisons of more samples than are held at once: every figure is that of the same samples in memory."""

import json
import pickle

import numpy as np
import pytest
from asking import compared, document, entries, save
from scipy import stats

from lossctl.comparison import comparing, judging, measured, streaming
from lossctl.errors import GateFailed, TooLarge, UsageError
from lossctl.statistics import arrays
from lossctl.statistics.sums import Higher

# What needs the order of samples by size.
ORDERED = {"top_1_percent", "trimming_flips", "rank_correlation"}
N = 3000


@pytest.fixture
def many(folder, monkeypatch):
    """Three systems of so many samples that more than 100 are many."""
    for module in (arrays, judging, judging, measured):
        monkeypatch.setattr(module, "LARGE", 100)
    rng = np.random.default_rng(11)
    target = rng.normal(size=N)
    preds = {name: target + scale * rng.normal(size=N) for name, scale in (("a", 1.0), ("b", 1.02), ("c", 0.9))}
    weights, groups = rng.integers(0, 4, N).astype(float), rng.integers(0, 3, N)
    labels = {f"l{name}": (pred > 0).astype(int) for name, pred in preds.items()}
    save(folder, t=target, w=weights, g=groups, lt=(target > 0).astype(int), **preds, **labels)
    return folder


def both(monkeypatch, *asked, **options):
    """The comparisons as they are streamed, and as they are with every sample in memory."""
    streamed = entries(*asked, **options)
    with monkeypatch.context() as patch:
        patch.setattr(comparing, "streams", lambda *_, **__: False)
        return streamed, entries(*asked, **options)


def agree(streamed, held, *, besides=frozenset()):
    assert streamed.keys() == held.keys()
    assert streamed
    for key, one in streamed.items():
        assert one.keys() == held[key].keys()
        for name in one.keys() - ORDERED - besides:
            wanted = held[key][name]
            exact = wanted is None or isinstance(wanted, str | bool)
            assert one[name] == (wanted if exact else pytest.approx(wanted, rel=1e-9, abs=1e-300, nan_ok=True)), (key, name)
        assert {one[name] for name in ORDERED} == {None}


PREDS = ["a.npy", "b.npy", "c.npy"]


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"weights": "w.npy"},
        {"weights": "w.npy", "reduction": "sum"},
        {"reduction": "sum"},
        {"mask": "m.npy", "test": "t"},
        {"by": "g.npy"},
        {"by": "g.npy", "weights": "w.npy"},
        {"correction": "bh", "alpha": 0.01, "test": "t"},
    ],
    ids=str,
)
def test_means_have_the_figures_of_samples_in_memory(monkeypatch, options):
    if "mask" in options:
        np.save("m.npy", (np.load("w.npy") > 0).astype(int))
        options = {**options, "mask": "m.npy"}
    agree(*both(monkeypatch, "mse,l1", PREDS, target="t.npy", **options))


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("options", [{}, {"weights": "w.npy"}, {"by": "g.npy"}], ids=str)
def test_losses_that_are_no_means_have_the_jackknife_s_t(monkeypatch, options):
    streamed, held = both(monkeypatch, "rmse", PREDS, target="t.npy", **options)
    tested = {"p", "p_adjusted", "test", "seed_flips", "verdict", "needed"}
    agree(streamed, held, besides=tested)
    for key, one in streamed.items():
        assert one["test"] == "jackknife t"
        assert held[key]["test"] == "swaps"
        wanted = 2 * stats.t.sf(abs(one["difference"]) / one["error"], one["units"] - 1)
        assert one["p"] == pytest.approx(wanted, rel=1e-9)
        assert abs(one["p"] - held[key]["p"]) < 0.02


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("test", ["auto", "mcnemar", "t"])
def test_zeros_and_ones_have_the_same_test(monkeypatch, test):
    streamed, held = both(monkeypatch, "zero_one", ["la.npy", "lb.npy", "lc.npy"], target="lt.npy", test=test)
    agree(streamed, held)
    assert {one["test"] for one in streamed.values()} == {"paired t" if test == "t" else "McNemar"}


@pytest.mark.parametrize("groups", [{}, {"by": "g.npy"}])
def test_levels_that_systems_do_not_share_are_no_matter_of_counts(monkeypatch, many, groups):
    rng = np.random.default_rng(3)
    wrong = {name: rng.random(N) < share for name, share in (("x", 0.4), ("y", 0.1))}
    save(many, z=np.zeros(N), x=wrong["x"] * 1.0, y=wrong["y"] * 2.0)
    streamed, held = both(monkeypatch, "mse", ["x.npy", "y.npy"], target="z.npy", **groups)
    agree(streamed, held)
    assert {one["test"] for one in streamed.values()} == {"paired t"}
    whole = next(one for key, one in streamed.items() if key[2:] in {(), ("",), ("(all)",)})
    wanted = stats.ttest_rel(4.0 * wrong["y"], 1.0 * wrong["x"])
    assert whole["p"] == pytest.approx(wanted.pvalue, rel=1e-6)
    with pytest.raises(UsageError, match="both systems share"):
        document("mse", ["x.npy", "y.npy"], target="z.npy", test="mcnemar")


@pytest.mark.usefixtures("many")
def test_the_same_predictions_are_identical():
    np.save("same.npy", np.load("a.npy"))
    one = entries("mse,rmse", ["a.npy", "same.npy"], target="t.npy")["rmse", "same"]
    assert (one["verdict"], one["p"], one["difference"]) == ("identical", 1.0, 0.0)


@pytest.mark.usefixtures("many")
def test_skipped_samples_and_losses_that_couple_samples(monkeypatch):
    pred = np.load("b.npy")
    pred[5] = np.nan
    np.save("b.npy", pred)
    streamed, held = both(monkeypatch, "mse,r2", PREDS, target="t.npy", nan="skip")
    assert streamed["r2", "b"]["why"] == held["r2", "b"]["why"] == "it couples samples"
    agree({("mse", "b"): streamed["mse", "b"]}, {("mse", "b"): held["mse", "b"]}, besides={"p_adjusted"})
    assert streamed["mse", "b"]["n"] == N - 1


@pytest.mark.parametrize("jobs", [2, 5])
def test_threads_change_no_bit(many, jobs):
    rng = np.random.default_rng(2)
    target = rng.normal(size=3_000_000)
    save(many, u=target, x=target + rng.normal(size=target.size), y=target + rng.normal(size=target.size))
    one, other = (document("mse,rmse", ["x.npy", "y.npy"], target="u.npy", jobs=count) for count in (1, jobs))
    assert json.dumps(one["comparisons"]) == json.dumps(other["comparisons"])


@pytest.mark.usefixtures("many")
def test_gates_and_what_is_said():
    _, error, said = compared("mse", PREDS[:2], target="t.npy", max_rel=["mse=0.001%"])
    assert isinstance(error, GateFailed)
    assert any("rank correlations are left out" in one for one in said)


@pytest.mark.usefixtures("many")
def test_what_needs_samples_is_refused_with_the_option_that_works():
    for options in ({"test": "flip"}, {"cluster_by": "g.npy"}, {"explain": ["g.npy"]}):
        with pytest.raises(TooLarge, match=r"needs about") as refused:
            document("mse", PREDS, target="t.npy", max_memory=0, **options)
        assert "--cluster-by" in refused.value.hint


@pytest.mark.usefixtures("many")
def test_a_test_that_does_not_fit_is_refused():
    with pytest.raises(UsageError, match="rmse is none"):
        document("rmse", PREDS, target="t.npy", test="t")
    with pytest.raises(UsageError, match="has others here"):
        document("mse", PREDS, target="t.npy", test="mcnemar")
    with pytest.raises(UsageError, match="couples all samples"):
        document("r2", PREDS, target="t.npy", by="g.npy")


def test_what_a_block_leaves_can_be_sent():
    part = streaming.SampleSums(3, lightest=1.0, heaviest=2.0)
    part.sums.add("value", 0.1)
    deviations = streaming.Deviations(Higher.of(np.arange(4.0)), same=False, less=1)
    found = streaming.BySlice({streaming.ALL: part, 2: deviations})
    assert pickle.loads(pickle.dumps(found)) == found  # noqa: S301 - our own
