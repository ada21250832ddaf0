import numpy as np
import pytest
from ask import ask, value

from lossctl.errors import BadParameter, OutOfDomain, ShapeMismatch
from lossctl.request.options import Options

REDUCTIONS = ("mean", "sum", "none")
FRAMES, CLASSES = 9, 5


def scores(*shape, seed=0):
    raw = np.random.default_rng(seed).normal(size=shape)
    return raw - np.log(np.exp(raw).sum(axis=-1, keepdims=True))


def labels(blank, *shape, seed=1):
    """Labels that are no blanks, with repeats."""
    drawn = np.random.default_rng(seed).integers(0, 2, size=shape)
    return np.array([label for label in range(CLASSES) if label != blank])[drawn]


def check(arrays, **params):
    """Every reduction is torch's."""
    import torch

    tensors = [torch.tensor(np.asarray(array)) for array in arrays]
    # torch reads past the end of rows that are padded with -1, unless the labels come end to end.
    if tensors[1].ndim == 2:
        tensors[1] = torch.cat([row[:length] for row, length in zip(tensors[1], tensors[3], strict=True)])
    for reduction in REDUCTIONS:
        wanted = torch.nn.functional.ctc_loss(*tensors, reduction=reduction, **params).numpy()
        found = value("ctc", *arrays, options=Options(reduction=reduction, nan="propagate"), **params)
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("blank", [0, 2, CLASSES - 1])
@pytest.mark.parametrize("zero_infinity", [False, True])
@pytest.mark.parametrize("form", ["padded", "end to end", "padded with -1"])
def test_batched(blank, zero_infinity, form):
    frames, lengths = [9, 4, 1, 0, 9, 3], [4, 0, 1, 0, 2, 4]
    target = labels(blank, 6, 4)
    if form == "padded with -1":
        target[np.arange(4) >= np.array(lengths)[:, None]] = -1
    if form == "end to end":
        target = np.concatenate([row[:length] for row, length in zip(target, lengths, strict=True)])
    check([scores(FRAMES, 6, CLASSES), target, frames, lengths], blank=blank, zero_infinity=zero_infinity)


@pytest.mark.parametrize("blank", [0, 3])
@pytest.mark.parametrize("length", [0, 1, 4])
def test_unbatched(blank, length):
    import torch

    pred, target = scores(FRAMES, CLASSES), labels(blank, 4)[:length]
    for reduction in REDUCTIONS:
        wanted = torch.nn.functional.ctc_loss(
            torch.tensor(pred),
            torch.tensor(target),
            torch.tensor(FRAMES),
            torch.tensor(length),
            blank=blank,
            reduction=reduction,
        ).numpy()
        found = np.asarray(value("ctc", pred, target, FRAMES, length, blank=blank, options=Options(reduction=reduction)))
        assert found.shape == wanted.shape
        np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_repeats_need_a_frame_between_them():
    pred, target = scores(3, 2, CLASSES), [[1, 1], [1, 2]]
    check([pred, target, [2, 2], [2, 2]])
    check([pred, target, [3, 3], [2, 2]])
    assert np.isinf(
        value("ctc", pred, target, [2, 2], [2, 2], options=Options(reduction="none", nan="propagate"))
    ).tolist() == [True, False]


def test_any_cut_gives_the_whole():
    pred, target = scores(FRAMES, 6, CLASSES), labels(0, 6, 4)
    one_by_one = [value("ctc", pred[:, i : i + 1], target[i : i + 1], [9], [4]) for i in range(6)]
    assert value("ctc", pred, target, [9] * 6, [4] * 6) == pytest.approx(np.mean(one_by_one), rel=1e-13)


def test_weights_and_groups():
    pred, target = scores(FRAMES, 3, CLASSES), labels(0, 3, 2)
    each = np.array(value("ctc", pred, target, [9] * 3, [2, 1, 2], options=Options(reduction="none"))) / [2, 1, 2]
    outcome = ask("ctc", pred, target, [9] * 3, [2, 1, 2], weights=[1, 2, 5], groups=[0, 1, 0])
    assert outcome.value == pytest.approx(each @ [1, 2, 5] / 8, rel=1e-13)
    assert outcome.groups[0][0] == pytest.approx((each[0] + 5 * each[2]) / 6, rel=1e-13)


@pytest.mark.parametrize("backend", ["numpy", "torch"])
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"input_lengths": [9, 10, 9]}, OutOfDomain, r"input_lengths \(input_lengths\) at \[1\] is 10, outside of 0\.\.9"),
        ({"input_lengths": [9, 9, -1]}, OutOfDomain, r"at \[2\] is -1, outside of >= 0"),
        ({"input_lengths": [9, 2.5, 9]}, OutOfDomain, r"at \[1\] is 2\.5"),
        ({"target_lengths": [2, 2, 3]}, OutOfDomain, r"target_lengths \(target_lengths\) at \[2\] is 3, outside of 0\.\.2"),
        (
            {"target": [[1, 2], [1, 0], [1, 1]]},
            OutOfDomain,
            "label 1 of sequence 1 is 0, which is not one of 0..4 other than blank=0",
        ),
        ({"target": [[1, 2], [1, 2], [5, 1]]}, OutOfDomain, "label 0 of sequence 2 is 5"),
        ({"target": [[1, 2], [1, 2], [1, -1]]}, OutOfDomain, "label 1 of sequence 2 is -1"),
        ({"target": [1, 2, 3]}, ShapeMismatch, "holds 3 labels, but target_lengths add up to 6"),
        ({"target_lengths": [2, 2]}, ShapeMismatch, r"target_lengths \(target_lengths\) has shape \(2,\)"),
        ({"blank": 5}, BadParameter, "blank=5, but the scores have 5 classes"),
        ({"blank": -1}, BadParameter, "'blank' takes"),
    ],
)
def test_what_torch_would_read_out_of_bounds(change, error, message, backend):
    given = {"target": [[1, 2], [3, 4], [1, 1]], "input_lengths": [9, 9, 9], "target_lengths": [2, 2, 2]} | change
    arrays = [given.pop(name) for name in ("target", "input_lengths", "target_lengths")]
    for nan in ("error", "skip", "propagate"):
        with pytest.raises(error, match=message):
            ask("ctc", scores(FRAMES, 3, CLASSES), *arrays, options=Options(backend=backend, nan=nan), **given)


def test_no_sequences():
    assert value("ctc", np.zeros((3, 0, 4)), np.zeros((0, 2)), [], [], options=Options(reduction="sum")) == 0
