import numpy as np
import pytest
from ask import ask, none, value

from lossctl.errors import ShapeMismatch, UsageError
from lossctl.request.options import Options

SQUEEZE, BROADCAST = Options(squeeze=True), Options(broadcast=True)


@pytest.mark.parametrize("pair", [((4, 1), (4,)), ((4,), (1, 4)), ((1, 4, 1), (4, 1)), ((4, 3, 1), (4, 1, 3)), ((1,), (1, 1))])
def test_squeeze_matches_rows(pair):
    rng = np.random.default_rng(0)
    pred, target = rng.normal(size=pair[0]), rng.normal(size=pair[1])
    assert value("mse", pred, target, options=SQUEEZE) == value("mse", pred.ravel(), target.ravel())


def test_squeeze_keeps_the_samples_when_they_already_match():
    rng = np.random.default_rng(0)
    pred, target = rng.normal(size=(2, 1, 5))
    assert ask("mse", pred, target, options=SQUEEZE).n == 1
    assert ask("mse", pred, target, weights=[2.0], options=SQUEEZE).value == value("mse", pred, target)


@pytest.mark.parametrize("target", [(4, 1), (4, 1, 1), (4,)])
def test_squeeze_of_labels(target):
    pred, labels = np.random.default_rng(0).normal(size=(4, 3)), np.array([0, 1, 2, 1])
    assert value("ce", pred, labels.reshape(target), options=SQUEEZE) == value("ce", pred, labels)
    wide = pred.reshape(4, 3, 1)
    assert value("ce", wide, labels.reshape(target), options=SQUEEZE) == value("ce", pred, labels)


def test_squeeze_keeps_one_class_and_one_sample():
    assert value("ce", [[1.0], [2.0]], [0, 0], options=SQUEEZE) == 0
    pred = np.random.default_rng(0).normal(size=(1, 3, 3, 1))
    labels = np.array([[[0], [1], [2]]])
    # Without its sample axis this would be three samples of three classes.
    assert value("ce", pred, labels, options=SQUEEZE) == value("ce", pred, labels)


def test_squeeze_leaves_weights_at_their_axis():
    rng = np.random.default_rng(0)
    pred, target = rng.normal(size=(2, 2, 2)), rng.uniform(size=(2, 2, 2))
    for shape in ((2, 1), (1, 2), (2, 1, 1)):
        beside = rng.uniform(size=shape)
        wanted = value("bce_with_logits", pred, target, pos_weight=beside)
        assert value("bce_with_logits", pred, target, pos_weight=beside, options=SQUEEZE) == wanted
    flat = value("bce_with_logits", pred[..., 0], target[..., 0], pos_weight=[1, 2])
    assert value("bce_with_logits", pred[..., :1], target[..., :1], pos_weight=[[1], [2]], options=SQUEEZE) == flat


def test_squeeze_leaves_one_row_a_row():
    pred, target, var = np.random.default_rng(0).uniform(1, 2, size=(3, 1, 4))
    assert value("gaussian_nll", pred, target, var, options=SQUEEZE) == value("gaussian_nll", pred, target, var)


@pytest.mark.parametrize("shape", [(2, 1), (1, 2), (2, 2)])
def test_squeeze_leaves_variances_at_their_axis(shape):
    rng = np.random.default_rng(0)
    pred, target, var = rng.normal(size=(2, 2)), rng.normal(size=(2, 2)), rng.uniform(1, 2, size=shape)
    assert value("gaussian_nll", pred, target, var, options=SQUEEZE) == value("gaussian_nll", pred, target, var)
    column = value("gaussian_nll", pred[:, :1], target[:, :1], var[:, :1], options=SQUEEZE) if shape[0] == 2 else None
    assert column in {None, value("gaussian_nll", pred[:, 0], target[:, 0], np.broadcast_to(var, (2, 2))[:, 0])}


def test_squeeze_keeps_time():
    pred = np.log(np.full((1, 3, 3), 1 / 3))
    assert ask("ctc", pred, [1, 2, 1], [1, 1, 1], [1, 1, 1], options=SQUEEZE).n == 3


@pytest.mark.parametrize("pair", [((4, 1), (4,)), ((3,), (2, 3)), ((), (3,)), ((3,), ()), ((1, 3), (2, 1)), ((1,), (3, 2))])
@pytest.mark.parametrize("name", ["mse", "kl_div"])
def test_broadcast_is_numpy_s(pair, name):
    rng = np.random.default_rng(0)
    pred, target = np.asarray(rng.normal(size=pair[0])), np.asarray(rng.uniform(size=pair[1]))
    wide = np.broadcast_arrays(pred, target)
    np.testing.assert_array_equal(none(name, pred, target, options=BROADCAST), none(name, *wide))
    assert value(name, pred, target, options=BROADCAST) == value(name, *wide)


def test_broadcast_of_a_variance():
    pred, target, var = np.arange(3.0), np.ones((2, 1)), np.array([1.0, 2.0])
    wide = np.broadcast_arrays(pred, target)
    assert value("gaussian_nll", pred, target, var, options=BROADCAST) == value("gaussian_nll", *wide, var)


def test_what_does_not_broadcast():
    with pytest.raises(ShapeMismatch, match=r"has shape \(3,\) and target \(target\) has shape \(2,\)"):
        ask("mse", np.zeros(3), np.zeros(2), options=BROADCAST)


@pytest.mark.parametrize("name", ["mse", "ctc"])
def test_class_dim_without_classes(name):
    arrays = [np.zeros(2), np.zeros(2)] if name == "mse" else [np.zeros((2, 2, 2)), np.ones((2, 1)), [2, 2], [1, 1]]
    with pytest.raises(UsageError, match=f"no meaning for {name}"):
        ask(name, *arrays, options=Options(class_dim=-1))


@pytest.mark.parametrize("axis", [2, -3])
def test_class_dim_outside_of_the_scores(axis):
    with pytest.raises(ShapeMismatch, match=rf"--class-dim {axis} is outside of pred"):
        ask("ce", np.zeros((2, 2)), [0, 0], options=Options(class_dim=axis))


def test_class_dim_of_one_sample():
    assert value("ce", [1.0, 2.0], 1, options=Options(class_dim=-1)) == value("ce", [1.0, 2.0], 1)


def test_class_dim_goes_before_squeeze():
    pred, labels = np.random.default_rng(0).normal(size=(4, 1, 3)), [0, 1, 2, 0]
    assert value("ce", pred, labels, options=Options(class_dim=-1, squeeze=True)) == value("ce", pred[:, 0], labels)


def test_places_are_those_of_the_file():
    pred = np.zeros((2, 4, 3))
    pred[1, 2, 0] = np.nan
    with pytest.raises(Exception, match=r"pred \(pred\) at \[1, 2, 0\] is nan"):
        ask("ce", pred, np.zeros((2, 4)), options=Options(class_dim=-1))
    with pytest.raises(Exception, match=r"target \(target\) at \[0\] is nan"):
        ask("mse", np.zeros((5, 1)), [np.nan], options=BROADCAST)
    with pytest.raises(Exception, match=r"pred \(pred\) at \[3, 0\] is nan"):
        ask("mse", [[0], [0], [0], [np.nan]], np.zeros(4), options=SQUEEZE)
