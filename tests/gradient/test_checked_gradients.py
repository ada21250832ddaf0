"""`grad --check`: losses of others whose backward is wrong, options that change what counts, and parameters."""

import textwrap

import numpy as np
import pytest

from lossctl.commands.grad import Grading, run
from lossctl.errors import GateFailed, PluginFailed
from lossctl.request.options import Options
from lossctl.request.spec import LossSpec, Spec, Term, parse_losses
from lossctl.sources.source import Given

RNG = np.random.default_rng(11)
PRED, TARGET = RNG.normal(size=(5, 3)), RNG.normal(size=(5, 3))
OTHERS = """
    import math
    import torch
    from lossctl.losses.loss import loss
    from lossctl.losses.words import Positive, Real

    class Doubling(torch.autograd.Function):
        @staticmethod
        def forward(ctx, error):
            ctx.save_for_backward(error)
            return error**2

        @staticmethod
        def backward(ctx, by):
            (error,) = ctx.saved_tensors
            return by * error

    class Bad(torch.nn.Module):
        def forward(self, pred, target):
            return Doubling.apply(pred - target).mean()

    class Detached(torch.nn.Module):
        def __init__(self, reduction="mean"):
            super().__init__()
            self.reduction = reduction

        def forward(self, pred, target):
            values = (pred - target).abs() * pred.detach() ** 2
            return {"mean": values.mean(), "sum": values.sum(), "none": values}[self.reduction]

    class Missing(torch.nn.Module):
        def forward(self, pred, target):
            return torch.sqrt((pred - target) ** 2).mean()

    def straight(pred, target):
        return (pred.round() + pred - pred.detach() - target).pow(2).mean()

    def good(pred, target):
        return torch.nn.functional.huber_loss(pred, target)

    def single(pred, target):
        return (pred.float() - target.float()).double().pow(2).mean()

    class Counting:
        calls = 0

        def __call__(self, pred, target):
            self.calls += 1
            return (pred - target).abs().mean() * self.calls

    counting = Counting()

    @loss("regression", source="a test")
    def lost(xp, pred: Real, target: Real, *, scale: Positive = 2.0):
        \"\"\"Squares, times the logarithm of a scale.

        formula: e^2 ln scale
        example: [1], [0] -> 0.6931471805599453
        scale: what the logarithm is taken of.
        use: none.
        \"\"\"
        scale = scale.detach() if hasattr(scale, "detach") else scale
        return (pred - target) ** 2 * math.log(scale)
"""


@pytest.fixture
def grad(tmp_path):
    """Check the gradient of a loss: the entries of the result, the error, and what was said."""
    (tmp_path / "mine.py").write_text(textwrap.dedent(OTHERS))

    def given(name, array):
        np.save(tmp_path / f"{name}.npy", array)
        return Given(str(tmp_path / f"{name}.npy"))

    def ask(loss, arrays, wrt=(), terms=(), *, check=True, **options):
        said = []
        named = {name: given(name, options.pop(name)) for name in ("weights", "mask") if name in options}
        positional = tuple(given(f"input{number}", array) for number, array in enumerate(arrays))
        losses = parse_losses(loss.replace("mine.py", str(tmp_path / "mine.py"))) if loss else ()
        spec = Spec(
            losses=losses, positional=positional, terms=terms, options=Options(**named, **options), folder=str(tmp_path)
        )
        report, error = run(spec, Grading(wrt=list(wrt), check=check), said.append, document=True)
        return report.document, error, said

    return ask


def entry(found, place=0):
    return found[0]["gradients"][place]["check"]


WRONG = [
    ("Bad", ["pred"], "mean"),
    ("Detached", ["pred"], "mean"),
    ("Detached", ["pred"], "sum"),
    ("straight", ["pred"], "mean"),
]


@pytest.mark.parametrize(("name", "wrt", "reduction"), WRONG)
def test_wrong_backwards_of_others_are_found(grad, name, wrt, reduction):
    found = grad(f"mine.py:{name}", [PRED, TARGET], wrt, reduction=reduction)
    assert isinstance(found[1], GateFailed)
    assert (found[1].code, entry(found)["verdict"]) == (1, "wrong")
    assert "mine.py:" + name in found[1].message
    assert "its own backward gives" in found[1].message
    (gate,) = found[0]["checks"]
    assert (gate["kind"], gate["passed"], gate["key"]) == ("gradient", False, "pred")


def test_the_worst_place_of_a_wrong_scale_has_both_numbers(grad):
    facts = entry(grad("mine.py:Bad", [PRED, TARGET]))
    assert facts["worst_relative_error"] == pytest.approx(0.5)
    assert facts["numeric"] == pytest.approx(2 * facts["analytic"])
    assert facts["analytic"] == pytest.approx((PRED - TARGET)[tuple(facts["at"])] / 15)


def test_a_gradient_that_is_no_number_is_wrong_where_there_is_a_slope(grad):
    same = PRED.copy()
    same[2, 1] = TARGET[2, 1]
    found = grad("mine.py:Missing", [same, TARGET])
    assert "wrong at [2, 1]: its own backward gives nan" in found[1].message


@pytest.mark.parametrize("name", ["mine.py:good", "mine.py:single", "torch.nn:HuberLoss", "torch.nn.functional:mse_loss"])
def test_right_backwards_of_others_pass(grad, name):
    found = grad(name, [PRED, TARGET], ["pred", "target"])
    assert found[1] is None
    assert [one["check"]["verdict"] for one in found[0]["gradients"]] == ["ok", "ok"]
    assert entry(found)["checked"] == entry(found)["of"] == 15


def test_a_loss_that_never_gives_the_same_cannot_be_checked(grad):
    with pytest.raises(PluginFailed, match="another value for the same inputs"):
        grad("mine.py:counting", [PRED, TARGET])


@pytest.mark.parametrize("name", ["ctc", "torch.nn:CTCLoss"])
def test_ctc_is_compared_by_raw_scores(grad, name):
    scores = RNG.normal(size=(6, 2, 4))
    logs = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
    found = grad(name, [logs, np.array([[1, 2], [3, 3]]), np.array([6, 4]), np.array([2, 2])])
    assert found[1] is None
    assert any("is checked by its raw scores" in text for text in found[2])
    assert entry(found)["worst_relative_error"] < 1e-7


def test_weights_masks_and_skipped_samples_count_as_in_the_gradient(grad):
    pred = PRED.copy()
    pred[1, 1] = np.nan
    weights = np.array([1.0, 5.0, 0.0, 2.5, 0.5])
    found = grad("huber", [pred, TARGET], weights=weights, mask=RNG.integers(0, 2, (5, 3)), nan="skip")
    assert found[1] is None
    assert (entry(found)["verdict"], entry(found)["checked"], entry(found)["of"]) == ("ok", 12, 15)
    by_sample = grad("cross_entropy", [PRED, np.array([0, 1, 2, 0, 1])], mask=np.array([0, 1, 1, 0, 1]), reduction="sum")
    assert (by_sample[1], entry(by_sample)["checked"]) == (None, 9)


def test_the_place_is_that_in_the_file(grad):
    moved = np.moveaxis(RNG.normal(size=(4, 3, 2)), 1, -1)
    facts = entry(grad("cross_entropy", [moved, np.array([[0, 1], [2, 0], [1, 1], [2, 2]])], class_dim=-1))
    row, column, label = facts["at"]
    chances = np.exp(moved[row, column]) / np.exp(moved[row, column]).sum()
    hit = np.array([[0, 1], [2, 0], [1, 1], [2, 2]])[row, column] == label
    assert facts["analytic"] == pytest.approx((chances[label] - hit) / 8)


def test_every_term_is_checked_on_its_own(grad, tmp_path):
    bad = LossSpec(f"{tmp_path}/mine.py:Bad")
    terms = (Term("fit", LossSpec("mse"), 3.0), Term("rest", bad, 0.5))
    found = grad("", [PRED, TARGET], terms=terms)
    assert "the gradient of rest by pred is wrong" in found[1].message
    assert "fit" not in found[1].message
    assert (entry(found)["term"], entry(found)["checked"], entry(found)["of"]) == ("rest", 30, 30)
    right = grad("", [PRED, TARGET], terms=(terms[0], Term("robust", LossSpec("huber"), 0.5)))
    assert (right[1], entry(right)["verdict"]) == (None, "ok")


def test_nothing_at_all_is_not_wrong(grad):
    found = grad("mse", [np.zeros((0, 3)), np.zeros((0, 3))], reduction="sum")
    assert (found[1], entry(found)["checked"], entry(found)["of"]) == (None, 0, 0)


def test_kinks_are_named(grad):
    found = grad("l1", [np.array([1.0, 2.0, 0.0]), np.ones(3)])
    assert found[1] is None
    assert found[2] == ["pred[0] is at a kink: slopes -0.333 and 0.333, the gradient takes 0"]


def test_a_million_samples_are_as_accurate_as_ten(grad):
    pred = np.linspace(-3, 3, 10**6)
    pred[123_456] = 50.0
    found = grad("mse", [pred, np.sin(pred)])
    assert found[1] is None
    assert entry(found)["worst_relative_error"] < 1e-6
    assert (entry(found)["checked"] <= 1000, entry(found)["of"]) == (True, 10**6)


@pytest.mark.parametrize("check", [True, False])
def test_a_parameter_that_autograd_loses_has_its_slope_by_differences(grad, check):
    document, _, said = grad("mine.py:lost:scale=4", [PRED, TARGET], ["param:scale"], check=check)
    assert document["gradient"] == pytest.approx(((PRED - TARGET) ** 2).mean() / 4, rel=1e-7)
    assert [text.split(":")[0] for text in said] == ["dL/dscale is taken by central differences"]


def test_a_parameter_that_autograd_finds_stays_as_it_is(grad):
    document, error, said = grad("huber:delta=0.7", [PRED, TARGET], ["param:delta", "pred"])
    size = np.abs(PRED - TARGET)
    assert document["gradient"]["param:delta"] == pytest.approx(np.where(size > 0.7, size - 0.7, 0).mean())
    assert (error, said) == (None, [])
