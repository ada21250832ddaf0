import numpy as np
import pytest

from lossctl.commands.diagnose import WIDTH, marks, sparkline
from lossctl.guides.diagnose.history import Series


def series(values):
    return Series(np.arange(1.0, len(values) + 1), np.array(values, float))


def test_signs_rise_with_values():
    assert sparkline(series(range(8))) == "▁▂▃▄▅▆▇█"
    assert sparkline(series(range(8)), plain=True) == "_.-=+*#@"


def test_long_series_are_cut_into_parts():
    assert len(sparkline(series(range(1000)))) == WIDTH


def test_what_is_not_finite_is_crossed_out():
    assert sparkline(series([0, np.nan, 1])) == "▁x█"
    assert sparkline(series([np.inf] * 3)) == "xxx"


def test_a_constant_is_low():
    assert sparkline(series([3, 3, 3])) == "▁▁▁"


def test_an_explosion_leaves_the_rest_visible():
    assert sparkline(series([*range(38, 0, -1), 1e9, 1e9]))[:3] == "███"
    assert len(set(sparkline(series([*range(38, 0, -1), 1e9, 1e9])))) == 8


@pytest.mark.parametrize(
    ("spans", "line"),
    [([(1, 1)], "^"), ([(3, 4)], "  ^^"), ([(1, 1), (3, 3)], "^ ^"), ([(2.5, 2.5)], "  ^"), ([(99, 99)], "    ^"), ([], "")],
)
def test_marks_stand_below_their_steps(spans, line):
    assert marks(series(range(5)), spans) == line


def test_marks_fit_the_sparkline_of_a_long_series():
    line = marks(series(range(1000)), [(501, 1000)])
    assert line == " " * (WIDTH // 2) + "^" * (WIDTH // 2)
