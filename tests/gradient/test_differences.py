"""Slopes by differences: of smooth functions, at kinks, at edges, where there is none, and of every loss on a draw."""

import math
import tracemalloc

import numpy as np
import pytest
from ask import tie

from lossctl.checking.checks import draw
from lossctl.engine.binding import bind
from lossctl.engine.block import Selection
from lossctl.engine.reduce import evaluate
from lossctl.gradient.checking import NUMBERS, RUN, SAMPLES, TOGETHER, compare, positions, sampled
from lossctl.gradient.differences import FACTORS, KINK, OK, STEEP, WRONG, Line, judge
from lossctl.gradient.gathering import Job
from lossctl.gradient.passes import Differentiated, Slopes, chosen, slopes
from lossctl.gradient.verdicts import check, settle
from lossctl.losses import LOSSES, catalogue
from lossctl.losses.backends import BACKENDS
from lossctl.losses.loss import Number
from lossctl.request.options import Options
from lossctl.sources.readers import Memory

NUMPY, TORCH = BACKENDS.get("numpy")(), BACKENDS.get("torch")()
PLAIN, ALL = Options(), Selection()
TRAINED = [name for name in catalogue() if not LOSSES.get(name).flat]


def judged(function, at, gradient, **line):
    """Judge one point of a function of one number."""

    def change(rows, steps):
        values = function(points[rows] + steps), function(points[rows])
        return values[0] - values[1], np.abs(values[1])

    points = np.atleast_1d(np.asarray(at, float))
    return judge(
        Line(points, change, **line), np.broadcast_to(np.asarray(gradient, float), points.shape), np.full(points.shape, 1e-6)
    )


SMOOTH = [
    (np.exp, 0.3, math.exp(0.3)),
    (np.sin, 1e4, math.cos(1e4)),
    (np.log, 1e-9, 1e9),
    (lambda x: (x - 5e7) ** 2, 5e7 + 1, 2.0),
    (np.cosh, 0.0, 0.0),
]


@pytest.mark.parametrize(("function", "at", "slope"), SMOOTH)
def test_smooth_functions_have_their_derivative_and_no_other(function, at, slope):
    low = 0.0 if function is np.log else -np.inf
    found = judged(function, at, slope, low=low)
    assert found.kinds[0] == OK
    assert found.numeric[0] == pytest.approx(slope, rel=1e-8, abs=1e-8)
    assert judged(function, at, slope * 1.001 + 0.001, low=low).kinds[0] == WRONG


def test_at_a_kink_any_slope_between_both_sides_is_right():
    for gradient, kind in ((-1.0, KINK), (0.0, KINK), (0.7, KINK), (1.0, KINK), (1.1, WRONG), (-1.01, WRONG), (np.nan, WRONG)):
        found = judged(np.abs, 0.0, gradient)
        assert (found.kinds[0], found.left[0], found.right[0]) == (kind, -1.0, 1.0), gradient


@pytest.mark.parametrize("distance", [1e-2, 1e-5, 1e-7, 1e-9])
def test_beside_a_kink_only_the_slope_there_is_right(distance):
    assert judged(np.abs, distance, 1.0).kinds[0] == OK
    assert judged(np.abs, distance, 0.0).kinds[0] == WRONG


def test_small_kinks_on_a_steep_slope_are_seen():
    found = judged(lambda x: 100 * x + 0.1 * np.abs(x), 0.0, 100.0)
    assert found.kinds[0] == KINK
    assert found.left[0] == pytest.approx(99.9)


def test_without_a_limit_nothing_is_said():
    for function in (lambda x: np.sqrt(np.abs(x)), lambda x: np.where(x > 0, 1.0, 0.0), lambda x: x * np.nan):
        assert judged(function, 0.0, 0.0).kinds[0] == STEEP


def test_edges_of_the_domain_have_the_slope_inside():
    assert judged(np.square, 1.0, 2.0, high=1.0).kinds[0] == OK
    assert judged(np.square, 0.0, 1.0, low=0.0).kinds[0] == WRONG
    assert judged(np.sqrt, 0.0, 0.0, low=0.0).kinds[0] == STEEP
    with np.errstate(invalid="ignore"):
        assert judged(lambda x: np.where(x < 0, np.nan, x), 0.0, 1.0).kinds[0] == OK


def test_no_step_leaves_the_domain():
    seen = []
    judged(lambda x: (seen.append(x), x)[1], [0.0, 1e-7, 0.5, 1.0], 5.0, low=0.0, high=1.0)
    assert min(x.min() for x in seen) >= 0
    assert max(x.max() for x in seen) <= 1


def test_what_is_right_at_once_is_not_tried_with_further_steps():
    calls = []
    judged(lambda x: (calls.append(x), x**2)[1], 0.3, 0.6)
    assert len(calls) == 2 * 6
    calls.clear()
    judged(lambda x: (calls.append(x), np.sqrt(np.abs(x)))[1], 0.0, 0.6)
    assert len(calls) == 2 * 6 * len(FACTORS)


def checked(bound, params=(), reduction="mean"):
    """The verdicts on every gradient of a loss, and what is said of its parameters."""
    options, said = Options(reduction=reduction), []
    outcomes = evaluate([bound], NUMPY, options, ALL)
    inputs, _ = chosen(bound, ["all"])
    found = slopes(bound, outcomes[0].sums, outcomes[0].n, reduction, params, TORCH)
    job = Job([Differentiated(bound, inputs, tuple(params), found)], [bound.loss.name], options, ALL, TORCH)
    sources = job.sources()
    gradients = {source.name: job.gradient(source) for source in sources}
    job.run(sources, gradients)
    settle(job, outcomes, [1.0], said.append)
    return check(job, outcomes, gradients), said


@pytest.mark.parametrize("varied", [False, True])
@pytest.mark.parametrize("name", TRAINED)
def test_every_loss_has_the_gradient_that_differences_show(name, varied):
    loss = LOSSES.get(name)
    drawn = draw(loss, varied=varied)
    bound = bind(loss, {one: Memory(array, one) for one, array in drawn.arrays.items()}, drawn.params, PLAIN)
    words = {one.name: one.word for one in loss.signature.parameters}
    verdicts, said = checked(bound, [n for n, word in words.items() if isinstance(word, Number) and word.kind is float])
    assert verdicts
    assert not said
    for verdict in verdicts.values():
        facts = verdict.facts()
        assert facts["verdict"] == "ok", verdict.check().message
        assert facts["worst_relative_error"] < 1e-7
        assert facts["kinks_count"] + facts["steep_count"] == 0
        assert facts["checked"] > 0


def test_kinks_of_losses_are_where_they_should_be():
    l1 = checked(tie("l1", [1.0, 2.0, 0.0], [1.0, 1.0, 1.0]))[0]["pred"].facts()
    assert l1["kinks"] == [{"at": [0], "left": pytest.approx(-1 / 3), "right": pytest.approx(1 / 3), "gradient": 0.0}]
    hinge = checked(tie("hinge", [1.0, 0.5, -1.0, 2.0], [1, 1, -1, 1]))[0]["pred"].facts()
    assert [one["at"] for one in hinge["kinks"]] == [[0], [2]]
    huber = checked(tie("huber", [1.0, 2.0, 0.0, -1.0], [1.0, 1.0, 1.0, 0.0]))[0]["pred"].facts()
    assert (huber["kinks_count"], huber["verdict"]) == (0, "ok")


@pytest.mark.parametrize("name", ["bce", "rmse"])
def test_conventions_at_edges_and_perfect_fits_are_not_wrong(name):
    pred, target = [0.0, 0.0, 1.0, 1.0, 0.3, 1e-13], [0.0, 1.0, 0.0, 1.0, 1.0, 1.0]
    facts = checked(tie(name, pred, target))[0]["pred"].facts()
    perfect = checked(tie(name, target, target))[0]["pred"]
    assert (facts["verdict"], perfect.passed is False) == ("ok", False)
    assert facts["steep_count"] == (5 if name == "bce" else 0)


def test_memory_does_not_grow_with_the_data():
    bound = tie("mse", np.linspace(-3, 3, 2 * 10**6), np.zeros(2 * 10**6))
    one = Differentiated(bound, ("pred",), (), Slopes({"value": 5e-7, "weight": 0.0}, {}))
    tracemalloc.start()
    compared = compare(one, "pred", PLAIN, ALL, [(1_999_999,)])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert compared.at(len(compared.gradient) - 1) == [1_999_999]
    assert set(compared.judged.kinds.tolist()) == {OK}
    # One array of the data is 16 MB.
    assert peak < 2_000_000


def test_samples_are_spread_and_hold_the_wanted_ones():
    bound = tie("mse", np.arange(1e6), np.zeros(10**6))
    part = sampled(Differentiated(bound, ("pred",), (), Slopes({}, {})), PLAIN, ALL, [777_777, 999_999])
    again = sampled(Differentiated(bound, ("pred",), (), Slopes({}, {})), PLAIN, ALL, [777_777, 999_999])
    assert {777_777, 999_999} <= set(part.rows.tolist())
    assert SAMPLES - RUN < len(part.rows) <= SAMPLES
    assert np.diff(part.rows).max() < 2 * 10**6 / (SAMPLES / RUN)
    np.testing.assert_array_equal(part.rows, again.rows)
    np.testing.assert_array_equal(part.one.bound.slots[0].reader.array, part.rows)


def test_large_samples_are_few_and_few_samples_are_all():
    wide = tie("mse", np.zeros((50, NUMBERS // 4)), np.zeros((50, NUMBERS // 4)))
    assert len(sampled(Differentiated(wide, ("pred",), (), Slopes({}, {})), PLAIN, ALL, [49]).rows) == 4
    small = tie("mse", np.zeros(9), np.zeros(9))
    assert sampled(Differentiated(small, ("pred",), (), Slopes({}, {})), PLAIN, ALL, []).rows.tolist() == list(range(9))


def test_positions_hold_the_largest_and_what_is_no_number():
    gradient = np.random.default_rng(0).uniform(-1, 1, (3, 5000))
    gradient[1, 4321], gradient[2, 17] = np.nan, -9
    found = positions(gradient, cost=1, together=True)
    assert len(found) == len(set(found.tolist())) == TOGETHER
    assert {4321, 17} <= set(found.tolist())
    assert len(positions(gradient, cost=10**9, together=True)) < TOGETHER
