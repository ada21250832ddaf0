import numpy as np
import pytest
from ask import ask, value

from lossctl.errors import NoSuchReduction, OutOfDomain
from lossctl.request.options import Options


def dice(pred, target, smooth=0.0):
    pred, target = np.asarray(pred, float), np.asarray(target, float)
    if not target.any():
        return 0.0
    return 1 - (2 * (pred * target).sum() + 2 * smooth) / (pred.sum() + target.sum() + 2 * smooth)


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    pred, target = rng.uniform(size=(5, 4, 4)), rng.integers(0, 2, size=(5, 4, 4))
    target[3] = 0
    return pred, target


@pytest.mark.parametrize("smooth", [0, 1])
def test_dice_is_pooled(images, smooth):
    assert value("dice", *images, smooth=smooth) == pytest.approx(dice(*images, smooth), rel=1e-14)


def test_dice_per_sample(images):
    outcome = ask("dice", *images, options=Options(per_sample=True))
    np.testing.assert_allclose(outcome.samples[1], [dice(*pair) for pair in zip(*images, strict=True)], rtol=1e-14)
    assert outcome.samples[1][3] == 0
    assert outcome.value != pytest.approx(outcome.samples[1].mean())


def test_dice_of_groups_finishes_on_their_sums(images):
    outcome = ask("dice", *images, groups=[0, 1, 0, 2, 1])
    pred, target = images
    for code, members in enumerate(([0, 2], [1, 4], [3])):
        assert outcome.groups[code] == (pytest.approx(dice(pred[members], target[members]), rel=1e-14), len(members))


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_dice_of_empty_masks(backend):
    assert value("dice", np.full((2, 3), 0.5), np.zeros((2, 3)), options=Options(backend=backend)) == 0
    assert value("dice", np.zeros((2, 3)), np.ones((2, 3)), options=Options(backend=backend)) == 1


def test_dice_with_weights_and_masks(images):
    pred, target = images
    twice = np.repeat(pred, [1, 2, 0, 1, 3], axis=0), np.repeat(target, [1, 2, 0, 1, 3], axis=0)
    assert value("dice", pred, target, weights=[1, 2, 0, 1, 3]) == pytest.approx(dice(*twice), rel=1e-14)
    mask = np.random.default_rng(1).integers(0, 2, size=pred.shape)
    assert value("dice", pred, target, mask=mask) == pytest.approx(dice(pred * mask, target * mask), rel=1e-14)


@pytest.mark.parametrize(
    ("pred", "target", "message"),
    [
        ([0.5, 1.5], [0, 1], r"pred \(pred\) at \[1\] is 1\.5, outside of \[0, 1\]"),
        ([0.5, -2.0], [0, 1], r"pred \(pred\) at \[1\] is -2, outside of \[0, 1\]"),
        ([0.5, 0.5], [0, 0.5], r"target \(target\) at \[1\] is 0\.5, outside of \{0, 1\}"),
        ([0.5, 0.5], [0, 255], r"target \(target\) at \[1\] is 255"),
    ],
)
def test_dice_wants_probabilities_and_a_mask(pred, target, message):
    with pytest.raises(OutOfDomain, match=message):
        ask("dice", pred, target)


@pytest.mark.parametrize("reduction", ["sum", "none"])
@pytest.mark.parametrize("name", ["dice", "rmse", "wasserstein"])
def test_formulas_on_pooled_sums_have_no_other_reduction(name, reduction):
    with pytest.raises(NoSuchReduction, match="formula on pooled sums"):
        ask(name, [0, 1], [0, 1], options=Options(reduction=reduction))
