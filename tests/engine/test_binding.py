import numpy as np
import pytest
from ask import ask, none, reader, tie, value

from lossctl.engine.binding import bind
from lossctl.errors import BadParameter, ShapeMismatch, UnreadableFile
from lossctl.losses import LOSSES
from lossctl.losses.loss import scalars
from lossctl.request.options import Options

ELEMENTWISE = ["mse", "l1", "huber", "rmse", "kl_div", "bce_with_logits", "dice"]


def test_scalars_have_defaults():
    huber, ce = LOSSES.get("huber"), LOSSES.get("ce")
    assert scalars(huber, {}) == {"delta": 1.0}
    assert scalars(ce, {"ignore_index": "-1"}) == {"ignore_index": -1, "label_smoothing": 0.0}


def test_a_parameter_that_the_loss_does_not_have():
    with pytest.raises(BadParameter) as caught:
        scalars(LOSSES.get("huber"), {"delt": 1})
    assert "huber has no parameter 'delt'" in caught.value.message
    assert "Did you mean 'delta'?" in caught.value.hint


@pytest.mark.parametrize(("given", "missing"), [({}, "pred, target, var"), ({"pred": 1, "var": 1}, "target")])
def test_missing_inputs(given, missing):
    with pytest.raises(BadParameter, match=f"gaussian_nll needs 3 inputs; missing: {missing}."):
        bind(LOSSES.get("gaussian_nll"), {name: reader([1.0]) for name in given}, {}, Options())


@pytest.mark.parametrize(
    "array",
    [
        np.array([1j, 2]),
        np.array(["a", "b"]),
        np.array(["2020", "2021"], "M8[Y]"),
        np.array([1, None], object),
        np.array([b"x", b"y"]),
    ],
    ids=lambda array: array.dtype.kind,
)
def test_what_is_no_array_of_real_numbers(array):
    with pytest.raises(UnreadableFile, match=r"target \(target\) holds .*, not real numbers"):
        tie("mse", [1, 2], array)


@pytest.mark.parametrize(
    ("name", "shapes", "n", "single", "axes"),
    [
        ("mse", [(4, 3), (4, 3)], 4, False, [0, 0]),
        ("mse", [(), ()], 1, True, [0, 0]),
        ("ce", [(4, 3), (4,)], 4, False, [0, 0]),
        ("ce", [(3,), ()], 1, True, [0, 0]),
        ("ce", [(4, 3, 2), (4, 2)], 4, False, [0, 0]),
        ("triplet", [(3,), (3,), (3,)], 1, True, [0, 0, 0]),
        ("ctc", [(9, 4, 3), (4, 2), (4,), (4,)], 4, False, [1, 0, 0, 0]),
        ("ctc", [(9, 3), (2,), (), ()], 1, True, [1, 0, 0, 0]),
        ("wasserstein", [(4,), (6,)], 4, False, [0, None]),
    ],
)
def test_sample_axes(name, shapes, n, single, axes):
    bound = tie(name, *(np.ones(shape) for shape in shapes))
    assert (bound.n, bound.single, [slot.axis for slot in bound.slots]) == (n, single, axes)


def test_elements_are_those_of_the_largest_array():
    assert tie("ce", np.zeros((4, 3, 2)), np.zeros((4, 2))).elements == 6
    assert tie("ctc", np.zeros((9, 4, 3)), np.ones((4, 2)), [9] * 4, [2] * 4).elements == 27
    # Class weights and targets that are not cut do not count.
    assert tie("ce", np.zeros((4, 3)), np.zeros(4), weight=np.ones(3)).elements == 3
    assert tie("mse", np.zeros((0, 3)), np.zeros((0, 3))).elements == 0


def test_tensors_without_samples_are_not_cut():
    bound = tie("bce_with_logits", np.zeros((4, 3)), np.zeros((4, 3)), weight=np.ones(3), pos_weight=np.ones((4, 1)))
    assert {slot.input.name: slot.axis for slot in bound.slots} == {"pred": 0, "target": 0, "weight": None, "pos_weight": 0}


@pytest.mark.parametrize(("name", "reduction"), [(name, how) for name in ELEMENTWISE for how in LOSSES.get(name).reductions])
def test_a_single_number_is_a_sample_without_axes(name, reduction):
    options = Options(reduction=reduction)
    found = value(name, 0.25, 1.0, options=options)
    assert isinstance(found, float)
    assert np.ravel(value(name, [0.25], [1.0], options=options)) == [found]


@pytest.mark.parametrize(
    ("name", "batch", "named"),
    [
        ("ce", [[[0.1, 0.5, 0.2]], [1]], {"weight": [1, 2, 3]}),
        ("ce", [[[0.1, 0.5, 0.2]], [[0.2, 0.3, 0.5]]], {"weight": [1, 2, 3], "label_smoothing": 0.1}),
        ("triplet", [[[0.1, 0.5]], [[1, 2]], [[0.3, 0]]], {}),
        ("gaussian_nll", [[1.0], [2.0], [3.0]], {}),
        ("mse", [[1.0], [2.0]], {"weight": [3.0]}),
        ("bce_with_logits", [[1.0], [0.5]], {"pos_weight": [3.0]}),
    ],
)
def test_unbatched_is_a_batch_of_one_without_its_axis(name, batch, named):
    single = [np.asarray(array)[0] for array in batch]
    own = {n: (np.asarray(t)[0] if name in {"mse", "bce_with_logits"} else t) for n, t in named.items()}
    whole, one = none(name, *batch, **named), none(name, *single, **own)
    assert one.shape == whole.shape[1:]
    assert one == whole[0]
    assert value(name, *single, **own) == value(name, *batch, **named)


@pytest.mark.parametrize(("lead", "beside"), [((2, 3), (3, 2)), ((2, 3), (2,)), ((2,), (2, 3))])
def test_both_shapes_are_said(lead, beside):
    with pytest.raises(ShapeMismatch) as caught:
        tie("mse", np.zeros(lead), np.zeros(beside))
    assert f"pred (pred) has shape {lead} and target (target) has shape {beside}" in caught.value.message


def test_the_first_input_is_said_alone():
    with pytest.raises(ShapeMismatch, match=r"^pred \(pred\) has shape \(\); it must be \(N, C, d1\.\.\)\.$"):
        tie("ce", 1.0, 0)


def test_squeeze_is_offered():
    with pytest.raises(ShapeMismatch) as caught:
        tie("mse", np.zeros((3, 1)), np.zeros(3))
    assert "--squeeze" in caught.value.hint


def test_class_weights_have_one_entry_a_class():
    with pytest.raises(ShapeMismatch, match=r"weight \(weight\) has shape \(2,\), which must be \(3,\)"):
        ask("ce", np.eye(3), [0, 1, 2], weight=[1, 2])
