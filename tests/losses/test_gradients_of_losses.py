"""What gradients are where it is easy to go wrong: at kinks, at perfect fits, behind clamps, by parameters, and where flat."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from ask import value

from lossctl.checking.checks import Drawn, draw, gradients, twin_gradients
from lossctl.checking.checks import value as drawn_value
from lossctl.commands.listing import describe
from lossctl.commands.listing import info_page as info
from lossctl.losses import LOSSES, catalogue
from lossctl.losses.backends import BACKENDS
from lossctl.losses.loss import scalars
from lossctl.losses.numerics import followed, held, norm, power, raised

BACKEND = BACKENDS.get("torch")()


def drawn_of(name, arrays, params):
    """A call as a draw, with every parameter that it leaves out."""
    loss = LOSSES.get(name)
    given = zip(loss.signature.inputs, arrays, strict=True)
    made = {one.name: np.asarray(array, np.int64 if one.word.index else np.float64) for one, array in given}
    return Drawn(made, {}, scalars(loss, params))


def slopes(name, arrays, params, by):
    """Our gradient of the sum by one input."""
    drawn = drawn_of(name, arrays, params)
    return gradients(LOSSES.get(name), drawn)[by] * len(np.asarray(arrays[0]))


TRIPLETS = ([[0.0]], [[0.0]], [[1.0]])
KINKS = [
    ("l1", ([1.0, 2.0, 0.0], [1.0, 1.0, 1.0]), {}, "pred", [0, 1, -1]),
    ("huber", ([2.0, -2.0, 0.0], [0.0, 0.0, 0.0]), {"delta": 2.0}, "pred", [2, -2, 0]),
    ("smooth_l1", ([2.0, -2.0, 0.0], [0.0, 0.0, 0.0]), {"beta": 2.0}, "pred", [1, -1, 0]),
    ("smooth_l1", ([2.0, 0.0], [0.0, 0.0]), {"beta": 0.0}, "pred", [1, 0]),
    ("margin_ranking", ([1.0, 2.0], [1.0, 2.0], [1.0, -1.0]), {}, "input1", [-1, 1]),
    ("margin_ranking", ([1.0, 2.0], [0.5, 2.5], [1.0, -1.0]), {"margin": 0.5}, "input1", [-1, 1]),
    ("hinge_embedding", ([1.0, 1.0], [-1.0, 1.0]), {}, "pred", [-1, 1]),
    ("multi_margin", ([[1.0, 0.0]], [0]), {}, "pred", [[0, 0]]),
    ("multilabel_margin", ([[1.0, 0.0]], [[0, -1]]), {}, "pred", [[0, 0]]),
    ("triplet_margin", TRIPLETS, {"margin": 1.0, "eps": 0.0}, "negative", [[-1]]),
    ("triplet_margin", ([[1.0]], [[1.0]], [[1.0]]), {"eps": 0.0}, "anchor", [[0]]),
    ("cosine_embedding", ([[1.0, 0.0]], [[0.0, 1.0]], [-1.0]), {}, "input1", [[0, 1]]),
]


@pytest.mark.parametrize(("name", "arrays", "params", "by", "wanted"), KINKS)
def test_gradient_at_a_kink_is_torchs(name, arrays, params, by, wanted):
    np.testing.assert_allclose(slopes(name, arrays, params, by), wanted, atol=1e-9)
    _, twins = twin_gradients(LOSSES.get(name), drawn_of(name, arrays, params))
    np.testing.assert_allclose(twins[by] * len(arrays[0]), wanted, atol=1e-9)


def test_bce_is_as_steep_as_torchs_near_0_and_1_and_flat_where_right():
    pred = [0.0, 1.0, 0.0, 1.0, 0.0, 1e-13, 1e-13, 1e-11, 1e-60, 0.5, 1 - 1e-13]
    target = [1.0, 0.0, 0.0, 1.0, 0.25, 1.0, 0.0, 1.0, 1.0, 0.2, 1.0]
    drawn = drawn_of("bce", (pred, target), {})
    wanted_value, wanted = twin_gradients(LOSSES.get("bce"), drawn)
    p, t = np.asarray(pred), np.asarray(target)
    formula = (p - t) / np.maximum(p * (1 - p), 1e-12) / p.size
    found = gradients(LOSSES.get("bce"), drawn)
    np.testing.assert_allclose(found["pred"], wanted["pred"], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found["pred"], formula, rtol=1e-7)
    # By the target torch forgets its clamp, and is infinite where the value is 100.
    np.testing.assert_allclose(found["target"], np.clip(wanted["target"], -100 / p.size, 100 / p.size), rtol=1e-9, atol=1e-9)
    assert value("bce", pred, target) == pytest.approx(wanted_value, rel=1e-14)


def test_bce_followed_has_the_values_that_it_has_unfollowed():
    chances = np.array([0.0, 1e-60, 1e-13, 0.3, 1 - 1e-13, 1.0, -1.0, 2.0, np.inf, -np.inf, np.nan])
    with np.errstate(all="ignore"):
        plain = LOSSES.get("bce").terms(np, chances, np.full(chances.shape, 0.4))
    leaf = torch.from_numpy(chances).requires_grad_()
    followed_value = LOSSES.get("bce").terms(BACKEND.xp, leaf, torch.full(chances.shape, 0.4, dtype=torch.float64))
    np.testing.assert_allclose(followed_value.detach().numpy(), plain, rtol=1e-15)


def test_gaussian_nll_follows_a_variance_below_eps():
    arrays = ([0.0, 1.0, 2.0, 3.0], [2.0, 1.0, 2.5, 3.0], [0.0, 1e-7, 1e-6, 0.5])
    drawn = drawn_of("gaussian_nll", arrays, {})
    found = gradients(LOSSES.get("gaussian_nll"), drawn)
    names = ("pred", "target", "var")
    leaves = {name: torch.from_numpy(drawn.arrays[name]).requires_grad_() for name in names}
    total = torch.nn.functional.gaussian_nll_loss(*leaves.values())
    for name, wanted in zip(names, torch.autograd.grad(total, list(leaves.values())), strict=True):
        np.testing.assert_allclose(found[name], wanted.numpy(), rtol=1e-13)
    assert found["var"][0] * 4 == pytest.approx(-1.9999995e12)
    assert value("gaussian_nll", *arrays) == pytest.approx(total.item(), rel=1e-15)


def ctc_case():
    """Four sequences: repeated labels in too few frames, an impossible score, no frames and no labels, and a common one."""
    rng = np.random.default_rng(5)
    scores = torch.log_softmax(torch.from_numpy(rng.normal(size=(5, 4, 3))), -1).numpy()
    return {
        "pred": scores,
        "target": np.array([[1, 1], [1, 2], [0, 0], [2, 0]]),
        "input_lengths": np.array([2, 4, 0, 5]),
        "target_lengths": np.array([2, 2, 0, 1]),
    }


@pytest.mark.parametrize("zero_infinity", [False, True])
@pytest.mark.parametrize("barred", [False, True])
def test_ctc_has_torchs_gradient_also_of_infinite_losses(zero_infinity, barred):
    case = ctc_case()
    if barred:
        case["pred"][:, 1, 2] = -np.inf
    params = {"blank": 0, "zero_infinity": zero_infinity}
    tensors = {name: torch.from_numpy(array) for name, array in case.items()}
    plain = LOSSES.get("ctc").terms(np, *case.values(), **params)["value"]
    tensors["pred"].requires_grad_()
    ours = LOSSES.get("ctc").terms(BACKEND.xp, *tensors.values(), **params)["value"]
    torchs = torch.nn.functional.ctc_loss(*tensors.values(), **params, reduction="none")
    weights = torch.arange(1.0, 5.0, dtype=torch.float64)
    found, wanted = (torch.autograd.grad((weights * each).sum(), tensors["pred"])[0] for each in (ours, torchs))
    np.testing.assert_allclose(ours.detach().numpy(), plain, rtol=1e-15)
    np.testing.assert_allclose(found.numpy(), wanted.numpy(), rtol=1e-9, atol=1e-12)


def test_ctc_adds_the_probabilities_to_the_derivative():
    drawn = draw(LOSSES.get("ctc"), varied=False)
    drawn.logits.clear()
    found = gradients(LOSSES.get("ctc"), drawn)["pred"]
    frames, step = int(drawn.arrays["input_lengths"][0]), 1e-6
    sides = []
    for sign in (1, -1):
        moved = drawn.arrays["pred"].copy()
        moved[0, 0, 1] += sign * step
        sides.append(drawn_value(LOSSES.get("ctc"), replace(drawn, arrays={**drawn.arrays, "pred": moved})))
    share = 1 / (len(drawn.arrays["target_lengths"]) * max(int(drawn.arrays["target_lengths"][0]), 1))
    numeric = float(sides[0] - sides[1]) / (2 * step)
    assert found[0, 0, 1] == pytest.approx(numeric + share * np.exp(drawn.arrays["pred"][0, 0, 1]), rel=1e-6)
    assert (found[frames:, 0] == 0).all()


def alike(loss):
    """Whether the first two inputs are real numbers that may be equal."""
    words = [one.word for one in loss.signature.inputs[:2]]
    return len(words) == 2 and words[0] == words[1] and not (words[0].index or words[0].domain.values)


@pytest.mark.parametrize("name", [loss.name for loss in catalogue().values() if alike(loss)])
@pytest.mark.parametrize("varied", [False, True])
def test_a_perfect_fit_has_a_gradient(name, varied):
    loss = LOSSES.get(name)
    drawn = draw(loss, varied=varied)
    first, second = (one.name for one in loss.signature.inputs[:2])
    if loss.signature.inputs[0].word.domain.holds(0.0, 0.0) and not loss.signature.inputs[0].word.corners:
        drawn.arrays[first][0] = 0.0
    drawn.arrays[second] = drawn.arrays[first].copy()
    found = gradients(loss, drawn)
    if name == "chi2":
        # More of the target than the nothing that was predicted is infinite.
        np.testing.assert_array_equal(found["target"][0], np.full((4, 3), np.inf))
        found["target"][0] = 0.0
    assert all(np.isfinite(one).all() for one in found.values())


@pytest.mark.parametrize("name", ["rmse", "rmsle", "rmspe", "nrmse", "hellinger"])
def test_a_root_has_gradient_0_at_a_perfect_fit(name):
    same = [[0.25, 0.75, 0.0], [0.5, 0.1, 0.4]]
    for found in gradients(LOSSES.get(name), drawn_of(name, (same, same), {})).values():
        np.testing.assert_array_equal(found, np.zeros((2, 3)))


@pytest.mark.parametrize("p", [0.5, 1.0, 1.5, 2.0, 3.0, float("inf")])
def test_a_norm_has_torchs_gradient_also_at_zeros(p):
    vectors = torch.tensor([[0.0, 0.0], [0.0, 3.0], [1.0, -2.0]], dtype=torch.float64, requires_grad=True)
    ours = torch.autograd.grad(norm(BACKEND.xp, vectors, p, axis=-1).sum(), vectors)[0]
    torchs = torch.autograd.grad(torch.linalg.vector_norm(vectors, p, dim=-1).sum(), vectors)[0]
    np.testing.assert_allclose(ours.numpy(), torchs.numpy(), rtol=1e-12)


SURE = [
    ("focal", ([1000.0, -1000.0], [1.0, 0.0]), {}, "gamma"),
    ("poly_binary", ([1000.0, -1000.0], [1.0, 0.0]), {}, "gamma"),
    ("focal_multiclass", ([[1000.0, 0.0], [0.0, 1000.0]], [0, 1]), {}, "gamma"),
    ("asymmetric_multilabel", ([[1000.0, -5.0], [-1000.0, 1000.0]], [[1.0, 0.0], [0.0, 1.0]]), {}, "gamma_neg"),
    ("asymmetric_multilabel", ([[1000.0, -5.0], [-1000.0, 1000.0]], [[1.0, 0.0], [0.0, 1.0]]), {}, "gamma_pos"),
    ("asymmetric_single", ([[1000.0, 0.0], [0.0, 1000.0]], [0, 1]), {"eps": 0.0}, "gamma_pos"),
]


@pytest.mark.parametrize(("name", "arrays", "params", "by"), SURE)
@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_what_is_surely_right_has_gradient_0_for_any_gamma(name, arrays, params, by, gamma):
    found = slopes(name, arrays, params | {by: gamma}, "pred")
    np.testing.assert_array_equal(found, np.zeros(np.shape(arrays[0])))


def test_what_is_held_is_a_constant_and_what_is_raised_is_followed():
    plain = np.array([0.5, 2.0])
    leaf = torch.from_numpy(plain).requires_grad_()
    assert held(np, plain) is plain
    assert followed(leaf)
    assert not followed(held(BACKEND.xp, leaf))
    for made in (raised(np, plain, 1.0), raised(BACKEND.xp, leaf, 1.0).detach().numpy()):
        np.testing.assert_array_equal(made, [1.0, 2.0])
    assert torch.autograd.grad(raised(BACKEND.xp, leaf, 1.0).sum(), leaf)[0].tolist() == [1.0, 1.0]


def test_a_power_hides_no_nan():
    np.testing.assert_array_equal(power(np, np.array([0.0, 4.0, np.nan]), 0.5), [0.0, 2.0, np.nan])


def says_nothing(loss):
    """Whether the gradient by every real input is 0 on every draw."""
    drawn = (draw(loss, varied=varied, seed=seed) for varied in (False, True) for seed in range(3))
    return not any(found.any() for one in drawn for found in gradients(loss, one).values())


def test_losses_without_a_gradient_say_so_and_name_one_with():
    flat = {loss.name for loss in catalogue().values() if loss.flat}
    assert {loss.name for loss in catalogue().values() if says_nothing(loss)} == flat - {"median_ae"}
    assert all(not LOSSES.get(LOSSES.get(name).flat).flat for name in flat)


def test_the_page_of_a_flat_loss_names_what_to_train_with():
    assert next(row["text"] for row in info("median_ae").rows if row["what"] == "gradient").endswith("train with l1")
    assert "gradient" not in {row["what"] for row in info("l1").rows}
    assert describe(LOSSES.get("zero_one"))["train_with"] == "cross_entropy"
