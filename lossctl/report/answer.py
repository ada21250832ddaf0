"""An answer put into rows for people and one document for machines, with the warnings of each loss.

A loss is looked at for traps once its value is known, and the value stays what it is.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl import __version__
from lossctl.report import Report, status
from lossctl.request.lookup import Asked, brief
from lossctl.request.options import Options, rows
from lossctl.request.spec import Spec, request_of
from lossctl.statistics.sums import exact_sum
from lossctl.warnings import ORDER, Warned, advise, check_codes, check_ids, check_shares, has_order

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lossctl.engine.binding import Bound
    from lossctl.engine.reduce import Outcome
    from lossctl.gates import Check
    from lossctl.sources.readers import NumPyArray
    from lossctl.sources.source import Given


@dataclass(frozen=True, eq=False, repr=False)
class Answer:
    """Everything that was computed, before it has rows."""

    spec: Spec
    asked: Sequence[Asked]
    bounds: Sequence[Bound]
    outcomes: Sequence[Outcome]
    groups: Sequence[str]
    ids: Sequence[str] | None
    codes: NumPyArray | None = None

    @property
    def wants_samples(self) -> bool:
        """Whether single samples were asked for."""
        options = self.spec.options
        return bool(options.per_sample or options.worst or options.best)

    @cached_property
    def total(self) -> float | None:
        """The weighted sum, where the spec asks for one."""
        if not self.spec.terms:
            return None
        return exact_sum([_weighted(one, outcome) for one, outcome in zip(self.asked, self.outcomes, strict=True)])

    def shares(self) -> dict[str, float | None]:
        """Each term's share of the weighted sum."""
        return {one.term: _share(self, one, outcome) for one, outcome in zip(self.asked, self.outcomes, strict=True)}

    def values(self) -> dict[str, float]:
        """Every number that a gate may bound: `loss`, `loss.stat`, `loss@group`, `total`."""
        result: dict[str, float] = {}
        alone = Counter(id(asked_loss.loss) for asked_loss in self.asked)
        for one, outcome in zip(self.asked, self.outcomes, strict=True):
            scalar = {one.label: outcome.value} if isinstance(outcome.value, float) else {}
            stats = {f"{one.label}.{name}": value for name, value in outcome.stats.items()}
            groups = {f"{one.label}@{self.groups[code]}": value for code, (value, _) in outcome.groups.items()}
            result |= scalar | stats | groups
            if alone[id(one.loss)] == 1 and scalar:
                result = {one.typed: outcome.value, one.loss.name: outcome.value} | result
        return result | ({} if self.total is None else {"total": self.total})


def signature(answer: Answer) -> str:
    """All that the value depends on besides the inputs, in one line."""
    losses = ",".join(_full_name(asked_loss) for asked_loss in answer.asked)
    options = answer.spec.options
    named = [(row, getattr(options, name)) for name, row in rows(Options).items()]
    parts = [f"{row.always}:{value}" for row, value in named if row.always]
    parts += [f"{row.name}:{brief(value)}" for row, value in named if not (row.unsigned or row.always) and value != row.default]
    return "|".join([losses, *parts, f"v:{__version__}"])


def _full_name(asked: Asked) -> str:
    params = [f"{name}={value}" for name, value in asked.params.items()]
    params += [f"{t.name}={brief(asked.given[t.name])}" for t in asked.loss.signature.tensors if t.name in asked.given]
    name = f"{asked.loss.name}:{','.join(params)}" if params else asked.loss.name
    return f"{asked.weight}*{name}{f'+{asked.offset}' if asked.offset else ''}" if asked.term else name


def report(
    answer: Answer, checks: Sequence[Check], inputs: Sequence[Mapping[str, Any]], warnings: Sequence[Warned] = ()
) -> Report:
    """Put an answer into a report."""
    document = document_of("compute", answer, checks, inputs, warnings)
    if answer.wants_samples:
        return _samples_report(answer, document)
    if answer.total is not None:
        return _sum_report(answer, document)
    return _plain_report(answer, document)


def document_of(
    command: str, answer: Answer, checks: Sequence[Check], inputs: Sequence[Mapping[str, Any]], warnings: Sequence[Warned]
) -> dict[str, Any]:
    """The machine-readable result of a command that computes losses."""
    document: dict[str, Any] = {
        "schema": "lossctl/result/1",
        "version": __version__,
        "command": command,
        "signature": signature(answer),
        "inputs": list(inputs),
        "results": results(answer),
        "checks": [check.as_dict() for check in checks],
        "warnings": [warned.as_dict() for warned in warnings],
        "request": request_of(answer.spec),
    }
    if answer.total is not None:
        document["total"] = {"value": answer.total, "status": status(answer.total)}
    return document


def results(answer: Answer) -> list[dict[str, Any]]:
    """The machine-readable results: one a loss, and one a group of it."""
    result = []
    for one, outcome in zip(answer.asked, answer.outcomes, strict=True):
        params = dict(one.params) | {
            tensor.name: _plain(one.given[tensor.name]) for tensor in one.loss.signature.tensors if tensor.name in one.given
        }
        head = {"loss": one.loss.name, "params": params, "reduction": answer.spec.options.reduction}
        whole = {**head, **_value(outcome.value), "n": outcome.n, **_extras(answer, one, outcome)}
        groups = [
            {**head, "group": answer.groups[code], **_value(value), "n": n} for code, (value, n) in outcome.groups.items()
        ]
        result += [whole, *groups]
    return result


def _plain(given: Given) -> Any:
    return given.value if given.value is not None else given.text


def _value(value: Any) -> dict[str, Any]:
    word = status(value)
    return {"value": value} if word == "ok" else {"value": value, "status": word}


def _extras(answer: Answer, asked: Asked, outcome: Outcome) -> dict[str, Any]:
    """What only some results have."""
    extras: dict[str, Any] = {}
    if asked.term:
        extras |= {"name": asked.term, "weight": asked.weight, "share": _share(answer, asked, outcome)}
    if asked.offset:
        extras["offset"] = asked.offset
    if answer.spec.options.nan == "skip":
        extras |= {"skipped": outcome.skipped, "coverage": outcome.coverage}
    if outcome.stats:
        extras["stats"] = dict(outcome.stats)
    if answer.wants_samples:
        extras["samples"] = _samples(answer, outcome)
    return extras


def _share(answer: Answer, asked: Asked, outcome: Outcome) -> float | None:
    """The part's share of the weighted sum."""
    return _weighted(asked, outcome) / answer.total if answer.total else None


def _weighted(asked: Asked, outcome: Outcome) -> float:
    """What a part adds to the weighted sum."""
    return asked.weight * float(outcome.value) + asked.offset


def _samples(answer: Answer, outcome: Outcome) -> list[dict[str, Any]]:
    """The chosen samples: the worst first, the best first, or all in order."""
    if outcome.samples is None:
        return []
    numbers, values = outcome.samples
    options = answer.spec.options
    order = np.arange(len(values))
    if options.worst or options.best:
        ranked = np.argsort(-values if options.worst else values, kind="stable")
        order = ranked[~np.isnan(values[ranked])][: options.worst or options.best]
    chosen = zip(numbers[order].tolist(), values[order].tolist(), strict=True)
    return [{"index": number, **_named(answer, number), "value": value} for number, value in chosen]


def _named(answer: Answer, number: int) -> dict[str, str]:
    """What a sample is called besides its number: its id and its group."""
    named = {} if answer.ids is None else {"id": answer.ids[number]}
    return named if answer.codes is None else {**named, "group": answer.groups[answer.codes[number]]}


def _plain_report(answer: Answer, document: Mapping[str, Any]) -> Report:
    """One row a loss, or one a group and loss."""
    rows = []
    for one, outcome in zip(answer.asked, answer.outcomes, strict=True):
        for code, (value, n) in outcome.groups.items():
            rows.append({"loss": one.label, "group": answer.groups[code], "value": value, "n": n})
        rows.append({"loss": one.label, "group": "(all)", "value": outcome.value, "n": outcome.n, **outcome.stats})
    grouped = ("group",) if answer.spec.options.by else ()
    stats = tuple(answer.outcomes[0].stats) if answer.outcomes else ()
    return Report(("loss", *grouped, "value", "n", *stats), rows, document)


def _sum_report(answer: Answer, document: Mapping[str, Any]) -> Report:
    """One row a part of a weighted sum, and its total last."""
    rows: list[dict[str, Any]] = [
        {
            "name": one.term,
            "loss": one.loss.name,
            "value": outcome.value,
            "weight": one.weight,
            "weighted": _weighted(one, outcome),
            "share": _share(answer, one, outcome),
        }
        for one, outcome in zip(answer.asked, answer.outcomes, strict=True)
    ]
    rows.append({"name": "total", "weighted": answer.total, "share": 1.0, "total": answer.total})
    return Report(("name", "loss", "value", "weight", "weighted", "share"), rows, document, bare="total")


def _samples_report(answer: Answer, document: Mapping[str, Any]) -> Report:
    """One row a sample and loss."""
    rows = [
        {"loss": one.label, **sample}
        for one, outcome in zip(answer.asked, answer.outcomes, strict=True)
        for sample in _samples(answer, outcome)
    ]
    named = (("id",) if answer.ids is not None else ()) + (("group",) if answer.codes is not None else ())
    return Report(("loss", "index", *named, "value"), rows, document)


def warnings(answer: Answer, say: Callable[[str], None], unlike: Sequence[str] = ()) -> list[Warned]:
    """Find and say every warning once; `unlike` says where rows that are paired have other ids.

    Raises: UnknownName for a code to ignore that no warning has.
    """
    options = answer.spec.options
    check_codes(options.ignore)
    result: dict[Warned, None] = {}
    paired: set[tuple[str, ...]] = set()
    for one, bound, outcome in zip(answer.asked, answer.bounds, answer.outcomes, strict=True):
        typed = {name: _typed(given) for name, given in one.given.items()}
        rows = tuple(typed[argument.name] for argument in bound.loss.signature.inputs)
        # The order of rows belongs to inputs, not to losses: one loss looks at it, and the others say nothing again.
        own = replace(options, ignore=(*options.ignore, ORDER)) if rows in paired else options
        result |= dict.fromkeys(advise(bound, outcome, own, typed))
        paired |= {rows} if has_order(bound, options) else set()
    if answer.total is not None:
        result |= dict.fromkeys(check_shares(answer.shares(), options))
    result |= dict.fromkeys(check_ids(unlike, options))
    for warned in result:
        say(f"{warned.code} {warned.message}")
    return list(result)


def _typed(given: Given) -> str:
    if given.value is None:
        return given.text
    import json

    return json.dumps(given.value)
