"""From options that were typed to the spec that they mean; a spec file is the same thing written down."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lossctl.errors import BadParameter, UsageError
from lossctl.spec import Gate, Given, Options, Spec, parse_losses, parse_params, with_params

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lossctl.options import Computing

CHOICES = {
    "reduction": ("mean", "sum", "none", "batchmean"),
    "nan": ("error", "skip", "propagate"),
    "dtype": ("f64", "f32", "native"),
    "color": ("auto", "always", "never"),
}


def compute_spec(words: Sequence[str], options: Computing, typed: set[str]) -> Spec:
    """Return the spec that a `compute` command line means.

    Raises: UsageError, BadParameter, and what reading a spec file raises.
    """
    _check_choices(options)
    if _is_spec(words):
        from lossctl.specfile import read_spec  # noqa: PLC0415 - pydantic and yaml, only for specs

        spec = read_spec(words[0])
        spec = replace(spec, losses=with_params(spec.losses, dict(parse_params(options.param))))
    else:
        losses = with_params(parse_losses(words[0]), dict(parse_params(options.param)))
        spec = Spec(
            losses=losses, positional=tuple(Given(text=word.removeprefix("@")) for word in words[1:]), options=Options()
        )
        typed = {field.name for field in fields(Options)}
    named = {name: Given(text=source) for name, source in _pairs(options.input, "-i", "NAME=SOURCE")}
    gates = spec.gates + tuple(_gates(options))
    return replace(
        spec, inputs={**spec.inputs, **named}, gates=gates, options=_overlay(spec.options, options, typed, spec.folder)
    )


def _is_spec(words: Sequence[str]) -> bool:
    return len(words) == 1 and Path(words[0]).suffix.lower() in {".yaml", ".yml"}


def _check_choices(options: Computing) -> None:
    for name, known in CHOICES.items():
        value = getattr(options, name)
        if value not in known:
            message = f"--{name} takes {', '.join(known)}, not '{value}'."
            raise UsageError(message, hint=f"Its default is {known[0]}.")


def _overlay(base: Options, typed_options: Computing, typed: set[str], folder: str) -> Options:
    """What was typed wins over what the spec file says; paths that were typed are relative to where they were typed."""
    changes: dict[str, Any] = {name: getattr(typed_options, name) for name in typed & {field.name for field in fields(Options)}}
    for name in ("weights", "mask"):
        if name in changes:
            source = changes[name]
            changes[name] = Given(text=_from_here(source, folder)) if source else None
    if "max_memory" in changes:
        changes["max_memory"] = changes["max_memory"] << 20
    if not folder:
        changes["allow_code"] = True
    return replace(base, **changes)


def _from_here(source: str, folder: str) -> str:
    return str(Path.cwd() / source) if folder else source


def _pairs(items: Iterable[str], flag: str, form: str) -> Iterable[tuple[str, str]]:
    for item in items:
        name, equals, value = item.partition("=")
        if not (name and equals and value):
            message = f"{flag} takes {form}, not '{item}'."
            raise BadParameter(message, hint=f"Write {flag} {form}.")
        yield name, value


def _gates(options: Computing) -> Iterable[Gate]:
    """`KEY=V`, split at the last `=`, since a key may be `huber:delta=0.5`."""
    for kind in ("max", "min", "expect"):
        for item in getattr(options, kind):
            key, equals, bound = item.rpartition("=")
            try:
                value = float(bound)
            except ValueError:
                equals = ""
            if not (key and equals):
                message = f"--{kind} takes KEY=NUMBER, not '{item}'."
                raise BadParameter(message, hint=f"For example: --{kind} mse=0.1")
            yield Gate(key, kind, value, options.rtol, options.atol)
