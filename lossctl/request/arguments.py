"""From the words and options of a command to the spec that they mean, or from the spec file that they name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lossctl.errors import BadParameter, LossctlError, UsageError
from lossctl.request.options import Asking, Gating, Options, engine_options, rows
from lossctl.request.spec import KINDS, Gate, Spec, parse_gate, parse_losses, parse_params, with_params
from lossctl.sources.source import STDIN, Given, is_address, local, locate
from lossctl.sources.touched import reads_later

JUDGED = ("against", "alpha")
# Labels are of 64 bits, and what is added to them and compared with them too.
LARGEST = (1 << 63) - 1


def compute_spec(words: Sequence[str], options: Options, typed: set[str]) -> Spec:
    """Return the spec that a command line means; `options` are those of its command.

    Raises: UsageError, BadParameter, and what reading a spec file raises.
    """
    if options.min_coverage != options.min_coverage:
        raise UsageError("--min-coverage is nan, which no share is below.", hint="Give a number from 0 to 1.")
    _check_backend(options.backend)
    asked = options if isinstance(options, Asking) else Asking()
    params = dict(parse_params(asked.param))
    judged = {name: getattr(options, name) for name in JUDGED if name in typed}
    if _is_spec(words):
        from lossctl.request.specfile import read_spec

        spec = read_spec(words[0])
        params = {
            name: f"@{_from_here(value[1:], spec.folder)}" if value.startswith("@") else value for name, value in params.items()
        }
        spec = replace(spec, losses=with_params(spec.losses, params, instead=True))
        chosen = _overlay(spec.options, options, typed, spec.folder)
    else:
        losses = with_params(parse_losses(words[0]), params, instead=False)
        spec = Spec(losses=losses, positional=tuple(Given(text=word.removeprefix("@")) for word in words[1:]))
        chosen = replace(engine_options(options), allow_code=True)
    pairs = _pairs(asked.input, "-i", "NAME=SOURCE")
    named = {name: Given(text=_from_here(source, spec.folder)) for name, source in pairs}
    if judged.get("against", spec.against):
        reads_later(judged.get("against", spec.against))
    gates = spec.gates + (tuple(gates_of(options)) if isinstance(options, Gating) else ())
    if asked.device:
        library = options.backend if "backend" in typed else ""
        chosen = replace(chosen, backend=_on_device(chosen, asked.device, library))
    _check_order(chosen)
    _check_whole_numbers(chosen)
    return replace(spec, inputs={**spec.inputs, **named}, gates=gates, options=chosen, **judged)


def _is_spec(words: Sequence[str]) -> bool:
    """Whether the line begins with a spec; a spec names its inputs itself.

    Raises: UsageError for inputs behind it, and for a spec that is not here.
    """
    if Path(words[0]).suffix.lower() not in {".yaml", ".yml"} or "=@" in words[0]:
        return False
    if "://" in words[0]:
        message = f"The spec '{words[0]}' is an address, and a spec is a file here."
        raise UsageError(message, hint="Copy it here first; the inputs that it names may be addresses.")
    if len(words) > 1:
        message = f"The spec '{words[0]}' names its inputs itself, and '{words[1]}' stands behind it."
        raise UsageError(message, hint=f"To replace an input, write -i NAME={words[1]}.")
    return True


def _check_backend(name: str) -> None:
    """Look up the backend before any input is opened.

    Raises: UnknownName.
    """
    if name != "numpy":
        from lossctl.losses.backends import BACKENDS

        BACKENDS.get(name)


def _check_whole_numbers(options: Options) -> None:
    for name, row in rows(Options).items():
        value = getattr(options, name)
        if row.label and value is not None and not -LARGEST <= value <= LARGEST:
            message = f"{row.flag} is {value}, and labels and axes reach from {-LARGEST} to {LARGEST}."
            raise BadParameter(message, hint="Give a smaller one.")


def _check_order(options: Options) -> None:
    """Refuse two orders: one table of samples has one."""
    asked = [row.flag for name, row in rows(Options).items() if row.samples == "order" and getattr(options, name)]
    if len(asked) > 1:
        raise UsageError(f"{' and '.join(asked)} ask for samples in different orders.", hint="Keep one of them.")


def _overlay(base: Options, options: Options, typed: set[str], folder: str) -> Options:
    """What was typed wins over what the spec file says; paths that were typed are relative to where they were typed."""
    changes: dict[str, Any] = {name: getattr(options, name) for name in rows(Options) if name in typed}
    for name, value in changes.items():
        if isinstance(value, Given):
            changes[name] = Given(text=_from_here(value.text, folder))
    return replace(base, **changes)


def _on_device(options: Options, device: str, library: str) -> str:
    """The backend that `--device` means, beside a library that was typed or none.

    Raises: BadParameter, UsageError.
    """
    from lossctl.losses.backends import placed

    if options.cluster:
        message = f"--device {device} is this machine's, and --cluster computes on others."
        raise UsageError(message, hint="Leave out one of them.")
    return placed(device, library or "torch", options.dtype)


def _from_here(source: str, folder: str) -> str:
    """A source that was typed, so that a spec in `folder` means the same by it."""
    if folder in {"", "."}:
        return source
    # Imports NumPy, which a wrong word should not wait for.

    if is_address(source):
        return source
    source = local(source)
    try:
        result = locate(source)
    except LossctlError:
        return str(Path.cwd() / source)
    return source if result.literal is not None or result.paths == (STDIN,) else str(Path.cwd() / source)


def _pairs(items: Iterable[str], flag: str, form: str) -> Iterable[tuple[str, str]]:
    seen = set()
    for item in items:
        name, equals, value = item.partition("=")
        if not (name and equals and value):
            raise BadParameter(f"{flag} takes {form}, not '{item}'.", hint=f"Write {flag} {form}.")
        if name in seen:
            raise BadParameter(f"{flag} {name} is given twice.", hint="Give it once.")
        seen.add(name)
        yield name, value


def gates_of(options: Gating) -> list[Gate]:
    """The gates that were typed.

    Raises: BadParameter.
    """
    return [parse_gate(kind, item, options.rtol, options.atol) for kind in KINDS for item in getattr(options, kind)]
