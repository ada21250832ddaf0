"""A command's dataclass of options, spread over the signature that Typer makes a command line of."""

from __future__ import annotations

import gc
import inspect
import sys
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import typer

from lossctl.progress import progress
from lossctl.report import FORMATS, RENDERERS
from lossctl.request.option_table import PANELS, check, converted, rows
from lossctl.sources.descriptors import kept_open
from lossctl.sources.touched import Output, touching

if TYPE_CHECKING:
    from collections.abc import Callable

    from lossctl.request.option_table import Option


def spread(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give Typer a command whose last parameter, a dataclass of options, is spread over the command line.

    The command also gets `typed`: the names of the options that were given, by flag or environment. Typer sees its options
    once it is `signed`.
    """

    def run(ctx: typer.Context, **given: Any) -> Any:
        kind, every = options_of(command)
        typed = {name for name in given if getattr(ctx.get_parameter_source(name), "name", "") != "DEFAULT"}
        given = {name: _unprotected(value) for name, value in given.items()}
        chosen = {name: given.pop(name) for name in every}
        check(every, chosen, typed)
        outputs = [Output(row.shortest, path) for name, row in every.items() if row.writes for path in _listed(chosen[name])]
        others = [word for name, row in every.items() if not row.writes for word in _listed(chosen[name])]
        others += [word for value in given.values() for word in _listed(value)]
        # Look for garbage from now on, in what is made from now on.
        gc.freeze()
        gc.enable()
        with (
            touching(outputs, others) as files,
            kept_open(),
            progress(quiet=bool(chosen.get("quiet") or chosen.get("no_progress"))),
        ):
            result = command(**given, options=kind(**converted(every, chosen)), typed=typed)
            left = files.finish(passed=getattr(result, "error", None) is None, wanted=chosen.get("output_if", ""))
        return replace(result, left=tuple(left)) if left and not chosen.get("quiet") else result

    run.__doc__, run.__name__ = command.__doc__, command.__name__
    run.__wrapped__ = command  # type: ignore[attr-defined]
    return run


def _listed(value: Any) -> list[str]:
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str) and one]


def signed(run: Any) -> None:
    """Give a command that `spread` made its signature, once. It takes a while, and the list of commands does without."""
    command = getattr(run, "__wrapped__", None)
    if command is None or hasattr(run, "__signature__"):
        return
    hints = inspect.get_annotations(command, eval_str=True)
    *own, _, _ = list(inspect.signature(command).parameters)
    plain = inspect.signature(command).parameters
    parameters = [inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)]
    parameters += [plain[name].replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY) for name in own]
    # Arguments come first in the help, then the panels in their order.
    by_panel = sorted(map(with_formats, options_of(command)[1].values()), key=lambda row: PANELS.index(row.panel))
    parameters += [
        inspect.Parameter(row.name, inspect.Parameter.KEYWORD_ONLY, annotation=row.annotation(), default=row.typed_default)
        for row in by_panel
    ]
    run.__signature__ = inspect.Signature(parameters)
    run.__annotations__ = {}


def with_formats(row: Option) -> Option:
    """The row of --format with the names to choose from, and any other row as it is.

    Packages are asked for their output formats only where help is shown: it costs.
    """
    if row.name != "format":
        return row
    names = RENDERERS.names() if {"-h", "--help"} & {*sys.argv} else FORMATS
    return replace(row, choices=("auto", *names))


@cache
def options_of(command: Callable[..., Any]) -> tuple[Any, dict[str, Option]]:
    """The dataclass of a command's options, and the rows that the command takes."""
    kind = inspect.get_annotations(command, eval_str=True)["options"]
    return kind, rows(kind, command.__name__.rstrip("_"))


def _unprotected(value: Any) -> Any:
    """A key of stdin, which the command line's grammar would have taken for an option, as it was typed."""
    if isinstance(value, list):
        return [_unprotected(item) for item in value]
    return value.removeprefix("@") if isinstance(value, str) and value.startswith("@-:") else value
