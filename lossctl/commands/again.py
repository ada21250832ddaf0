"""What a result was asked for, written into it so that `verify` can ask again: a spec as JSON holds it, and back."""

from __future__ import annotations

from dataclasses import asdict, fields, replace
from typing import TYPE_CHECKING, Any

from lossctl.spec import Given, LossSpec, Options, Spec, Term

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lossctl.report import Report

# Options that change no number that a result holds.
SILENT = {"min_coverage", "max_memory", "jobs", "cluster", "allow_code", "ignore", "strict"}


def request_of(spec: Spec) -> dict[str, Any]:
    """Return the losses, inputs and options of a spec as plain values; what is as usual is left out."""
    options = {
        field.name: _plain(value)
        for field in fields(Options)
        if field.name not in SILENT and (value := getattr(spec.options, field.name)) != field.default
    }
    found = {
        "losses": [_loss(one) for one in spec.losses],
        "positional": [_plain(given) for given in spec.positional],
        "inputs": {name: _plain(given) for name, given in spec.inputs.items()},
        "terms": [_term(term) for term in spec.terms],
        "options": options,
        "folder": spec.folder,
    }
    return {name: item for name, item in found.items() if item}


def _plain(value: Any) -> Any:
    if isinstance(value, Given):
        return {"value": value.value} if value.inline else {"source": _said(value.text)}
    return [*value] if isinstance(value, tuple) else value


def _said(source: str) -> str:
    """A source that may stand in a file that is passed on: an address without password and query."""
    if "://" not in source:
        return source
    from lossctl.files.address import shown_source

    return shown_source(source)


def _loss(loss: LossSpec) -> dict[str, Any]:
    found = {"name": loss.name, "params": {name: _plain(value) for name, value in loss.params.items()}, "of": loss.of}
    return {name: item for name, item in found.items() if item}


def _term(term: Term) -> dict[str, Any]:
    inputs = {name: _plain(given) for name, given in term.inputs.items()}
    return {**asdict(term), "loss": _loss(term.loss), "inputs": inputs}


def spec_of(request: Mapping[str, Any], *, allow_code: bool) -> Spec:
    """Return the spec that a request was made of. Code that it names is imported only with `allow_code`."""
    options: dict[str, Any] = {
        name: _given(item) if name in {"weights", "mask"} else item for name, item in request.get("options", {}).items()
    }
    return Spec(
        losses=tuple(_loss_of(one) for one in request.get("losses", ())),
        positional=tuple(map(_given, request.get("positional", ()))),
        inputs=_givens(request.get("inputs", {})),
        terms=tuple(
            Term(**{**one, "loss": _loss_of(one["loss"]), "inputs": _givens(one["inputs"])}) for one in request.get("terms", ())
        ),
        options=Options(**options, allow_code=allow_code, max_memory=1 << 62),
        folder=request.get("folder", ""),
    )


def _loss_of(one: Mapping[str, Any]) -> LossSpec:
    params = {name: _given(value) if isinstance(value, dict) else value for name, value in one.get("params", {}).items()}
    return LossSpec(one["name"], params, one.get("of", ""))


def _given(item: Mapping[str, Any]) -> Given:
    return Given(text=item.get("source", ""), value=item.get("value"))


def _givens(items: Mapping[str, Any]) -> dict[str, Given]:
    return {name: _given(item) for name, item in items.items()}


def with_request(report: Report, command: str, wanted: Mapping[str, Any]) -> Report:
    """The report with what its command was asked for besides a spec."""
    request = {**report.document.get("request", {}), command: dict(wanted)}
    return replace(report, document={**report.document, "request": request})
