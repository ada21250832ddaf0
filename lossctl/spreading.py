"""Options as dataclasses: how one is spread over a command's signature, and the panels that help shows them in."""

from __future__ import annotations

import gc
import inspect
from contextlib import contextmanager
from dataclasses import fields, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import typer

from lossctl.descriptors import kept_open
from lossctl.progress import progress
from lossctl.touched import Output, touching

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

INPUT, HOW, RESULT, GATES, TALK = "Inputs", "How to compute", "Result", "Gates", "Messages"
PANELS = (INPUT, HOW, RESULT, GATES, TALK)

Words = list[str]
Word = str | None
Count = int | None


def option(*names: str, panel: str, doc: str, writes: bool = False, **more: Any) -> Any:
    """An option of the command line, in its panel of the help; `writes` is for one that names files to be written."""
    made = typer.Option(*names, help=doc, rich_help_panel=panel, **more)
    # What messages call the option by.
    made.writes = min(names, key=len) if writes else ""
    return made


def spread(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give Typer a command whose last parameter, a dataclass of options, is spread over the command line.

    The command also gets `typed`: the names of the options that were given, by flag or environment. Typer sees its options
    once it is `signed`.
    """

    def run(ctx: typer.Context, **given: Any) -> Any:
        kind, words = _options_of(command)
        typed = {name for name in given if getattr(ctx.get_parameter_source(name), "name", "") != "DEFAULT"}
        given = {name: _unprotected(value) for name, value in given.items()}
        chosen = {name: given.pop(name) for name in words}
        outputs, others = _touched(chosen, words, given)
        _collect()
        with (
            touching(outputs, others) as files,
            kept_open(),
            progress(quiet=bool(chosen.get("quiet") or chosen.get("no_progress"))),
        ):
            result = command(**given, options=kind(**chosen), typed=typed)
            left = files.finish(passed=getattr(result, "error", None) is None, wanted=chosen.get("output_if", ""))
        return replace(result, left=tuple(left)) if left and not chosen.get("quiet") else result

    run.__doc__, run.__name__ = command.__doc__, command.__name__
    run.__wrapped__ = command  # type: ignore[attr-defined]
    return run


def _touched(chosen: dict[str, Any], words: dict[str, Any], given: dict[str, Any]) -> tuple[list[Output], list[str]]:
    """The files that a command is asked to write, and all other words that were typed."""
    flags = {name: flag for name, word in words.items() if (flag := writes(word))}
    outputs = [Output(flags[name], path) for name in flags for path in _listed(chosen.get(name))]
    others = [word for name, value in (given | chosen).items() if name not in flags for word in _listed(value)]
    return outputs, others


def writes(word: Any) -> str:
    """The shortest name of an option that names files to be written; empty for others."""
    return next((flag for info in getattr(word, "__metadata__", ()) if (flag := getattr(info, "writes", ""))), "")


def _listed(value: Any) -> list[str]:
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str) and one]


def signed(run: Any) -> None:
    """Give a command that `spread` made its signature, once. It takes a while, and the list of commands does without."""
    command = getattr(run, "__wrapped__", None)
    if command is None or hasattr(run, "__signature__"):
        return
    hints = inspect.get_annotations(command, eval_str=True)
    kind, words = _options_of(command)
    *own, _, _ = list(inspect.signature(command).parameters)
    plain = inspect.signature(command).parameters
    parameters = [inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)]
    parameters += [plain[name].replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY) for name in own]
    parameters += [
        inspect.Parameter(f.name, inspect.Parameter.KEYWORD_ONLY, annotation=words[f.name], default=_default(f))
        for f in fields(kind)
    ]
    order = sorted(range(len(parameters)), key=lambda at: _place(parameters[at]))
    parameters = [parameters[at] for at in order]
    run.__signature__ = inspect.Signature(parameters)
    run.__annotations__ = {}


@cache
def _options_of(command: Callable[..., Any]) -> tuple[Any, dict[str, Any]]:
    """The dataclass of a command's options, and the word that describes each."""
    kind = inspect.get_annotations(command, eval_str=True)["options"]
    return kind, {name: word for base in reversed(kind.__mro__) for name, word in _own_words(base).items()}


@contextmanager
def loading() -> Iterator[None]:
    """Import what a command needs without looking for garbage, of which modules make none."""
    gc.disable()
    try:
        yield
    finally:
        _collect()


def _collect() -> None:
    """Look for garbage from now on, in what is made from now on."""
    gc.freeze()
    gc.enable()


def _unprotected(value: Any) -> Any:
    """A key of stdin, which the command line's grammar would have taken for an option, as it was typed."""
    if isinstance(value, list):
        return [_unprotected(item) for item in value]
    return value.removeprefix("@") if isinstance(value, str) and value.startswith("@-:") else value


@cache
def _own_words(kind: type) -> dict[str, Any]:
    """What a class itself annotates, evaluated once however many commands share it: that is felt when the program starts."""
    return inspect.get_annotations(kind, eval_str=True)


def _place(parameter: inspect.Parameter) -> int:
    """Where help shows it: arguments first, then the panels in their order."""
    panels = [getattr(word, "rich_help_panel", None) for word in getattr(parameter.annotation, "__metadata__", ())]
    return PANELS.index(panels[0]) + 1 if panels and panels[0] in PANELS else 0


def _default(option: Any) -> Any:
    return [] if option.type in {Words, "Words"} or callable(option.default_factory) else option.default
