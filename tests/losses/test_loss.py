import pytest

from lossctl.losses import catalogue
from lossctl.losses.loss import Doc, Example, loss, read_doc, read_example, weighted_mean
from lossctl.losses.words import NonNegative, Real

TEXT = """Summary over
    two lines.

    formula: a + b
    example: [1], [0] -> 1
    example: [2], [0],
        delta=1 -> 2
    delta: where it
        bends.
    use: sometimes.
    pitfall: one.
    pitfall: another: with a colon.
    """


def test_doc_is_taken_apart():
    assert read_doc(TEXT) == Doc(
        summary="Summary over two lines.",
        formula="a + b",
        examples=("[1], [0] -> 1", "[2], [0], delta=1 -> 2"),
        use="sometimes.",
        pitfalls=("one.", "another: with a colon."),
        parameters={"delta": "where it bends."},
    )


def test_no_doc():
    assert read_doc("") == Doc()


@pytest.mark.parametrize(
    ("text", "example"),
    [
        ("[0, 2], [0, 0], delta=1 -> 0.75", Example(([0, 2], [0, 0]), {"delta": 1}, 0.75)),
        ("[[1, 2]], 2.0, full=True -> -1e-3", Example(([[1, 2]], 2.0), {"full": True}, -1e-3)),
    ],
)
def test_example(text, example):
    assert read_example(text) == example


@pytest.mark.parametrize("text", ["[open('x')] -> 1", "[1] -> one", "[1]", ") + (1 -> 1"])
def test_what_is_no_example(text):
    with pytest.raises((ValueError, SyntaxError, TypeError)):
        read_example(text)


def test_a_loss_is_a_value():
    @loss("regression", source="nobody", aliases=("mine",))
    def my_loss(xp, pred: Real, target: Real, *, eps: NonNegative = 0.5):  # noqa: ARG001
        """Mine."""
        return pred - target

    assert (my_loss.name, my_loss.task, my_loss.finish, my_loss.doc.summary) == (
        "my_loss",
        "regression",
        weighted_mean,
        "Mine.",
    )
    assert my_loss.signature.parameters[0].default == 0.5
    assert "my_loss" not in catalogue()


@pytest.mark.parametrize(
    ("name", "merge"), [("mse", "additive"), ("rmse", "finish on sums"), ("dice", "finish on sums"), ("info_nce", "whole")]
)
def test_merge(name, merge):
    assert catalogue()[name].merge.startswith(merge)


@pytest.mark.parametrize("name", ["wasserstein", "info_nce"])
def test_losses_that_couple_samples_say_so(name):
    assert catalogue()[name].whole
