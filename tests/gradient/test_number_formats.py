"""What number formats lose, against casting to them."""

import math

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from lossctl.gradient.profile import FORMATS, INITIAL, Profile, look, precision

TYPES = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}
NAMES = st.sampled_from(list(FORMATS))
# Of so many bits that no rounding comes between: torch rounds doubles to floats first.
SHORT = st.builds(
    lambda fraction, exponent, sign: sign * math.ldexp(fraction, exponent),
    st.integers(1, 63), st.integers(-160, 130), st.sampled_from([1.0, -1.0]),
)  # fmt: skip
NEAR_FP16 = st.builds(math.ldexp, st.integers(1, 63), st.integers(-40, 10))
VALUES = st.lists(SHORT | NEAR_FP16 | st.just(0.0), min_size=1, max_size=30)


def profiled(values):
    found = Profile()
    for start in range(0, len(values), 7):
        found.add(look(np.array(values[start : start + 7]), (start,), 0, 0.0))
    return found


def cast(values, name, scale=1.0):
    """What becomes of the elements that are not zero."""
    kept = torch.tensor([value * scale for value in values if value], dtype=torch.float64)
    return kept.to(TYPES[name]).double().abs()


def share(mask):
    return float(mask.double().mean()) if len(mask) else 0.0


@given(VALUES, NAMES)
@example([2.0**-14, 2.0**-24, 2.0**-25, 3 * 2.0**-26], "fp16")
@example([2.0**-126, 2.0**-133, 2.0**-134], "bf16")
@example([2.0**-149, 2.0**-150], "fp32")
def test_shares_are_those_of_a_cast(values, name):
    found = precision(name, profiled(values))
    after = cast(values, name)
    assert found["underflow"] == pytest.approx(share(after == 0))
    assert found["subnormal"] == pytest.approx(share((after > 0) & (after < torch.finfo(TYPES[name]).tiny)))
    assert found["overflow"] == pytest.approx(share(after.isinf()))


@given(VALUES, NAMES)
def test_scales_are_those_that_trying_finds(values, name):
    found = precision(name, profiled(values))
    powers = [2.0**k for k in range(-140, 400)]

    def saves(scale):
        return int((cast(values, name, scale) == 0).sum()) <= len([value for value in values if value]) / 1000

    def fits(scale):
        return not bool(cast(values, name, scale).isinf().any())

    assert found["scale_needed"] == next(scale for scale in powers if scale >= 1 and saves(scale))
    limit = max((scale for scale in powers if fits(scale)), default=0.0)
    assert found["scale_limit"] == (limit if any(values) else math.inf)
    assert found["scale"] == (found["scale_needed"] if found["scale_needed"] <= limit else None)
    assert found["initial_scale_saves"] == (saves(INITIAL) and fits(INITIAL))


def test_one_in_a_thousand_may_be_lost():
    values = [1.0] * 1999 + [1e-30]
    assert precision("fp16", profiled(values))["scale_needed"] == 1
    assert precision("fp16", profiled(values))["underflow"] == 1 / 2000
    many = precision("fp16", profiled([*values[1:], 1e-30, 1e-30]))
    assert many["scale_needed"] == 2.0**75
    assert many["scale"] is None
    assert many["scale_limit"] == 2.0**15


def test_a_mean_over_2_to_the_14_elements_is_still_normal():
    assert precision("fp16", profiled([2.0**-14] * 64))["subnormal"] == 0
    assert precision("fp16", profiled([2.0**-25] * 64))["underflow"] == 1


@pytest.mark.parametrize("name", list(FORMATS))
@pytest.mark.parametrize("size", [5e-324, 1e-320, 1e-300, 1.7e308])
def test_the_ends_of_doubles(name, size):
    found = precision(name, profiled([size]))
    assert found["underflow"] == float(size < 1)
    assert found["overflow"] == float(size > 1)
    assert found["scale_limit"] > 1 if size < 1 else found["scale_limit"] < 1


@pytest.mark.parametrize("values", [[], [0.0], [math.nan]])
@pytest.mark.parametrize("name", list(FORMATS))
def test_nothing_to_lose(values, name):
    found = precision(name, profiled(values))
    assert (found["underflow"], found["subnormal"], found["overflow"], found["scale"]) == (0, 0, 0, 1)
