"""The gates of a report, and its changes from a baseline: decided once values are known, and written into the report.

Two results are set side by side by their keys, and tested where both hold their samples. Every output format shows the gates.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lossctl.checking.saved import Entry, Saved, higher_is_better, load, renamed
from lossctl.errors import LossctlError, UsageError
from lossctl.gates import RELATIVE, TESTED, Change, Check, check_bounds, check_changes, check_coverage, verdict
from lossctl.report import Report, number_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lossctl.request.spec import Gate, Spec
    from lossctl.warnings import Warned


# Intervals need fewer resamples than p-values: their ends move by 1 % of their width.
RESAMPLED = 1_999
# A value that differs from the mean of its samples by more than rounding is no mean of them.
ROUNDING = 1e-9
# One sample has no spread.
LEAST = 2
AGAIN = "Save both results with --per-sample, or let lossctl compare read both predictions."


def changes_between(now: Saved, base: Saved, gates: Sequence[Gate], alpha: float) -> list[Change]:
    """Every result that both have, beside its baseline; with tests where a gate needs them."""
    known = {entry.key: entry for entry in base.entries()}
    pairs = [(entry, its) for entry in now.entries() if (its := known.get(entry.key) or known.get(_plain(entry.key)))]
    changes = [_change(mine, its, alpha) for mine, its in pairs]
    if not any(gate.require in TESTED for gate in gates):
        return changes
    meant = _meant(gates, changes)
    result = [
        _tested(change, mine, its, _unpaired(now, base, mine, its)) if change.key in meant else change
        for change, (mine, its) in zip(changes, pairs, strict=True)
    ]
    return _corrected(result)


def _plain(key: str) -> str:
    """A key without the system that it is of, for a baseline that knows no systems."""
    return re.sub(r"\[[^\]]*\]", "", key)


def _meant(gates: Sequence[Gate], changes: Sequence[Change]) -> set[str]:
    """The keys whose changes are judged: those that are named, or where none is, every loss."""
    relative = [gate for gate in gates if gate.kind in RELATIVE]
    every = not any(gate.kind != "require" for gate in relative)
    named = {gate.key for gate in renamed(relative, (name for change in changes for name in (change.key, *change.aliases)))}
    return {
        change.key for change in changes if named & {change.key, *change.aliases} or ("" in named and every and change.main)
    }


def _change(mine: Entry, its: Entry, alpha: float) -> Change:
    return Change(
        mine.key,
        mine.value,
        its.value,
        alpha=alpha,
        aliases=mine.aliases,
        higher_is_better=mine.higher_is_better,
        main=mine.main,
        hint=AGAIN,
    )


def _unpaired(now: Saved, base: Saved, mine: Entry, its: Entry) -> str:
    """Why two results cannot be compared sample by sample; empty where they can."""
    unfit = _unfit(now, mine) or _unfit(base, its)
    if unfit or mine.result is None or its.result is None:
        return unfit
    names = [_names(entry["samples"]) for entry in (mine.result, its.result)]
    if len(names[0] & names[1]) < max(map(len, names)):
        return f"{now.name} and {base.name} hold different samples"
    targets = [
        {item["sha256"] for item in saved.document.get("inputs", ()) if item["role"] == "target"} for saved in (now, base)
    ]
    by_id = all("id" in sample for entry in (mine.result, its.result) for sample in entry["samples"])
    if all(targets) and targets[0] != targets[1] and not by_id:
        return f"{now.name} and {base.name} have different targets, and no ids that say which samples are the same"
    return ""


def _unfit(saved: Saved, entry: Entry) -> str:
    """Why one result has no samples to test; empty where it has."""
    if entry.result is None or "group" in entry.result:
        return f"'{entry.key}' is no value of all samples"
    if len(entry.result.get("samples", ())) != entry.result["n"]:
        return f"{saved.name} does not hold all samples of '{entry.key}'"
    if entry.result["n"] < LEAST:
        return f"{saved.name} holds a single sample, which has no spread"
    return "" if _is_mean(entry.result) else f"'{entry.key}' is no mean of its samples in {saved.name}"


def _is_mean(result: Mapping[str, Any]) -> bool:
    values = [item["value"] for item in result["samples"]]
    if result["reduction"] not in {"mean", "sum"} or any(not isinstance(value, float | int) for value in values):
        return False
    total = math.fsum(values) if result["reduction"] == "sum" else math.fsum(values) / len(values)
    return result["value"] is not None and abs(total - result["value"]) <= ROUNDING * max(abs(total), abs(result["value"]))


def _names(samples: Iterable[Mapping[str, Any]]) -> set[Any]:
    return {sample.get("id", sample["index"]) for sample in samples}


def _tested(change: Change, mine: Entry, its: Entry, why: str) -> Change:
    """The change with its p-value and intervals, or with the reason why it has none."""
    if why or mine.result is None or its.result is None:
        return replace(change, why=why)
    import numpy as np

    from lossctl.statistics.arrays import Draws
    from lossctl.statistics.flips import flip_test
    from lossctl.statistics.intervals import bootstrap_mean, interval

    base = {item.get("id", item["index"]): item["value"] for item in its.result["samples"]}
    scale = len(base) if mine.result["reduction"] == "sum" else 1
    apart = np.array([scale * (item["value"] - base[item.get("id", item["index"])]) for item in mine.result["samples"]])
    drawn = bootstrap_mean(apart, Draws(RESAMPLED))
    # No bootstrap is to be trusted with so few, and one of a single sample has no width at all.
    method = "t" if drawn.small else "bca"
    (low,), (high,) = _ends(interval(drawn, 1 - change.alpha, method))
    (low90,), (high90,) = _ends(interval(drawn, 1 - 2 * change.alpha, method))
    p, error = float(flip_test(apart).p[0]), float(drawn.error[0])
    return replace(change, low=low, high=high, low90=low90, high90=high90, p=p, error=error, units=len(apart))


def _ends(found: Any) -> tuple[list[float], list[float]]:
    return found.low.tolist(), found.high.tolist()


def _corrected(changes: Sequence[Change]) -> list[Change]:
    """P-values corrected by Holm for all that are tested at once."""
    import numpy as np

    from lossctl.statistics.flips import adjust

    tested = [change for change in changes if change.p is not None]
    adjusted = iter(adjust(np.array([change.p for change in tested], np.float64), "holm").tolist())
    return [change if change.p is None else replace(change, p=next(adjusted)) for change in changes]


def changes_of(comparisons: Iterable[Mapping[str, Any]], alpha: float) -> list[Change]:
    """The changes that `compare` found, from the `comparisons` of its result."""
    entries = list(comparisons)
    alone = len({entry["system"] for entry in entries}) == 1
    return [_compared(entry, alpha, alone=alone) for entry in entries]


def _compared(entry: Mapping[str, Any], alpha: float, *, alone: bool) -> Change:
    group, loss = entry.get("group", ""), entry["loss"]
    behind = f"@{group}" if group else ""
    return Change(
        f"{loss}{behind}",
        number_of(entry, "value"),
        number_of(entry, "base"),
        low=_known(entry["low"]),
        high=_known(entry["high"]),
        low90=_known(entry["low_one_sided"]),
        high90=_known(entry["high_one_sided"]),
        p=_known(entry["p_adjusted"]),
        alpha=alpha,
        error=_known(entry["error"]),
        units=None if _known(entry["units"]) is None else int(entry["units"]),
        system="" if alone else entry["system"],
        aliases=(f"{loss}[{entry['system']}]{behind}",),
        higher_is_better=higher_is_better(loss.partition(":")[0]),
        main=not group,
        why=entry.get("why", f"'{loss}' was not tested"),
    )


def _known(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value


# The level of tests unless one is named.
DEFAULT = 0.05


def judged(  # noqa: PLR0913, PLR0917 - everything that may fail a run
    report: Report,
    spec: Spec,
    values: Mapping[str, float],
    coverage: float,
    warned: Sequence[Warned] = (),
    own: Sequence[Check] = (),
) -> tuple[Report, LossctlError | None]:
    """Return the report with every check in it, the command's own last, and the error to exit with.

    Raises: BadParameter, UsageError for gates that fit no result, and what reading the baseline raises.
    """
    now = Saved("this result", report.document)
    gates = decided(spec.gates, values, now, spec.against, spec.alpha)
    return with_checks(report, [*gates, *_others(spec, coverage, warned), *own])


def decided(gates: Sequence[Gate], values: Mapping[str, float], now: Saved, against: str, alpha: float | None) -> list[Check]:
    """Look at every gate: bounds by `values`, changes by the baseline `against`, or by that of a comparison.

    Raises: as `judged`.
    """
    changes = _changes(now, gates, against, alpha) if any(gate.kind in RELATIVE for gate in gates) else []
    names = {name for change in changes for name in (change.key, *change.aliases)}
    return check_bounds(gates, values) + check_changes(renamed(gates, names), changes)


def _changes(now: Saved, gates: Sequence[Gate], against: str, alpha: float | None) -> list[Change]:
    """What a result is judged by. A comparison has made its intervals for one level.

    Raises: UsageError for another one, and what reading the baseline raises.
    """
    if against:
        return changes_between(now, load(against), gates, DEFAULT if alpha is None else alpha)
    made = re.search(r"\balpha:([^|]+)", str(now.document.get("signature", "")))
    level = float(made[1]) if made else DEFAULT
    if alpha is not None and alpha != level:
        message = f"{now.name} was compared at alpha {level:g}, and its intervals say nothing at {alpha:g}."
        raise UsageError(message, hint=f"Compare again with --alpha {alpha:g}.")
    return changes_of(now.document.get("comparisons", ()), level)


def _others(spec: Spec, coverage: float, warned: Sequence[Warned]) -> list[Check]:
    """What is no gate of one value: `--min-coverage`, and `--strict`, which makes failures of warnings."""
    result = check_coverage(coverage, spec.options.min_coverage)
    if spec.options.strict and warned:
        codes = ", ".join(dict.fromkeys(item.code for item in warned))
        message = f"--strict turns warnings into failures: {codes}"
        hint = f"lossctl info {warned[0].code} explains it."
        result.append(Check("warnings", "strict", 0.0, float(len(warned)), passed=False, message=message, hint=hint))
    return result


def with_checks(report: Report, checks: Sequence[Check]) -> tuple[Report, LossctlError | None]:
    """The report with its checks, and the error to exit with."""
    document = {**report.document, "checks": [check.as_dict() for check in checks]}
    return replace(report, document=document), verdict(checks)
