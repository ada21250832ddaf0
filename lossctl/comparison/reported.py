"""A comparison put into rows for people and one document for machines."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from lossctl.comparison.statistics import STATISTICS
from lossctl.report import Report

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lossctl.comparison.result import Comparison, Estimate


def report(compared: Comparison, document: Mapping[str, Any], results: Sequence[Sequence[Mapping[str, Any]]]) -> Report:
    """Put a comparison of systems into a report; `document` is that of its losses, and `results` has theirs by system."""
    rules = compared.rules
    signature = f"|test:{rules.test}|correction:{rules.correction}|alpha:{rules.alpha}"
    signature += f"|resamples:{rules.draws.resamples}|seed:{rules.draws.seed}"
    made = {
        **document,
        "signature": document["signature"] + signature,
        "results": [{**entry, "system": name} for name, own in zip(compared.systems, results, strict=True) for entry in own],
        "comparisons": [_entry(estimate) for estimate in compared.estimates],
    }
    explained, tables = compared.explained
    if tables:
        made["explanations"] = explained
    grouped = ("group",) if any(estimate.group is not None for estimate in compared.estimates) else ()
    columns = ("loss", "system", *grouped, "value", "difference", "relative", "low", "high", "p", "verdict")
    return Report(columns, _rows(compared), made, more=[*_details(compared), *tables])


def _rows(compared: Comparison) -> list[dict[str, Any]]:
    """For each group and loss the baseline, then every other system."""
    rows, others = [], len(compared.systems) - 1
    for place, estimate in enumerate(compared.estimates):
        head = {"loss": estimate.loss, "group": estimate.group or "(all)"}
        if place % others == 0:
            rows.append({**head, "system": estimate.baseline, "value": estimate.base, "verdict": "baseline"})
        rows.append({**head, "system": estimate.system, **_shown(estimate)})
    return rows


def _shown(estimate: Estimate) -> dict[str, Any]:
    return {
        "value": estimate.value,
        "difference": estimate.difference,
        "relative": known(estimate.relative),
        "low": known(estimate.low),
        "high": known(estimate.high),
        "p": known(estimate.adjusted),
        "verdict": estimate.verdict,
    }


def known(number: float | None) -> float | None:
    """The number, and None in place of NaN."""
    return None if number is None or math.isnan(number) else number


def _entry(estimate: Estimate) -> dict[str, Any]:
    """The machine-readable comparison of one system with the baseline under one loss."""
    statistics = dict.fromkeys(STATISTICS) | dict(estimate.statistics)
    needed = int(estimate.needed) if math.isfinite(estimate.needed) else estimate.needed
    return {
        "loss": estimate.loss,
        "system": estimate.system,
        "baseline": estimate.baseline,
        **({} if estimate.group is None else {"group": estimate.group}),
        "value": estimate.value,
        "base": estimate.base,
        "n": estimate.n,
        "difference": estimate.difference,
        "relative": estimate.relative,
        "low": estimate.low,
        "high": estimate.high,
        "low_one_sided": estimate.low_wide,
        "high_one_sided": estimate.high_wide,
        "interval": estimate.interval,
        "error": estimate.error,
        "units": estimate.units,
        "test": estimate.test,
        "p": estimate.p,
        "p_adjusted": estimate.adjusted,
        "verdict": estimate.verdict,
        **({"why": estimate.why} if estimate.why else {}),
        **{name: statistics.pop(name) for name in ("wins", "ties", "losses")},
        "detectable": estimate.detectable,
        "needed": needed,
        **{name: statistics.pop(name) for name in ("top_1_percent", "trimming_flips")},
        "seed_flips": estimate.seed_flips,
        "rank_correlation": statistics.pop("rank_correlation"),
        "small": estimate.small,
        "skewed": estimate.skewed,
        **statistics,
    }


def _details(compared: Comparison) -> list[Report]:
    """The tables below the first: counts by sample, what would decide, and what is not robust."""
    counts = [_by_sample(item) for item in compared.whole if item.statistics.get("wins") is not None]
    undecided = [
        _wanting(item) for item in compared.whole if item.verdict == "undecided" and item.detectable == item.detectable
    ]
    tables = [("sample by sample", counts), ("what would decide", undecided), ("handle with care", _doubts(compared))]
    return [Report(tuple(rows[0]), rows, title=title) for title, rows in tables if rows]


def _head(estimate: Estimate) -> dict[str, Any]:
    return {"loss": estimate.loss, "system": estimate.system}


def _by_sample(estimate: Estimate) -> dict[str, Any]:
    shown = {statistic.column: known(estimate.statistics[name]) for name, statistic in STATISTICS.items() if statistic.column}
    return _head(estimate) | shown


def _wanting(estimate: Estimate) -> dict[str, Any]:
    needed = int(estimate.needed) if math.isfinite(estimate.needed) else None
    return _head(estimate) | {"n": estimate.units, "detectable": estimate.detectable, "n for this difference": needed}


def _doubts(compared: Comparison) -> list[dict[str, Any]]:
    """Winners that change under another loss, another seed, or without the extremes; and intervals not to trust."""
    rows: list[dict[str, Any]] = []
    for estimate in compared.whole:
        reasons = {
            "another seed changes the verdict": estimate.seed_flips,
            "without the outermost 1 % of samples the other one wins": estimate.statistics.get("trimming_flips"),
            f"not tested: {estimate.why}": estimate.why,
            "fewer than 50 samples: the interval is that of the t-test": estimate.small and not estimate.identical,
            "skewed differences: intervals cover less than they say": estimate.skewed,
        }
        rows += [_head(estimate) | {"doubt": reason} for reason, holds in reasons.items() if holds]
    return rows + _turning(compared)


def _turning(compared: Comparison) -> list[dict[str, Any]]:
    """Systems that are better under one loss and worse under another."""
    rows = []
    for system in compared.systems:
        own = [estimate for estimate in reversed(compared.whole) if estimate.system == system]
        losses = {estimate.better: estimate.loss for estimate in own if estimate.better is not None}
        if len(losses) > 1:
            doubt = f"it is better under {losses[True]} and worse under {losses[False]}"
            rows.append({"loss": "", "system": system, "doubt": doubt})
    return rows
