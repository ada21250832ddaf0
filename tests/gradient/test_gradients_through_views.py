"""The gradient has the shape and order of the array in the file, however options see it: torch, on arrays as they are."""

import numpy as np
import pytest
import torch
from differentiating import written
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

pytestmark = pytest.mark.usefixtures("small_blocks")
RNG = np.random.default_rng(11)


def normal(*shape):
    return RNG.normal(size=shape)


def positive(*shape):
    return RNG.uniform(0.2, 2, size=shape)


def share(*shape):
    return RNG.uniform(0.05, 0.95, size=shape)


def labels(*shape):
    return RNG.integers(0, 4, size=shape)


def soft(scores, target):
    return F.cross_entropy(scores.movedim(-1, 1), target.movedim(-1, 1))


# torch's own functions cannot be differentiated by their weights: their formulas can.
def weighted_bce(pred, target, weight):
    return (weight * F.binary_cross_entropy(pred, target, reduction="none")).mean()


def with_logits(pred, target, pos_weight):
    return -(pos_weight * target * F.logsigmoid(pred) + (1 - target) * F.logsigmoid(-pred)).mean()


def nll(pred, target, var):
    return F.gaussian_nll_loss(pred, target, var.expand(pred.shape) if var.ndim == 0 else var)


def class_weighted(pred, target, weight):
    return (weight[target] * F.cross_entropy(pred, target, reduction="none")).sum() / weight[target].sum()


def row_by_row(pred, target):
    return F.mse_loss(pred.reshape(-1), target.reshape(-1))


def broadcast_mse(pred, target):
    return F.mse_loss(*torch.broadcast_tensors(pred, target))


# The loss with its options, what torch calculates, the arrays in the files, and by which inputs.
CASES = {
    "classes last": ("cross_entropy --class-dim -1", lambda p, t: F.cross_entropy(p.movedim(-1, 1), t),
                     {"pred": normal(7, 3, 4), "target": labels(7, 3)}, ["pred"]),
    "classes last, many axes": ("cross_entropy --class-dim -1", lambda p, t: F.cross_entropy(p.movedim(-1, 1), t),
                                {"pred": normal(5, 2, 3, 4), "target": labels(5, 2, 3)}, ["pred"]),
    "classes first": ("cross_entropy --class-dim 0", lambda p, t: F.cross_entropy(p.T, t),
                      {"pred": normal(4, 7), "target": labels(7)}, ["pred"]),
    "soft targets, classes last": ("cross_entropy --class-dim 2", soft,
                                   {"pred": normal(7, 3, 4), "target": share(7, 3, 4)}, ["pred", "target"]),
    "columns squeezed": ("mse --squeeze", row_by_row, {"pred": normal(7, 1), "target": normal(7)}, ["pred", "target"]),
    "middle squeezed": ("mse --squeeze", row_by_row, {"pred": normal(7, 1, 3), "target": normal(7, 3, 1)}, ["pred", "target"]),
    "row squeezed": ("mse --squeeze", row_by_row, {"pred": normal(1, 7), "target": normal(7)}, ["pred", "target"]),
    "pairs": ("mse --broadcast", broadcast_mse, {"pred": normal(4, 1), "target": normal(4)}, ["pred", "target"]),
    "one row for all": ("mse --broadcast", broadcast_mse, {"pred": normal(3), "target": normal(9, 3)}, ["pred", "target"]),
    "one number for all": ("mse --broadcast", broadcast_mse, {"pred": normal(), "target": normal(9, 3)}, ["pred", "target"]),
    "inner axis": ("l1 --broadcast", lambda p, t: (p - t).abs().mean(),
                   {"pred": normal(6, 1, 3), "target": normal(6, 2, 1)}, ["pred", "target"]),
    "one for many": ("mse --broadcast", broadcast_mse,
                     {"pred": normal(9, 1, 2), "target": normal(1, 3, 2)}, ["pred", "target"]),
    "variance of the same shape": ("gaussian_nll -i var=var.npy", nll,
                                   {"pred": normal(7, 3), "target": normal(7, 3), "var": positive(7, 3)}, ["pred", "var"]),
    "variance one axis short": ("gaussian_nll -i var=var.npy", nll,
                                {"pred": normal(7, 3), "target": normal(7, 3), "var": positive(7)}, ["var"]),
    "variance of a column": ("gaussian_nll -i var=var.npy", nll,
                             {"pred": normal(7, 3), "target": normal(7, 3), "var": positive(7, 1)}, ["var", "target"]),
    "variance of a row": ("gaussian_nll -i var=var.npy", nll,
                          {"pred": normal(7, 3), "target": normal(7, 3), "var": positive(1, 3)}, ["var"]),
    "one variance": ("gaussian_nll -i var=var.npy", nll,
                     {"pred": normal(7, 3), "target": normal(7, 3), "var": positive()}, ["var"]),
    "weight of a row": ("bce -p weight=@weight.npy", weighted_bce,
                        {"pred": share(7, 3), "target": share(7, 3), "weight": positive(3)}, ["pred", "weight"]),
    "weight of a column": ("bce -p weight=@weight.npy", weighted_bce,
                           {"pred": share(7, 3), "target": share(7, 3), "weight": positive(7, 1)}, ["weight"]),
    "weight of all": ("bce -p weight=@weight.npy", weighted_bce,
                      {"pred": share(7, 2, 3), "target": share(7, 2, 3), "weight": positive(2, 1)}, ["weight"]),
    "one weight": ("bce -p weight=@weight.npy", weighted_bce,
                   {"pred": share(7, 3), "target": share(7, 3), "weight": positive(1)}, ["weight"]),
    "positive weight": ("bce_with_logits -p pos_weight=@pos_weight.npy", with_logits,
                        {"pred": normal(7, 3), "target": share(7, 3), "pos_weight": positive(3)}, ["pred", "pos_weight"]),
    "class weight": ("cross_entropy -p weight=@weight.npy", class_weighted,
                     {"pred": normal(7, 4), "target": labels(7), "weight": positive(4)}, ["pred", "weight"]),
    "a single sample": ("cross_entropy", F.cross_entropy, {"pred": normal(4), "target": labels()}, ["pred"]),
    "a single sample, soft": ("cross_entropy", F.cross_entropy, {"pred": normal(4), "target": np.array([0.1, 0.2, 0.3, 0.4])},
                              ["pred", "target"]),
    "numbers": ("huber", F.huber_loss, {"pred": normal(), "target": normal()}, ["pred", "target"]),
    "many axes": ("mse", F.mse_loss, {"pred": normal(5, 2, 1, 3), "target": normal(5, 2, 1, 3)}, ["target"]),
    "Fortran order": ("cross_entropy", F.cross_entropy,
                      {"pred": np.asfortranarray(normal(7, 4, 3)), "target": np.asfortranarray(labels(7, 3))}, ["pred"]),
    "Fortran order, classes last": ("cross_entropy --class-dim -1", soft,
                                    {"pred": np.asfortranarray(normal(7, 2, 4)), "target": share(7, 2, 4)}, ["pred", "target"]),
    "triplets": ("triplet_margin -i positive=positive.npy -i negative=negative.npy", F.triplet_margin_loss,
                 {"anchor": normal(7, 3), "positive": normal(7, 3), "negative": normal(7, 3)}, ["anchor", "negative"]),
}  # fmt: skip


def argv_of(words, arrays):
    """The words, and those arrays that no option names, in order."""
    return [*words.split(), *(f"{name}.npy" for name in arrays if f"={name}.npy" not in words and f"@{name}.npy" not in words)]


def of_torch(function, arrays, name):
    tensors = {key: torch.from_numpy(np.array(array)) for key, array in arrays.items()}
    leaf = tensors[name].requires_grad_()
    return torch.autograd.grad(function(*tensors.values()), leaf)[0].numpy()


@pytest.mark.parametrize(
    ("case", "name"), [(case, name) for case, (*_, names) in CASES.items() for name in names], ids=lambda one: one
)
def test_gradient_is_torchs_on_the_arrays_as_they_are(case, name, save, folder):
    words, function, arrays, _ = CASES[case]
    save(**arrays)
    found = written(folder / "out.npy", *argv_of(words, arrays), "--wrt", name)
    wanted = of_torch(function, arrays, name)
    assert found.shape == arrays[name].shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-15)


def ctc_arrays():
    scores = torch.log_softmax(torch.from_numpy(normal(6, 9, 5)), -1).numpy()
    lengths = {"input_lengths": RNG.integers(4, 7, 9), "target_lengths": RNG.integers(1, 4, 9)}
    return {"pred": scores, "target": RNG.integers(1, 5, (9, 3)), **lengths}


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_sequences_lie_along_the_second_axis(save, folder, reduction):
    arrays = ctc_arrays()
    found = written(folder / "out.npy", "ctc", *save(**arrays), "--reduction", reduction)
    tensors = [torch.from_numpy(array) for array in arrays.values()]
    leaf = tensors[0].requires_grad_()
    wanted = torch.autograd.grad(F.ctc_loss(*tensors, reduction=reduction), leaf)[0].numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int16", "bool"])
def test_the_gradient_is_written_as_narrow_as_its_array_but_not_narrower_than_float32(save, folder, dtype):
    pred, target = (normal(9, 2) * 3).astype(dtype), normal(9, 2)
    found = written(folder / "out.npy", "mse", *save(pred=pred, target=target))
    assert found.dtype == (np.float32 if dtype in {"float16", "float32"} else np.float64)
    np.testing.assert_allclose(found, (pred.astype(float) - target) * 2 / 18, rtol=1e-6)
