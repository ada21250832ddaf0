"""Masked classes and certain scores: a loss at an infinite score is its limit, and so is its gradient."""

import json
import math

import numpy as np
import pytest
from ask import ask, none, value

from lossctl.checking.checks import draw
from lossctl.cli.program import program
from lossctl.engine.binding import bind
from lossctl.engine.block import Selection
from lossctl.engine.reduce import evaluate
from lossctl.errors import NotFinite
from lossctl.gradient.passes import Differentiated, slopes, stream
from lossctl.losses import catalogue
from lossctl.losses.backends import BACKENDS
from lossctl.request.options import Options
from lossctl.sources.readers import Memory

INF = math.inf
ALL = catalogue()
NUMPY, TORCH = BACKENDS.get("numpy")(), BACKENDS.get("torch")()
# Far out, where what decays as 1/x or slower has not arrived, but e^-x has.
FAR, FARTHER, CLOSE = 1e6, 1e7, 1e-4
GROWS = 1e3


def inputs_with_limits():
    for name, loss in ALL.items():
        for argument in loss.signature.inputs:
            for sign in argument.word.infinite:
                yield name, argument.name, float(f"{sign}inf")


def found_of(loss, arrays, params, wrt="", backend=NUMPY):
    """The sum, or the mean of what has no sum, and its gradient."""
    readers = {name: Memory(array, name) for name, array in arrays.items()}
    options = Options(nan="propagate", domain="ignore", reduction="sum" if "sum" in loss.reductions else "mean")
    bound = bind(loss, readers, params, options)
    outcome = evaluate([bound], backend, options, Selection())[0]
    if not wrt:
        return outcome.value, None
    steep, parts = slopes(bound, outcome.sums, outcome.n, options.reduction, (), TORCH), []
    one = Differentiated(bound, (wrt,), (), steep)
    stream(one, TORCH, options, Selection(), work=lambda part: part.seen[wrt], take=parts.append)
    return outcome.value, parts[0]


def targets_of(loss, arrays):
    """The targets as drawn, and those that are probabilities or counts with exact zeros, and with ones."""
    yield arrays
    word = next((one.word for one in loss.signature.inputs if one.name == "target"), None)
    if word is not None and not word.index and word.domain.low == 0 and not word.domain.values:
        drawn = arrays["target"]
        yield {**arrays, "target": np.where(drawn > np.median(drawn), drawn, 0)}
        if word.domain.high == 1:
            yield {**arrays, "target": (drawn > np.median(drawn)).astype(float)}


@pytest.mark.parametrize(("name", "wrt", "infinity"), list(inputs_with_limits()))
def test_the_value_and_the_gradient_are_the_limits(name, wrt, infinity):
    loss, sign = ALL[name], math.copysign(1, infinity)
    drawn = draw(loss, varied=False, seed=3)
    places = list(np.ndindex(drawn.arrays[wrt].shape))
    chosen = [places[i] for i in np.random.default_rng(0).permutation(len(places))[:8]]
    word = next(one.word for one in loss.signature.inputs if one.name == wrt)
    params = {**drawn.params, **({word.free_if: True} if word.free_if else {})}
    for arrays in targets_of(loss, {one: np.array(array) for one, array in drawn.arrays.items()}):
        for place in chosen:

            def at(x, arrays=arrays, place=place):
                moved = np.array(arrays[wrt], float)
                moved[place] = x
                return {**arrays, wrt: moved}

            near, limit = (found_of(loss, at(sign * x), params)[0] for x in (FAR, FARTHER))
            if math.isfinite(limit) and abs(limit) > GROWS and abs(limit) > 2 * abs(near):
                limit = math.copysign(INF, limit)
            for backend in (NUMPY, TORCH):
                assert found_of(loss, at(infinity), params, backend=backend)[0] == pytest.approx(limit, rel=1e-6)
            if math.isfinite(limit):
                assert near == pytest.approx(limit, rel=CLOSE, abs=CLOSE)
                slope = found_of(loss, at(infinity), params, wrt)[1]
                np.testing.assert_allclose(slope, found_of(loss, at(sign * FARTHER), params, wrt)[1], rtol=CLOSE, atol=1e-6)


MASKED = [[-INF, 0.0, 1.0], [2.0, -INF, 0.5], [0.0, 1.0, -INF]]
SOFT = [[0, 0.25, 0.75], [0.5, 0, 0.5], [0.3, 0.7, 0]]


def lse(*scores):
    return math.log(sum(math.exp(score) for score in scores))


# Each row is the cross-entropy of the two classes that are not masked.
ROWS = [lse(0, 1) - 0.75, lse(2, 0.5) - (0.5 * 2 + 0.5 * 0.5), lse(0, 1) - 0.7]


@pytest.mark.parametrize("backend", ["numpy", "torch"])
@pytest.mark.parametrize("dtype", ["f64", "f32"])
@pytest.mark.parametrize("name", ["cross_entropy", "soft_target_ce"])
def test_masked_classes_of_probability_0(backend, dtype, name):
    options = Options(backend=backend, dtype=dtype)
    exact = 1e-12 if dtype == "f64" else 1e-6
    np.testing.assert_allclose(none(name, MASKED, SOFT, options=options), ROWS, rtol=exact)
    assert value(name, MASKED, SOFT, options=options) == pytest.approx(0.709312217673066, rel=exact)


def test_masked_in_the_student_and_the_teacher_alike():
    """Without the masked class the divergence is that of the other two."""
    student, teacher = [[1.0, 2.0, -INF]], [[0.5, 3.0, -INF]]
    wanted = value("distillation_kl", [[1.0, 2.0]], [[0.5, 3.0]])
    for backend in ("numpy", "torch"):
        assert value("distillation_kl", student, teacher, options=Options(backend=backend)) == pytest.approx(wanted, rel=1e-12)
    with pytest.raises(NotFinite, match="distillation_kl is inf"):
        ask("distillation_kl", student, [[0.5, 3.0, 0.0]])
    logs = [[math.log(0.25), math.log(0.75), -INF]]
    assert none("kl_div", logs, [[0.5, 0.5, 0]])[0] == pytest.approx([0.5 * math.log(2), 0.5 * math.log(0.5 / 0.75), 0])
    assert none("kl_div", logs, logs, log_target=True)[0] == pytest.approx([0, 0, 0])


@pytest.mark.parametrize(
    ("name", "arrays", "params", "wanted"),
    [
        ("bce_with_logits", ([-INF], [0]), {}, 0),
        ("bce_with_logits", ([INF], [1]), {}, 0),
        ("bce_with_logits", ([INF], [0]), {}, INF),
        ("bce_with_logits", ([-INF], [1]), {"pos_weight": [0.0]}, 0),
        ("focal", ([-INF, INF], [0, 1]), {}, 0),
        ("focal", ([INF], [0]), {"alpha": 1.0}, 0),
        ("poly_binary", ([-INF], [0]), {}, 0),
        ("nll", ([[-INF, 0.0]], [1]), {}, 0),
        ("nll", ([[-INF, 0.0]], [0]), {}, INF),
        ("cross_entropy", ([[-INF, -INF]], [1]), {}, math.nan),
        ("cross_entropy", ([[-INF, 0.0]], [1]), {"label_smoothing": 0.1}, INF),
        ("cross_entropy", ([[-INF, 0.0]], [1]), {"label_smoothing": 0.1, "weight": [0.0, 1.0]}, 0),
        ("label_smoothing_ce", ([[-INF, 0.0]], [1]), {}, INF),
        ("focal_multiclass", ([[-INF, 0.0, 0.0]], [1]), {}, math.log(2) / 4),
        ("poly_cross_entropy", ([[-INF, 0.0, 0.0]], [1]), {}, math.log(2) + 1),
        ("symmetric_ce", ([[-INF, 0.0, 0.0]], [1]), {}, 0.1 * math.log(2) + 2),
        ("symmetric_ce", ([[-INF, 0.0]], [0]), {"alpha": 0.0}, 4),
        ("bootstrapping", ([[-INF, 0.0, 0.0]], [1]), {}, math.log(2)),
        ("asymmetric_single", ([[-INF, 0.0]], [1]), {"gamma_neg": 0.0}, INF),
        ("sparsemax", ([[-INF, 0.0, 0.0]], [1]), {}, 0.25),
        ("multilabel_soft_margin", ([[-INF, INF]], [[0, 1]]), {}, 0),
        ("soft_margin", ([INF, -INF], [1, -1]), {}, 0),
        ("soft_margin", ([INF], [-1]), {}, INF),
        ("hinge", ([INF, -INF], [1, -1]), {}, 0),
        ("hinge", ([INF], [-1]), {}, INF),
        ("squared_hinge", ([-INF], [0]), {}, 0),
        ("exponential", ([INF], [1]), {}, 0),
        ("multi_margin", ([[0.0, -INF, 0.5]], [0]), {}, 0.5),
        ("multiclass_perceptron", ([[INF, 0.0]], [0]), {}, 0),
        ("crammer_singer_hinge", ([[-INF, 0.0, 0.5]], [2]), {}, 0.5),
        ("categorical_hinge", ([[-INF, 0.0, 3.0]], [2]), {}, 0),
        ("zlpr", ([[-INF, INF]], [[0, 1]]), {}, 0),
        ("perplexity", ([[-INF, 0.0, 0.0]], [1]), {}, 2),
        ("poisson_nll", ([-INF], [0]), {}, 0),
        ("poisson_nll", ([-INF], [1]), {}, INF),
        ("wasserstein_critic", ([INF], [1]), {}, -INF),
        ("linear_cross_entropy", ([[1.0, 1.0]], [[1, 2], [3, 4], [1, 2]], [0]), {"linear_bias": [0, -INF, 0]}, math.log(2)),
    ],
)
@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_by_hand(name, arrays, params, wanted, backend):
    options = Options(backend=backend)
    if math.isfinite(wanted):
        assert value(name, *arrays, options=options, **params) == pytest.approx(wanted, rel=1e-12, abs=1e-15)
        return
    with pytest.raises(NotFinite, match=f"{name} is {wanted}.*sample 0 .* is -?inf, where it has no finite limit") as caught:
        ask(name, *arrays, options=options, **params)
    assert "--nan propagate" in caught.value.hint
    found = value(name, *arrays, options=Options(backend=backend, nan="propagate"), **params)
    np.testing.assert_equal(found, wanted)


def test_what_no_limit_is_known_for_is_refused_with_its_place():
    for name, arrays, culprit in (
        ("mse", ([0.0, INF], [0.0, 0.0]), r"pred \(pred\) at \[1\] is inf\."),
        ("cross_entropy", ([[0.0, INF]], [1]), r"pred \(pred\) at \[0, 1\] is inf\."),
        ("nll", ([[0.0, INF]], [0]), r"pred \(pred\) at \[0, 1\] is inf\."),
        ("poisson_nll", ([INF], [0.0]), r"pred \(pred\) at \[0\] is inf\."),
        ("kl_div", ([0.0], [-INF]), r"target \(target\) at \[0\] is -inf\."),
    ):
        with pytest.raises(NotFinite, match=culprit):
            ask(name, *arrays)
    with pytest.raises(NotFinite, match=r"pred \(pred\) at \[0\] is -inf\."):
        ask("poisson_nll", [-INF], [0.0], log_input=False)


def test_skip_leaves_out_only_what_has_no_finite_limit():
    """The label of sample 0 is masked, sample 1 has another class masked, sample 2 is NaN, and all of sample 3 is masked."""
    pred = [[-INF, 0.0, 0.0], [0.0, 0.0, -INF], [math.nan, 0, 0], [-INF] * 3]
    for backend in ("numpy", "torch"):
        found = ask("cross_entropy", pred, [0, 1, 1, 1], options=Options(nan="skip", backend=backend))
        assert (found.value, found.n, found.skipped) == (pytest.approx(math.log(2)), 1, 3)


def test_infinite_targets_have_no_finite_derivative():
    """The derivative of cross-entropy by the probability of a masked class is -log 0."""
    argv = ["grad", "ce", "[[-inf, 0, 0]]", "[[0, .5, .5]]", "--wrt", "target", "--nan", "propagate", "-f", "json", "-q"]
    printed = program()(argv, prog_name="lossctl", standalone_mode=False)
    assert json.loads(printed.text)["results"][0]["value"] == pytest.approx(math.log(2))
    _, slope = found_of(
        ALL["cross_entropy"],
        {"pred": np.array([[-INF, 0, 0]]), "target": np.array([[0, 0.5, 0.5]])},
        {"ignore_index": -100, "label_smoothing": 0.0},
        "target",
    )
    np.testing.assert_allclose(slope, [[INF, math.log(2), math.log(2)]])


@pytest.mark.parametrize(
    ("loss", "pred", "target"),
    [
        ("ce", "[[-inf, 0, 1], [2, -inf, .5]]", "[1, 2]"),
        ("ce", "[[-inf, 0, 1], [2, -inf, .5]]", "[[0, .25, .75], [.5, 0, .5]]"),
        ("bce_with_logits", "[-inf, inf, 2]", "[0, 1, 1]"),
        ("hinge", "[-inf, inf, .5]", "[0, 1, 1]"),
    ],
)
def test_differences_agree_beside_infinite_scores(loss, pred, target):
    argv = ["grad", loss, pred, target, "--check", "-f", "json", "-q"]
    printed = program()(argv, prog_name="lossctl", standalone_mode=False)
    check = json.loads(printed.text)["gradients"][0]["check"]
    assert printed.error is None
    assert (check["verdict"], check["checked"]) == ("ok", check["of"])
