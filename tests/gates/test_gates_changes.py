import math

import pytest
from scipy import stats

from lossctl.errors import BadParameter, UsageError
from lossctl.gates import Change, check_changes, verdict
from lossctl.request.spec import Gate, parse_gate
from lossctl.statistics.power import needed


def change(value=1.1, base=1.0, **more):
    return Change("mse", value, base, **more)


def spread(low, high, **more):
    """A change of 0.1 whose one-sided interval is given, from 100 samples."""
    return change(low90=low, high90=high, low=low - 0.01, high=high + 0.01, p=0.5, error=0.05, units=100, **more)


def decide(gates, one):
    (check,) = check_changes(gates, [one])
    return check


@pytest.mark.parametrize(
    ("kind", "bound", "value", "passed"),
    [
        ("max_abs", 0.5, 1.5, True),
        ("max_abs", 0.5, math.nextafter(1.5, 2), False),
        ("max_abs", -0.25, 0.75, True),
        ("max_abs", -0.25, 0.875, False),
        ("max_rel", 0.5, 1.5, True),
        ("max_rel", 0.5, math.nextafter(1.5, 2), False),
        ("max_rel", 0.0, 0.5, True),
        ("max_abs", 0.5, math.nan, None),
        ("max_abs", 0.5, math.inf, False),
    ],
)
def test_a_margin(kind, bound, value, passed):
    check = decide([Gate("mse", kind, bound)], change(value))
    assert check.passed is passed
    assert repr(value) in check.message


@pytest.mark.parametrize(
    ("value", "base", "passed"),
    [(0.0, 0.0, True), (1e-300, 0.0, False), (-1.0, 0.0, True), (-1.1, -1.0, True), (-0.4, -1.0, False)],
)
def test_parts_of_a_baseline_that_is_zero_or_negative(value, base, passed):
    assert decide([Gate("mse", "max_rel", 0.5)], change(value, base)).passed is passed


def test_of_a_score_less_is_worse():
    score = change(0.8, 0.9, higher_is_better=True)
    assert decide([Gate("mse", "max_abs", 0.05)], score).passed is False
    assert decide([Gate("mse", "max_abs", 0.05)], change(0.8, 0.9)).passed is True
    sure = spread(-0.2, -0.1, higher_is_better=True)
    assert decide([Gate("mse", "max_abs", 0.15, require="noninf")], sure).passed is None
    assert decide([Gate("mse", "max_abs", 0.05, require="noninf")], sure).passed is False
    assert decide([Gate("mse", "max_abs", 0.25, require="noninf")], sure).passed is True


@pytest.mark.parametrize(
    ("value", "p", "margin", "passed"),
    [
        (1.1, 0.05, 0.0, False),
        (1.1, math.nextafter(0.05, 1), 0.0, True),
        (1.1, None, 0.0, None),
        (0.9, 0.001, 0.0, True),
        (0.9, None, 0.0, True),
        (1.1, 0.001, 0.2, True),
        (1.5, 0.001, 0.2, False),
    ],
)
def test_significant(value, p, margin, passed):
    assert decide([Gate("mse", "max_abs", margin, require="sig")], change(value, p=p)).passed is passed


@pytest.mark.parametrize(
    ("require", "low", "high", "passed"),
    [
        ("noninf", -0.5, 0.1, True),
        ("noninf", -0.5, 0.2, None),
        ("noninf", 0.1, 0.3, None),
        ("noninf", 0.2, 0.3, False),
        ("equiv", -0.1, 0.1, True),
        ("equiv", -0.3, 0.1, None),
        ("equiv", -0.4, -0.2, False),
        ("equiv", 0.2, 0.4, False),
    ],
)
def test_by_an_interval(require, low, high, passed):
    check = decide([Gate("mse", "max_abs", 0.2, require=require)], spread(low, high))
    assert check.passed is passed
    assert check.more["margin"] == 0.2
    assert ("needed" in check.more) is (passed is None)


def test_what_is_undecided_says_how_many_samples_would_decide():
    check = decide([Gate("mse", "max_abs", 0.2, require="noninf")], spread(0.0, 0.3))
    wanted = needed(0.2 - (1.1 - 1.0), 0.05, 100, alpha=0.1)
    assert check.more["needed"] == wanted
    assert f"about {int(wanted)} samples would decide, and there are 100" in check.message


def test_the_figure_finds_the_difference_four_times_of_five():
    count = decide([Gate("mse", "max_abs", 0.2, require="noninf")], spread(0.0, 0.3)).more["needed"]
    shift = (0.2 - (1.1 - 1.0)) / (0.05 * 10 / math.sqrt(count))
    power = 1 - stats.nct.cdf(stats.t.ppf(0.95, count - 1), count - 1, shift)
    assert power == pytest.approx(0.8, abs=0.02)


def test_without_samples_the_reason_and_the_command_are_said():
    blind = change(why="base.json does not hold all samples of 'mse'", hint="Save both with --per-sample.")
    check = decide([Gate("mse", "max_abs", 0.2, require="equiv")], blind)
    assert check.passed is None
    assert check.message.endswith("base.json does not hold all samples of 'mse'")
    assert verdict([check]).hint == "Save both with --per-sample."


def test_a_margin_above_zero_is_needed():
    for gate in (Gate("mse", "require", 0.0, require="noninf"), Gate("mse", "max_rel", 0.1, require="equiv")):
        with pytest.raises(UsageError, match="needs a margin above 0") as caught:
            check_changes([gate], [change(1.0, 0.0)])
        assert "--max-abs mse=0.01" in caught.value.hint


def keys(gates, changes):
    return [(check.key, check.kind, check.more["require"], check.more.get("system")) for check in check_changes(gates, changes)]


def test_which_changes_a_word_speaks_of():
    both = [Change("mse", 2.0, 1.0, p=0.2), Change("l1", 2.0, 1.0, p=0.2), Change("mse@a", 2.0, 1.0, main=False)]
    every, sig = Gate("", "require", 0.0, require="sig"), Gate("l1", "require", 0.0, require="sig")
    assert keys([every], both) == [("mse", "require", "sig", None), ("l1", "require", "sig", None)]
    assert keys([Gate("mse", "max_abs", 3.0), every], both) == [("mse", "max_abs", "sig", None)]
    assert keys([Gate("mse", "max_abs", 3.0), sig], both) == [("mse", "max_abs", "point", None), ("l1", "require", "sig", None)]
    point = Gate("", "require", 0.0, require="point")
    assert keys([point, sig], both) == [("mse", "require", "point", None), ("l1", "require", "sig", None)]


def test_every_system_of_a_key_is_judged():
    systems = [
        Change("mse", 1.0 + step, 1.0, system=name, aliases=(f"mse[{name}]",)) for name, step in (("a", 0.1), ("b", 0.3))
    ]
    checks = check_changes([Gate("mse", "max_abs", 0.2)], systems)
    assert [(check.more["system"], check.passed) for check in checks] == [("a", True), ("b", False)]
    assert "mse of b = 1.3" in checks[1].message
    assert [check.passed for check in check_changes([Gate("mse[a]", "max_abs", 0.2)], systems)] == [True]


def test_no_baseline_and_no_such_key():
    with pytest.raises(UsageError, match="--max-rel judges a change, and there is no baseline") as caught:
        check_changes([Gate("mse", "max_rel", 0.1)], [])
    assert "--against" in caught.value.hint
    with pytest.raises(BadParameter, match="no result 'msee'") as unknown:
        check_changes([Gate("msee", "max_rel", 0.1)], [change()])
    assert "Did you mean 'mse'?" in unknown.value.hint


@pytest.mark.parametrize(
    ("kind", "item", "gate"),
    [
        ("max_rel", "mse=2%", Gate("mse", "max_rel", 0.02)),
        ("max_rel", "mse=0.7%", Gate("mse", "max_rel", 0.007)),
        ("max_rel", "huber:delta=.5=1e-3", Gate("huber:delta=.5", "max_rel", 1e-3)),
        ("max_abs", "mse@a=-1", Gate("mse@a", "max_abs", -1.0)),
        ("require", "sig", Gate("", "require", 0.0, require="sig")),
        ("require", "mse=equiv", Gate("mse", "require", 0.0, require="equiv")),
    ],
)
def test_gates_as_they_are_typed(kind, item, gate):
    assert parse_gate(kind, item) == gate


@pytest.mark.parametrize(
    ("kind", "item"),
    [
        ("max_rel", "mse"),
        ("max_rel", "mse=%"),
        ("max_abs", "mse=2%"),
        ("max_abs", "mse=nan"),
        ("require", "mse"),
        ("require", "=sig"),
        ("max", "=1"),
    ],
)
def test_gates_that_are_none(kind, item):
    with pytest.raises(BadParameter, match=f"--{kind.replace('_', '-')} takes") as caught:
        parse_gate(kind, item)
    assert f"--{kind.replace('_', '-')} " in caught.value.hint


def required(*words, gate=None):
    """How the change of mse is judged under some `--require`, each a word or a key and a word."""
    asked = [parse_gate("require", word) for word in words]
    margin = gate or Gate("mse", "max_abs", 0.2)
    return decide([margin, *asked], spread(-0.1, 0.1)).more["require"]


@pytest.mark.parametrize(
    ("words", "how"),
    [
        ((), "point"),
        (("sig",), "sig"),
        (("sig", "noninf"), "noninf"),
        (("noninf", "sig"), "sig"),
        (("mse=sig", "mse=equiv"), "equiv"),
        (("mse=equiv", "mse=sig"), "sig"),
        (("mse=equiv", "sig"), "equiv"),
        (("sig", "mse=equiv"), "equiv"),
    ],
)
def test_the_last_word_for_a_key_counts_and_a_key_comes_before_all(words, how):
    assert required(*words) == how


def test_a_gate_s_own_word_comes_first():
    assert required("sig", "mse=equiv", gate=Gate("mse", "max_abs", 0.2, require="noninf")) == "noninf"


def test_a_word_for_another_key_says_nothing_of_this_one():
    both = [change(), Change("l1", 1.1, 1.0, p=0.5)]
    gates = [Gate("mse", "max_abs", 0.2), Gate("l1", "max_abs", 0.2), Gate("l1", "require", 0.0, require="sig")]
    assert keys(gates, both) == [("mse", "max_abs", "point", None), ("l1", "max_abs", "sig", None)]


def test_a_word_may_name_an_alias():
    named = Change("mse", 2.0, 1.0, p=0.2, aliases=("mse[b]",))
    assert keys([Gate("mse[b]", "require", 0.0, require="sig")], [named]) == [("mse[b]", "require", "sig", None)]


@pytest.mark.parametrize(
    ("require", "value", "reach"),
    [("noninf", 1.05, 0.2 - 0.05), ("noninf", 0.95, 0.2 + 0.05), ("equiv", 1.05, 0.2 - 0.05), ("equiv", 0.95, 0.2 - 0.05)],
)
def test_what_is_missing_is_counted_to_the_margin_that_is_asked_about(require, value, reach):
    open_one = Change("mse", value, 1.0, low90=-0.3, high90=0.3, low=-0.4, high=0.4, p=0.5, error=0.15, units=100)
    check = decide([Gate("mse", "max_abs", 0.2, require=require)], open_one)
    assert check.passed is None
    assert check.more["needed"] == needed(reach, 0.15, 100, alpha=0.1)


@pytest.mark.parametrize(("alpha", "said"), [(0.35, True), (math.nextafter(0.35, 1), False)])
def test_beyond_a_large_alpha_no_number_of_samples_is_said(alpha, said):
    check = decide([Gate("mse", "max_abs", 0.2, require="noninf")], spread(0.0, 0.3, alpha=alpha))
    assert check.passed is None
    assert ("needed" in check.more) is said
    assert ("samples would decide" in check.message) is said


@pytest.mark.parametrize("known", [{"error": None}, {"units": None}])
def test_without_an_error_no_number_of_samples_is_said(known):
    open_one = change(**{"low90": 0.0, "high90": 0.3, "error": 0.05, "units": 100, **known})
    check = decide([Gate("mse", "max_abs", 0.2, require="noninf")], open_one)
    assert check.passed is None
    assert "needed" not in check.more
    assert check.message.endswith(": the interval holds the margin")


def test_a_change_as_large_as_the_margin_is_never_decided():
    there = Change("mse", 1.5, 1.0, low90=0.4, high90=0.6, error=0.05, units=9)
    check = decide([Gate("mse", "max_abs", 0.5, require="noninf")], there)
    assert check.passed is None
    assert "needed" not in check.more


@pytest.mark.parametrize(
    ("value", "words"),
    [(1.0, "baseline 1.0, unchanged"), (1.5, "worse by 0.5"), (0.5, "better by 0.5"), (math.nan, "not to be compared")],
)
def test_how_a_change_is_said(value, words):
    assert words in decide([Gate("mse", "max_abs", 9.0)], change(value)).message


def test_a_relative_change_is_said_in_both_ways():
    assert "worse by 0.5 (0.25 of the baseline)" in decide([Gate("mse", "max_rel", 9.0)], change(2.5, 2.0)).message
    assert "better by 0.5 (0.25 of the baseline)" in decide([Gate("mse", "max_rel", 9.0)], change(1.5, 2.0)).message


@pytest.mark.parametrize(("gate", "wanted"), [
    (Gate("mse", "max_abs", 0.0), "wanted no worse"),
    (Gate("mse", "max_abs", 0.25), "wanted worse by at most 0.25"),
    (Gate("mse", "max_rel", 0.25), "wanted worse by at most 0.25 of the baseline"),
    (Gate("mse", "max_abs", 0.25, require="sig"), "wanted worse by at most 0.25, or p > 0.05"),
    (Gate("mse", "max_abs", 0.25, require="noninf"), "wanted surely worse by less than 0.25 at alpha 0.05"),
    (Gate("mse", "max_rel", 0.125, require="equiv"), "wanted surely different by less than 0.25 at alpha 0.05"),
])  # fmt: skip
def test_what_was_wanted_is_said(gate, wanted):
    one = Change("mse", 2.1, 2.0, low90=-0.1, high90=0.1, low=-0.2, high=0.2, p=0.5, error=0.05, units=100)
    check = decide([gate], one)
    assert check.message.endswith(wanted)
    assert "90 % interval [-0.1, 0.1]" in check.message
    assert ("alpha" in check.more) is (gate.require not in {"", "point"})
    assert {"p", "low", "high", "low90", "high90", "units"} <= check.more.keys() or not gate.require


def test_the_interval_of_a_score_is_turned_around():
    score = spread(-0.2, -0.1, higher_is_better=True)
    assert score.bounds == (0.1, 0.2)
    assert spread(-0.2, -0.1).bounds == (-0.2, -0.1)
    assert change(low90=0.1).bounds is change(high90=0.1).bounds is None
    assert (change(1.5).worse, change(1.5, higher_is_better=True).worse) == (0.5, -0.5)
    assert change(3.0, 2.0).difference == change(3.0, 2.0, higher_is_better=True).difference == 1.0


@pytest.mark.parametrize(
    ("value", "base", "relative"),
    [(3.0, 2.0, 0.5), (-1.0, -2.0, 0.5), (1.0, 0.0, math.inf), (-1.0, 0.0, -math.inf), (0.0, 0.0, 0.0)],
)
def test_parts_of_the_baseline(value, base, relative):
    assert change(value, base).relative == relative


def test_no_number_is_undecided_and_gives_no_reason():
    unknown = change(math.nan, low90=0.0, high90=0.3, error=0.05, units=9)
    check = decide([Gate("mse", "max_abs", 0.2, require="noninf")], unknown)
    assert check.passed is None
    assert check.message.endswith("wanted worse by at most 0.2")


@pytest.mark.parametrize("require", ["noninf", "equiv"])
@pytest.mark.parametrize(("bound", "refused"), [(0.0, True), (-0.1, True), (5e-324, False)])
def test_the_margin_of_an_interval_is_above_zero(require, bound, refused):
    gate = Gate("mse", "max_abs", bound, require=require)
    if refused:
        with pytest.raises(UsageError, match="needs a margin above 0"):
            decide([gate], spread(-0.1, 0.1))
    else:
        assert decide([gate], spread(-0.1, 0.1)).passed is None


def test_only_what_is_undecided_for_want_of_samples_has_a_hint():
    asked = Gate("mse", "max_abs", 0.05, require="noninf")
    assert decide([asked], change(hint="save both")).hint == "save both"
    assert decide([Gate("mse", "max_abs", 0.05)], change(hint="save both")).hint == ""
    assert decide([asked], spread(-0.1, 0.1, hint="save both")).hint == ""
