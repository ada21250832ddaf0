"""What counts for nothing has gradient 0, and what counts double has twice the gradient."""

import numpy as np
import pytest
import torch
from differentiating import answered, printed, written
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

from lossctl.errors import NotFinite

pytestmark = pytest.mark.usefixtures("small_blocks")
RNG = np.random.default_rng(12)
N = 23


def normal(*shape):
    return RNG.normal(size=shape)


@pytest.fixture
def pair(save):
    pred, target = normal(N, 3), normal(N, 3)
    save(pred=pred, target=target)
    return pred, target


def run(*argv):
    return written("out.npy", *argv)


def by_pred(function, pred, *others):
    leaf = torch.from_numpy(np.array(pred)).requires_grad_()
    return torch.autograd.grad(function(leaf, *(torch.from_numpy(np.asarray(one)) for one in others)), leaf)[0].numpy()


@pytest.mark.parametrize("shape", [(N,), (N, 1)])
def test_weights(pair, save, shape):
    weights = RNG.uniform(0, 3, N)
    weights[4] = 0
    save(weights=weights.reshape(shape))
    found = run("huber", "pred.npy", "target.npy", "--weights", "weights.npy")
    wanted = by_pred(
        lambda p, t, w: (w[:, None] * F.huber_loss(p, t, reduction="none")).sum() / (w.sum() * 3), pair[0], pair[1], weights
    )
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-17)
    assert not found[4].any()


def test_weights_count_in_formulas_that_are_applied_to_sums(save):
    pred, target, weights = RNG.uniform(size=(N, 3)), RNG.integers(0, 2, (N, 3)).astype(float), RNG.uniform(size=N)
    save(pred=pred, target=target, weights=weights)
    found = run("dice", "pred.npy", "target.npy", "-p", "smooth=1", "--weights", "weights.npy")
    twice = run("dice", "pred.npy", "target.npy", "-p", "smooth=1")
    assert not np.allclose(found, twice)
    ones = np.ones(N)
    save(weights=ones)
    np.testing.assert_array_equal(run("dice", "pred.npy", "target.npy", "-p", "smooth=1", "--weights", "weights.npy"), twice)


@pytest.mark.parametrize("loss", ["mse", "rmse", "gaussian_nll"])
def test_a_mask_by_sample_leaves_samples_out(pair, save, loss):
    mask = RNG.integers(0, 2, N)
    mask[:8] = 0  # whole blocks
    var = RNG.uniform(1, 2, (N, 3))
    save(mask=mask, var=var)
    more = ["-i", "var=var.npy"] if loss == "gaussian_nll" else []
    found = run(loss, "pred.npy", "target.npy", *more, "--mask", "mask.npy")
    kept = mask.astype(bool)
    save(pred=pair[0][kept], target=pair[1][kept], var=var[kept])
    alone = run(loss, "pred.npy", "target.npy", *more)
    assert not found[~kept].any()
    np.testing.assert_allclose(found[kept], alone, rtol=1e-13)


def test_a_mask_by_element_hides_even_what_is_no_number(pair, save):
    pred, target = pair
    mask = RNG.integers(0, 2, (N, 3)).astype(bool)
    bad = np.where(mask, pred, np.nan)
    save(pred=bad, mask=mask)
    found = run("mse", "pred.npy", "target.npy", "--mask", "mask.npy")
    np.testing.assert_allclose(found, np.where(mask, 2 * (pred - target) / mask.sum(), 0), rtol=1e-13)


def test_a_mask_by_element_of_places_with_classes(save):
    pred, target, mask = normal(N, 4, 3), RNG.integers(0, 4, (N, 3)), RNG.integers(0, 2, (N, 3)).astype(bool)
    save(pred=pred, target=target, mask=mask)
    found = run("cross_entropy", "pred.npy", "target.npy", "--mask", "mask.npy")
    wanted = by_pred(lambda p, t, m: F.cross_entropy(p, t, reduction="none")[m].mean(), pred, target, mask)
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-17)


def test_skipped_samples_have_gradient_0(pair, save):
    pred, target = pair
    pred[3, 1], target[9, 2], pred[20] = np.nan, np.inf, -np.inf
    save(pred=pred, target=target)
    found = run("mse", "pred.npy", "target.npy", "--nan", "skip")
    kept = np.isfinite(pred).all(axis=1) & np.isfinite(target).all(axis=1)
    np.testing.assert_allclose(found[kept], 2 * (pred - target)[kept] / (kept.sum() * 3), rtol=1e-13)
    assert not found[~kept].any()


def test_whole_losses_skip_too(pair, save):
    pred, target = pair
    pred[3, 1] = np.nan
    save(pred=pred, target=target)
    found = run("info_nce", "pred.npy", "target.npy", "--nan", "skip")
    save(pred=np.delete(pred, 3, axis=0), target=np.delete(target, 3, axis=0))
    np.testing.assert_allclose(np.delete(found, 3, axis=0), run("info_nce", "pred.npy", "target.npy"), rtol=1e-12, atol=1e-17)
    assert not found[3].any()


def test_what_is_propagated_is_counted_and_said_where(pair, save):
    pred, _ = pair
    pred[3, 1], pred[5, 0] = np.nan, np.inf
    save(pred=pred)
    with pytest.raises(NotFinite):
        printed("mse", "pred.npy", "target.npy")
    entry = answered("mse", "pred.npy", "target.npy", "--nan", "propagate", "--reduction", "sum")["gradients"][0]
    assert entry["not_finite"] == 2
    assert entry["not_finite_at"] == [[3, 1], [5, 0]]
    rest = np.where(np.isfinite(pred), 2 * (pred - np.load("target.npy")), 0)
    assert entry["norm"] == pytest.approx(np.linalg.norm(rest), rel=1e-12)
    assert entry["mean"] == pytest.approx(rest.sum() / (rest.size - 2), rel=1e-12)
    assert entry["at"] == list(np.unravel_index(np.argmax(np.abs(rest)), rest.shape))


def test_an_ignored_label_has_gradient_0(save):
    pred, target = normal(N, 4, 2), RNG.integers(0, 4, (N, 2))
    save(pred=pred, target=target)
    found = run("cross_entropy", "pred.npy", "target.npy", "--ignore-index", "2")
    wanted = by_pred(lambda p, t: F.cross_entropy(p, t, ignore_index=2), pred, target)
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-17)
    assert not np.moveaxis(found, 1, -1)[target == 2].any()


def test_labels_from_1(save):
    pred, target = normal(N, 4), RNG.integers(0, 4, N)
    save(pred=pred, target=target + 1)
    found = run("cross_entropy", "pred.npy", "target.npy", "--label-offset", "-1")
    np.testing.assert_allclose(found, by_pred(F.cross_entropy, pred, target), rtol=1e-12, atol=1e-17)


@pytest.mark.parametrize(("reduction", "divisor"), [("mean", N * 3), ("sum", 1), ("none", 1)])
def test_reductions(pair, reduction, divisor):
    found = run("mse", "pred.npy", "target.npy", "--reduction", reduction)
    np.testing.assert_allclose(found, 2 * (pair[0] - pair[1]) / divisor, rtol=1e-13)


def test_the_mean_of_batches(save):
    pred, target = np.log(RNG.dirichlet(np.ones(4), N)), RNG.dirichlet(np.ones(4), N)
    save(pred=pred, target=target)
    np.testing.assert_allclose(run("kl_div", "pred.npy", "target.npy", "--reduction", "batchmean"), -target / N, rtol=1e-13)


def test_a_type_of_four_bytes_is_written_as_such(pair):
    found = run("mse", "pred.npy", "target.npy", "--dtype", "f32")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, 2 * (pair[0] - pair[1]) / (3 * N), rtol=1e-5, atol=1e-8)
