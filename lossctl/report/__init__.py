"""What a command has to say, and the formats that it is said in.

A `Report` holds rows under columns for people and one document for machines; the document holds what its result was asked for,
so that `verify` can ask again. Values are exact for machines and rounded for people. Each output format is one row of
`FORMATS`, whose function is imported when the format is asked for.

Formats for machines stand here: numbers read back to the same bits, and nothing is rounded, cut or coloured. JSON is strict and
ASCII, so that no locale and no pipe can spoil it. What holds no further object stands on one line: a row of `checks` reads as a
row, a matrix stays together, and a million numbers go through the C encoder, which knows no indentation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lossctl.errors import UnknownName, UsageError
from lossctl.plugins import Plugins, resolve

if TYPE_CHECKING:
    from json import JSONEncoder

    Renderer = Callable[["Report", "Style"], str]


Row = Mapping[str, Any]
OK = "ok"


@dataclass(frozen=True)
class Report:
    """A result before it has a format.

    `columns` and `rows` are what tables show; the column that `value` prints bare is named by `bare`. `document` is the
    machine-readable result, made of plain Python values, in which NaN and infinity may still stand. Where there is a column
    `heads`, people see the table upright: one line a column, and one column for each row, under its entry there. `more` are
    tables that only people see, below.
    """

    columns: tuple[str, ...]
    rows: Sequence[Row]
    document: Mapping[str, Any] = field(default_factory=dict)
    bare: str = "value"
    title: str = ""
    heads: str = ""
    more: Sequence[Report] = ()

    def parts(self) -> list[Report]:
        """The tables that people see."""
        return [_upright(self) if self.heads else self, *self.more]


def _upright(report: Report) -> Report:
    heads = [str(row[report.heads]) for row in report.rows]
    rows = [
        {"": column, **{head: row.get(column) for head, row in zip(heads, report.rows, strict=True)}}
        for column in report.columns
        if column != report.heads and any(row.get(column) is not None for row in report.rows)
    ]
    return Report(("", *heads), rows, title=report.title)


# What a request and its parameters say is read as it was typed: there infinity is a word.
TYPED = {"params", "request"}


def strict(value: Any) -> Any:
    """Return `value` as strict JSON can hold it: NaN and infinities are null, and what they were stands beside them.

    `status` says it of a `value`, `statuses` of an infinity under any other key; `not_finite` says it, with its index, of each
    number in a list under `value`, and `gradient_not_finite` of those under `gradient`. Any other null is NaN, or a number that
    there is none of.
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return _marked(value)
    if isinstance(value, list | tuple):
        return [strict(item) for item in value]
    return value


def _marked(value: Mapping[str, Any]) -> dict[str, Any]:
    result = {key: worded(item) if key in TYPED else strict(item) for key, item in value.items()}
    if "value" in value and (word := status(value["value"])) != OK:
        result["status"] = word
        if isinstance(value["value"], list | tuple):
            result["not_finite"] = not_finite(value["value"])
    if "gradient" in value:
        result["gradient"] = _plain(value["gradient"])
        if places := list(_in_gradient(value["gradient"])):
            result["gradient_not_finite"] = places
    infinite = {key: word for key, item in value.items() if key not in {"value", "gradient"} and (word := _infinite(item))}
    return {**result, "statuses": infinite} if infinite else result


def _infinite(value: Any) -> str:
    return status(value) if isinstance(value, float) and math.isinf(value) else ""


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return strict(value)


def _in_gradient(value: Any) -> Iterator[dict[str, Any]]:
    """The places of one gradient, or of several by name."""
    for name, one in value.items() if isinstance(value, Mapping) else [("", value)]:
        yield from ({**({"wrt": name} if name else {}), **place} for place in not_finite(one))


def worded(value: Any) -> Any:
    """Return `value` with NaN and infinities as words, which inputs and parameters may be written as."""
    if isinstance(value, float):
        return value if math.isfinite(value) else status(value)
    if isinstance(value, Mapping):
        return {key: worded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [worded(item) for item in value]
    return value


def not_finite(value: Any) -> list[dict[str, Any]]:
    """The place and the status of each number in nested lists that is NaN or infinite, in C order."""
    return [{"index": list(index), "status": word} for index, word in _places(value, ())]


def _places(value: Any, index: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], str]]:
    if isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from _places(item, (*index, number))
    elif (word := status(value)) != OK:
        yield index, word


def status(value: Any) -> str:
    """`ok`, `nan`, `inf` or `-inf`: the word beside a number that JSON cannot hold. Lists are as bad as their worst."""
    if isinstance(value, list | tuple):
        result = {status(item) for item in value}
        return next((word for word in ("nan", "inf", "-inf") if word in result), OK)
    if not isinstance(value, float) or math.isfinite(value):
        return OK
    return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"


def number_of(entry: Mapping[str, Any], key: str = "value") -> float:
    """The number under a key of a document, whether JSON can hold it or not; NaN where there is none."""
    value = entry.get(key)
    word = entry.get("status") if key == "value" else entry.get("statuses", {}).get(key)
    return float(value) if value is not None else float(word) if word in {"inf", "-inf"} else math.nan


def with_request(report: Report, command: str, wanted: Mapping[str, Any]) -> Report:
    """The report with what its command was asked for besides a spec."""
    request = {**report.document.get("request", {}), command: dict(wanted)}
    return replace(report, document={**report.document, "request": request})


# float32 carries about seven digits: six are sure to mean something.
DIGITS = 6
# A list of more values than this is no longer read by a person; the machine formats hold all of it.
LISTED = 32
LEADING = 8


@dataclass(frozen=True)
class Style:
    """What `--sig`, `--decimals`, `--color` and the terminal's width ask for. Machine formats ignore all of it."""

    sig: int | None = None
    decimals: int | None = None
    width: int | None = None
    color: bool = False


def exact(value: Any) -> str:
    """Return `value` so that a machine reads the same value back: `nan` and `inf` are words, nothing is an empty cell."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return float.__repr__(value)
    return compact(value) if isinstance(value, Mapping | list | tuple) else str(value)


def compact(value: Any) -> str:
    """Return `value` as JSON on one line, but with `nan` and `inf` as in a cell of their own."""
    import json

    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":"))
    except ValueError:
        if isinstance(value, Mapping):
            return f"{{{','.join(f'{json.dumps(str(key))}:{compact(item)}' for key, item in value.items())}}}"
        if isinstance(value, list | tuple):
            return f"[{','.join(map(compact, value))}]"
        return float.__repr__(value)


def shown(value: Any, style: Style) -> str:
    """Return `value` rounded for reading."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return _rounded(value, style)
    if isinstance(value, list | tuple):
        return _listed(value, style)
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={shown(item, style)}" for key, item in value.items())
    return visible(str(value))


def leaves(value: Any) -> Iterable[Any]:
    """Yield the values of nested lists in C order; a bare value is its own only leaf."""
    if not isinstance(value, list | tuple):
        yield value
        return
    for item in value:
        yield from leaves(item)


def texts(report: Report, style: Style) -> list[list[str]]:
    """Return the rows as people see them, cell by cell."""
    return [[shown(row.get(column), style) for column in report.columns] for row in report.rows]


def numeric(report: Report, column: str) -> bool:
    """Whether `column` holds numbers and gaps only, and so belongs on the right."""
    values = [row.get(column) for row in report.rows]
    return any(value is not None for value in values) and all(value is None or _number(value) for value in values)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _rounded(value: float, style: Style) -> str:
    return f"{value:.{style.sig or DIGITS}g}" if style.decimals is None else f"{value:.{style.decimals}f}"


def _listed(values: Sequence[Any], style: Style) -> str:
    count = sum(1 for _ in leaves(values))
    if count <= LISTED:
        return f"[{', '.join(shown(item, style) for item in values)}]"
    first = ", ".join(shown(item, style) for item in islice(leaves(values), LEADING))
    return f"[{first}, …] ({count} values)"


def visible(text: str) -> str:
    """Return `text` with what is not printable spelt out: an id may hold escape sequences, and a terminal would obey them."""
    return text if text.isprintable() else "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


# TSV has no quotes: what would end a cell or a line is written as in C.
# A terminal would obey the other control characters, and a pipe often ends on one.
CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}
ESCAPES = CONTROLS | str.maketrans({"\t": r"\t", "\n": r"\n", "\r": r"\r"})
# The csv module quotes what its own line end holds: only this one makes it quote a lone carriage return.
LINE_END = "\r\n"


def render_tsv(report: Report, _: Style) -> str:
    """Return a header line and one line for each row; floats read back as the same bits."""
    cells = [list(report.columns), *([exact(row.get(column)) for column in report.columns] for row in report.rows)]
    return "".join("\t".join(cell.translate(ESCAPES) for cell in line) + "\n" for line in cells)


class _Lines(list[str]):
    """A file for the csv module, which writes each line with one call."""

    def write(self, line: str) -> None:
        self.append(line.removesuffix(LINE_END))


def render_csv(report: Report, _: Style) -> str:
    """Return a header line and one line for each row, ended by a newline; floats read back as the same bits."""
    import csv

    lines = _Lines()
    writer = csv.writer(lines, lineterminator=LINE_END)
    writer.writerow(report.columns)
    writer.writerows([exact(row.get(column)) for column in report.columns] for row in report.rows)
    return "".join(f"{line}\n" for line in lines)


def render_value(report: Report, _: Style) -> str:
    """Return the report's bare column, one value a line; a list gives one line for each number, in C order.

    Rows without that column say nothing: of a weighted sum only the total is printed.
    """
    return "".join(f"{exact(leaf)}\n" for row in report.rows if report.bare in row for leaf in leaves(row[report.bare]))


def render_jsonl(report: Report, _: Style) -> str:
    """Return one line for each of the document's results, or for each row where the document has none or rows say more."""
    entries = report.rows if report.heads else report.document.get("results", report.rows)
    return "".join(f"{line(strict(entry))}\n" for entry in entries)


def render_json(report: Report, _: Style) -> str:
    """Return the document, or the rows where a report has none; NaN and infinities become null."""
    return f"{_block(strict(report.document or list(report.rows)), '')}\n"


def line(value: Any) -> str:
    """Return `value`, already strict, as JSON on one line."""
    return _encoder().encode(value)


@cache
def _encoder() -> JSONEncoder:
    # json.dumps would build one for each line of a million.
    import json

    return json.JSONEncoder(allow_nan=False)


def _block(value: Any, margin: str) -> str:
    if not value:
        return line(value)
    inner = f"{margin}  "
    if isinstance(value, dict):
        items = [f"{line(str(key))}: {_text(item, inner)}" for key, item in value.items()]
        return _between("{", items, "}", margin)
    return _between("[", [_text(item, inner) for item in value], "]", margin)


def _between(opening: str, items: list[str], closing: str, margin: str) -> str:
    separator = f",\n{margin}  "
    return f"{opening}\n{margin}  {separator.join(items)}\n{margin}{closing}"


def _text(value: Any, margin: str) -> str:
    return _block(value, margin) if _holds_object(value) else line(value)


def _holds_object(value: Any) -> bool:
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(isinstance(item, dict) or (isinstance(item, list) and _holds_object(item)) for item in members)


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
    "value": Format("lossctl.report:render_value"),
    "json": Format("lossctl.report:render_json", (".json",), document=True, json=True),
    "jsonl": Format("lossctl.report:render_jsonl", (".jsonl",), document=True, json=True),
    "csv": Format("lossctl.report:render_csv", (".csv",)),
    "tsv": Format("lossctl.report:render_tsv", (".tsv", ".txt")),
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
