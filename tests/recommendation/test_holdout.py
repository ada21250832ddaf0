"""The right family of losses must be among the first two, for every set of which it is known."""

import zlib

import holdout
import numpy as np
import pytest

from lossctl.blocks import Memory
from lossctl.recommendation.advice import advise

# Tenenhaus 1998, La régression PLS: weight, waist and pulse of twenty men, which scikit-learn bundles as linnerud.
WEIGHT = [191, 189, 193, 162, 189, 182, 211, 167, 176, 154, 169, 166, 154, 247, 193, 202, 176, 157, 156, 138]
WAIST = [36, 37, 38, 35, 35, 36, 38, 34, 31, 33, 34, 33, 34, 46, 36, 37, 37, 32, 33, 33]
PULSE = [50, 52, 58, 62, 46, 56, 56, 60, 74, 56, 50, 52, 64, 50, 46, 62, 54, 52, 54, 68]
# How often each class occurs in sets that scikit-learn bundles; of classes nothing else is seen.
FREQUENCIES = {
    "iris": (50, 50, 50),
    "wine": (59, 71, 48),
    "breast cancer": (212, 357),
    "digits": (178, 182, 177, 183, 181, 182, 181, 179, 174, 180),
}


def first_two(target, **given):
    return {choice.name for choice in advise(given, target=target).choices[:2]}


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("case", holdout.CASES, ids=lambda case: case.name)
def test_synthetic_set(case, seed):
    rng = np.random.default_rng(seed + zlib.crc32(case.name.encode()))
    target = Memory(np.asarray(case.draw(rng)), "target") if case.draw else None
    assert first_two(target, **case.given) & case.family


def test_there_are_at_least_forty_and_no_name_twice():
    names = [case.name for case in holdout.CASES]
    assert len(names) >= 40
    assert len({*names}) == len(names)


@pytest.mark.parametrize("order", ["sorted", "shuffled"])
@pytest.mark.parametrize("name", FREQUENCIES)
def test_real_classes(name, order):
    labels = np.repeat(np.arange(len(FREQUENCIES[name])), FREQUENCIES[name])
    if order == "shuffled":
        np.random.default_rng(0).shuffle(labels)
    expected = "bce_with_logits" if len(FREQUENCIES[name]) == 2 else "cross_entropy"
    assert expected in first_two(Memory(labels, name))


def test_linnerud():
    table = np.array([WEIGHT, WAIST, PULSE]).T
    assert table.mean(axis=0) == pytest.approx([178.6, 35.4, 56.1])
    assert first_two(Memory(table, "linnerud")) & {"mse", "huber"}


@pytest.mark.parametrize("column", [WEIGHT, WAIST])
def test_linnerud_by_column(column):
    assert first_two(Memory(np.array(column, float) + 0.5, "linnerud")) & {"mse", "huber"}


def test_half_of_the_cases_would_fail_with_one_answer_for_all():
    families = [case.family for case in holdout.CASES]
    most = max(sum(loss in family for family in families) for loss in set().union(*families))
    assert most < len(families) / 3
