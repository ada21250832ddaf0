"""Partial results: `compute --part` writes a share of the samples as exact sums, for `merge` to add up later or elsewhere.

What such a file may hold is checked before anything in it is believed.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lossctl import __version__
from lossctl.engine.fold import fold
from lossctl.engine.opening import Opened, Prepared, grouped, prepare, spelt_out
from lossctl.engine.reduce import Outcome, check_asked, reduced
from lossctl.errors import MissingFile, UnreadableFile, UsageError
from lossctl.losses.backends import BACKENDS
from lossctl.report import Report, Style, render_json, strict
from lossctl.report.answer import Answer, signature, warnings
from lossctl.request.options import Options, rows
from lossctl.request.spec import Spec, request_of
from lossctl.sources.drafts import atomic
from lossctl.sources.source import Given, shown_source
from lossctl.sources.touched import read_whole
from lossctl.statistics.sums import Sums, shortened

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lossctl.engine.binding import Bound
    from lossctl.engine.totals import LossTotals
    from lossctl.sources.readers import Reader
    from lossctl.sources.stored import Seen


SCHEMA = "lossctl/partial/1"
# What the checksum is of; the rest says which version wrote it, and is compared among parts.
SUMMED = ("request", "part", "inputs", "by", "losses")
WRITTEN = "Give what lossctl compute --partial wrote."

Count = Annotated[int, Field(ge=0)]
Totals = dict[str, list[float | Literal["nan", "inf", "-inf"]]]


class _StrictPartial(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class SeenInPartial(_StrictPartial):
    """What a file was: its size in bytes, the SHA-256 of all of it, or of stretches of it where it is large.

    `modified`, in nanoseconds, is when a file was written of which only stretches were looked at.
    """

    size: Count
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    whole: bool
    modified: int | None = None


class InputInPartial(_StrictPartial):
    """One input, as it was named."""

    role: str
    source: str
    key: str | None = None
    shape: list[Count]
    dtype: str
    seen: SeenInPartial

    @property
    def content(self) -> str:
        """What was read, wherever it lies, as one key."""
        return json.dumps([self.role, self.key, self.shape, self.dtype, self.seen.size, self.seen.sha256])


class GroupsInPartial(_StrictPartial):
    """The file that the groups come from."""

    source: str
    seen: SeenInPartial


class Share(_StrictPartial):
    """The sums of one loss, or of one group of its samples: numbers whose exact sum counts."""

    n: Count
    sums: Totals


class LossSums(Share):
    """The sums of one loss over the samples of the part, and by group; `samples` is how many all parts have."""

    samples: Count
    skipped: Count = 0
    groups: dict[str, Share] = {}


class Partial(_StrictPartial):
    """Exact sums over a part of the samples: what `compute --partial` writes and `merge` reads."""

    schema_: Literal["lossctl/partial/1"] = Field(alias="schema")
    version: str
    signature: str
    request: dict[str, Any]
    part: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=2, max_length=2)]
    inputs: list[InputInPartial]
    by: GroupsInPartial | None = None
    losses: Annotated[list[LossSums], Field(min_length=1)]
    warnings: list[dict[str, str]] = []
    checksum: str

    @model_validator(mode="after")
    def _in_range(self) -> Partial:
        if self.part[0] > self.part[1]:
            raise ValueError(f"part {self.part[0]} of {self.part[1]} is none")
        return self

    @property
    def content(self) -> str:
        """What it was computed from, as one key: the same for copies of the same files under other names."""
        return "\n".join([argument.content for argument in self.inputs] + ([self.by.seen.sha256] if self.by else []))

    @property
    def names(self) -> tuple[str, ...]:
        """What it was computed from, as it was typed."""
        return tuple(f"{argument.role} {argument.source}" for argument in self.inputs) + (
            (f"groups {self.by.source}",) if self.by else ()
        )

    @property
    def intact(self) -> bool:
        """Whether it is as it was written."""
        return self.checksum == checksum(self.model_dump(by_alias=True, exclude_unset=True))


def checksum(document: Mapping[str, Any]) -> str:
    """The SHA-256 of what a partial result was asked for and holds, whatever the order of keys and the white space."""
    rest = {name: document[name] for name in SUMMED if name in document}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def load(path: str) -> Partial:
    """Read a partial result.

    Raises: MissingFile, UnreadableFile.
    """
    try:
        content = read_whole(path)
        return Partial.model_validate_json(content)
    except FileNotFoundError as error:
        message = f"There is no partial result '{path}'."
        raise MissingFile(message, hint=f"Write it with: lossctl compute LOSS PRED TARGET --partial {path}") from error
    except OSError as error:
        message = f"The partial result '{path}' could not be read: {error.strerror or error}."
        raise MissingFile(message, hint="Check the path.") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        message = f"'{path}' is no partial result: {f'{place}: ' if place else ''}{first['msg']}."
        raise UnreadableFile(message, hint=WRITTEN) from error


def schema() -> str:
    """The JSON Schema of partial results."""
    return json.dumps(Partial.model_json_schema(), indent=2) + "\n"


COLUMNS = ("loss", "value", "n", "part")


def run(spec: Spec, path: str, say: Callable[[str], None]) -> Report:
    """Fold the share of the samples that `spec` asks for, and write its sums to `path`.

    Returns what the share alone comes to, NaN where it holds nothing.
    Raises: UsageError for what cannot be added up, and what computing raises.
    """
    _check(spec)
    spec, prepared = spelt_out(spec, prepare(spec, say), say)
    selection, groups = grouped(prepared)
    for bound in prepared.bounds:
        if bound.loss.whole:
            message = f"{bound.loss.name} couples all samples, so that its shares do not add up."
            raise UsageError(message, hint="Compute it in one run.")
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
    result = Report(COLUMNS, rows, document)
    with atomic(path) as file:
        file.write(render_json(result, Style()).encode())
    return result


def _check(spec: Spec) -> None:
    """Refuse what sums do not hold.

    Raises: UsageError.
    """
    options = spec.options
    asked = {"--reduction none": options.reduction == "none"}
    asked |= {row.flag: getattr(options, name) for name, row in rows(Options).items() if row.samples}
    for name, given in asked.items():
        if given:
            raise UsageError(f"--partial writes sums, and {name} needs every sample.", hint="Leave one of them out.")
    if spec.gates or options.min_coverage:
        message = "--partial holds a share of the samples, and a gate is for all of them."
        raise UsageError(message, hint="Give the gate to lossctl merge.")


def _outcome(bound: Bound, tally: LossTotals, options: Options) -> Outcome:
    sums = tally.sums.finish()
    value = float(reduced(bound, sums, tally.n, options.reduction)) if sums and tally.n else math.nan
    return Outcome(value, tally.n, tally.skipped, sums=sums)


def _document(answer: Answer, prepared: Prepared, tallies: Sequence[LossTotals], groups: Sequence[str]) -> dict[str, Any]:
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
    result = None if given.value is not None else opened.files.seen(given.text)
    facts = {"role": role, "source": reader.name, "shape": list(reader.shape), "dtype": reader.dtype.name}
    if result is None:
        size = reader.dtype.itemsize * math.prod(reader.shape)
        return {**facts, "seen": {"size": size, "sha256": reader.facts()["sha256"], "whole": True}}
    key = opened.files.key(given.text)
    return {**facts, **({} if key is None else {"key": key}), "seen": _said(result)}


def _said(file: Seen) -> dict[str, Any]:
    return {name: item for name, item in asdict(file).items() if item is not None}


def _groups(opened: Opened) -> dict[str, Any]:
    """The file that groups come from; a column beside an input is in the file of that one."""
    by = opened.options.by
    result = opened.files.seen(by) if by else None
    return {} if result is None else {"by": {"source": shown_source(by), "seen": _said(result)}}


def _sums(tally: LossTotals, samples: int, groups: Sequence[str]) -> dict[str, Any]:
    parts = {groups[code]: {"n": tally.counts[code], "sums": _numbers(sums)} for code, sums in sorted(tally.groups.items())}
    counts = {"n": tally.n, "skipped": tally.skipped, "samples": samples}
    return {**counts, "sums": _numbers(tally.sums), **({"groups": parts} if parts else {})}


def _numbers(sums: Sums) -> dict[str, list[Any]]:
    """Floats whose sum is exact; JSON has no words for those that are no numbers."""
    return {
        name: [total if math.isfinite(total) else str(total) for total in shortened(totals)]
        for name, totals in sums.totals.items()
    }
