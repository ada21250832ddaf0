import math

import pytest

from lossctl.errors import BadParameter, GateFailed, Undecided
from lossctl.gates import Check, check_bounds, check_coverage, verdict
from lossctl.request.spec import Gate


@pytest.mark.parametrize(
    ("gate", "value", "passed"),
    [
        (Gate("mse", "max", 1.0), 1.0, True),
        (Gate("mse", "max", 1.0), math.nextafter(1, 2), False),
        (Gate("mse", "min", 1.0), 1.0, True),
        (Gate("mse", "min", 1.0), math.nextafter(1, 0), False),
        (Gate("mse", "max", 1.0), math.nan, None),
        (Gate("mse", "max", 1.0), math.inf, False),
        (Gate("mse", "max", math.inf), math.inf, True),
        (Gate("mse", "expect", 100.0, rtol=0.01), 101.0, True),
        (Gate("mse", "expect", -100.0, rtol=0.01), -101.0, True),
        (Gate("mse", "expect", 100.0, rtol=0.01), 101.1, False),
        (Gate("mse", "expect", 0.0, atol=0.5), -0.5, True),
        (Gate("mse", "expect", 0.0), 1e-300, False),
        (Gate("mse", "expect", math.inf), math.inf, True),
        (Gate("mse", "expect", math.inf), 1.0, False),
        (Gate("mse", "expect", 1.0), math.inf, False),
        (Gate("mse", "expect", 1.0), math.nan, None),
    ],
)
def test_gate(gate, value, passed):
    check = check_bounds([gate], {"mse": value})[0]
    assert check.passed is passed
    assert repr(value) in check.message
    assert repr(gate.bound) in check.message
    assert check.as_dict()["value"] is value


def test_a_key_that_no_result_has():
    with pytest.raises(BadParameter) as caught:
        check_bounds([Gate("msee", "max", 1.0)], {"mse": 0.0})
    assert caught.value.hint.startswith("Did you mean 'mse'?")


@pytest.mark.parametrize("kind", ["max", "min", "expect"])
def test_a_bound_that_is_no_number(kind):
    with pytest.raises(BadParameter, match="bounds nothing"):
        check_bounds([Gate("mse", kind, math.nan)], {"mse": 0.0})


@pytest.mark.parametrize("tolerance", [{"rtol": math.inf}, {"atol": math.inf}, {"rtol": math.inf, "atol": math.inf}])
def test_a_tolerance_that_bounds_nothing(tolerance):
    with pytest.raises(BadParameter, match="which bounds nothing"):
        check_bounds([Gate("mse", "expect", 1.0, **tolerance)], {"mse": 1.0})


def test_a_gate_bounds_one_number():
    with pytest.raises(BadParameter, match="has one for each element"):
        check_bounds([Gate("mse", "max", 1.0)], {})


@pytest.mark.parametrize(("coverage", "digits"), [(0.899, "89.9%"), (0.8999999, "89.999990000000%")])
def test_a_coverage_that_is_nearly_enough_has_twelve_digits(coverage, digits):
    assert f"only {digits} of the samples" in check_coverage(coverage, 0.9)[0].message


def test_coverage():
    assert check_coverage(0.9, 0.9) == []
    assert "75.0%" in check_coverage(0.75, 0.9)[0].message


def test_coverage_says_enough_digits():
    message = check_coverage(0.99996, 1.0)[0].message
    assert message.count("100.0%") == 0
    assert "99.996" in message


def test_a_failure_comes_before_what_is_undecided():
    values = {"a": 2.0, "b": math.nan, "c": 0.0}
    gates = {key: Gate(key, "max", 1.0) for key in values}
    assert verdict(check_bounds([gates["c"]], values)) is None
    assert isinstance(verdict(check_bounds([gates["b"], gates["c"]], values)), Undecided)
    failed = verdict(check_bounds(gates.values(), values))
    assert isinstance(failed, GateFailed)
    assert "a = 2.0" in failed.message
    assert "b" not in failed.message


@pytest.mark.parametrize("tolerance", [{"rtol": math.inf}, {"atol": math.inf}, {"rtol": math.nan}, {"atol": math.nan}])
def test_a_tolerance_that_is_no_number_bounds_nothing(tolerance):
    with pytest.raises(BadParameter, match="which bounds nothing") as caught:
        check_bounds([Gate("mse", "expect", 1.0, **tolerance)], {"mse": 1.0})
    assert caught.value.hint == "Give --rtol and --atol finite numbers."


def test_tolerances_add_up():
    gate = Gate("mse", "expect", 100.0, rtol=0.01, atol=0.5)
    assert [check_bounds([gate], {"mse": value})[0].passed for value in (101.5, 98.5, 101.6, 98.4)] == [
        True,
        True,
        False,
        False,
    ]


def test_a_gate_bounds_no_array_of_numbers():
    with pytest.raises(BadParameter, match="with --reduction none 'mse' has one for each element") as caught:
        check_bounds([Gate("mse", "max", 1.0)], {})
    assert caught.value.hint == "Leave out the gate, or use another reduction."


@pytest.mark.parametrize(("bound", "value", "relation"), [(1.0, 2.0, "<= 1.0"), (math.inf, 2.0, "<= inf")])
def test_whose_value_it_is_and_what_was_wanted(bound, value, relation):
    (check,) = check_bounds([Gate("mse", "max", bound)], {"mse": value}, "b")
    assert check.message.endswith(f"mse of b = 2.0, wanted {relation}")
    assert check.as_dict()["system"] == "b"
    assert "system" not in check_bounds([Gate("mse", "max", bound)], {"mse": value})[0].as_dict()


@pytest.mark.parametrize(
    ("coverage", "least", "said"),
    [
        (0.75, 0.9, "75.0% "),
        (0.8996, 0.9, "89.960000000000%"),
        (0.0, 0.5, "0.0% "),
        (math.nextafter(0.5, 0), 0.5, "50.000000000000%"),
    ],
)
def test_coverage_below_the_least_is_undecided(coverage, least, said):
    (check,) = check_coverage(coverage, least)
    assert (check.passed, check.bound, check.value) == (None, least, coverage)
    assert said in check.message
    assert isinstance(verdict([check]), Undecided)


def test_the_error_says_every_gate_of_its_kind_and_the_first_hint():
    checks = [
        Check("a", "max", 1.0, 2.0, None, "a is open"),
        Check("b", "max", 1.0, 2.0, None, "b is open", hint="do this"),
        Check("c", "max", 1.0, 2.0, None, "c is open", hint="do that"),
    ]
    error = verdict(checks)
    assert (type(error), error.message, error.hint) == (Undecided, "a is open; b is open; c is open.", "do this")
    failed = verdict([*checks, Check("d", "max", 1.0, 2.0, passed=False, message="d failed")])
    assert (type(failed), failed.message, failed.hint) == (GateFailed, "d failed.", "")
    assert [check.as_dict().get("hint") for check in checks] == [None, "do this", "do that"]
