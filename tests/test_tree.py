"""The rules of size, names and places that CONTRIBUTING.md gives."""

import ast
import re
import subprocess
import sys
from fnmatch import fnmatch

import numpy as np
import pytest
from golden import ROOT, environment

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
def test_a_file_over_500_lines_says_why_at_its_top(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= (560 if "This file is long because" in text[:2000] else 500)


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


# Ceilings of what there is: lower them when something falls away, and do not raise them without saying why.
ENTRIES, MODULES, SMALL = 20, 170, 1
ENTERED, CHANGES = 42, 320
ON_THE_WAY = """
import sys
seen = []
def note(frame, event, arg):
    name = frame.f_globals.get("__name__", "")
    if event == "call" and name.startswith("lossctl") and frame.f_code.co_name != "<module>" and seen[-1:] != [name]:
        seen.append(name)
from lossctl.__main__ import main
sys.argv = ["lossctl", "compute", "mse", "p.npy", "t.npy", "--jobs", "1"]
sys.setprofile(note)
try:
    main()
finally:
    sys.setprofile(None)
    print(len(set(seen)), len(seen), file=sys.stderr)
"""


def module(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path, names):
    """The modules of ours that a file imports anywhere: for types alone and inside functions too."""
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} has a relative import"
            each = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in names else node.module for name in each if {name, node.module} & names)


def circle(edges):
    """The modules that are left when those that import nothing of what is left are taken away, again and again."""
    left = {name: set(targets) - {name} for name, targets in edges.items()}
    while free := {name for name, targets in left.items() if not targets & left.keys()}:
        left = {name: targets for name, targets in left.items() if name not in free}
    return sorted(left)


def test_circle_sees_one():
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == ["a", "b", "c"]
    assert circle({"a": {"b", "a"}, "b": {"c"}, "c": set()}) == []


def test_no_modules_import_one_another_in_a_circle():
    names = {module(path) for path in PACKAGE}
    assert circle({module(path): set(imported(path, names)) for path in PACKAGE}) == []


def test_a_class_name_means_one_class():
    names = [node.name for path in PACKAGE for node in definitions(path) if isinstance(node, ast.ClassDef)]
    assert sorted({name for name in names if names.count(name) > 1}) == []


def code_lines(path):
    """Lines that are no docstring, no comment and not blank."""
    tree = parse(path)
    places = [
        tree,
        *(node for node in ast.walk(tree) if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)),
    ]
    docs = [node.body[0] for node in places if ast.get_docstring(node)]
    skipped = {number for doc in docs for number in range(doc.lineno, doc.end_lineno + 1)}
    text = path.read_text(encoding="utf-8").splitlines()
    return sum(not re.match(r"\s*(#|$)", line) and number not in skipped for number, line in enumerate(text, 1))


def test_the_package_does_not_fall_apart_again():
    entries = [path for path in (ROOT / "lossctl").iterdir() if path.suffix == ".py" or list(path.glob("*.py"))]
    assert len(entries) <= ENTRIES
    assert len(PACKAGE) <= MODULES
    assert len([path for path in PACKAGE if path.name != "__init__.py" and code_lines(path) < 40]) <= SMALL


def test_a_plain_compute_passes_few_modules(tmp_path):
    np.save(tmp_path / "p.npy", np.arange(5.0))
    np.save(tmp_path / "t.npy", np.ones(5))
    command = [sys.executable, "-P", "-c", ON_THE_WAY]
    done = subprocess.run(command, cwd=tmp_path, env=environment(tmp_path), capture_output=True, encoding="utf-8", check=False)
    assert done.stdout == "loss\tvalue\tn\nmse\t3.0\t5\n"
    entered, changes = map(int, done.stderr.split()[-2:])
    assert entered <= ENTERED
    assert changes <= CHANGES
