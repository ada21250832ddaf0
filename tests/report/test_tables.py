import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossctl.report import Report, Style, render

WIDE = Style(width=80)
ROWS = [
    {"loss": "mse", "params": {"delta": 1.0}, "value": 0.1 + 0.2, "n": 4},
    {"loss": "a|b\tc", "value": float("nan"), "n": 10**12},
    {"loss": "l1", "value": -1e-300, "n": None},
]


def report(**more):
    return Report(("loss", "params", "value", "n"), ROWS, **more)


def one(value):
    return Report(("loss", "value"), [{"loss": "mse", "value": value}])


@pytest.mark.parametrize(
    ("style", "text"), [(Style(), "1.23457"), (Style(sig=3), "1.23"), (Style(sig=9), "1.23456789"), (Style(decimals=2), "1.23")]
)
def test_people_choose_their_digits(style, text):
    assert f"| {text} |" in render(one(1.23456789), "markdown", style)


def test_a_long_list_is_named_by_its_length_for_people():
    text = render(one([float(i) for i in range(1000)]), "markdown", Style())
    assert "[0, 1, 2, 3, 4, 5, 6, 7, …] (1000 values)" in text


def test_a_table_has_its_title_and_all_its_cells():
    text = render(report(title="Losses [1]"), "table", WIDE)
    assert text.startswith("Losses [1]")
    assert all(word in text for word in ("mse", "delta=1", "0.3", "1000000000000", "-1e-300", "\\t"))
    assert "\x1b" not in text


def test_color_only_where_it_is_wanted(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[1m" not in render(report(), "table", WIDE)
    monkeypatch.delenv("FORCE_COLOR")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[1m" in render(report(), "table", Style(width=80, color=True))


def test_escape_sequences_in_the_data_do_not_reach_the_terminal():
    assert "\x1b" not in render(Report(("id",), [{"id": "\x1b[31mred"}]), "table", WIDE)


@given(
    st.lists(
        st.tuples(st.text("ab []|/é漢", max_size=60), st.floats(), st.lists(st.floats(), max_size=6), st.integers()), max_size=4
    ),
    st.integers(1, 120),
)
def test_a_table_never_breaks_a_number(rows, width):
    columns = ("text", "value", "values", "n")
    text = render(Report(columns, [dict(zip(columns, row, strict=True)) for row in rows]), "table", Style(width=width))
    words = {word.strip("[],") for word in text.split()}
    for _, value, values, n in rows:
        assert {f"{number:.6g}" for number in (value, *values)} | {str(n)} <= words


def test_a_table_fits_its_width_where_only_text_is_long():
    text = render(Report(("id", "n"), [{"id": "path/" * 50, "n": 3}]), "table", Style(width=40))
    assert max(map(len, text.splitlines())) <= 40
