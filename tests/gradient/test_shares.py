"""Lengths by class and by group, and cosines between groups, against NumPy on the whole gradient."""

from itertools import combinations

import numpy as np
import pytest
from differentiating import answered, written
from hypothesis import given
from hypothesis import strategies as st

from lossctl.gradient import gathering as shares
from lossctl.gradient.gathering import Shares

pytestmark = pytest.mark.usefixtures("small_blocks")
RNG = np.random.default_rng(14)
N = 25


def entry_of(*argv):
    """The entry of a gradient, and the gradient."""
    document = answered(*argv)
    return document["gradients"][0], np.array(document["gradient"], float)


def expected(lengths, codes, names, key):
    """Rows of a table by class or by group; `lengths` are those of every place, -1 is no class."""
    squares = {name: (lengths[codes == number] ** 2).sum() for number, name in enumerate(names)}
    total = sum(squares.values())
    counts = {name: int((codes == number).sum()) for number, name in enumerate(names)}
    return [
        {key: name, "n": counts[name], "norm": np.sqrt(squares[name]), "share": squares[name] / total}
        for name in names
        if counts[name]
    ]


def assert_rows(found, wanted):
    assert [{**row, "norm": pytest.approx(row["norm"], rel=1e-12), "share": pytest.approx(row["share"], rel=1e-12)}
            for row in wanted] == found  # fmt: skip


def lengths_of(gradient, axis):
    return np.sqrt((gradient**2).sum(axis=axis))


def test_classes_of_places(save):
    pred, target = RNG.normal(size=(N, 4, 3)), RNG.integers(0, 3, (N, 3))
    argv = ["cross_entropy", *save(pred=pred, target=target)]
    entry, gradient = entry_of(*argv)
    assert_rows(entry["classes"], expected(lengths_of(gradient, 1), target, ["0", "1", "2", "3"], "class"))
    assert sum(row["share"] for row in entry["classes"]) == pytest.approx(1)


def test_classes_on_the_last_axis_from_1_on(save):
    pred, target = RNG.normal(size=(N, 3, 4)), RNG.integers(1, 5, (N, 3))
    entry, gradient = entry_of("cross_entropy", *save(pred=pred, target=target), "--class-dim", -1, "--label-offset", -1)
    assert_rows(entry["classes"], expected(lengths_of(gradient, -1), target - 1, ["0", "1", "2", "3"], "class"))


def test_ignored_labels_are_of_no_class(save):
    pred, target = RNG.normal(size=(N, 3)), RNG.integers(-1, 3, N)
    entry, gradient = entry_of("cross_entropy", *save(pred=pred, target=target), "--ignore-index", -1)
    assert_rows(entry["classes"], expected(lengths_of(gradient, 1), target, ["0", "1", "2"], "class"))


@pytest.mark.parametrize(("loss", "low"), [("bce_with_logits", 0), ("soft_margin", -1)])
def test_two_classes(save, loss, low):
    pred, target = RNG.normal(size=(N, 2)), RNG.choice([low, 1], (N, 2)).astype(float)
    entry, gradient = entry_of(loss, *save(pred=pred, target=target))
    codes = (target == 1).astype(int)
    assert_rows(entry["classes"], expected(np.abs(gradient), codes, [str(low), "1"], "class"))


def test_probabilities_are_of_no_class(save):
    pred, target = RNG.normal(size=N), RNG.uniform(size=N)
    target[:10] = RNG.integers(0, 2, 10)
    entry, gradient = entry_of("bce_with_logits", *save(pred=pred, target=target))
    codes = np.where(target == 1, 1, np.where(target == 0, 0, -1))
    assert_rows(entry["classes"], expected(np.abs(gradient), codes, ["0", "1"], "class"))


def test_what_does_not_count_is_of_no_class_and_of_no_group(save):
    pred, target, mask = RNG.normal(size=(N, 4)), RNG.integers(0, 4, N), RNG.integers(0, 2, N)
    pred[3, 1] = np.nan
    argv = ["cross_entropy", *save(pred=pred, target=target), "--nan", "skip"]
    save(mask=mask, groups=np.arange(N) % 2)
    entry, gradient = entry_of(*argv, "--mask", "mask.npy", "--by", "groups.npy")
    kept = (mask == 1) & np.isfinite(pred).all(axis=1)
    lengths = lengths_of(gradient, 1)
    assert_rows(entry["classes"], expected(lengths, np.where(kept, target, -1), ["0", "1", "2", "3"], "class"))
    assert_rows(entry["groups"], expected(lengths, np.where(kept, np.arange(N) % 2, -1), ["0", "1"], "group"))


def test_masked_places_are_of_no_class(save):
    pred, target, mask = RNG.normal(size=(N, 4, 3)), RNG.integers(0, 4, (N, 3)), RNG.integers(0, 2, (N, 3))
    argv = ["cross_entropy", *save(pred=pred, target=target)]
    save(mask=mask)
    entry, gradient = entry_of(*argv, "--mask", "mask.npy")
    codes = np.where(mask == 1, target, -1)
    assert_rows(entry["classes"], expected(lengths_of(gradient, 1), codes, ["0", "1", "2", "3"], "class"))


@pytest.mark.parametrize("loss", ["mse", "rmse"])
def test_groups_and_cosines_between_what_they_pull(save, loss):
    pred, target, codes = RNG.normal(size=(N, 3)), RNG.normal(size=(N, 3)), RNG.integers(0, 4, N)
    argv = [loss, *save(pred=pred, target=target)]
    save(groups=codes)
    entry, gradient = entry_of(*argv, "--by", "groups.npy")
    names = [str(code) for code in range(4)]
    assert_rows(entry["groups"], expected(lengths_of(gradient, 1), codes, names, "group"))
    pulls = [gradient[codes == code].sum(axis=0) for code in range(4)]
    assert [(one["one"], one["other"]) for one in entry["conflicts"]] == list(combinations(names, 2))
    for one, (first, second) in zip(entry["conflicts"], combinations(pulls, 2), strict=True):
        assert one["cosine"] == pytest.approx(first @ second / np.linalg.norm(first) / np.linalg.norm(second), rel=1e-12)


def test_groups_of_sequences_along_the_second_axis(save):
    pred = np.log(RNG.dirichlet(np.ones(5), (6, 9)))
    arrays = {"target": RNG.integers(1, 5, (9, 3)), "input_lengths": np.full(9, 6), "target_lengths": RNG.integers(1, 4, 9)}
    argv = ["ctc", *save(pred=pred, **arrays)]
    save(groups=np.arange(9) % 2)
    entry = answered(*argv, "--by", "groups.npy")["gradients"][0]
    gradient = written("out.npy", *argv)
    assert_rows(entry["groups"], expected(np.sqrt((gradient**2).sum(axis=(0, 2))), np.arange(9) % 2, ["0", "1"], "group"))


def test_a_group_that_pulls_nowhere_has_no_cosine(save):
    pred = RNG.normal(size=(N, 3))
    target = np.where(np.arange(N)[:, None] < 5, pred, RNG.normal(size=(N, 3)))
    argv = ["mse", *save(pred=pred, target=target)]
    save(groups=np.minimum(np.arange(N) // 5, 2))
    entry = answered(*argv, "--by", "groups.npy")["gradients"][0]
    assert [(one["one"], one["other"]) for one in entry["conflicts"]] == [("1", "2")]
    assert entry["groups"][0] == {"group": "0", "n": 5, "norm": 0.0, "share": 0.0}


def test_pulls_that_would_take_too_much_are_left_out(save, monkeypatch):
    argv = ["mse", *save(pred=RNG.normal(size=(N, 3)), target=RNG.normal(size=(N, 3)))]
    save(groups=np.arange(N) % 2)
    monkeypatch.setattr(shares, "PULLS", 5)
    entry = answered(*argv, "--by", "groups.npy")["gradients"][0]
    assert entry["conflicts"] == []
    assert len(entry["groups"]) == 2


@given(st.lists(st.integers(-1, 3), min_size=1, max_size=30), st.integers(1, 9))
def test_parts_add_up(codes, step):
    codes = np.array(codes)
    gradient = np.random.default_rng(len(codes)).normal(size=(len(codes), 2))
    found = Shares(["a", "b", "c", "d"], pulling=True)
    for start in range(0, len(codes), step):
        found.add(found.look(gradient[start : start + step], codes[start : start + step]))
    assert found.counts.tolist() == [int((codes == number).sum()) for number in range(4)]
    for number in range(4):
        np.testing.assert_allclose(found.pulls[number], gradient[codes == number].sum(axis=0), atol=1e-12)
        np.testing.assert_allclose(found.squares[number], (gradient[codes == number] ** 2).sum(), atol=1e-12)
