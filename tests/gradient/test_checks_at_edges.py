"""`grad --check` where values exist to one side only: right, wrong, infinite, by convention, or not to be settled."""

import math
import textwrap

import numpy as np
import pytest

from lossctl.commands.grad import Grading, run
from lossctl.errors import GateFailed, Undecided
from lossctl.request.options import Options
from lossctl.request.spec import Spec, parse_losses
from lossctl.sources.source import Given

OTHERS = """
    from lossctl.losses.loss import loss
    from lossctl.losses.words import NonNegativeReal, Probability, Real

    def masked(xp, x, value):
        return xp.where(x == 0, xp.zeros_like(x), value)

    @loss("regression", source="a test")
    def flat_entropy(xp, pred: NonNegativeReal, target: Real):
        \"\"\"x ln x whose slope at 0 is cut to 0, where it is -inf.\"\"\"
        return masked(xp, pred, pred * xp.log(xp.where(pred == 0, xp.ones_like(pred), pred))) + 0 * target

    @loss("regression", source="a test")
    def cut_line(xp, pred: Probability, target: Real):
        \"\"\"3 x whose slope at 0 is cut to 0.\"\"\"
        return masked(xp, pred, 3 * pred) + 0 * target

    @loss("regression", source="a test")
    def cut_root(xp, pred: NonNegativeReal, target: Real):
        \"\"\"The root, whose slope at 0 is cut to 0, where it is inf.\"\"\"
        return masked(xp, pred, xp.sqrt(xp.where(pred == 0, xp.ones_like(pred), pred))) + 0 * target

    @loss("regression", source="a test")
    def root(xp, pred: NonNegativeReal, target: Real):
        \"\"\"The root as it is.\"\"\"
        return xp.sqrt(pred) + 0 * target

    @loss("regression", source="a test")
    def too_steep(xp, pred: NonNegativeReal, target: Real):
        \"\"\"x^1.5 plus what is 0 and infinitely steep.\"\"\"
        edge = pred == 0
        held = pred.detach() if hasattr(pred, "detach") else pred
        return pred**1.5 + xp.where(edge, xp.sqrt(xp.where(edge, pred - held, xp.ones_like(pred))), 0 * pred) + 0 * target
"""


@pytest.fixture
def check(tmp_path):
    """Check a gradient: the facts of the check, the error, and the gradient."""
    (tmp_path / "mine.py").write_text(textwrap.dedent(OTHERS))

    def ask(name, pred, target, *wrt):
        losses = parse_losses(name.replace("mine.py", str(tmp_path / "mine.py")))
        positional = (Given(value=pred), Given(value=target))
        spec = Spec(losses=losses, positional=positional, options=Options(), folder=str(tmp_path))
        report, error = run(spec, Grading(wrt=wrt, check=True), lambda _: None, document=True)
        return report.document["gradients"][0]["check"], error, np.asarray(report.document["gradient"])

    return ask


@pytest.mark.parametrize(
    ("name", "gives", "slope"), [("flat_entropy", 0.0, -math.inf), ("cut_line", 0.0, 1.5), ("too_steep", math.inf, 0.0)]
)
def test_a_wrong_gradient_at_the_edge_is_found(check, name, gives, slope):
    facts, error, _ = check(f"mine.py:{name}", [0.0, 0.5], [0.0, 0.0])
    assert isinstance(error, GateFailed)
    assert (facts["verdict"], facts["at"], facts["analytic"]) == ("wrong", [0], gives)
    assert facts["numeric"] == pytest.approx(slope, abs=1e-2)


def test_a_root_that_is_cut_at_its_least_value_is_not_decided(check):
    facts, error, _ = check("mine.py:cut_root", [0.0, 0.5], [0.0, 0.0])
    assert isinstance(error, Undecided)
    assert (facts["verdict"], facts["steep_count"]) == ("undecided", 1)
    assert "the slopes at 1 of 2 elements of pred, the first at [0], do not settle; it takes 0 there" in error.message


@pytest.mark.parametrize(
    "case",
    [
        ("mine.py:root", [0.0, 0.5], [0.0, 0.0], "pred", math.inf),
        ("js_div", [[0.0, 0.4, 0.6]], [[0.3, 0.3, 0.4]], "pred", -math.inf),
        ("chi2", [[0.0, 0.4, 0.6]], [[0.0, 0.3, 0.7]], "pred", 1.0),
        ("chi2", [[0.0, 0.4, 0.6]], [[0.0, 0.3, 0.7]], "target", math.inf),
        ("renyi", [[0.3, 0.7]], [[0.0, 1.0]], "target", -math.inf),
        ("renyi:alpha=1.5", [[0.3, 0.7]], [[0.0, 1.0]], "target", 0.0),
        ("kl_div", [[-0.5, -1.0]], [[0.0, 1.0]], "target", -math.inf),
        ("poisson_deviance", [1.0, 2.0], [0.0, 3.0], "target", -math.inf),
        ("tweedie_deviance:power=1.5", [1.0, 2.0], [0.0, 3.0], "target", -math.inf),
        ("total_variation_dist", [[0.0, 1.0]], [[0.0, 1.0]], "pred", 0.5),
    ],
)
def test_a_right_gradient_at_the_edge_passes(check, case):
    name, pred, target, by, edge = case
    facts, error, gradient = check(name, pred, target, by)
    assert (error, facts["verdict"], facts["steep_count"]) == (None, "ok", 0)
    assert gradient.reshape(-1)[0] == edge


def test_the_convention_of_bce_is_no_fault_and_says_how_many_were_not_compared(check):
    facts, error, _ = check("bce", [0.0, 1.0, 0.5], [0.0, 0.0, 1.0])
    assert (error, facts["verdict"], facts["steep_count"]) == (None, "ok", 2)
