"""One run of the program: from what was typed to what is printed, and to the exit code.

Nothing is imported before the command that is asked for needs it. Commands return what they have to print, and this module
prints it, so that a closed pipe or a failure in the middle leaves no half of an answer.
"""

from __future__ import annotations

import gc
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Annotated, Any, NoReturn

import typer

from lossctl import __version__
from lossctl.cli.command import Printed, drop, put, signed, tell, tell_error, terminal
from lossctl.errors import InputError, LossctlError, MissingExtra, TooLarge, UsageError
from lossctl.plugins import Plugins

app = typer.Typer(
    name="lossctl",
    help="Compute, check and compare loss functions on the files that predictions are kept in.",
    add_completion=False,
    pretty_exceptions_enable=False,
    # Rich draws help on a terminal; into a pipe goes plain text, which does not need to import it.
    rich_markup_mode="rich" if terminal() else None,
    context_settings={"help_option_names": ["--help", "-h"]},
)


Losses = Annotated[str, typer.Argument(metavar="LOSSES|SPEC.yaml", help="LOSS[:param=value][,LOSS…], @task, or a spec.")]
Sources = Annotated[
    list[str], typer.Argument(metavar="PRED TARGET [MORE…]", help="PATH, PATH:KEY, - for stdin.", show_default=False)
]


def _version(wanted: bool) -> None:  # noqa: FBT001 - Typer calls it so
    if wanted:
        typer.echo(f"lossctl {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,  # noqa: FBT002
) -> None:
    pass


# Every command with the module that registers it, in the order in which help shows them, and the sentence that its docstring
# begins with: the list of commands imports none of them.
COMMANDS = {
    "compute": ("compute", "Compute the value of one loss or several."),
    "grad": ("grad", "Differentiate a loss: a summary of the gradient, and with -o the array."),
    "compare": ("compare", "Compare predictions under one loss or several, or several losses on one prediction."),
    "identify": ("identify", "Find out which loss, reduction and parameters give a reported number."),
    "check": ("check", "Look at the gates of specs, or of saved results without computing anything anew."),
    "list": ("listing", "List the losses that lossctl knows."),
    "info": ("listing", "Say everything about a loss: formula, inputs, parameters, pitfalls, source."),
    "verify": ("verify", "Check that a loss keeps its promises, or that a saved result still comes out; exit 1 if not."),
    "schema": ("listing", "Print the JSON Schema of results, specs or partial results."),
    "merge": ("merge", "Add up partial results: the same bits as one run over all samples."),
    "diagnose": ("diagnose", "Say what is wrong with a training run, by its history of losses."),
    "inspect": ("inspect", "Say what files hold: shapes, types, ranges, and what each array looks like."),
    "recommend": ("recommend", "Say which loss to take, why, and why not another: by flags, questions, or the data."),
    "trial": ("trial", "Train the same small model under each of several losses, and compare on held-out rows."),
}

INSTALLED: Plugins[Callable[..., Any]] = Plugins("command", "lossctl.commands", dict)


def program(only: str = "") -> typer.Typer:
    """Return the program with every command, or at least with the one named `only`: options of all of them take a while."""
    wanted = [only] if only in COMMANDS else COMMANDS
    for name in wanted:
        import_module(f"lossctl.commands.{COMMANDS[name][0]}")

    order = list(COMMANDS)
    # A command of a package, which is not in the list, may have been registered in this process before.
    app.registered_commands.sort(key=lambda one: order.index(name_of(one)) if name_of(one) in COMMANDS else len(order))
    for one in app.registered_commands:
        if name_of(one) in wanted:
            signed(one.callback)
    return app


def commands(only: str) -> tuple[typer.Typer, list[typer.models.CommandInfo]]:
    """Return the program and the commands that it needs for a line whose command is `only`.

    Where that is no command, nothing but their list is shown, for which none has to be imported.
    Raises: UnknownName for a command of an installed package that cannot be imported.
    """
    if only in COMMANDS:
        whole = program(only)
        return whole, [command for command in whole.registered_commands if name_of(command) == only]
    from typer.core import TyperCommand
    from typer.models import CommandInfo

    installed = {} if only == "--version" else {entry.name: entry.value for entry in INSTALLED.entries()}
    if only in installed:
        command = INSTALLED.get(only)
        signed(command)
        return app, [CommandInfo(only, cls=TyperCommand, callback=command)]
    texts = {name: f"Of an installed package: {path}." for name, path in installed.items()}
    texts |= {name: text for name, (_, text) in COMMANDS.items()}
    listed = [*COMMANDS, *(name for name in installed if name not in COMMANDS)]
    return app, [CommandInfo(name, cls=TyperCommand, help=texts[name], callback=_nothing) for name in listed]


def _nothing() -> None:
    pass


def name_of(command: typer.models.CommandInfo) -> str:
    """What a command is typed as."""
    return command.name or str(getattr(command.callback, "__name__", ""))


INTERRUPTED, PIPE_CLOSED = 130, 141
# What pip calls packages that are imported under another name.
INSTALLED_AS = {"yaml": "pyyaml", "array_api_compat": "array-api-compat", "sklearn": "scikit-learn"}
# What Typer calls the types of options, in the words of those who type them.
PLAIN = {"int": "whole number", "float": "number"}


def main() -> NoReturn:
    """Run the command line and exit with the code that its table promises."""
    arguments = sys.argv[1:] or ["--help"]
    # Commands turn it on once they are loaded: to look for garbage among modules takes a tenth of a small run.
    gc.disable()
    try:
        code = _run(arguments)
    except BrokenPipeError:
        drop(sys.stdout)
        code = PIPE_CLOSED
    except KeyboardInterrupt:
        code = INTERRUPTED
    # As much again would be taken by the search when Python ends, among objects that end with it.
    gc.freeze()
    sys.exit(code)


def _run(arguments: list[str]) -> int:
    """Run a command and print what it returns; whatever goes wrong, a person sees a sentence."""
    try:
        with _only(arguments) as app:
            result = app(_protected(arguments), prog_name="lossctl", standalone_mode=False)
        if not isinstance(result, Printed):
            return int(result or 0)
        put(result.text)
        if result.left:
            tell(f"lossctl: not written, since not everything passed: {', '.join(result.left)}.")
        return tell_error(result.error, arguments) if result.error else 0
    except typer.Abort:
        return INTERRUPTED
    except (BrokenPipeError, KeyboardInterrupt):
        raise
    except Exception as error:  # noqa: BLE001 - a bug, too, is said in a sentence
        return tell_error(_said(error), arguments)


@contextmanager
def _only(arguments: list[str]) -> Iterator[typer.Typer]:
    """The program with no command but the one that is asked for: Typer makes every option of each before it parses a word."""
    name = next((word for word in arguments if word != "--"), "")
    app, needed = commands(name)
    every, app.registered_commands = app.registered_commands, needed
    try:
        yield app
    finally:
        app.registered_commands = every


def _protected(arguments: list[str]) -> list[str]:
    """`-:KEY` is a key of stdin, not an option; `@SOURCE` means the same source and begins with no dash."""
    return [f"@{argument}" if argument.startswith("-:") else argument for argument in arguments]


def _said(error: Exception) -> LossctlError:
    """Whatever went wrong, as one of our errors."""
    if isinstance(error, LossctlError):
        return error
    if isinstance(error, typer.TyperException):
        return _usage(error)
    if isinstance(error, MemoryError):
        return TooLarge("There is not enough memory for this.", hint="Give it more, or less at once.")
    if isinstance(error, OSError):
        return InputError(f"The system refused: {error.strerror or error}.", hint="--debug shows what it was doing.")
    if isinstance(error, ModuleNotFoundError) and (missing := _missing(error.name or "")):
        return MissingExtra(missing, "This", INSTALLED_AS.get(missing, missing))
    message = f"This is a bug in lossctl: {type(error).__name__}: {error}."
    return LossctlError(message, hint="Please report it on the project's issue tracker with what --debug prints.")


def _missing(module: str) -> str:
    """The package of somebody else's that a module is of; "" for Python's own and ours, whose absence is a bug."""
    package = module.partition(".")[0]
    return "" if package in {"", "lossctl"} or package in sys.stdlib_module_names else package


def _usage(error: Any) -> LossctlError:
    """An error of the command line's own grammar, as one of ours."""
    command = getattr(getattr(error, "ctx", None), "command_path", "lossctl")
    message = " ".join(error.format_message().split()).rstrip(".")
    message = re.sub(r"a valid (int|float)( range)?\b", lambda found: f"a {PLAIN[found[1]]}", message)
    negative = re.match(r"No such option: -[\d.]", message)
    hint = "Put -- before inputs that begin with a dash." if negative else f"See: {command} --help"
    return UsageError(message if message.endswith("?") else f"{message}.", hint=hint)
