"""The command line: words, help and exit codes. Nothing is imported before the command that is asked for needs it.

Commands return what they have to print, and `lossctl.program` prints it, so that a closed pipe or a failure in the middle
leaves nothing half said.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import typer

# Every command with the module that registers it, in the order in which help shows them, and the sentence that its docstring
# begins with: the list of commands imports none of them.
COMMANDS = {
    "compute": ("computing", "Compute the value of one loss or several."),
    "grad": ("grading", "Differentiate a loss: a summary of the gradient, and with -o the array."),
    "compare": ("comparing", "Compare predictions under one loss or several, or several losses on one prediction."),
    "identify": ("identifying", "Find out which loss, reduction and parameters give a reported number."),
    "check": ("checking", "Look at the gates of specs, or of saved results without computing anything anew."),
    "list": ("looking", "List the losses that lossctl knows."),
    "info": ("looking", "Say everything about a loss: formula, inputs, parameters, pitfalls, source."),
    "verify": ("looking", "Check that a loss keeps its promises, or that a saved result still comes out; exit 1 if not."),
    "schema": ("looking", "Print the JSON Schema of results, specs or partial results."),
    "merge": ("merging", "Add up partial results: the same bits as one run over all samples."),
    "diagnose": ("diagnosing", "Say what is wrong with a training run, by its history of losses."),
    "inspect": ("inspecting", "Say what files hold: shapes, types, ranges, and what each array looks like."),
    "recommend": ("recommending", "Say which loss to take, why, and why not another: by flags, questions, or the data."),
    "trial": ("training", "Train the same small model under each of several losses, and compare on held-out rows."),
}


def program(only: str = "") -> typer.Typer:
    """Return the program with every command, or at least with the one named `only`: options of all of them take a while."""
    wanted = [only] if only in COMMANDS else COMMANDS
    for name in wanted:
        import_module(f"lossctl.cli.{COMMANDS[name][0]}")
    from lossctl.cli.app import app
    from lossctl.spreading import signed

    order = list(COMMANDS)
    app.registered_commands.sort(key=lambda one: order.index(name_of(one)))
    for one in app.registered_commands:
        if name_of(one) in wanted:
            signed(one.callback)
    return app


def commands(only: str) -> tuple[typer.Typer, list[typer.models.CommandInfo]]:
    """Return the program and the commands that it needs for a line whose command is `only`.

    Where that is no command, nothing but their list is shown, for which none has to be imported.
    """
    if only in COMMANDS:
        app = program(only)
        return app, [one for one in app.registered_commands if name_of(one) == only]
    from typer.core import TyperCommand
    from typer.models import CommandInfo

    from lossctl.cli.app import app

    return app, [CommandInfo(name, cls=TyperCommand, help=text, callback=_nothing) for name, (_, text) in COMMANDS.items()]


def _nothing() -> None:
    pass


def name_of(command: typer.models.CommandInfo) -> str:
    """What a command is typed as."""
    return command.name or str(getattr(command.callback, "__name__", ""))
