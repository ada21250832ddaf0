"""Annotations for GitHub Actions, which reads them from a step's standard output.

Nothing but annotations is printed: an id in a table may begin with two colons, and GitHub would obey it. Tables go into the
job summary. GitHub shows ten annotations of each kind a step; the tenth says how many more there were.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lossctl.render.verdicts import SEEN, command, verdicts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lossctl.render.style import Style
    from lossctl.render.verdicts import Verdict
    from lossctl.report import Report

# https://docs.github.com/actions/reference/workflow-commands-for-github-actions has the escapes; the limit stands in
# https://github.com/actions/toolkit/blob/main/docs/problem-matchers.md.
LIMIT = 10
DATA = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
PROPERTY = DATA | str.maketrans({":": "%3A", ",": "%2C"})
LEVELS = {"failed": "error", "error": "error", "undecided": "warning"}


def render(report: Report, _: Style) -> str:
    """Return errors for what failed, warnings for what is undecided or odd, and one notice that counts the gates."""
    found, title = verdicts(report), command(report)
    said: dict[str, list[tuple[str, str, str]]] = {"error": [], "warning": [], "notice": []}
    for one in found:
        if one.word in LEVELS:
            said[LEVELS[one.word]].append((one.file, f"{title}: {one.name}", one.message))
    said["warning"] += [("", f"lossctl {one['code']}", one["message"]) for one in report.document.get("warnings", ())]
    said["notice"] = _notices(found, title, len(report.rows), gated=bool(report.document.get("checks")))
    return "".join(_line(level, *one) for level, every in said.items() for one in _few(every))


def _notices(found: Sequence[Verdict], title: str, rows: int, *, gated: bool) -> list[tuple[str, str, str]]:
    if not gated:
        return [("", title, one.message) for one in found] or [("", title, f"{rows} rows")]
    counts = {word: sum(one.word == word for one in found) for word in SEEN}
    return [("", title, ", ".join(f"{count} {word}" for word, count in counts.items() if count or word == "passed"))]


def _few(said: Sequence[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """As many as GitHub shows; the last says how many are left out."""
    if len(said) <= LIMIT:
        return list(said)
    file, title, message = said[LIMIT - 1]
    return [*said[: LIMIT - 1], (file, title, f"{message} ({len(said) - LIMIT} more are left out: GitHub shows {LIMIT}.)")]


def _line(level: str, file: str, title: str, message: str) -> str:
    properties = {"file": file, "title": title}
    given = ",".join(f"{name}={text.translate(PROPERTY)}" for name, text in properties.items() if text)
    return f"::{level} {given}::{message.translate(DATA)}\n"
