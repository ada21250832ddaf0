"""What stands at ignored labels, under a mask, or at weight 0 is not looked at, and has gradient exactly 0."""

import json
import math

import numpy as np
import pytest
from differentiating import EVERYTHING, NUMPY, TORCH, real_inputs, tied

from lossctl.checking.checks import Drawn, draw
from lossctl.cli.program import program
from lossctl.engine.block import Selection
from lossctl.engine.fold import fold
from lossctl.engine.reduce import evaluate
from lossctl.errors import NotFinite, OutOfDomain
from lossctl.gradient.passes import Differentiated, slopes, stream
from lossctl.losses import catalogue
from lossctl.request.options import Options
from lossctl.sources.readers import Memory

ALL = catalogue()
SEPARATE = [name for name, loss in ALL.items() if not loss.whole]
IGNORING = [name for name, loss in ALL.items() if "ignore_index" in {one.name for one in loss.signature.parameters}]
OUT = 3


def found_of(bound, selection, options):
    """The value, and the gradients by every real input, block by block."""
    outcome = evaluate([bound], NUMPY, options, selection)[0]
    steep = slopes(bound, outcome.sums, outcome.n, options.reduction, (), TORCH)
    one, parts = Differentiated(bound, real_inputs(bound), (), steep), []
    stream(one, TORCH, options, selection, work=lambda part: part.seen, take=parts.append, block=4 * bound.elements)
    axes = {slot.input.name: slot.axis for slot in bound.slots}
    return outcome, {
        name: sum(part[name] for part in parts)
        if axes[name] is None
        else np.concatenate([part[name] for part in parts], axis=axes[name])
        for name in real_inputs(bound)
    }


def spoilt(drawn, loss, bad):
    """The draw with one sample of every array of numbers spoilt."""
    arrays = dict(drawn.arrays)
    for argument in loss.signature.inputs:
        axis = argument.word.shape.split().index("n") if "n" in argument.word.shape.split() else None
        if axis is not None and not argument.word.index:
            array = np.array(arrays[argument.name], float)
            array[(slice(None),) * axis + (OUT,)] = bad
            arrays[argument.name] = array
    return Drawn(arrays, drawn.logits, drawn.params)


def compare(bound, wrong, selection, options):
    wanted, slope = found_of(bound, selection, options)
    found, other = found_of(wrong, selection, options)
    assert found.value == wanted.value
    assert (found.n, found.skipped) == (wanted.n, wanted.skipped)
    axes = {slot.input.name: slot.axis for slot in bound.slots}
    for name, gradient in other.items():
        assert np.array_equal(gradient, slope[name], equal_nan=True)
        if axes[name] is not None:
            assert not np.take(gradient, OUT, axis=axes[name]).any()


@pytest.mark.parametrize("name", SEPARATE)
@pytest.mark.parametrize("nan", ["error", "skip", "propagate"])
@pytest.mark.parametrize("bad", [math.nan, -math.inf, -7.5])
def test_weight_0(name, nan, bad):
    loss, options = ALL[name], Options(nan=nan)
    drawn = draw(loss, varied=False)
    n = tied(loss, drawn).n
    weights = np.linspace(1, 2, n)
    weights[OUT] = 0
    compare(tied(loss, drawn), tied(loss, spoilt(drawn, loss, bad)), Selection(weights=Memory(weights, "w")), options)


@pytest.mark.parametrize("name", SEPARATE)
@pytest.mark.parametrize("nan", ["error", "skip"])
def test_a_mask_by_sample(name, nan):
    loss, options = ALL[name], Options(nan=nan)
    drawn = draw(loss, varied=False)
    mask = np.arange(tied(loss, drawn).n) != OUT
    compare(tied(loss, drawn), tied(loss, spoilt(drawn, loss, math.nan)), Selection(mask=Memory(mask, "m")), options)


@pytest.mark.parametrize("name", IGNORING)
@pytest.mark.parametrize("nan", ["error", "skip", "propagate"])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -7.5])
def test_ignored_labels(name, nan, bad):
    loss, options = ALL[name], Options(nan=nan)
    drawn = draw(loss, varied=False)
    target = np.array(drawn.arrays["target"])
    target[OUT] = -100
    drawn = Drawn({**drawn.arrays, "target": target}, drawn.logits, {**drawn.params, "ignore_index": -100})
    compare(tied(loss, drawn), tied(loss, spoilt(drawn, loss, bad)), EVERYTHING, options)


def test_what_counts_is_looked_at_still():
    """The NaN of sample 1 has label 1, whatever stands at the ignored label of sample 0."""
    drawn = Drawn({"pred": np.array([[math.nan, 0], [0, math.nan]]), "target": np.array([-100, 1])}, {}, {"ignore_index": -100})
    with pytest.raises(NotFinite, match=r"pred \(pred\) at \[1, 1\] is nan\."):
        fold([tied(ALL["cross_entropy"], drawn)], NUMPY, Options(), EVERYTHING)


def test_labels_at_weight_0_are_not_looked_at():
    bound = tied(
        ALL["cross_entropy"],
        Drawn({"pred": np.zeros((3, 2)), "target": np.array([0, math.nan, 7])}, {}, {"ignore_index": -100}),
    )
    selection = Selection(weights=Memory(np.array([1, 0, 0]), "w"))
    assert evaluate([bound], NUMPY, Options(), selection)[0].value == pytest.approx(math.log(2))
    with pytest.raises(OutOfDomain):
        evaluate([bound], NUMPY, Options(), Selection(weights=Memory(np.array([1, 0, 1]), "w")))


def answer(*argv):
    printed = program()([*argv, "-f", "json", "-q"], prog_name="lossctl", standalone_mode=False)
    return json.loads(printed.text)


@pytest.mark.parametrize(
    ("argv", "value"),
    [
        # log(1 + e^-0.6) is the loss of the first sample; the others do not count.
        (["ce", "[[.2,.8],[null,null]]", "[1,-100]"], math.log1p(math.exp(-0.6))),
        (["ce", "[[.2,.8],[null,1]]", "[2,256]", "--label-offset", "-1", "--ignore-index", "256"], math.log1p(math.exp(-0.6))),
        (["ce:weight=0,2", "[[.2,.8],[null,null]]", "[1,0]"], math.log1p(math.exp(-0.6))),
        (["nll", "[[-1,-2],[null,null]]", "[1,9]", "--ignore-index", "9"], 2.0),
        (["mse", "[1,null]", "[3,4]", "--weights", "[2,0]"], 4.0),
        (["mse:weight=2,0", "[1,null]", "[3,4]"], 4.0),
        # The mean of bce divides by all elements: -log(1/4)/2.
        (["bce:weight=1,0", "[[.25,7]]", "[[1,1]]"], math.log(4) / 2),
        (["l1", "[[1,null],[5,6]]", "[[3,4],[5,7]]", "--mask", "[[1,0],[1,1]]"], 1.0),
        # An infinite loss counts for nothing at weight 0: 0 times inf is 0 there.
        (["mse", "[1e200,1]", "[0,3]", "--weights", "[0,1]"], 4.0),
    ],
)
@pytest.mark.parametrize("nan", ["error", "skip", "propagate"])
@pytest.mark.parametrize("command", ["compute", "grad"])
@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_by_hand(argv, value, nan, command, backend):
    result = answer(command, *argv, "--nan", nan, "--backend", backend)["results"][0]
    assert result["value"] == pytest.approx(value, rel=1e-12)
    assert result.get("skipped", 0) == 0


def test_the_gradient_is_0_and_not_nan():
    for nan in ("error", "propagate"):
        found = answer("grad", "ce", "[[.2,.8],[null,null]]", "[1,-100]", "--nan", nan)["gradient"]
        slope = 1 / (1 + math.exp(0.6))
        np.testing.assert_allclose(found, [[slope, -slope], [0, 0]], rtol=1e-12)
        assert found[1] == [0, 0]


def test_smoothed_labels_of_a_class_of_weight_0_count_still():
    with pytest.raises(NotFinite):
        evaluate(
            [
                tied(
                    ALL["cross_entropy"],
                    Drawn(
                        {"pred": np.full((1, 2), math.nan), "target": np.array([0]), "weight": np.array([0.0, 1.0])},
                        {},
                        {"ignore_index": -100, "label_smoothing": 0.1},
                    ),
                )
            ],
            NUMPY,
            Options(),
            EVERYTHING,
        )
