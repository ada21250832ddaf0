"""A comparison put into rows for people and one document for machines."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lossctl.commands.answer import document_of, results
from lossctl.report import Report

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lossctl.advice import Warned
    from lossctl.commands.answer import Answer
    from lossctl.comparison.judging import Judged
    from lossctl.comparison.measured import Measured
    from lossctl.comparison.testing import Rules
    from lossctl.gates import Check


@dataclass(frozen=True)
class Compared:
    """Losses of every system, and what is said of each against the first: over all samples under "", and by group."""

    systems: Sequence[str]
    losses: Sequence[str]
    measured: Sequence[Sequence[Measured]]
    judged: Mapping[str, Sequence[Judged]]
    rules: Rules
    explained: tuple[Sequence[Mapping[str, Any]], Sequence[Report]] = ((), ())

    @property
    def whole(self) -> Sequence[Judged]:
        """What is said over all samples."""
        return self.judged.get("", ())

    def values(self) -> dict[str, float]:
        """Every number that a gate may bound: `loss[system]`, and `loss` where there is one system besides the baseline."""
        found = {
            f"{loss}[{system}]": one.value
            for system, row in zip(self.systems, self.measured, strict=True)
            for loss, one in zip(self.losses, row, strict=True)
        }
        if len(self.systems) <= 2:  # noqa: PLR2004 - a baseline and the one that is judged
            found |= {loss: one.value for loss, one in zip(self.losses, self.measured[-1], strict=True)}
        return found


def report(
    answers: Sequence[Answer],
    compared: Compared,
    checks: Sequence[Check],
    inputs: Sequence[Mapping[str, Any]],
    warnings: Sequence[Warned],
) -> Report:
    """Put a comparison of systems into a report."""
    document = document_of("compare", answers[0], checks, inputs, warnings)
    document["results"] = [
        {**entry, "system": system}
        for answer, system in zip(answers, compared.systems, strict=True)
        for entry in results(answer)
    ]
    document["comparisons"] = [_entry(compared, one, group) for group, part in compared.judged.items() for one in part]
    rules = compared.rules
    document["signature"] += f"|test:{rules.test}|correction:{rules.correction}|alpha:{rules.alpha}"
    document["signature"] += f"|resamples:{rules.draws.resamples}|seed:{rules.draws.seed}"
    explained, tables = compared.explained
    if tables:
        document["explanations"] = explained
    rows = [row for group in compared.judged for row in _rows(compared, group)]
    grouped = ("group",) if len(compared.judged) > 1 else ()
    columns = ("loss", "system", *grouped, "value", "difference", "relative", "low", "high", "p", "verdict")
    return Report(columns, rows, document, more=[*_details(compared), *tables])


def _rows(compared: Compared, group: str) -> list[dict[str, Any]]:
    """For each loss the baseline, then every other system."""
    judged = {(one.pair.loss, one.pair.system): one for one in compared.judged[group]}
    rows = []
    for loss, label in enumerate(compared.losses):
        pairs = [judged[loss, system] for system in range(1, len(compared.systems))]
        head = {"loss": label, "group": group or "(all)"}
        rows.append({**head, "system": compared.systems[0], "value": pairs[0].pair.base.value, "verdict": "baseline"})
        rows += [{**head, "system": compared.systems[one.pair.system], **_shown(one)} for one in pairs]
    return rows


def _shown(one: Judged) -> dict[str, Any]:
    return {
        "value": one.pair.other.value,
        "difference": one.difference,
        "relative": known(one.relative),
        "low": known(one.low),
        "high": known(one.high),
        "p": known(one.adjusted),
        "verdict": one.verdict,
    }


def known(number: float | None) -> float | None:
    """The number, and None in place of NaN."""
    return None if number is None or math.isnan(number) else number


def _entry(compared: Compared, one: Judged, group: str) -> dict[str, Any]:
    """The machine-readable comparison of one system with the baseline under one loss."""
    return {
        "loss": compared.losses[one.pair.loss],
        "system": compared.systems[one.pair.system],
        "baseline": compared.systems[0],
        **({"group": group} if group else {}),
        "value": one.pair.other.value,
        "base": one.pair.base.value,
        "n": one.pair.base.n,
        "difference": one.difference,
        "relative": one.relative,
        "low": one.low,
        "high": one.high,
        "low_one_sided": one.low_wide,
        "high_one_sided": one.high_wide,
        "interval": one.interval,
        "error": one.error,
        "units": one.units,
        "test": one.method,
        "p": one.p,
        "p_adjusted": one.adjusted,
        "verdict": one.verdict,
        **({"why": one.why} if one.why else {}),
        **_robustness(one),
    }


def _robustness(one: Judged) -> dict[str, Any]:
    """Counts by sample, what would decide, and what the verdict hangs on."""
    return {
        "wins": one.wins,
        "ties": one.ties,
        "losses": one.losses,
        "detectable": one.detectable,
        "needed": int(one.needed) if math.isfinite(one.needed) else one.needed,
        "top_1_percent": one.top_share,
        "trimming_flips": one.trimming_flips,
        "seed_flips": one.seed_flips,
        "rank_correlation": one.correlation,
        "small": one.small,
        "skewed": one.skewed,
    }


def _details(compared: Compared) -> list[Report]:
    """The tables below the first: counts by sample, what would decide, and what is not robust."""
    judged = compared.whole
    counts = [_counted(compared, one) for one in judged if one.wins is not None]
    open_ones = [_wanting(compared, one) for one in judged if one.verdict == "undecided" and one.detectable == one.detectable]
    found = [("sample by sample", counts), ("what would decide", open_ones), ("handle with care", _doubts(compared))]
    return [Report(tuple(rows[0]), rows, title=title) for title, rows in found if rows]


def _head(compared: Compared, one: Judged) -> dict[str, Any]:
    return {"loss": compared.losses[one.pair.loss], "system": compared.systems[one.pair.system]}


def _counted(compared: Compared, one: Judged) -> dict[str, Any]:
    counts = {"better on": one.wins, "same on": one.ties, "worse on": one.losses}
    return _head(compared, one) | counts | {"by top 1 %": known(one.top_share), "rank correlation": known(one.correlation)}


def _wanting(compared: Compared, one: Judged) -> dict[str, Any]:
    needed = int(one.needed) if math.isfinite(one.needed) else None
    return _head(compared, one) | {"n": one.units, "detectable": one.detectable, "n for this difference": needed}


def _doubts(compared: Compared) -> list[dict[str, Any]]:
    """Winners that change under another loss, another seed, or without the extremes; and intervals not to trust."""
    rows: list[dict[str, Any]] = []
    for one in compared.whole:
        reasons = {
            "another seed changes the verdict": one.seed_flips,
            "without the outermost 1 % of samples the other one wins": one.trimming_flips,
            f"not tested: {one.why}": one.why,
            "fewer than 50 samples: the interval is that of the t-test": one.small and not one.identical,
            "skewed differences: intervals cover less than they say": one.skewed,
        }
        rows += [_head(compared, one) | {"doubt": reason} for reason, holds in reasons.items() if holds]
    return rows + _turning(compared)


def _turning(compared: Compared) -> list[dict[str, Any]]:
    """Systems that are better under one loss and worse under another."""
    rows = []
    for system, name in enumerate(compared.systems):
        own = [one for one in compared.whole if one.pair.system == system]
        found = {one.pair.better: compared.losses[one.pair.loss] for one in reversed(own) if one.pair.better is not None}
        if len(found) > 1:
            doubt = f"it is better under {found[True]} and worse under {found[False]}"
            rows.append({"loss": "", "system": name, "doubt": doubt})
    return rows
