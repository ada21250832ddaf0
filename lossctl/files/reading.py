"""How inputs were read, in words: what `-v` says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lossctl.errors import LISTED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from lossctl.blocks import Reader

HEADERS = {True: "the first row as names", False: "no header", None: "a header in some files"}
SPACE = "white space"


def say_how(readers: Iterable[tuple[str, Reader]], say: Callable[[str], None]) -> None:
    """Say of each reader, which stands beside its role, how it was read; only where `say` is `wordy`, as it is with -v."""
    if getattr(say, "wordy", False):
        for role, reader in readers:
            say(f"{role} ({reader.name}): {in_words(reader)}")


def in_words(reader: Reader) -> str:
    """Return `shape (3,), float64, the first row as names, delimiter ','`, as far as the format leaves that open."""
    return ", ".join(filter(None, (f"shape {reader.shape}, {reader.dtype.name}", how_in_words(reader.how()))))


def how_in_words(how: Mapping[str, Any]) -> str:
    """Return what `Reader.how` gives in words."""
    said = []
    if "files" in how:
        said.append(f"{how['files']} files")
    if "header" in how:
        said.append(HEADERS[how["header"]])
    if "delimiter" in how:
        said.append(f"delimiter {how['delimiter']!r}" if how["delimiter"] else f"delimiter {SPACE}")
    if "columns" in how:
        more = f", … ({len(how['columns'])})" if len(how["columns"]) > LISTED else ""
        said.append(f"columns {', '.join(map(repr, how['columns'][:LISTED]))}{more}")
    return ", ".join(said)
