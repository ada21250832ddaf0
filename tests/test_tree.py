"""The rules of size, names and places that CONTRIBUTING.md gives."""

import ast
import re
from fnmatch import fnmatch

import pytest
from golden import ROOT

TOP = {
    *("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "pyproject.toml", "constraints.txt", ".gitignore"),
    *(".git", ".github", ".pre-commit-hooks.yaml", ".ci", "lossctl", "configs", "tests", "scripts", "docs"),
}
UNUSED_WORDS = ("criterion", "handler", "manager", "helper", "utils")
PACKAGE = sorted((ROOT / "lossctl").rglob("*.py"))
SCRIPTS = sorted(path for path in (ROOT / "scripts").rglob("*") if path.is_file() and path.suffix != ".pyc")
PYTHON = [
    *PACKAGE,
    *sorted((ROOT / "tests").rglob("*.py")),
    *(one for one in SCRIPTS if one.suffix == ".py" or "python" in one.read_text()[:40]),
]


def title(path):
    return str(path.relative_to(ROOT))


def parse(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def definitions(path):
    """Functions and classes of a file."""
    return [node for node in ast.walk(parse(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)]


def lines(function):
    """How many lines a function has from its `def` on, without its docstring."""
    first = function.body[0]
    doc = first.end_lineno - first.lineno + 1 if ast.get_docstring(function) else 0
    return function.end_lineno - function.lineno + 1 - doc


def functions(path):
    return [node for node in definitions(path) if not isinstance(node, ast.ClassDef)]


@pytest.mark.parametrize("path", [*PYTHON, *SCRIPTS], ids=title)
def test_no_file_is_over_500_lines(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 500


@pytest.mark.parametrize("path", PYTHON, ids=title)
def test_no_function_is_over_40_lines(path):
    assert not [(node.name, lines(node)) for node in functions(path) if lines(node) > 40]


@pytest.mark.parametrize("path", PACKAGE, ids=title)
def test_module_has_a_docstring(path):
    assert ast.get_docstring(parse(path))


@pytest.mark.parametrize("path", PACKAGE, ids=title)
def test_names_use_the_project_s_words(path):
    names = [path.stem, *(node.name for node in definitions(path))]
    assert not [name for name in names if any(word in name.lower() for word in UNUSED_WORDS)]


def test_top_level_holds_only_what_belongs_there():
    ignored = [line.rstrip("/") for line in (ROOT / ".gitignore").read_text().splitlines() if not re.match(r"\s*(#|$)", line)]
    names = [path.name for path in ROOT.iterdir()]
    assert not [name for name in names if name not in TOP and not any(fnmatch(name, pattern) for pattern in ignored)]


def test_lines_counts_code_and_not_the_docstring():
    node = ast.parse('def f():\n    """Two\n    lines."""\n    return 1\n').body[0]
    assert lines(node) == 2


def test_modules_of_tests_have_names_of_their_own():
    """Their folders are all on the import path."""
    names = [path.name for path in (ROOT / "tests").rglob("*.py") if path.name != "conftest.py"]
    assert sorted(names) == sorted(set(names))


def named_paths(text):
    """What is in backticks outside of code and looks like a path or a module, with a slash or a dot."""
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return [name for name in re.findall(r"`([\w./]+)`", prose) if "/" in name or "." in name]


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/design.md"])
def test_pages_for_contributors_name_files_that_exist(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    paths = named_paths(text)
    assert len(paths) > 20
    names = {path.name for path in (ROOT / "lossctl").rglob("*.*")}
    known = [path for path in paths if (ROOT / path).exists() or (ROOT / "lossctl" / path).exists() or path in names]
    assert known == paths


def test_contributing_is_short_and_its_map_shows_every_room():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert len(text.encode()) <= 8192
    rooms = {path.name for path in (ROOT / "lossctl").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert set(re.findall(r"^  (\w+)/ ", text, re.MULTILINE)) == rooms
