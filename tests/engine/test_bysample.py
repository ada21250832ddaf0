"""What is kept of samples in bounded memory, against all of them at once."""

import pickle

import numpy as np
import pytest
from ask import ask
from hypothesis import given
from hypothesis import strategies as st

from lossctl.engine.totals import Extremes, Kept, Pile
from lossctl.request.options import Options
from lossctl.sources import spool
from lossctl.statistics import ordered as levels

few = st.lists(st.sampled_from([0.0, -0.0, 1.0, 2.5, -3.0, np.inf, -np.inf, np.nan]), max_size=12)


@given(st.lists(few, min_size=1, max_size=5), st.integers(1, 9), st.booleans())
def test_the_foremost_are_those_of_a_stable_sort(parts, most, largest):
    merged = None
    for number, part in enumerate(parts):
        start = sum(map(len, parts[:number]))
        one = Extremes(np.arange(start, start + len(part)), np.array(part, float), most, largest)
        one.settle()
        if merged is None:
            merged = one
        else:
            merged.merge(one)
    every = np.concatenate([np.array(part, float) for part in parts])
    ranked = np.argsort(-every if largest else every, kind="stable")
    wanted = np.sort(ranked[~np.isnan(every[ranked])][:most])
    np.testing.assert_array_equal(merged.rows, wanted)
    np.testing.assert_array_equal(merged.values, every[wanted])


@pytest.mark.parametrize("kept", [1 << 30, 100])
def test_a_pile_gives_back_what_it_took_also_out_of_a_file(monkeypatch, kept):
    monkeypatch.setattr(spool, "KEPT", kept)
    parts = [np.random.default_rng(seed).normal(5, 2, seed * 7) for seed in range(1, 9)]
    pile = Pile.of("mse", parts[0])
    for part in parts[1:]:
        pile.merge(pickle.loads(pickle.dumps(Pile.of("mse", part))))  # noqa: S301 - our own
    every = np.concatenate(parts)
    for one in (pile, pickle.loads(pickle.dumps(pile))):  # noqa: S301 - our own
        numbers = one.done()
        np.testing.assert_array_equal(numbers.read(0, numbers.shape[0]), every)
        assert (one.moments.n, one.moments.std) == (len(every), pytest.approx(every.std(ddof=1), rel=1e-13))


@pytest.mark.parametrize("how", [{"worst": 5}, {"best": 4}, {"stats": True}, {"stats": True, "worst": 2}])
def test_options_have_the_same_answer_at_any_cut_and_on_threads(monkeypatch, how):
    pred, target = np.random.default_rng(0).normal(size=(2, 600_000)).round(2)
    first = ask("mse", pred, target, options=Options(jobs=1, **how))
    second = ask("mse", pred, target, options=Options(jobs=3, **how))
    losses = (pred - target) ** 2
    if "stats" in how:
        assert first.stats == second.stats == levels.statistics(losses)
        monkeypatch.setattr(levels, "AT_ONCE", 1000)
        monkeypatch.setattr(spool, "KEPT", 1000)
        streamed = ask("mse", pred, target, options=Options(jobs=2, **how)).stats
        assert {**streamed, "std": 0} == {**first.stats, "std": 0}
        assert streamed["std"] == pytest.approx(first.stats["std"], rel=1e-12)
    if "worst" in how or "best" in how:
        most = how.get("worst") or how["best"]
        order = np.argsort(-losses if "worst" in how else losses, kind="stable")[:most]
        np.testing.assert_array_equal(first.samples[0], np.sort(order))
        np.testing.assert_array_equal(first.samples[1], second.samples[1])


def test_kept_merge_in_order():
    kept = Kept(Extremes(np.arange(1), np.ones(1), 1, largest=True))
    kept.merge(Kept(Extremes(np.arange(1, 2), np.full(1, 2.0), 1, largest=True)))
    assert kept.extremes.rows.tolist() == [1]
