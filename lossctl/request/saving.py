"""What a result was asked for, written into it so that `verify` can ask again: a spec as JSON holds it, and back."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from lossctl.request.option_table import rows
from lossctl.request.spec import LossSpec, Options, Spec, Term
from lossctl.sources.address import Given


def request_of(spec: Spec) -> dict[str, Any]:
    """Return the losses, inputs and options of a spec as plain values; what is as usual is left out."""
    options = {
        name: _plain(value)
        for name, row in rows(Options).items()
        if row.replayed and (value := getattr(spec.options, name)) != row.default
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
        return {"value": _written(value.value)} if value.inline else {"source": _said(value.text)}
    return [*value] if isinstance(value, tuple) else _written(value)


def _written(value: Any) -> Any:
    """A value with words for what JSON has no numbers for."""
    if isinstance(value, list):
        return [*map(_written, value)]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _said(source: str) -> str:
    """A source that may stand in a file that is passed on: an address without password and query."""
    if "://" not in source:
        return source
    from lossctl.sources.address import shown_source

    return shown_source(source)


def _loss(loss: LossSpec) -> dict[str, Any]:
    found = {"name": loss.name, "params": {name: _plain(value) for name, value in loss.params.items()}, "of": loss.of}
    return {name: item for name, item in found.items() if item}


def _term(term: Term) -> dict[str, Any]:
    inputs = {name: _plain(given) for name, given in term.inputs.items()}
    return {**asdict(term), "loss": _loss(term.loss), "inputs": inputs}

