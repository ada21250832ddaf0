"""Annotations as GitHub's runner reads them: parsed here by its documented rules."""

import re

import pytest
from gated import failed_file, gate, report

from lossctl.errors import InputError
from lossctl.report import Style, render
from lossctl.report.ci import SUMMARY_BYTES, append

LINE = re.compile(r"::(?P<level>error|warning|notice) (?P<properties>.*?)::(?P<message>.*)")


def unescaped(text, signs):
    for sign in signs:
        text = text.replace(f"%{ord(sign):02X}", sign)
    return text.replace("%25", "%")


def annotations(one):
    """Every line as GitHub understands it: level, properties, message."""
    found = []
    for line in render(one, "github", Style()).split("\n")[:-1]:
        parts = LINE.fullmatch(line)
        assert parts, line
        properties = dict(item.split("=", 1) for item in parts["properties"].split(","))
        plain = {name: unescaped(text, "\r\n:,") for name, text in properties.items()}
        found.append((parts["level"], plain, unescaped(parts["message"], "\r\n")))
    return found


def test_what_failed_is_an_error_and_what_is_undecided_a_warning():
    warned = [{"code": "L002", "message": "looks like logits"}]
    checks = [gate("passed"), gate("failed", "too large"), gate("undecided", "is nan"), failed_file("a.yaml", "gone")]
    found = annotations(report(*checks, warnings=warned))
    assert found == [
        ("error", {"title": "lossctl compute: mse max 0.1"}, "too large"),
        ("error", {"title": "lossctl compute: error", "file": "a.yaml"}, "gone"),
        ("warning", {"title": "lossctl compute: mse max 0.1"}, "is nan"),
        ("warning", {"title": "lossctl L002"}, "looks like logits"),
        ("notice", {"title": "lossctl compute"}, "1 passed, 1 failed, 1 undecided, 1 error"),
    ]


@pytest.mark.parametrize("text", ["50% of it", "two\nlines", "a\r\nb", "::error::no", "%0A stays", "a, b: c"])
def test_any_text_comes_through(text):
    level, properties, message = annotations(report(gate("failed", text, file=text)))[0]
    assert (level, properties["file"], message) == ("error", text, text)


@pytest.mark.parametrize("count", [10, 11, 57])
def test_no_more_than_github_shows(count):
    found = annotations(report(*(gate("failed", f"gate {number}") for number in range(count))))
    errors = [message for level, _, message in found if level == "error"]
    assert len(errors) == 10
    assert errors[:9] == [f"gate {number}" for number in range(9)]
    assert errors[9] == ("gate 9" if count == 10 else f"gate 9 ({count - 10} more are left out: GitHub shows 10.)")


def test_a_result_without_gates_is_a_notice():
    assert annotations(report()) == [("notice", {"title": "lossctl compute"}, "mse = 0.25")]


def test_a_summary_is_appended_with_verdicts_in_words(tmp_path):
    path = tmp_path / "summary"
    path.write_text("before\n")
    append(report(gate("passed"), gate("failed", "0.25 | 0.1")), str(path), Style())
    text = path.read_text()
    assert text.startswith("before\n## lossctl compute: FAIL\n")
    assert "| mse max 0.1 | 0.25 | pass | gate said so |" in text
    assert r"| mse max 0.1 | 0.25 | FAIL | 0.25 \| 0.1 |" in text
    assert text.endswith("| loss | value |\n| --- | ---: |\n| mse | 0.25 |\n\n")


@pytest.mark.parametrize(
    ("checks", "word"), [([gate("undecided"), gate("passed")], ": undecided"), ([gate("passed")], ": pass"), ([], "")]
)
def test_the_heading_has_the_worst_verdict(checks, word, tmp_path):
    append(report(*checks), str(tmp_path / "s"), Style())
    assert (tmp_path / "s").read_text().splitlines()[0] == f"## lossctl compute{word}"


def test_a_summary_is_no_larger_than_github_takes(tmp_path):
    path = tmp_path / "summary"
    path.write_bytes(b"x" * (SUMMARY_BYTES - 10_000))
    append(report(*(gate("failed", f"{number} {'y' * 100}") for number in range(500))), str(path), Style())
    size, last = path.stat().st_size, path.read_text().splitlines()[-1]
    assert SUMMARY_BYTES - 400 < size <= SUMMARY_BYTES
    assert int(last.split()[0]) + path.read_text().count("y |") == 500 + 5
    append(report(gate("passed")), str(path), Style())
    assert path.stat().st_size <= SUMMARY_BYTES


def test_a_summary_that_cannot_be_written(tmp_path):
    with pytest.raises(InputError, match="could not be written"):
        append(report(), str(tmp_path / "no" / "summary"), Style())
