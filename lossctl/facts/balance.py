"""How often each class occurs, and which labels stand for none."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

# Labels that mean "count nothing here": torch's default, the usual one in text, and the border of masks.
BELOW, VOID = (-100, -1), 255
TWO = 2
BY_VALUE = frozenset({"labels", "binary", "plus_minus", "mask"})
BY_COLUMN = frozenset({"one_hot", "simplex"})
IN_COLUMNS = frozenset({*BY_COLUMN, "log_probabilities", "multi_hot", "logits", "probabilities"})
TWO_SIDED = frozenset({"binary", "plus_minus", "mask", "multi_hot"})
NAMES = ("classes", "imbalance", "smallest_share", "entropy", "positive_share", "foreground_share")


def ignored(facts: Mapping[str, Any]) -> Any:
    """The label of whole-numbered data that stands for no class, if there is one: -100 or -1 below, or 255 above a gap."""
    counts = facts["distinct_counts"]
    if not facts["integral"] or not counts or len(counts) <= TWO:
        return None
    values = sorted(counts)
    if values[0] in BELOW and values[1] >= 0:
        return values[0]
    apart = values[-1] == VOID and values[-2] < VOID - 1 and values[0] >= 0 and values[-2] <= TWO * len(values)
    return values[-1] if apart else None


def balance(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Number of classes, how often each occurs, largest over smallest share, the smallest, entropy in bits, and foreground.

    Classes are the labels from the least to the largest, or the columns. Those that never occur count for `classes`, and for
    nothing else.
    """
    found: dict[str, Any] = dict.fromkeys(NAMES)
    counts = _by_class(facts)
    used = [count for count in counts or () if count > 0]
    if facts["kind"] in IN_COLUMNS and facts["class_axis"] is not None:
        found["classes"] = facts["shape"][facts["class_axis"]]
    elif facts["kind"] in BY_VALUE:
        found["classes"] = len(counts) if counts else int(facts["high"]) + 1
    if used:
        shares = [count / sum(used) for count in used]
        found["imbalance"] = max(shares) / min(shares)
        found["smallest_share"] = min(shares)
        found["entropy"] = abs(math.fsum(share * math.log2(share) for share in shares))
    if facts["kind"] in TWO_SIDED:
        found["positive_share"] = 1 - facts["negative_share"] if facts["kind"] == "plus_minus" else 1 - facts["zero_share"]
    if facts["levels"] and {*facts["levels"]} <= {0, 1, VOID}:
        found["foreground_share"] = 1 - facts["zero_share"]
    return found | {"class_counts": counts}


def _by_class(facts: Mapping[str, Any]) -> list[float] | None:
    """How often each class occurs; for soft labels, the sum of its probabilities."""
    counts, kind, means = facts["distinct_counts"], facts["kind"], facts["column_means"]
    if kind in BY_COLUMN and facts["class_axis"] == 1 and means and None not in means:
        samples = facts["elements"] / len(means)
        return [round(mean * samples) if kind == "one_hot" else mean * samples for mean in means]
    if kind not in BY_VALUE or not counts:
        return None
    if kind != "labels":
        return [counts[value] for value in sorted(counts)]
    labels = [int(value) for value in counts if value != facts["ignored"]]
    return [counts.get(label, 0) for label in range(min(labels), max(labels) + 1)]
