"""What CI systems read: JUnit XML, annotations of GitHub Actions, and the summary of a job in Markdown.

JUnit has a test case for each gate, or for each result where there are no gates. It holds neither times nor host names, so that
the same result gives the same bytes. For GitHub nothing but annotations is printed: an id in a table may begin with two colons,
and GitHub would obey it. Tables go into the job summary.
"""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from lossctl.errors import InputError
from lossctl.report import Report, Style, exact
from lossctl.report.table import render_markdown
from lossctl.sources.touched import descriptor_of, later, refuse_overwriting

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from xml.etree.ElementTree import Element


WORDS = {True: "passed", False: "failed", None: "undecided"}
# How a person sees at a glance what needs looking at.
SEEN = {"passed": "pass", "failed": "FAIL", "undecided": "undecided", "error": "ERROR"}
# What XML 1.0 cannot hold, not even escaped.
BARRED = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
ELEMENTS = {"failed": "failure", "error": "error", "undecided": "skipped"}
COUNTS = {"failures": "failed", "errors": "error", "skipped": "undecided"}
# https://docs.github.com/actions/reference/workflow-commands-for-github-actions has the escapes; the limit stands in
# https://github.com/actions/toolkit/blob/main/docs/problem-matchers.md.
ANNOTATIONS = 10
DATA = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
PROPERTY = DATA | str.maketrans({":": "%3A", ",": "%2C"})
LEVELS = {"failed": "error", "error": "error", "undecided": "warning"}
# GitHub refuses the whole summary of a step that is larger.
SUMMARY_BYTES = 1 << 20
# Bytes that tell text from what is none.
HEAD = 4096
# What a verdict of several gates is: that of the first of these words that occurs.
WORST = ("failed", "error", "undecided", "passed")


@dataclass(frozen=True)
class Verdict:
    """One gate, or one result without any: `word` is passed, failed, undecided, or error where nothing was computed."""

    name: str
    word: str
    message: str
    kind: str
    file: str = ""
    value: str = ""


def command(report: Report) -> str:
    """What the report is of."""
    return f"lossctl {report.document.get('command', 'result')}"


def verdicts(report: Report) -> list[Verdict]:
    """Every gate of the report; where it has none, every result has passed by being there."""
    checks = report.document.get("checks", ())
    return [_gate(check) for check in checks] or [_result(result) for result in report.document.get("results", ())]


def _gate(check: Mapping[str, Any]) -> Verdict:
    if "check" in check:
        word = check["result"] if check["result"] in SEEN else "passed"
        return Verdict(f"{check['loss']} {check['check']}", word, check["detail"], "GateFailed")
    file = check.get("file", "")
    if check.get("error"):
        return Verdict("error", "error", check["message"], check["error"]["kind"], file)
    word = WORDS[check["passed"]]
    return Verdict(typed(check), word, check["message"], "GateFailed", file, exact(check["value"]))


def typed(check: Mapping[str, Any]) -> str:
    """A gate as one would type it: `mse max 0.1`, `mse of new max_abs 0.01 noninf`."""
    whose = f"{check['key']} of {check['system']}" if check.get("system") else check["key"]
    how = check.get("require", "")
    return " ".join(filter(None, [whose, check["kind"], exact(check["bound"]) if check["kind"] != "require" else "", how]))


def _result(result: Mapping[str, Any]) -> Verdict:
    whose = f"[{result['system']}]" if "system" in result else ""
    group = f"@{result['group']}" if "group" in result else ""
    name, value = f"{result.get('name', result['loss'])}{whose}{group}", exact(result["value"])
    shown = "unreduced" if isinstance(result["value"], list) else value
    return Verdict(name, "passed", f"{name} = {shown}", "Result", value=shown)


def render_junit(report: Report, _: Style) -> str:
    """Return one suite for the report, or one for each file that `check` looked at; a gate that is undecided is skipped."""
    from xml.etree import ElementTree as ET

    every, title = verdicts(report), command(report)
    files = list(dict.fromkeys(verdict.file for verdict in every)) or [""]
    root = ET.Element("testsuites", {"name": title, "tests": str(len(every)), **_counts(every, ("failures", "errors"))})
    root.extend(_suite(file or title, [verdict for verdict in every if verdict.file == file]) for file in files)
    ET.indent(root)
    # ASCII, so that no stream's encoding can spoil it.
    return f"<?xml version='1.0' encoding='UTF-8'?>\n{ET.tostring(root, encoding='us-ascii').decode()}\n"


def _counts(every: Sequence[Verdict], names: Sequence[str]) -> dict[str, str]:
    return {name: str(sum(verdict.word == COUNTS[name] for verdict in every)) for name in names}


def _suite(name: str, every: Sequence[Verdict]) -> Element:
    from xml.etree import ElementTree as ET

    suite = ET.Element("testsuite", {"name": _clean(name), "tests": str(len(every)), **_counts(every, tuple(COUNTS))})
    for verdict in every:
        case = ET.SubElement(suite, "testcase", {"name": _clean(verdict.name), "classname": _clean(name)})
        if verdict.word in ELEMENTS:
            kind = {} if verdict.word == "undecided" else {"type": verdict.kind}
            ET.SubElement(case, ELEMENTS[verdict.word], {"message": _clean(verdict.message), **kind})
    return suite


def _clean(text: str) -> str:
    return BARRED.sub("", text)


def render_github(report: Report, _: Style) -> str:
    """Return errors for what failed, warnings for what is undecided or odd, and one notice that counts the gates."""
    every, title = verdicts(report), command(report)
    said: dict[str, list[tuple[str, str, str]]] = {"error": [], "warning": [], "notice": []}
    for verdict in every:
        if verdict.word in LEVELS:
            said[LEVELS[verdict.word]].append((verdict.file, f"{title}: {verdict.name}", verdict.message))
    said["warning"] += [
        ("", f"lossctl {warning['code']}", warning["message"]) for warning in report.document.get("warnings", ())
    ]
    said["notice"] = _notices(every, title, len(report.rows), gated=bool(report.document.get("checks")))
    return "".join(_line(level, *note) for level, notes in said.items() for note in _few(notes))


def _notices(every: Sequence[Verdict], title: str, rows: int, *, gated: bool) -> list[tuple[str, str, str]]:
    if not gated:
        return [("", title, verdict.message) for verdict in every] or [("", title, f"{rows} rows")]
    counts = {word: sum(verdict.word == word for verdict in every) for word in SEEN}
    return [("", title, ", ".join(f"{count} {word}" for word, count in counts.items() if count or word == "passed"))]


def _few(said: Sequence[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """As many as GitHub shows; the last says how many are left out."""
    if len(said) <= ANNOTATIONS:
        return list(said)
    more, (file, title, message) = len(said) - ANNOTATIONS, said[ANNOTATIONS - 1]
    return [*said[: ANNOTATIONS - 1], (file, title, f"{message} ({more} more are left out: GitHub shows {ANNOTATIONS}.)")]


def _line(level: str, file: str, title: str, message: str) -> str:
    properties = {"file": file, "title": title}
    given = ",".join(f"{name}={text.translate(PROPERTY)}" for name, text in properties.items() if text)
    return f"::{level} {given}::{message.translate(DATA)}\n"


def append(report: Report, path: str, style: Style) -> None:
    """Append the report to the file at `path`, which is made if it is missing, and cut it to what GitHub takes.

    Within a run of a command it is appended when the run has ended well.
    Raises: InputError where the file cannot be written, or holds no text; WouldOverwrite for an input.
    """
    added = _Added(path, summary(report, style).encode(errors="backslashreplace"))
    refuse_overwriting(path)
    _check_text(path)
    if not later(added):
        added.commit()


@dataclass
class _Added:
    """Text that is to be appended to a file."""

    path: str
    text: bytes

    def commit(self) -> None:
        """Append it whole, or not at all.

        Raises: InputError.
        """
        try:
            with _opened(self.path) as file:
                status = os.fstat(file.fileno())
                size = status.st_size if stat.S_ISREG(status.st_mode) else 0
                try:
                    text = memoryview(_cut(self.text, SUMMARY_BYTES - size))
                    # In one piece where it fits, so that another process does not get between.
                    while text:
                        text = text[file.write(text) :]
                except OSError:
                    if stat.S_ISREG(status.st_mode):
                        os.ftruncate(file.fileno(), size)
                    raise
        except OSError as error:
            message = f"The summary '{self.path}' could not be written: {error.strerror or error}."
            raise InputError(message, hint="Check the path and the folder's permissions.") from error

    def drop(self) -> None:
        """Nothing has been written yet."""


def _check_text(path: str) -> None:
    """Refuse to add Markdown to what holds bytes that no text has, as arrays do: they could not be read any more.

    Raises: InputError.
    """
    # What may not be read may still be added to.
    with suppress(OSError):
        if not os.path.isfile(path):  # noqa: PTH113 - a text may be no path
            return
        with open(path, "rb") as file:  # noqa: PTH123 - as above
            head = file.read(HEAD)
        if b"\0" in head:
            message = f"The summary '{path}' holds no text, and Markdown added to it would spoil it."
            raise InputError(message, hint="Name another file.")


def _opened(path: str) -> BinaryIO:
    number = descriptor_of(path)
    return cast("BinaryIO", open(path if number is None else os.dup(number), "ab", buffering=0))  # noqa: PTH123 - a path or a number


def summary(report: Report, style: Style) -> str:
    """Return the report as Markdown, with a verdict in its heading where there are gates."""
    checks = report.document.get("checks", ())
    gates = verdicts(report)
    word = next((word for word in WORST if any(gate.word == word for gate in gates)), "")
    title = f"## {command(report)}{f': {SEEN[word]}' if checks and word else ''}\n\n"
    if not checks:
        return f"{title}{render_markdown(report, style)}\n"
    rows = [
        {"file": gate.file, "gate": gate.name, "value": gate.value, "verdict": SEEN[gate.word], "": gate.message}
        for gate in gates
    ]
    columns: tuple[str, ...] = ("gate", "value", "verdict", "")
    if any(gate.file for gate in gates):
        columns = ("file", *columns)
    own = "" if report.document.get("command") == "check" else f"\n{render_markdown(report, style)}"
    return f"{title}{render_markdown(Report(columns, rows), style)}{own}\n"


def _cut(text: bytes, room: int) -> bytes:
    """Whole lines that fit, and last how many do not."""
    if len(text) <= room:
        return text
    kept = text[: max(0, room - 100)]
    kept = kept[: kept.rfind(b"\n") + 1]
    left = text.count(b"\n") - kept.count(b"\n")
    note = f"\n{left} more lines are left out: GitHub takes 1 MiB.\n".encode()
    return kept + note if len(note) <= room else b""
