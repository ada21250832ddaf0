"""Overlap of regions: against other libraries' printed values, and against formulas written again here.

Printed values were computed in float32, so that their eighth digit is a rounded one.
"""

import math

import numpy as np
import pytest
from ask import ask, tie, value

from lossctl.engine.block import Selection
from lossctl.engine.fold import fold
from lossctl.errors import NothingLeft, OutOfDomain
from lossctl.losses import LOSSES
from lossctl.losses.backends import BACKENDS
from lossctl.request.options import Options

PRINTED = 1e-7
P, T = [[0.9, 0.4], [0.2, 0.6]], [[1, 0], [0, 1]]
Z = np.log(np.array(P) / (1 - np.array(P)))

BINARY = ["dice", "squared_dice", "jaccard", "tversky", "focal_tversky", "mcc_loss"]
MULTICLASS = ["dice_multiclass", "jaccard_multiclass", "tversky_multiclass", "focal_tversky_multiclass", "generalized_dice"]


def softmax(scores, axis=1):
    powers = np.exp(scores)
    return powers / powers.sum(axis=axis, keepdims=True)


def parts(p, t):
    return (p * t).sum(), (p * (1 - t)).sum(), ((1 - p) * t).sum(), ((1 - p) * (1 - t)).sum()


def index(p, t, alpha, beta, smooth=0.0):
    """Tversky's index, 1 for an empty mask."""
    tp, fp, fn, _ = parts(p, t)
    return (tp + smooth) / (tp + alpha * fp + beta * fn + smooth) if t.any() else 1.0


def mcc(p, t, eps=1e-5):
    tp, fp, fn, tn = (part + eps for part in parts(p, t))
    return (tp * tn - fp * fn) / math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))


def squared(p, t):
    return 1 - 2 * (p * t).sum() / ((p * p).sum() + (t * t).sum()) if t.any() else 0.0


def generalized(p, t):
    """Over classes on the first axis."""
    size = t.sum(axis=1)
    weights = 1 / np.where(size > 0, size, size[size > 0].min()) ** 2
    return 1 - 2 * (weights @ (p * t).sum(axis=1)) / (weights @ (p + t).sum(axis=1))


BY_FORMULA = {
    "dice": lambda p, t: 1 - index(p, t, 0.5, 0.5),
    "squared_dice": squared,
    "jaccard": lambda p, t: 1 - index(p, t, 1, 1),
    "tversky": lambda p, t: 1 - index(p, t, 0.5, 0.5),
    "focal_tversky": lambda p, t: (1 - index(p, t, 0.3, 0.7)) ** 0.75,
    "mcc_loss": lambda p, t: 1 - mcc(p, t),
}


def by_class(name, pred, target):
    """A multi-class loss as the mean of binary ones, each class against the rest."""
    p = np.moveaxis(pred, 1, 0).reshape(pred.shape[1], -1)
    t = (np.arange(pred.shape[1])[:, None] == target.reshape(1, -1)).astype(float)
    if name == "generalized_dice":
        return generalized(p, t)
    return np.mean([BY_FORMULA[name.removesuffix("_multiclass")](*pair) for pair in zip(p, t, strict=True)])


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    pred, target = rng.uniform(size=(6, 4, 5)), rng.integers(0, 2, size=(6, 4, 5))
    target[3] = 0
    return pred, target


@pytest.fixture
def maps():
    rng = np.random.default_rng(1)
    return softmax(rng.normal(size=(6, 4, 3, 5))), rng.integers(0, 3, size=(6, 3, 5))


@pytest.mark.parametrize(
    ("name", "params", "printed"),
    [
        ("dice", {}, 0.26829267),
        ("dice", {"smooth": 1}, 0.18032783),
        ("dice", {"log_loss": True}, 0.31237465),
        ("dice", {"smooth": 0.5e-5}, 0.26829201),
        ("squared_dice", {"smooth": 0.5e-5}, 0.10979193),
        ("jaccard", {}, 0.42307693),
        ("tversky", {"alpha": 0.3, "beta": 0.7}, 0.26108372),
        ("focal_tversky", {"alpha": 0.3, "beta": 0.7, "gamma": 0.75}, 0.36524549),
        ("mcc_loss", {}, 0.54944092),
    ],
)
def test_values_that_other_libraries_print(name, params, printed):
    assert value(name, P, T, **params) == pytest.approx(printed, abs=PRINTED)


def test_dice_and_smoothed_cross_entropy_as_printed():
    assert value("dice", [[0.9, 0.2], [0.4, 0.7]], [[1, 0], [0, 1]]) == pytest.approx(0.23809522, abs=PRINTED)
    assert value("soft_bce_logits", Z, T, smooth_factor=0.1) == pytest.approx(0.44740003, abs=PRINTED)
    assert value("soft_bce", Z, T) == pytest.approx(value("bce_with_logits", Z, T), rel=1e-15)


def test_psnr_as_printed():
    assert value("psnr_loss", [1, 2], [1.5, 2], max_val=2) == pytest.approx(-15.0515, abs=5e-5)
    assert value("psnr_loss", [1, 2], [1, 2]) == pytest.approx(-120)


@pytest.mark.parametrize("name", BINARY)
def test_region_by_its_formula(name, images):
    pred, target = images
    assert value(name, pred, target) == pytest.approx(BY_FORMULA[name](pred, target), rel=1e-13)


@pytest.mark.parametrize("name", MULTICLASS)
def test_each_class_by_its_formula(name, maps):
    assert maps[1].max() < 3, "one class has no label"
    assert value(name, *maps) == pytest.approx(by_class(name, *maps), rel=1e-13)


@pytest.mark.parametrize("name", [name for name in MULTICLASS if name != "generalized_dice"])
def test_classes_present_leaves_out_what_no_label_names(name, maps):
    assert value(name, *maps, classes="present") == pytest.approx(value(name, *maps) * 4 / 3, rel=1e-14)


@pytest.mark.parametrize("name", ["dice_multiclass", "jaccard_multiclass", "tversky_multiclass"])
def test_log_loss_takes_each_overlap_s_logarithm(name, maps):
    alpha = 1 if name.startswith("jaccard") else 0.5
    overlaps = [index(maps[0][:, c], maps[1] == c, alpha, alpha) for c in range(4)]
    assert value(name, *maps, log_loss=True) == pytest.approx(-np.log(overlaps).mean(), rel=1e-13)


@pytest.mark.parametrize("name", [*MULTICLASS, "lovasz_softmax"])
def test_ignored_pixels_count_for_nothing(name, maps):
    pred, target = maps
    labels = np.where(np.random.default_rng(2).uniform(size=target.shape) < 0.3, 255, target)
    kept = labels != 255
    alone = np.moveaxis(pred, 1, -1)[kept], labels[kept]
    assert value(name, pred, labels, ignore_index=255) == pytest.approx(value(name, *alone), rel=1e-13)
    with pytest.raises(OutOfDomain, match="class 255"):
        ask(name, pred, labels)
    with pytest.raises(NothingLeft, match="every one of the 6 samples is ignored"):
        ask(name, pred, np.full_like(labels, 255), ignore_index=255)


@pytest.mark.parametrize(("weights", "same"), [((0.5, 0.5), "dice"), ((1, 1), "jaccard")])
@pytest.mark.parametrize("smooth", [0, 0.7])
def test_tversky_holds_dice_and_jaccard(weights, same, smooth, images, maps):
    params = {"alpha": weights[0], "beta": weights[1], "smooth": smooth}
    assert value("tversky", *images, **params) == pytest.approx(value(same, *images, smooth=smooth), rel=1e-14)
    assert value("focal_tversky", *images, **params, gamma=1) == pytest.approx(value(same, *images, smooth=smooth), rel=1e-14)
    several = value(f"{same}_multiclass", *maps, smooth=smooth)
    assert value("tversky_multiclass", *maps, **params) == pytest.approx(several, rel=1e-14)


@pytest.mark.parametrize("name", [*BINARY, *MULTICLASS])
def test_per_sample_shows_the_images_and_pooled_is_not_their_mean(name, images, maps):
    data = maps if name in MULTICLASS else images
    outcome = ask(name, *data, options=Options(per_sample=True))
    single = [value(name, pred[None], target[None]) for pred, target in zip(*data, strict=True)]
    np.testing.assert_allclose(outcome.samples[1], single, rtol=1e-13)
    assert outcome.value != pytest.approx(np.mean(single), rel=1e-4)


@pytest.mark.parametrize("name", MULTICLASS)
def test_groups_weights_and_masks_reach_every_class(name, maps):
    pred, target = maps
    outcome = ask(name, pred, target, groups=[0, 1, 0, 1, 1, 0])
    for code, members in enumerate(([0, 2, 5], [1, 3, 4])):
        assert outcome.groups[code] == (pytest.approx(value(name, pred[members], target[members]), rel=1e-13), 3)
    often = np.repeat(pred, [1, 2, 0, 1, 3, 1], axis=0), np.repeat(target, [1, 2, 0, 1, 3, 1], axis=0)
    assert value(name, pred, target, weights=[1, 2, 0, 1, 3, 1]) == pytest.approx(value(name, *often), rel=1e-13)
    mask = np.random.default_rng(3).integers(0, 2, size=target.shape)
    ignored = np.where(mask, target, -1)
    assert value(name, pred, target, mask=mask) == pytest.approx(value(name, pred, ignored, ignore_index=-1), rel=1e-13)


@pytest.mark.parametrize("name", [*BINARY, *MULTICLASS])
@pytest.mark.parametrize("samples", [1, 2, 4])
def test_any_cut_of_the_data_gives_the_whole(name, samples, images, maps):
    bound = tie(name, *(maps if name in MULTICLASS else images))
    tally = fold([bound], BACKENDS.get("numpy")(), Options(), Selection(), block=samples * bound.elements)[0]
    sums = {key: np.asarray(total) for key, total in tally.sums.finish().items()}
    assert float(bound.loss.finish(np, sums, **bound.params)) == pytest.approx(
        value(name, *(maps if name in MULTICLASS else images)), rel=1e-14
    )


@pytest.mark.parametrize("backend", ["numpy", "torch"])
@pytest.mark.parametrize("name", [name for name in BINARY if name != "mcc_loss"])
@pytest.mark.parametrize("smooth", [0, 1])
def test_an_empty_mask_costs_nothing(name, smooth, backend):
    assert value(name, np.full((2, 3), 0.5), np.zeros((2, 3)), smooth=smooth, options=Options(backend=backend)) == 0
    assert value(name, np.ones((2, 3)), np.ones((2, 3)), smooth=smooth, options=Options(backend=backend)) == pytest.approx(0)


def test_mcc_of_nothing_to_correlate_with_is_no_better_than_chance():
    assert value("mcc_loss", np.full((2, 3), 0.5), np.zeros((2, 3))) == pytest.approx(1, abs=1e-4)
    assert value("mcc_loss", 1 - np.array(T), T) == pytest.approx(2, abs=1e-4)
    assert value("mcc_loss", T, T) == pytest.approx(0, abs=1e-4)


def test_gradient_of_a_focal_tversky_at_a_perfect_fit_is_finite():
    torch = pytest.importorskip("torch")
    xp = BACKENDS.get("torch")().xp
    row = LOSSES.get("focal_tversky")
    pred = torch.tensor(T, dtype=torch.float64, requires_grad=True)
    params = {parameter.name: parameter.default for parameter in row.signature.parameters}
    terms = row.terms(xp, pred, torch.tensor(T, dtype=torch.float64), **params)
    row.finish(xp, {name: term.sum() for name, term in terms.items()}, **params).backward()
    assert torch.isfinite(pred.grad).all()


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("IoULoss", "jaccard"),
        ("SoftDice", "dice"),
        ("generalized_box_iou_loss", "giou"),
        ("complete_box_iou_loss", "ciou"),
        ("miou_loss", "jaccard_multiclass"),
        ("MCCLoss", "mcc_loss"),
        ("lovasz", "lovasz_hinge"),
        ("PSNR-loss", "psnr_loss"),
    ],
)
def test_other_names(alias, name):
    assert LOSSES.get(alias).name == name
