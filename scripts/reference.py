"""The reference page of the command line: every command with its arguments and options, made from the table of options."""

from __future__ import annotations

import inspect
from dataclasses import fields
from typing import TYPE_CHECKING, Any, get_args

from lossctl import errors
from lossctl.cli.command import options_of
from lossctl.cli.program import name_of, program
from lossctl.request.options import PANELS, Options, Passing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lossctl.request.options import Option

HEAD = """# The command line

Every command, its arguments and its options. `scripts/refresh docs/cli.md` makes this page from the table of options.

A flag beats its environment variable, which beats its default. A key in the column *spec* may stand in a spec file. The
signature of a result names the options that its numbers depend on, and `lossctl verify` asks for them again.
"""
TABLE = ["| option | default | takes | spec | |", "|---|---|---|---|---|"]
# What Python itself ends with.
ENDED = ["| 130, 141 | Interrupted, or the pipe that was written to was closed. |"]


def page() -> str:
    """Return the page in Markdown."""
    shared = {one.name for one in fields(Passing)}
    commands = {name_of(one): one.callback for one in program().registered_commands}
    lines = [HEAD, "## Options of every command", ""]
    lines += ["`--output-if` belongs to those alone that may end without having passed.", ""]
    lines += _tables(row for name, row in options_of(_command(commands["compute"]))[1].items() if name in shared)
    for name, run in commands.items():
        lines += _section(name, _command(run), shared)
    return "\n".join([*lines, *_exit_codes(), ""])


def _command(run: Any) -> Any:
    return inspect.unwrap(run)


def _section(name: str, command: Any, shared: set[str]) -> list[str]:
    summary, _, rest = inspect.getdoc(command).partition("\n")
    example = rest.strip().removeprefix("Example: ")
    lines = [f"## lossctl {name}", "", summary, "", *([f"`{example}`", ""] if example else [])]
    for argument in inspect.get_annotations(command, eval_str=True).values():
        for said in get_args(argument)[1:]:
            lines += [f"- `{said.metavar}`: {said.help}" if said.help else f"- `{said.metavar}`"]
    lines += [""]
    if "options" not in inspect.signature(command).parameters:
        return lines
    own = [row for one, row in options_of(command)[1].items() if one not in shared]
    return [*lines, *(_tables(own) if own else [])]


def _tables(rows: Iterable[Option]) -> list[str]:
    """One table a panel."""
    every = list(rows)
    panels = {panel: [row for row in every if row.panel == panel] for panel in PANELS}
    return [line for panel, own in panels.items() if own for line in (f"**{panel}**", "", *TABLE, *map(_line, own), "")]


def _line(row: Option) -> str:
    flags = ", ".join(f"`{flag}`" for flag in row.flags) + (f" `{_escaped(row.metavar)}`" if row.metavar else "")
    switch = row.count or isinstance(row.typed_default, bool)
    default = "" if switch or row.typed_default in (None, "", []) else f"`{row.typed_default}`"
    default += f" or `${row.envvar}`" if row.envvar else ""
    takes = _escaped(" ".join(f"`{word}`" for word in row.words) or _bounds(row))
    key = f"`{row.name}`" if row.spec and row.name in {one.name for one in fields(Options)} else ""
    return f"| {flags} | {default} | {takes} | {key} | {_escaped(row.help)} |"


def _bounds(row: Option) -> str:
    ends = [f"at least {row.min}" if row.min is not None else "", f"at most {row.max}" if row.max is not None else ""]
    return ", ".join(end for end in ends if end)


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


def _exit_codes() -> list[str]:
    """The branches of the tree of errors, which carry the codes."""
    kinds = [one for one in vars(errors).values() if inspect.isclass(one) and "code" in vars(one)]
    meanings = {one.code: inspect.getdoc(one).partition("\n")[0] for one in kinds}
    meanings |= {0: "Computed; every gate passed.", 70: "A bug in lossctl; the message says where to report it."}
    lines = [f"| {code} | {meaning} |" for code, meaning in sorted(meanings.items())]
    return ["## Exit codes", "", "| code | |", "|---|---|", *lines, *ENDED]
