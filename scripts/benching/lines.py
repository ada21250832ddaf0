"""Lines of the tables: what was measured, how often, and beside which target."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

# Between the row and the column of a line that belongs to a table with several columns of figures.
BAR = " | "
# From here on figures are whole numbers.
LARGE = 1000


class Failed(Exception):
    """A measurement that came to nothing; the others go on."""


@dataclass(frozen=True)
class Line:
    """One measurement, as often as it was made: ratios (`x`), MB, ms or plain numbers. A note says why there is none."""

    what: str
    values: list[float] = field(default_factory=list)
    unit: str = "x"
    target: str = ""
    note: str = ""

    @property
    def median(self) -> float:
        """The middle of the values."""
        return statistics.median(self.values)

    @property
    def met(self) -> bool | None:
        """Whether the median keeps the target; None without a target or a value."""
        if not (self.target and self.values):
            return None
        sign, bound = self.target.split()
        return self.median <= float(bound) if sign == "<=" else self.median >= float(bound)

    def cells(self) -> list[str]:
        """Median, minimum and maximum, for people."""
        return [brief(value) for value in (self.median, min(self.values), max(self.values))] if self.values else ["", "", ""]


def brief(value: float) -> str:
    """Three figures, without an exponent where none is needed."""
    return f"{value:.0f}" if abs(value) >= LARGE else f"{value:.3g}"


@dataclass(frozen=True)
class Case:
    """Something to measure, and the packages that it needs besides lossctl's own."""

    name: str
    measure: Callable[[], list[Line]]
    needs: tuple[str, ...] = ()

    def lines(self) -> list[Line]:
        """Measure, or say why not."""
        missing = [name for name in self.needs if find_spec(name) is None]
        if missing:
            return [Line(self.name, note=f"not installed: {', '.join(missing)}")]
        try:
            return self.measure()
        except Failed as error:
            return [Line(self.name, note=f"failed: {error}")]


@dataclass(frozen=True)
class Section:
    """A table of the page: its lines, and what the reader has to know of how they were measured."""

    title: str
    text: str
    lines: list[Line] = field(default_factory=list)


def as_json(sections: list[Section]) -> list[dict[str, Any]]:
    """Sections as what JSON can hold."""
    return [{"title": one.title, "text": one.text, "lines": [vars(line) for line in one.lines]} for one in sections]


def from_json(found: list[dict[str, Any]]) -> list[Section]:
    """The inverse of `as_json`."""
    return [Section(one["title"], one["text"], [Line(**line) for line in one["lines"]]) for one in found]
