# ruff: noqa: S314 - every text that is parsed here is our own
"""JUnit XML against the schema in tests/data, by its own rules: which elements, in which, with which attributes."""

import importlib.util
from xml.etree import ElementTree as ET

import pytest
from gated import failed_file, gate, report
from golden import ROOT

from lossctl.report import Report, Style, render

XSD = ROOT / "tests" / "data" / "junit.xsd"
NAMES = {"xs": "http://www.w3.org/2001/XMLSchema"}
TYPES = {"xs:string": str, "xs:integer": int, "xs:decimal": float}
ALL = report(gate("passed"), gate("failed", "0.25 > 0.1"), gate("undecided", "is nan"), failed_file("", "There is no result."))


def rules():
    """What the schema allows: for each element its attributes, those that it must have, and its children."""
    found = {}
    for element in ET.parse(XSD).getroot().findall("xs:element", NAMES):
        attributes = element.findall(".//xs:attribute", NAMES)
        found[element.get("name")] = (
            {one.get("name"): TYPES[one.get("type")] for one in attributes},
            {one.get("name") for one in attributes if one.get("use") == "required"},
            {one.get("ref") for one in element.findall(".//xs:element", NAMES)},
        )
    return found


def faults(element, known):
    """Everything in an element that the schema does not allow."""
    types, required, children = known[element.tag]
    said = [f"{element.tag} has {name}" for name in set(element.attrib) - set(types)]
    said += [f"{element.tag} lacks {name}" for name in required - set(element.attrib)]
    for name in set(element.attrib) & set(types):
        types[name](element.get(name))
    for child in element:
        said += faults(child, known) if child.tag in children else [f"{child.tag} in {element.tag}"]
    return said


def tree(one):
    text = render(one, "junit", Style())
    root = ET.fromstring(text)
    assert root.tag == "testsuites"
    assert faults(root, rules()) == []
    if importlib.util.find_spec("xmlschema"):
        importlib.import_module("xmlschema").validate(text, str(XSD))
    return root


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("<testsuites><testcase name='a' classname='b'/></testsuites>", "testcase in testsuites"),
        ("<testsuites><testsuite name='a'/></testsuites>", "testsuite lacks tests"),
        ("<testsuites skipped='1'/>", "testsuites has skipped"),
    ],
)
def test_the_schema_refuses(text, fault):
    assert faults(ET.fromstring(text), rules()) == [fault]


def test_a_gate_is_a_test_case():
    suite = tree(ALL)[0]
    assert {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": "4", "failures": "1", "errors": "1", "skipped": "1",
    }  # fmt: skip
    assert [[child.tag for child in case] for case in suite] == [[], ["failure"], ["skipped"], ["error"]]
    assert suite[1][0].attrib == {"message": "0.25 > 0.1", "type": "GateFailed"}
    assert suite[3][0].get("type") == "MissingFile"
    assert suite[0].get("name") == "mse max 0.1"


def test_without_gates_every_result_passes():
    root = tree(report())
    assert [case.get("name") for case in root.iter("testcase")] == ["mse"]
    assert not list(root.iter("failure"))


def test_a_file_is_a_suite():
    found = report(gate("passed", file="a.yaml"), gate("failed", file="b.yaml"), failed_file("c.yaml", "gone"), command="check")
    root = tree(found)
    assert [suite.get("name") for suite in root] == ["a.yaml", "b.yaml", "c.yaml"]
    assert [suite.get("failures") for suite in root] == ["0", "1", "0"]
    assert root.get("failures") == root.get("errors") == "1"


@pytest.mark.parametrize(
    "text", ['<a & "b">', "\x1b[31mred\x00", "line\nline\ttab", "naïve 損失 😀", "half \udcff sign", "]]>"]
)
def test_any_text_is_xml(text):
    found = tree(report(gate("failed", text, file=text)))
    barred = {"\x1b", "\x00", "\udcff"}
    assert found[0][0][0].get("message") == "".join(sign for sign in text if sign not in barred)


def test_the_text_is_ascii_and_the_same_again():
    one = report(gate("failed", "損失"))
    assert render(one, "junit", Style()).isascii()
    assert render(one, "junit", Style()) == render(one, "junit", Style())
    assert " time" not in render(one, "junit", Style())


def test_a_report_that_has_neither():
    assert tree(Report(("name",), [{"name": "mse"}])).get("tests") == "0"


def test_promises_of_a_loss_are_test_cases():
    rows = [{"loss": "mse", "check": "torch", "result": word, "detail": word} for word in ("passed", "failed", "skipped")]
    root = tree(Report((), [], {"loss": "mse", "checks": rows}))
    assert [[child.tag for child in case] for case in root.iter("testcase")] == [[], ["failure"], []]
