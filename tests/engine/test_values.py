import numpy as np
import pytest
from ask import ask, tie, value
from hypothesis import given
from hypothesis import strategies as st

from lossctl.engine.values import cast, finite_rows, harmless, surely_finite
from lossctl.errors import NotFinite, OutOfDomain
from lossctl.losses.loss import Domain
from lossctl.request.options import Options

FAR = 300_000


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_finite_rows(axis):
    array = np.zeros((2, 3, 4))
    array[1, 2, 3], array[0, 0, 0] = np.nan, np.inf
    wanted = [not (np.isnan(row).any() or np.isinf(row).any()) for row in np.moveaxis(array, axis, 0)]
    assert finite_rows(array, axis).tolist() == wanted
    assert finite_rows(np.zeros((2, 3, 4), int), axis).all()


@given(st.lists(st.floats(width=32), max_size=5), st.sampled_from([np.float32, np.float64, np.float16, ">f8"]))
def test_what_is_surely_finite_is_finite(numbers, dtype):
    with np.errstate(over="ignore"):
        array = np.array(numbers).astype(dtype)
    assert not surely_finite(array) or np.isfinite(array).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize("place", [0, 17, FAR - 1])
def test_the_first_place_that_is_no_number(bad, dtype, place):
    pred = np.zeros(FAR, dtype)
    pred[place:] = bad
    with pytest.raises(NotFinite, match=rf"pred \(pred\) at \[{place}\] is {bad}"):
        ask("mse", pred, np.zeros(FAR))


@pytest.mark.parametrize("place", [3, FAR - 2])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("jobs", [1, 4])
def test_the_first_place_outside_of_the_domain(place, masked, jobs):
    pred = np.full((FAR, 2), 0.5)
    pred[place, 1] = pred[-1, 0] = 1.5
    mask = None
    if masked:
        # The samples left out before it change its place in the block, and not the one that is said.
        mask = np.arange(FAR) % 2 == place % 2
        pred[place - 1] = 99
    with pytest.raises(OutOfDomain, match=rf"pred \(pred\) at \[{place}, 1\] is 1\.5, outside of \[0, 1\]"):
        ask("dice", pred, np.zeros((FAR, 2)), mask=mask, options=Options(jobs=jobs))


@pytest.mark.parametrize("place", [0, FAR - 1])
def test_the_first_label_that_is_no_class(place):
    labels = np.zeros(FAR, int)
    labels[place] = 2
    with pytest.raises(OutOfDomain, match=rf"target \(target\) at \[{place}\] is class 2, but 2 classes are 0\.\.1"):
        ask("ce", np.zeros((FAR, 2)), labels)


@pytest.mark.parametrize(
    ("options", "hint"), [({}, "--nan skip to leave such samples out and say how many."), ({"nan": "propagate"}, "--nan skip")]
)
def test_labels_must_be_numbers_under_any_policy(options, hint):
    with pytest.raises(NotFinite, match=r"target \(target\) at \[1\] is nan") as caught:
        ask("ce", np.eye(3), [0, np.nan, 1], options=Options(**options))
    assert hint in caught.value.hint
    assert "propagate" not in caught.value.hint
    assert ask("ce", np.eye(3), [0, np.nan, 1], options=Options(nan="skip")).n == 2


def test_arrays_that_are_read_whole_cannot_be_skipped():
    with pytest.raises(NotFinite) as caught:
        ask("ce", np.eye(3), [0, 1, 2], weight=[1, np.inf, 1], options=Options(nan="skip"))
    assert caught.value.hint == "Use --nan propagate."


@pytest.mark.parametrize(
    ("domain", "number"),
    [
        (Domain(), 0),
        (Domain(0, 1, values=(0, 1)), 0),
        (Domain(-1, 1, values=(-1, 1)), -1),
        (Domain(low=0, open_low=True), 1),
        (Domain(2, 3), 3),
        (Domain(-3, -2), -2),
    ],
)
def test_harmless_values_are_in_the_domain(domain, number):
    assert harmless(domain) == number


@pytest.mark.parametrize(
    ("dtype", "option", "wanted"),
    [
        (np.float32, "f64", np.float64),
        (np.float64, "f32", np.float32),
        (np.uint8, "f32", np.float32),
        (np.float16, "native", np.float16),
        (">f4", "native", np.float32),
        (np.longdouble, "native", np.float64),
        (np.int32, "native", np.float64),
        (bool, "f64", np.float64),
    ],
)
def test_cast(dtype, option, wanted):
    array = np.asfortranarray(np.ones((2, 3), dtype))
    slot = tie("mse", array, array).slots[0]
    found = cast(array, slot, Options(dtype=option))
    assert (found.dtype, found.dtype.isnative, found.flags.c_contiguous) == (wanted, True, True)


def test_numbers_that_are_right_already_are_not_copied():
    array = np.ones(3)
    assert cast(array, tie("mse", array, array).slots[0], Options()) is array


def test_dtype_option():
    pred = np.array([1 / 3, 0.1])
    wanted = np.mean((pred.astype(np.float32) - np.float32(0)) ** 2, dtype=np.float64)
    assert value("mse", pred, [0, 0], options=Options(dtype="f32")) == wanted != value("mse", pred, [0, 0])


def test_large_numbers_are_no_infinities():
    assert value("l1", [1e200, -1e200], [0, 0]) == 1e200
    assert value("l1", np.array([3e38], np.float32), [0]) == float(np.float32(3e38))
