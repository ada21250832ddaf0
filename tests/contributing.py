"""A copy of lossctl in which a recipe is followed to the letter: its code goes where its first line says.

Recipes stand in CONTRIBUTING.md and in docs/extending.md.

A block that begins with `# PATH` is a new file, one with `# PATH, in TABLE` a row at the end of that table, and one with
`# PATH, at the end` goes to the end of that file.
"""

import re
import shutil
from pathlib import Path

from golden import ROOT

PLACE = re.compile(r"# (?P<path>[\w./]+\.(py|toml))(, (in (?P<table>\w+)|(?P<end>at the end)))?\n")


def recipe(title):
    """The paths, tables and codes of the blocks under a heading of either page that say where they go."""
    page = "\n".join((ROOT / name).read_text(encoding="utf-8") for name in ("CONTRIBUTING.md", "docs/extending.md"))
    section = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    assert section, f"no page has a section '{title}'"
    blocks = re.findall(r"^```\w+\n(.*?)^```$", section[1], re.MULTILINE | re.DOTALL)
    return [(place, block[place.end() :]) for block in blocks if (place := PLACE.match(block))]


def follow(title, folder):
    """Copy the package and its tests into `folder`, and follow the recipe there."""
    for name in ("lossctl", "tests"):
        if not (folder / name).exists():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for place, code in recipe(title):
        path = folder / place["path"]
        if place["table"]:
            add_row(path, place["table"], code)
        elif place["end"]:
            path.write_text(path.read_text(encoding="utf-8") + code, encoding="utf-8")
        else:
            assert not path.exists(), f"{path} is there already"
            path.write_text(code, encoding="utf-8")
    return folder


def add_row(path: Path, table: str, row: str) -> None:
    """Put a row at the end of a table: a dictionary or a list that ends with a bracket on a line of its own."""
    text = path.read_text(encoding="utf-8")
    found = re.search(rf"^{table}\b[^\n]*[{{\[(]\n(.*?)^[}}\])]$", text, re.MULTILINE | re.DOTALL)
    assert found, f"{path} has no table {table}"
    path.write_text(f"{text[: found.end(1)]}{row}{text[found.end(1) :]}", encoding="utf-8")


def package(folder: Path, group: str, **entries: str) -> None:
    """An installed package in `folder`, by what its metadata say: the entry points of one group."""
    info = folder / "toys-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toys\nVersion: 1.0\n")
    rows = "".join(f"{name} = {path}\n" for name, path in entries.items())
    (info / "entry_points.txt").write_text(f"[{group}]\n{rows}")
