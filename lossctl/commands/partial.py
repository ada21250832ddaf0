"""`compute --partial`: a share of the samples as exact sums, for `merge` to add up on another day or another machine."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from lossctl import __version__
from lossctl.backends import BACKENDS
from lossctl.commands.again import request_of
from lossctl.commands.answer import Answer, signature
from lossctl.commands.compute import grouped
from lossctl.commands.opening import prepare
from lossctl.commands.partial_file import SCHEMA, checksum
from lossctl.commands.sets import spelt_out
from lossctl.commands.warn import warnings
from lossctl.drafts import atomic
from lossctl.engine import Outcome, check_asked, reduced
from lossctl.errors import UsageError
from lossctl.files.address import shown_source
from lossctl.fold import fold
from lossctl.option_table import rows
from lossctl.render.cells import Style
from lossctl.render.machine import render_json
from lossctl.report import Report, strict
from lossctl.spec import Options
from lossctl.sums import shortened

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lossctl.binding import Bound
    from lossctl.blocks import Reader
    from lossctl.commands.opening import Opened, Prepared
    from lossctl.files.stored import Seen
    from lossctl.spec import Given, Spec
    from lossctl.sums import Sums
    from lossctl.tally import Tally

COLUMNS = ("loss", "value", "n", "part")


def run(spec: Spec, path: str, say: Callable[[str], None]) -> Report:
    """Fold the share of the samples that `spec` asks for, and write its sums to `path`.

    Returns what the share alone comes to, NaN where it holds nothing.
    Raises: UsageError for what cannot be added up, and what computing raises.
    """
    _check(spec)
    spec, prepared = spelt_out(spec, prepare(spec, say), say)
    selection, groups = grouped(prepared)
    _check_losses(prepared.bounds)
    check_asked(prepared.bounds, spec.options, selection)
    tallies = fold(prepared.bounds, BACKENDS.get(spec.options.backend)(), spec.options, selection)
    outcomes = [_outcome(bound, tally, spec.options) for bound, tally in zip(prepared.bounds, tallies, strict=True)]
    answer = Answer(spec, prepared.asked, prepared.bounds, outcomes, groups, None)
    document = _document(answer, prepared, tallies, groups)
    document["warnings"] = [warned.as_dict() for warned in warnings(answer, say, prepared.opened.unlike)]
    document["checksum"] = checksum(strict(document))
    number, parts = spec.options.part
    rows = [
        {"loss": one.label, "value": outcome.value, "n": outcome.n, "part": f"{number}/{parts}"}
        for one, outcome in zip(prepared.asked, outcomes, strict=True)
    ]
    found = Report(COLUMNS, rows, document)
    with atomic(path) as file:
        file.write(render_json(found, Style()).encode())
    return found


def _check(spec: Spec) -> None:
    """Refuse what sums do not hold.

    Raises: UsageError.
    """
    options = spec.options
    asked = {"--reduction none": options.reduction == "none"}
    asked |= {row.flag: getattr(options, name) for name, row in rows(Options).items() if row.samples}
    for name, given in asked.items():
        if given:
            message = f"--partial writes sums, and {name} needs every sample."
            raise UsageError(message, hint="Leave one of them out.")
    if spec.gates or options.min_coverage:
        message = "--partial holds a share of the samples, and a gate is for all of them."
        raise UsageError(message, hint="Give the gate to lossctl merge.")


def _check_losses(bounds: Sequence[Bound]) -> None:
    whole = [bound.loss.name for bound in bounds if bound.loss.whole]
    if whole:
        message = f"{whole[0]} couples all samples, so that its shares do not add up."
        raise UsageError(message, hint="Compute it in one run.")


def _outcome(bound: Bound, tally: Tally, options: Options) -> Outcome:
    sums = tally.sums.finish()
    value = float(reduced(bound, sums, tally.n, options.reduction)) if sums and tally.n else math.nan
    return Outcome(value, tally.n, tally.skipped, sums=sums)


def _document(answer: Answer, prepared: Prepared, tallies: Sequence[Tally], groups: Sequence[str]) -> dict[str, Any]:
    """Everything that adding up needs, and by what to tell whether other parts were computed from the same samples."""
    opened = prepared.opened
    whole = replace(answer.spec, options=replace(answer.spec.options, part=(1, 1)))
    return {
        "schema": SCHEMA,
        "version": __version__,
        "signature": signature(replace(answer, spec=whole)),
        "request": request_of(whole),
        "part": list(answer.spec.options.part),
        "inputs": [_input(opened, given, role, reader) for (given, role), reader in opened.readers.items()],
        **_groups(opened),
        "losses": [_sums(tally, bound.n, groups) for tally, bound in zip(tallies, answer.bounds, strict=True)],
    }


def _input(opened: Opened, given: Given, role: str, reader: Reader) -> dict[str, Any]:
    """One input, and what it was: its files, or the numbers that were written in place."""
    found = None if given.inline else opened.files.seen(given.text)
    facts = {"role": role, "source": reader.name, "shape": list(reader.shape), "dtype": reader.dtype.name}
    if found is None:
        size = reader.dtype.itemsize * math.prod(reader.shape)
        return {**facts, "seen": {"size": size, "sha256": reader.facts()["sha256"], "whole": True}}
    key = opened.files.key(given.text)
    return {**facts, **({} if key is None else {"key": key}), "seen": _said(found)}


def _said(found: Seen) -> dict[str, Any]:
    return {name: item for name, item in asdict(found).items() if item is not None}


def _groups(opened: Opened) -> dict[str, Any]:
    """The file that groups come from; a column beside an input is in the file of that one."""
    by = opened.options.by
    found = opened.files.seen(by) if by else None
    return {} if found is None else {"by": {"source": shown_source(by), "seen": _said(found)}}


def _sums(tally: Tally, samples: int, groups: Sequence[str]) -> dict[str, Any]:
    parts = {groups[code]: {"n": tally.counts[code], "sums": _numbers(sums)} for code, sums in sorted(tally.groups.items())}
    counts = {"n": tally.n, "skipped": tally.skipped, "samples": samples}
    return {**counts, "sums": _numbers(tally.sums), **({"groups": parts} if parts else {})}


def _numbers(sums: Sums) -> dict[str, list[Any]]:
    """Floats whose sum is exact; JSON has no words for those that are no numbers."""
    return {
        name: [total if math.isfinite(total) else str(total) for total in shortened(totals)]
        for name, totals in sums.totals.items()
    }
