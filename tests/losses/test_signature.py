import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossctl.errors import BadParameter
from lossctl.losses import catalogue
from lossctl.losses.loss import Domain, Number, read_signature
from lossctl.losses.words import Real

WHOLE = Number(int, "a whole number")
REAL = Number(float, "a number")
FLAG = Number(bool, "true or false")


@pytest.mark.parametrize(
    ("domain", "said", "inside", "outside"),
    [
        (Domain(), "any real", (-1e300, 0, math.inf), (math.nan,)),
        (Domain(low=0), ">= 0", (0, 5), (-1e-300, math.nan)),
        (Domain(low=0, open_low=True), "> 0", (1e-300,), (0, -1)),
        (Domain(0, 1), "[0, 1]", (0, 0.5, 1), (-0.1, 1.0000001)),
        (Domain(0, 1, open_low=True), "(0, 1]", (1,), (0,)),
        (Domain(-1, 1, values=(-1, 1)), "{-1, 1}", (-1, 1), (2,)),
    ],
)
def test_domain(domain, said, inside, outside):
    assert domain.says == said
    assert [domain.holds(x, x) for x in (*inside, *outside)] == [True] * len(inside) + [False] * len(outside)


@given(st.integers(-(2**63) + 1, 2**63 - 1))
def test_whole_numbers_are_read_exactly(number):
    assert WHOLE.parse("x", str(number)) == number
    assert WHOLE.parse("x", number) == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_are_read_exactly(number):
    assert REAL.parse("x", repr(number)) == number


@pytest.mark.parametrize(
    ("word", "text", "read"), [(WHOLE, "1e3", 1000), (WHOLE, "-100", -100), (REAL, ".5", 0.5), (REAL, 2, 2.0)]
)
def test_other_ways_to_write_numbers(word, text, read):
    found = word.parse("x", text)
    assert (found, type(found)) == (read, word.kind)


@pytest.mark.parametrize("text", ["", "one", "1.5", "nan", "inf", "1e30", str(2**63), "1" * 400, "1" * 5000, True, None, [1]])
def test_what_is_no_whole_number(text):
    with pytest.raises(BadParameter, match=r"^Parameter 'k' takes a whole number, not "):
        WHOLE.parse("k", text)


@pytest.mark.parametrize("text", ["nan", "inf", "-1", "0", True])
def test_number_outside_of_its_domain(text):
    with pytest.raises(BadParameter, match="takes a number > 0"):
        Number(float, "a number > 0", Domain(low=0, open_low=True)).parse("x", text)


def test_infinity_only_where_the_word_allows_it():
    assert Number(float, "a norm degree", infinite=True).parse("p", "inf") == math.inf


@pytest.mark.parametrize(
    ("text", "flag"), [("true", True), ("True", True), (True, True), ("1", True), ("no", False), (0, False), (False, False)]
)
def test_flags(text, flag):
    assert FLAG.parse("x", text) is flag


@pytest.mark.parametrize("text", ["", "2", "maybe", None])
def test_what_is_no_flag(text):
    with pytest.raises(BadParameter, match="takes true or false"):
        FLAG.parse("x", text)


def test_argument_without_a_word():
    def nameless(xp, pred: Real, target): ...

    with pytest.raises(TypeError, match="nameless: argument 'target' carries no word"):
        read_signature(nameless)


@pytest.mark.parametrize("loss", catalogue().values(), ids=lambda loss: loss.name)
def test_defaults_are_in_their_own_domain(loss):
    for parameter in loss.signature.parameters:
        assert parameter.word.parse(parameter.name, parameter.default) == parameter.default


def test_inputs_tensors_and_numbers_are_told_apart():
    signature = catalogue()["cross_entropy"].signature
    assert [argument.name for argument in signature.inputs] == ["pred", "target"]
    assert [argument.name for argument in signature.tensors] == ["weight"]
    assert [parameter.name for parameter in signature.parameters] == ["ignore_index", "label_smoothing"]
