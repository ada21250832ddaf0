"""docs/inspect.md names every kind and every fact, and no others."""

import re

import numpy as np
from arrays import KINDS, facts
from golden import ROOT

from lossctl.guides.facts import pair_facts
from lossctl.sources.readers import Memory

PAGE = (ROOT / "docs" / "inspect.md").read_text(encoding="utf-8")
KINDS_PART, ONE_PART, PAIR_PART = (part.split("\n## ")[0] for part in PAGE.split("\n## ")[1:])


def first_cells(part):
    """The names in the first cells of a table's rows."""
    return {name for row in re.findall(r"^\| (`[^|]*) \|", part, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}


def test_every_kind_has_a_row():
    assert first_cells(KINDS_PART) == {kind for kind, _ in KINDS.values()}


def test_every_fact_of_an_array_has_a_row():
    known = {name for name in facts(np.ones((3, 2))).values if not name.startswith(("row_exp", "row_square", "sampled"))}
    assert first_cells(ONE_PART) == known


def test_every_fact_of_a_pair_has_a_row():
    found = pair_facts(Memory(np.ones(3)), Memory(np.zeros(3)))
    assert first_cells(PAIR_PART) == {*found.values} - {"fits", "same_shape", "class_axis", "sampled"}
