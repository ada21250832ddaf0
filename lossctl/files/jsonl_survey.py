"""One pass over a .jsonl: what its records have, how many there are, and whether blank lines stand among them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lossctl.errors import UnreadableFile
from lossctl.files import jsonl_arrow
from lossctl.files.jsonl_columns import Node, seen
from lossctl.files.jsonl_values import BLANKS, Column, Parsed, parsed
from lossctl.files.pieces import Piece, ahead, pieces

if TYPE_CHECKING:
    from lossctl.files.stored import Stored


@dataclass(frozen=True)
class Survey:
    """What one pass over the file finds. Values stand on consecutive lines from the first if there is no `gap`."""

    columns: tuple[Column, ...]
    rows: int
    gap: bool


def of_records(stored: Stored) -> bool:
    """Whether the first line that is not blank holds an object.

    Raises: UnreadableFile if there is no such line.
    """
    for piece in pieces(stored):
        if text := piece.content.lstrip(BLANKS):
            return text.startswith(b"{")
    message = f"{stored.name} holds nothing: all its lines are blank."
    raise UnreadableFile(message, hint="Each line holds a record, a number or a list.")


def all_parsed(stored: Stored, *, records: bool) -> Parsed:
    """Return all values of a small file.

    Raises: UnreadableFile with the first line that is no JSON, or not of the kind of the others.
    """
    content = b"".join(piece.content for piece in pieces(stored))
    return parsed(Piece(1, content), stored.name, records=records)


def survey_of(found: Parsed) -> Survey:
    """Return the survey of values that are at hand."""
    rows = len(found.lines)
    return Survey(tuple(seen(found.values).columns()), rows, gap=found.lines[-1] != rows)


def survey_of_large(stored: Stored, *, records: bool) -> Survey:
    """Go through a file in pieces, on threads.

    Raises: what all_parsed raises.
    """

    def look(piece: Piece) -> tuple[Node, int, int]:
        try:
            node, rows = jsonl_arrow.survey(piece, records=records)
        except jsonl_arrow.Odd:
            found = parsed(piece, stored.name, records=records)
            node, rows = seen(found.values), len(found.lines)
        return node, rows, piece.line + piece.content.rstrip(BLANKS).count(b"\n") if rows else 0

    whole, total, last = Node(), 0, 0
    for node, rows, line in ahead(look, pieces(stored)):
        whole.merge(node)
        total, last = total + rows, max(last, line)
    return Survey(tuple(whole.columns()), total, gap=last != total)
