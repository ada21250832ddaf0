import numpy as np
import pytest
from ask import ask, ask_all, none, tie, value

from lossctl.engine.binding import bind
from lossctl.errors import NotFinite, OutOfDomain, ShapeMismatch
from lossctl.losses import LOSSES
from lossctl.losses.loss import scalars
from lossctl.request.options import Options
from lossctl.sources.readers import Memory

SKIP = Options(nan="skip")


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    return rng.normal(size=(6, 4)), rng.normal(size=(6, 4))


def test_mask_by_sample(data):
    pred, target = data
    kept = np.array([1, 0, 1, 1, 0, 1], bool)
    pred[~kept] = np.nan
    for mask in (kept, kept.astype(int), kept.astype(float)):
        outcome = ask("mse", pred, target, mask=mask)
        assert (outcome.value, outcome.n, outcome.skipped) == (value("mse", pred[kept], target[kept]), 4, 2)


def test_mask_by_element(data):
    pred, target = data
    kept = np.random.default_rng(1).integers(0, 2, size=pred.shape).astype(bool)
    pred[~kept] = np.nan
    target[~kept] = np.inf
    assert value("mse", pred, target, mask=kept) == pytest.approx(np.mean((pred[kept] - target[kept]) ** 2), rel=1e-14)
    np.testing.assert_array_equal(none("mse", pred, target, mask=kept) == 0, ~kept)


def test_what_an_element_mask_hides_is_not_skipped(data):
    pred, target = data
    pred[2, 1] = np.nan
    mask = np.ones(pred.shape)
    mask[2, 1] = 0
    outcome = ask("mse", pred, target, mask=mask, options=SKIP)
    assert (outcome.n, outcome.skipped) == (6, 0)
    pred[3, 3] = np.nan
    assert ask("mse", pred, target, mask=mask, options=SKIP).skipped == 1


@pytest.mark.parametrize("name", ["ce", "triplet", "soft"])
def test_an_element_mask_reaches_along_classes_and_vectors(name):
    rng = np.random.default_rng(0)
    mask = rng.integers(0, 2, size=(3, 5))
    mask[0, 0], mask[0, 1] = 0, 1
    hidden = mask == 0
    if name == "triplet":
        arrays, axes = list(rng.normal(size=(3, 3, 5, 2))), [(..., slice(None))] * 3
    else:
        soft = rng.dirichlet(np.ones(4), size=(3, 5)).swapaxes(1, 2)
        arrays = [rng.normal(size=(3, 4, 5)), soft if name == "soft" else rng.integers(0, 4, size=(3, 5)).astype(float)]
        axes = None
    name = "ce" if name == "soft" else name
    wanted = none(name, *arrays)[~hidden].mean()
    for array in arrays:
        lifted = hidden if array.shape == mask.shape else np.expand_dims(hidden, -1 if axes else 1)
        array[np.broadcast_to(lifted, array.shape)] = np.nan
    assert value(name, *arrays, mask=mask) == pytest.approx(wanted, rel=1e-14)
    with pytest.raises(NotFinite):
        ask(name, *arrays, mask=np.ones_like(mask))


def test_labels_under_a_mask_may_be_anything():
    labels = [[0, 99], [np.nan, 1]]
    assert value("ce", np.zeros((2, 2, 2)), labels, mask=[[1, 0], [0, 1]]) == pytest.approx(np.log(2))


def test_a_domain_without_zero_is_kept_under_a_mask():
    assert value("dice", [[0.5, 9.0]], [[1, 7]], mask=[[1, 0]]) == pytest.approx(1 / 3)


def test_an_element_mask_of_a_loss_without_elements():
    pred = np.log(np.full((4, 2, 3), 1 / 3))
    with pytest.raises(
        ShapeMismatch, match=r"--mask has shape \(2, 2\) in this block, but the unreduced loss has shape \(2,\)"
    ):
        ask("ctc", pred, [[1, 2], [1, 2]], [4, 4], [2, 2], mask=[[1, 0], [1, 1]])


@pytest.mark.parametrize("mask", [[0.5, 1], [np.nan, 1], [1, 255], [-1, 0], [[0, 1], [2, 1]]])
def test_a_mask_holds_0_and_1(mask):
    shape = np.shape(mask)
    bad = next(index for index in np.ndindex(shape) if np.asarray(mask)[index] not in (0, 1))
    with pytest.raises(OutOfDomain, match=rf"--mask \(mask\) at \[{', '.join(map(str, bad))}\] is"):
        ask("mse", np.zeros(shape), np.zeros(shape), mask=mask)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"mask": [1, 1]}, "--mask has 2 entries, but there are 3 samples"),
        ({"weights": [1, 1]}, "--weights has 2 entries, but there are 3 samples"),
        ({"weights": 1.0}, "--weights is a single number, but there are 3 samples"),
        ({"groups": [0, 1]}, "--by has 2 entries, but there are 3 samples"),
        ({"weights": [[1, 2], [1, 2], [1, 2]]}, r"--weights \(weights\) has shape \(3, 2\)"),
        ({"mask": [[1], [1], [1]]}, r"--mask has shape \(3, 1\) in this block, but the unreduced loss has shape \(3, 2\)"),
        ({"mask": np.ones((3, 3))}, r"--mask has shape \(3, 3\)"),
    ],
)
def test_one_entry_a_sample(given, message):
    with pytest.raises(ShapeMismatch, match=message):
        ask("mse", np.zeros((3, 2)), np.zeros((3, 2)), **given)


def test_a_column_of_weights_is_one_a_sample():
    assert value("mse", [1, 2], [0, 0], weights=[[3], [1]]) == value("mse", [1, 2], [0, 0], weights=[3, 1]) == 7 / 4


@pytest.mark.parametrize(("weight", "said"), [(-1, "-1"), (np.nan, "nan"), (np.inf, "inf")])
def test_weights_that_weigh_nothing(weight, said):
    with pytest.raises(OutOfDomain, match=rf"--weights \(weights\) at \[1\] is {said}\."):
        ask("mse", [1, 2], [0, 0], weights=[1, weight])
    with pytest.raises(OutOfDomain, match=rf"at \[2, 0\] is {said}\."):
        ask("mse", [1, 2, 3], [0, 0, 0], weights=[[1], [weight], [weight]], mask=[1, 0, 1])
    assert value("mse", [1, 2], [0, 0], weights=[1, weight], mask=[1, 0]) == 1


def test_skip_counts(data):
    pred, target = data
    pred[1, 2], target[4, 0] = np.nan, -np.inf
    outcome = ask("mse", pred, target, options=SKIP)
    kept = [0, 2, 3, 5]
    assert (outcome.n, outcome.skipped, outcome.coverage) == (4, 2, 4 / 6)
    assert outcome.value == value("mse", pred[kept], target[kept])


def test_all_losses_are_asked_about_the_same_rows():
    pred, target = np.zeros((6, 4)), np.ones((6, 4))
    labels = np.array([0, 1, np.nan, 3, 0, 1])
    vectors = np.ones((3, 6, 9))
    pred[1, 1], vectors[2, 4, 0] = np.nan, np.inf
    # They are cut into blocks of other sizes, one is not cut at all, and each has a row of its own that is no number.
    bounds = [
        tie("mse", pred, target),
        tie("ce", np.zeros((6, 4)), labels),
        tie("triplet", *vectors),
        tie("info_nce", target, target),
        tie("mse", [1.0] * 6, [1.0] * 6, weight=[1.0] * 6),
    ]
    assert [(o.n, o.skipped) for o in ask_all(bounds, SKIP)] == [(3, 3)] * len(bounds)


def test_losses_share_a_reader_and_not_what_they_make_of_it():
    wide, narrow, labels = np.zeros((3, 4)), np.zeros((3, 2)), np.array([0, 3, 1])
    first = tie("ce", wide, labels)
    readers = {slot.input.name: slot.reader for slot in first.slots}

    def again(name, pred, **params):
        loss = LOSSES.get(name)
        return bind(loss, {"pred": Memory(pred, "pred"), "target": readers["target"]}, scalars(loss, params), Options())

    ignoring = again("ce", wide, ignore_index=3)
    assert [outcome.value for outcome in ask_all([first, ignoring])] == pytest.approx([np.log(4)] * 2)
    for order in ([again("ce", narrow, ignore_index=3), again("ce", narrow)], [first, again("ce", narrow)]):
        with pytest.raises(OutOfDomain, match="class 3, but 2 classes"):
            ask_all(order)
    # As numbers the same labels are no probabilities.
    logs = again("kl_div", np.zeros(3), log_target=True), again("mse", np.zeros(3))
    assert [outcome.value for outcome in ask_all(logs)][1] == 10 / 3


def test_logarithms_are_no_masses():
    loss = LOSSES.get("kl_div")
    readers = {"pred": Memory(np.array([-1.0, -2.0]), "pred"), "target": Memory(np.array([-1.0, -2.0]), "target")}
    logs, masses = (bind(loss, readers, scalars(loss, {"log_target": flag}), Options()) for flag in (True, False))
    assert ask_all([logs])[0].value == 0
    with pytest.raises(OutOfDomain, match=r"target \(target\) at \[0\] is -1"):
        ask_all([logs, masses])
