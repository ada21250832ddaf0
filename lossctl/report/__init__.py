"""From a report to text: one row for each output format, whose function is imported when the format is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lossctl.errors import UnknownName, UsageError
from lossctl.plugins import Plugins, resolve
from lossctl.report.report import Style

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from lossctl.report.report import Report

    Renderer = Callable[[Report, Style], str]

__all__ = ["FORMATS", "RENDERERS", "Format", "Style", "choose", "format_of", "named", "render", "write"]


@dataclass(frozen=True)
class Format:
    """An output format: its function `render(report, style) -> str`, or where that is, as `module:function`.

    `suffixes` are those of files that `-o` writes in it. `document` says that it prints what only the document holds, such as
    the hashes of inputs, so that these are found out; `json` says that it is JSON, so that errors are JSON too.
    """

    render: Renderer | str
    suffixes: tuple[str, ...] = ()
    document: bool = False
    json: bool = False


# In the order in which help shows them.
FORMATS = {
    "table": Format("lossctl.report.table:render_table"),
    "value": Format("lossctl.report.report:render_value"),
    "json": Format("lossctl.report.report:render_json", (".json",), document=True, json=True),
    "jsonl": Format("lossctl.report.report:render_jsonl", (".jsonl",), document=True, json=True),
    "csv": Format("lossctl.report.report:render_csv", (".csv",)),
    "tsv": Format("lossctl.report.report:render_tsv", (".tsv", ".txt")),
    "markdown": Format("lossctl.report.table:render_markdown", (".md", ".markdown")),
    "junit": Format("lossctl.report.ci:render_junit", (".xml",)),
    "github": Format("lossctl.report.ci:render_github"),
}
RENDERERS: Plugins[Format | Renderer] = Plugins("format", "lossctl.renderers", FORMATS)


def named(name: str) -> Format:
    """Return the format of that name. An installed package gives a `Format`, or a function alone, whose suffix is its name.

    Raises: UnknownName for a format that nobody offers, or one that cannot be imported.
    """
    row = RENDERERS.get(name)
    return row if isinstance(row, Format) else Format(row, (f".{name.lower()}",))


def choose(fmt: str, *, terminal: bool) -> str:
    """Return the format that `fmt` stands for: `auto` is a table on a terminal and TSV anywhere else.

    Raises: UnknownName for a format that nobody offers, before anything is computed.
    """
    if fmt == "auto":
        return "table" if terminal else "tsv"
    named(fmt)
    return fmt


def _by_suffix() -> Iterator[tuple[str, str]]:
    """Every suffix with the name of its format, our own first; packages are imported only when those have been passed."""
    for name, row in FORMATS.items():
        yield from ((suffix, name) for suffix in row.suffixes)
    for entry in RENDERERS.entries():
        try:
            yield from ((suffix, entry.name) for suffix in named(entry.name).suffixes)
        except UnknownName:
            # A package that is broken is named when it is asked for by name.
            continue


def format_of(path: str, others: Iterable[str] = ()) -> str:
    """Return the name of the format that the suffix of `path` asks for; `others` are suffixes that somebody else writes.

    Raises: UsageError for a suffix that stands for none, which is worth asking before computing.
    """
    suffix, known = Path(path).suffix.lower(), list(others)
    for other, name in _by_suffix():
        if other == suffix:
            return name
        known.append(other)
    message = f"'{path}' has {f'the suffix {suffix}' if suffix else 'no suffix'}, which stands for no output format."
    raise UsageError(message, hint=f"Known suffixes: {', '.join(dict.fromkeys(known))}.")


def render(report: Report, name: str, style: Style) -> str:
    """Return `report` as text in the format of that name, ending with a newline unless there is nothing to say.

    Raises: UnknownName for a format that nobody offers.
    """
    function = named(name).render
    return (resolve(function, name) if isinstance(function, str) else function)(report, style)


def write(report: Report, path: str, style: Style) -> None:
    """Write `report` to `path` in the format of its suffix, as UTF-8; a file that is there is replaced only by a whole one.

    Raises: UsageError for an unknown suffix, InputError where the file cannot be written.
    """
    from lossctl.sources.drafts import atomic

    text = render(report, format_of(path), style)
    with atomic(path) as file:
        # A file name that is no UTF-8 reaches Python as half a character, which cannot be encoded.
        file.write(text.encode(errors="backslashreplace"))
