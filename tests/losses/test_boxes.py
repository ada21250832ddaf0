"""Losses of boxes: against what torchvision prints in float32, and against formulas in plain numbers."""

import math

import numpy as np
import pytest
from ask import ask, none, value

from lossctl.checking.checks import Drawn, gradients
from lossctl.errors import OutOfDomain
from lossctl.losses import LOSSES
from lossctl.request.options import Options

PRINTED = 1e-7
BOXES = [[0, 0, 2, 2], [0, 0, 1, 1], [0, 0, 2, 1]], [[1, 1, 3, 3], [2, 2, 3, 3], [0, 0, 1, 1]]


@pytest.mark.parametrize("backend", ["numpy", "torch"])
@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("iou_box", [6 / 7, 1, 0.5]),
        ("giou", [1.07936502, 1.77777779, 0.5]),
        ("diou", [0.96825397, 1.44444442, 0.55]),
        ("ciou", [0.96825397, 1.44444442, 0.55324817]),
    ],
)
def test_boxes_as_printed(name, printed, backend):
    np.testing.assert_allclose(none(name, *BOXES, options=Options(backend=backend)), printed, atol=PRINTED)
    assert value(name, *BOXES) == pytest.approx(np.mean(printed), abs=PRINTED)


def box(rng, n):
    low = rng.uniform(-2, 2, size=(n, 2))
    return np.concatenate([low, low + rng.uniform(0.2, 3, size=(n, 2))], axis=1)


def cost_of_boxes(name, a, b, eps):
    """Interval by interval, in plain numbers."""
    common = [max(0.0, min(a[k + 2], b[k + 2]) - max(a[k], b[k])) for k in (0, 1)]
    around = [max(a[k + 2], b[k + 2]) - min(a[k], b[k]) for k in (0, 1)]
    (w, h), (v, g) = ((c[2] - c[0], c[3] - c[1]) for c in (a, b))
    union = w * h + v * g - common[0] * common[1]
    iou = common[0] * common[1] / (union + eps)
    hull = around[0] * around[1]
    apart = sum(((a[k] + a[k + 2]) / 2 - (b[k] + b[k + 2]) / 2) ** 2 for k in (0, 1))
    far = apart / (around[0] ** 2 + around[1] ** 2 + eps)
    turn = 4 / math.pi**2 * (math.atan(v / g) - math.atan(w / h)) ** 2
    more = {"iou_box": 0, "giou": (hull - union) / (hull + eps), "diou": far, "ciou": far + turn**2 / (1 - iou + turn + eps)}
    return 1 - iou + more[name]


@pytest.mark.parametrize("name", ["iou_box", "giou", "diou", "ciou"])
@pytest.mark.parametrize("eps", [1e-7, 0.5])
def test_boxes_by_their_formulas(name, eps):
    rng = np.random.default_rng(5)
    pred, target = box(rng, 60), box(rng, 60)
    wanted = [cost_of_boxes(name, a, b, eps) for a, b in zip(pred, target, strict=True)]
    np.testing.assert_allclose(none(name, pred, target, eps=eps), wanted, rtol=1e-12, atol=1e-14)
    assert value(name, pred[0], target[0], eps=eps) == pytest.approx(wanted[0], rel=1e-12)
    assert value(name, pred, pred) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("name", ["iou_box", "giou", "diou", "ciou"])
@pytest.mark.parametrize("wrong", [[3, 1, 1, 3], [1, 3, 3, 1], [1, 1, 0.999, 1], [0.5, 2, 1, 1]])
def test_inverted_boxes_are_refused_with_their_number(name, wrong):
    good = [[0, 0, 1, 1]] * 5
    bad = [*good[:3], wrong, good[4]]
    with pytest.raises(OutOfDomain, match=r"^pred: box 3 is \(.*\), which is not x1 <= x2 and y1 <= y2\."):
        ask(name, bad, good)
    with pytest.raises(OutOfDomain, match=r"^target: box 2 is"):
        ask(name, good[1:], bad[1:])
    assert ask(name, bad, good, mask=[1, 1, 1, 0, 1]).n == 4
    with pytest.raises(OutOfDomain, match=r"^pred: box 3 is"):
        ask(name, bad, good, mask=[0, 1, 0, 1, 1])


# A point in a point, a line over a point, a point in a square of side 2, and a line across it.
FLAT = [[1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1], [0, 1, 2, 1]], [[1, 1, 1, 1], [0, 1, 3, 1], [0, 0, 2, 2], [0, 0, 2, 2]]
# No overlap anywhere; the hull's area beside its union's; the centre of the line is half a unit away, and the line 3 long.
APART = [0, 0.25 / 9, 0, 0]
# (atan(w/h) - atan(w'/h'))^2 4/pi^2: right angles against upright lines and against squares.
TURNED = [0, 1, 0.25, 0.25]


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_boxes_without_area(backend):
    options = Options(backend=backend)
    np.testing.assert_allclose(none("iou_box", *FLAT, options=options), np.ones(4), atol=1e-6)
    np.testing.assert_allclose(none("giou", *FLAT, options=options), np.ones(4), atol=1e-6)
    np.testing.assert_allclose(none("diou", *FLAT, options=options), np.add(1, APART), atol=1e-6)
    wanted = [1 + far + turn**2 / (1 + turn) for far, turn in zip(APART, TURNED, strict=True)]
    np.testing.assert_allclose(none("ciou", *FLAT, options=options), wanted, atol=1e-6)


@pytest.mark.parametrize("name", ["iou_box", "giou", "diou", "ciou"])
def test_boxes_without_area_have_gradients(name):
    arrays = {one: np.array(boxes, float) for one, boxes in zip(("pred", "target"), FLAT, strict=True)}
    found = gradients(LOSSES.get(name), Drawn(arrays, {}, {"eps": 1e-7}))
    assert all(np.isfinite(one).all() for one in found.values())
