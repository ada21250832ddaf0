"""Weighted sums of terms: their gradient is that of torch's weighted sum, and so are each term's length and cosines."""

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from differentiating import answered, printed
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

from lossctl.errors import BadParameter, NoGradient
from lossctl.gradient import gathering as combining

RNG = np.random.default_rng(15)
N = 26


def spec(*terms):
    """Write spec.yaml, of which JSON is a part; a term is (name, loss, weight, inputs)."""
    keys = ("name", "loss", "weight", "inputs")
    content = {"terms": [dict(zip(keys, term, strict=True)) for term in terms]}
    Path("spec.yaml").write_text(json.dumps(content), encoding="utf-8")
    return "spec.yaml"


@pytest.fixture
def arrays(save):
    found = {"pred": RNG.normal(size=(N, 3)), "near": RNG.normal(size=(N, 3)), "far": RNG.normal(size=(N, 3)) * 9}
    save(**found, labels=RNG.integers(0, 3, N))
    return {**found, "labels": np.load("labels.npy")}


SHARED = (
    ("near", "mse", 2.0, {"pred": "pred.npy", "target": "near.npy"}),
    ("far", "huber:delta=2", 0.5, {"pred": "pred.npy", "target": "far.npy"}),
    ("class", "cross_entropy", 0.25, {"pred": "pred.npy", "target": "labels.npy"}),
)


def shared_terms(arrays, pred, reduction="mean"):
    near, far, labels = (torch.from_numpy(arrays[name]) for name in ("near", "far", "labels"))
    return [
        2.0 * F.mse_loss(pred, near, reduction=reduction),
        0.5 * F.huber_loss(pred, far, delta=2.0, reduction=reduction),
        0.25 * F.cross_entropy(pred, labels, reduction=reduction),
    ]


def by_each(arrays, reduction="mean"):
    leaf = torch.from_numpy(arrays["pred"].copy()).requires_grad_()
    return [torch.autograd.grad(term, leaf)[0].numpy() for term in shared_terms(arrays, leaf, reduction)]


def written(path, *argv):
    printed(*argv, "-o", path, "-q")
    with np.load(path) as archive:
        return dict(archive)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("chunk", [3, 30, 1 << 18])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_terms_that_pull_at_one_input(arrays, monkeypatch, chunk, reduction):
    monkeypatch.setattr(combining, "CHUNK", chunk)
    document = answered(spec(*SHARED), "--reduction", reduction, "--clip-norm", 0.1)
    parts = by_each(arrays, reduction)
    (entry,) = document["gradients"]
    np.testing.assert_allclose(document["gradient"], sum(parts), rtol=1e-12, atol=1e-16)
    assert (entry["wrt"], entry["shape"]) == ("pred", [N, 3])
    assert entry["norm"] == pytest.approx(np.linalg.norm(sum(parts)), rel=1e-12)
    assert entry["clip"]["by_norm"]["before"] == pytest.approx(entry["norm"], rel=1e-15)
    lengths = [float(np.linalg.norm(part)) for part in parts]
    assert [row["term"] for row in entry["terms"]] == ["near", "far", "class"]
    assert [row["norm"] for row in entry["terms"]] == pytest.approx(lengths, rel=1e-12)
    assert [row["share"] for row in entry["terms"]] == pytest.approx(np.array(lengths) / sum(lengths), rel=1e-12)
    for one, (first, second) in zip(entry["conflicts"], combinations(range(3), 2), strict=True):
        cosine = np.vdot(parts[first], parts[second]) / lengths[first] / lengths[second]
        assert one["cosine"] == pytest.approx(cosine, rel=1e-12)


@pytest.mark.usefixtures("small_blocks")
def test_terms_with_inputs_of_their_own(save, folder):
    found = {name: RNG.normal(size=shape) for name, shape in {"a": (N, 3), "b": (N, 3), "c": (7,), "d": (7,)}.items()}
    save(**found)
    one = ("one", "rmse", 3.0, {"pred": "a.npy", "target": "b.npy"})
    gradients = written(folder / "g.npz", spec(one, ("two", "l1", 0.5, {"pred": "c.npy", "target": "d.npy"})))
    difference = found["a"] - found["b"]
    wanted = 3 * difference / np.sqrt((difference**2).mean()) / difference.size
    assert set(gradients) == {"one.pred", "two.pred"}
    np.testing.assert_allclose(gradients["one.pred"], wanted, rtol=1e-12)
    np.testing.assert_allclose(gradients["two.pred"], 0.5 * np.sign(found["c"] - found["d"]) / 7, rtol=1e-12)


@pytest.mark.usefixtures("small_blocks")
def test_some_share_and_some_do_not(arrays, folder):
    other = ("other", "mse", 1.0, {"pred": "near.npy", "target": "far.npy"})
    document = answered(spec(*SHARED[:2], other), "-o", folder / "g.npz")
    names = [entry["wrt"] for entry in document["gradients"]]
    assert len(set(names)) == 2
    found = written(folder / "h.npz", "spec.yaml")
    assert set(found) == set(names)
    np.testing.assert_allclose(found[names[0]], sum(by_each(arrays)[:2]), rtol=1e-12, atol=1e-16)
    np.testing.assert_allclose(found[names[1]], 2 * (arrays["near"] - arrays["far"]) / (3 * N), rtol=1e-12)
    assert "terms" in document["gradients"][0]
    assert "terms" not in document["gradients"][1]


@pytest.mark.usefixtures("small_blocks")
def test_one_array_under_two_shapes(save, folder):
    pred, flat, column = RNG.normal(size=(N, 1)), RNG.normal(size=N), RNG.normal(size=(N, 1))
    save(p=pred, flat=flat, column=column)
    terms = (
        ("a", "mse", 1.0, {"pred": "p.npy", "target": "flat.npy"}),
        ("b", "mse", 1.0, {"pred": "p.npy", "target": "column.npy"}),
    )
    found = written(folder / "g.npz", spec(*terms), "--squeeze")["pred"]
    np.testing.assert_allclose(found, 2 * (pred - flat[:, None]) / N + 2 * (pred - column) / N, rtol=1e-12)


def test_numbers_are_shared_too(save):
    save(p=np.array(3.0), t=np.array(1.0), u=np.array(4.0))
    terms = (("t", "mse", 1.0, {"pred": "p.npy", "target": "t.npy"}), ("u", "mse", 2.0, {"pred": "p.npy", "target": "u.npy"}))
    document = answered(spec(*terms))
    assert document["gradient"] == 4 - 4
    assert document["gradients"][0]["conflicts"][0]["cosine"] == -1


@pytest.mark.usefixtures("arrays")
def test_a_weight_turns_the_gradient():
    document = answered(spec(("near", "mse", -1.0, SHARED[0][3]), ("again", "mse", 1.0, SHARED[0][3])))
    assert not np.any(document["gradient"])
    assert document["gradients"][0]["conflicts"][0]["cosine"] == pytest.approx(-1)
    assert [row["share"] for row in document["gradients"][0]["terms"]] == [0.5, 0.5]


def test_parameters_of_terms(arrays):
    document = answered(spec(SHARED[1], ("again", "huber:delta=1", 2.0, SHARED[1][3])), "--wrt", "param:delta")
    size = np.abs(arrays["pred"] - arrays["far"])
    for name, weight, delta in (("far", 0.5, 2.0), ("again", 2.0, 1.0)):
        wanted = weight * np.where(size > delta, size - delta, 0).mean()
        assert document["gradient"][f"{name}.param:delta"] == pytest.approx(wanted, rel=1e-12)


@pytest.mark.usefixtures("arrays")
def test_every_term_is_asked_for_the_same_input():
    with pytest.raises(NoGradient, match="labels"):
        printed(spec(*SHARED), "--wrt", "target")
    with pytest.raises(BadParameter, match="no input 'nobody'"):
        printed("spec.yaml", "--wrt", "nobody")
