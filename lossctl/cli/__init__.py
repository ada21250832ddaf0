"""The command line: words, help and exit codes. Nothing is imported before the command that is asked for needs it.

Commands return what they have to print, and `lossctl.program` prints it, so that a closed pipe or a failure in the middle
leaves nothing half said.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
    for module in dict.fromkeys([COMMANDS[only]] if only in COMMANDS else COMMANDS.values()):
        import_module(f"lossctl.cli.{module}")
    from lossctl.cli.app import app

    order = list(COMMANDS)
    app.registered_commands.sort(key=lambda one: order.index(name_of(one)))
    return app


def name_of(command: typer.models.CommandInfo) -> str:
    """What a command is typed as."""
    return command.name or str(getattr(command.callback, "__name__", ""))
