"""JUnit XML, which every CI system shows: a test case a gate, or a result where there are no gates.

There are no times and no host names in it, so that the same result gives the same bytes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lossctl.render.verdicts import command, verdicts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from xml.etree.ElementTree import Element

    from lossctl.render.style import Style
    from lossctl.render.verdicts import Verdict
    from lossctl.report import Report

# What XML 1.0 cannot hold, not even escaped.
BARRED = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
ELEMENTS = {"failed": "failure", "error": "error", "undecided": "skipped"}
COUNTS = {"failures": "failed", "errors": "error", "skipped": "undecided"}


def render(report: Report, _: Style) -> str:
    """Return one suite for the report, or one for each file that `check` looked at; a gate that is undecided is skipped."""
    from xml.etree import ElementTree as ET

    found, title = verdicts(report), command(report)
    files = list(dict.fromkeys(one.file for one in found)) or [""]
    root = ET.Element("testsuites", {"name": title, "tests": str(len(found)), **_counts(found, ("failures", "errors"))})
    root.extend(_suite(file or title, [one for one in found if one.file == file]) for file in files)
    ET.indent(root)
    # ASCII, so that no stream's encoding can spoil it.
    return f"<?xml version='1.0' encoding='UTF-8'?>\n{ET.tostring(root, encoding='us-ascii').decode()}\n"


def _counts(found: Sequence[Verdict], names: Sequence[str]) -> dict[str, str]:
    return {name: str(sum(one.word == COUNTS[name] for one in found)) for name in names}


def _suite(name: str, found: Sequence[Verdict]) -> Element:
    from xml.etree import ElementTree as ET

    suite = ET.Element("testsuite", {"name": _clean(name), "tests": str(len(found)), **_counts(found, tuple(COUNTS))})
    for one in found:
        case = ET.SubElement(suite, "testcase", {"name": _clean(one.name), "classname": _clean(name)})
        if one.word in ELEMENTS:
            kind = {} if one.word == "undecided" else {"type": one.kind}
            ET.SubElement(case, ELEMENTS[one.word], {"message": _clean(one.message), **kind})
    return suite


def _clean(text: str) -> str:
    return BARRED.sub("", text)
