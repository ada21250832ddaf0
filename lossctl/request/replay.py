"""What a result was asked for, written into it so that `verify` can ask again: a spec as JSON holds it, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lossctl.errors import UsageError
from lossctl.losses import LOSSES
from lossctl.request.lookup import understand
from lossctl.request.spec import LossSpec, Options, Spec, Term
from lossctl.sources.address import Given

if TYPE_CHECKING:
    from collections.abc import Mapping


def spec_of(request: Any, name: str, *, allow_code: bool, allow_remote: bool = False, max_memory: int = 0) -> Spec:
    """Return the spec that the request in the file `name` was made of. Nothing in it is a command.

    Code that it names is imported only with `allow_code`, and addresses are read only with `allow_remote`.
    Raises: UnreadableFile with the key that is no part of a request, UsageError for code.
    """
    from lossctl.request.models import checked

    found = checked(request, name)
    options: dict[str, Any] = found.get("options", {})
    sources = {one: _given(value) for one, value in options.items() if isinstance(value, dict)}
    own = {"max_memory": max_memory} if max_memory else {}
    chosen = Options(**{**options, **sources, **own}, allow_code=allow_code, allow_remote=allow_remote)
    spec = Spec(
        losses=tuple(map(_loss_of, found.get("losses", ()))),
        positional=tuple(map(_given, found.get("positional", ()))),
        inputs=_givens(found.get("inputs", {})),
        terms=tuple(
            Term(**{**one, "loss": _loss_of(one["loss"]), "inputs": _givens(one.get("inputs", {}))})
            for one in found.get("terms", ())
        ),
        options=chosen,
        folder=found.get("folder", ""),
        saved=name,
    )
    if not allow_code:
        _check_code(spec, name)
    return spec


def _check_code(spec: Spec, name: str) -> None:
    """Refuse losses, formats and array libraries that are none of ours: looking one up may import it.

    Raises: UsageError.
    """
    from lossctl.losses.backends import AT, DEVICE
    from lossctl.sources.formats import FORMATS, ROWS

    losses = [one for one in (*spec.losses, *(term.loss for term in spec.terms)) if not one.name.startswith("@")]
    foreign = [
        loss.name for loss in losses if LOSSES.spelling(understand(loss.name)[0].name) not in LOSSES.rows() or ":" in loss.name
    ]
    if spec.options.in_format and FORMATS.spelling(spec.options.in_format) not in ROWS:
        foreign.append(spec.options.in_format)
    library, at, device = spec.options.backend.partition(AT)
    if library not in {"numpy", "torch"} or (at and not DEVICE.fullmatch(device)):
        foreign.append(spec.options.backend)
    if foreign:
        message = f"{name} names '{foreign[0]}', which is none of lossctl's own and would run code."
        raise UsageError(message, hint="If you trust it, use --allow-code.")


def _loss_of(one: Mapping[str, Any]) -> LossSpec:
    params = {name: _given(value) if isinstance(value, dict) else value for name, value in one.get("params", {}).items()}
    return LossSpec(one["name"], params, one.get("of", ""))


def _given(item: Mapping[str, Any]) -> Given:
    return Given(text=item.get("source", ""), value=_read(item.get("value")))


def _read(value: Any) -> Any:
    return [*map(_read, value)] if isinstance(value, list) else float(value) if isinstance(value, str) else value


def _givens(items: Mapping[str, Any]) -> dict[str, Given]:
    return {name: _given(item) for name, item in items.items()}
