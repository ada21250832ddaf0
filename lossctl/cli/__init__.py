"""The command line: words, help and exit codes. Nothing is imported before the command that is asked for needs it.

Commands return what they have to print, and `lossctl.program` prints it, so that a closed pipe or a failure in the middle
leaves nothing half said.
"""

from __future__ import annotations

from copy import copy
from importlib import import_module
from inspect import getdoc
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    import typer

# Every command with the module that registers it, in the order in which help shows them.
COMMANDS = {
    "compute": "computing",
    "grad": "grading",
    "compare": "comparing",
    "identify": "identifying",
    "check": "checking",
    "list": "looking",
    "info": "looking",
    "verify": "looking",
    "schema": "looking",
    "merge": "merging",
    "diagnose": "diagnosing",
    "inspect": "inspecting",
    "recommend": "recommending",
    "trial": "training",
}


def program(only: str = "") -> typer.Typer:
    """Return the program with every command, or at least with the one named `only`: options of all of them take a while."""
    from lossctl.spreading import signed

    app = _registered([COMMANDS[only]] if only in COMMANDS else COMMANDS.values())
    for one in app.registered_commands:
        if name_of(one) == only or only not in COMMANDS:
            signed(one.callback)
    return app


def _registered(modules: Iterable[str]) -> typer.Typer:
    """The program with the commands of some modules, and of those that were imported before."""
    for module in dict.fromkeys(modules):
        import_module(f"lossctl.cli.{module}")
    from lossctl.cli.app import app

    order = list(COMMANDS)
    app.registered_commands.sort(key=lambda one: order.index(name_of(one)))
    return app


def commands(only: str) -> tuple[typer.Typer, list[typer.models.CommandInfo]]:
    """Return the program and what it needs for a line whose command is `only`.

    Where that is no command, nothing but the list of commands is shown, and none of them needs its options.
    """
    if only in COMMANDS:
        app = program(only)
        return app, [one for one in app.registered_commands if name_of(one) == only]
    app = _registered(COMMANDS.values())
    return app, [_bare(one) for one in app.registered_commands]


def _bare(command: typer.models.CommandInfo) -> typer.models.CommandInfo:
    """A command without options, as the list of commands shows it."""
    bare = copy(command)
    bare.name, bare.help, bare.callback = name_of(command), getdoc(command.callback), _nothing
    return bare


def _nothing() -> None:
    pass


def name_of(command: typer.models.CommandInfo) -> str:
    """What a command is typed as."""
    return command.name or str(getattr(command.callback, "__name__", ""))
