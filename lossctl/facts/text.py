"""The facts of a column of text."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lossctl.facts.found import Facts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

DISTINCT = 1000
EXAMPLES = 3


@dataclass
class Texts:
    """Counts of the cells of one column."""

    n: int = 0
    blank: int = 0
    seen: dict[str, None] = field(default_factory=dict)

    def add(self, cell: str) -> None:
        """Take in one cell."""
        self.n += 1
        if not cell.strip():
            self.blank += 1
        elif len(self.seen) <= DISTINCT:
            self.seen[cell] = None

    def finish(self) -> Facts:
        """The facts: `distinct` is None beyond a thousand values, `examples` are the first ones."""
        distinct = len(self.seen) if len(self.seen) <= DISTINCT else None
        return Facts(
            {
                "n": self.n,
                "shape": [self.n],
                "dtype": "text",
                "elements": self.n,
                "missing": self.blank,
                "distinct": distinct,
                "examples": list(self.seen)[:EXAMPLES],
                "kind": "text",
                "looks": [],
            }
        )


def text_facts(rows: Iterable[Sequence[str | None]], columns: int) -> list[Facts]:
    """Find the facts of columns of text, row by row; None is no cell at all."""
    found = [Texts() for _ in range(columns)]
    for row in rows:
        for one, cell in zip(found, row, strict=True):
            if cell is not None:
                one.add(cell)
    return [one.finish() for one in found]
