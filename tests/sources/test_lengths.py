"""Which readings of first rows make inputs equally long, by hand-made headings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossctl.sources.container import EVEN, RULE, SURE, WEAK, Heading
from lossctl.sources.layout import alike, heading, ways


def of(**tables):
    return {name: Heading(header, doubt) for name, (header, doubt) in tables.items()}


def entries(*pairs):
    return [(frozenset(paths.split()), length) for paths, length in pairs]


CASES = {
    "nothing to do": (of(a=(True, RULE)), [("a", 3), ("", 3)], [""]),
    "a header that is a sample": (of(a=(True, RULE)), [("a", 3), ("", 4)], ["a"]),
    "a sample that is a header": (of(a=(False, WEAK)), [("a", 4), ("", 3)], ["a"]),
    "no way": (of(a=(False, WEAK)), [("a", 5), ("", 3)], []),
    "the weaker one gives way": (of(a=(True, RULE), b=(False, WEAK)), [("a", 3), ("b", 4)], ["b"]),
    "labels stay as they are": (of(a=(False, WEAK), b=(False, WEAK)), [("a", 4), ("b", 4)], [""]),
    "both even": (of(a=(False, EVEN), b=(False, EVEN)), [("a", 4), ("b", 4)], ["", "a b"]),
    "even beside weak": (of(a=(False, EVEN), b=(False, WEAK)), [("a", 4), ("b", 4)], ["", "a b"]),
    "even beside a rule": (of(a=(False, EVEN), b=(True, RULE)), [("a", 4), ("b", 3)], ["a"]),
    "even beside a length": (of(a=(False, EVEN)), [("a", 4), ("", 4)], [""]),
    "shards turn together": (of(a=(False, WEAK), b=(False, WEAK)), [("a b", 8), ("", 6)], ["a b"]),
    "one file twice": (of(a=(False, WEAK)), [("a", 4), ("a", 4)], [""]),
    "one file twice, and a length": (of(a=(False, WEAK)), [("a", 4), ("a", 4), ("", 3)], ["a"]),
}


@pytest.mark.parametrize("name", CASES)
def test_ways(name):
    tables, pairs, wanted = CASES[name]
    assert ways(tables, entries(*pairs)) == [frozenset(one.split()) for one in wanted]


def test_files_of_one_array_are_read_alike():
    assert alike(of(a=(True, SURE), b=(False, WEAK), c=(True, RULE))) == ["b"]
    assert alike(of(a=(True, RULE), b=(False, WEAK))) == ["b"]
    assert alike(of(a=(True, SURE), b=(False, SURE), c=(False, WEAK))) == []
    assert alike(of(a=(False, EVEN), b=(False, EVEN))) == []


WORDS = ["a", "b", "id", "inf", "nan", "True", "0x1", "1_0", ".", "-", "", " 0 ", "\u0663", "\uff10", "\u00b2"]
NUMBERS = ["0", "1", "2", "3", "1.5", "-3", "1e5", "00", "+1", "1.", "2024-01-01", "9" * 5000]
CELLS = st.sampled_from(WORDS + NUMBERS)


@given(
    st.integers(1, 4).flatmap(lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=1, max_size=6))
)
def test_any_table_has_a_heading(rows):
    found = heading(rows[0], rows[1:], set, lambda: False)
    assert found.doubt in {SURE, RULE, WEAK, EVEN}
