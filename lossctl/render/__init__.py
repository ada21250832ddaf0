"""From a report to text: one format a file, found by name, imported when asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lossctl.plugins import Plugins
from lossctl.render.style import Style

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lossctl.report import Report

    Renderer = Callable[[Report, Style], str]

__all__ = ["RENDERERS", "Style", "choose", "render"]

FORMATS = ("table", "tsv", "csv", "value", "json", "jsonl", "markdown", "junit", "github")


def _rows() -> Mapping[str, Renderer | str]:
    return {name: f"lossctl.render.{name}:render" for name in FORMATS}


RENDERERS: Plugins[Renderer] = Plugins("format", "lossctl.renderers", _rows)


def choose(fmt: str, *, terminal: bool) -> str:
    """Return the format that `fmt` stands for: `auto` is a table on a terminal and TSV anywhere else.

    Raises: UnknownName for a format that nobody offers, before anything is computed.
    """
    if fmt == "auto":
        return "table" if terminal else "tsv"
    RENDERERS.get(fmt)
    return fmt


def render(report: Report, fmt: str, style: Style) -> str:
    """Return `report` as text in the format `fmt`, ending with a newline unless there is nothing to say.

    Raises: UnknownName for a format that nobody offers.
    """
    return RENDERERS.get(fmt)(report, style)
