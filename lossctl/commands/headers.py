"""First rows that may be names or a sample: of the two readings, the one that makes all inputs equally long.

Imported only where a table leaves it open. Where both readings do, losses are computed of the first samples as each reading
has them: a row that a loss refuses as a sample holds names, and two values are for the user to choose between.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan
from typing import TYPE_CHECKING

from lossctl.errors import InputError
from lossctl.files.heading import ways

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lossctl.files.container import Heading
    from lossctl.files.heading import Entry

    # What each loss gives with these files read the other way; None where it refuses the samples.
    Values = Callable[[frozenset[str]], Sequence["Sampled | None"]]


@dataclass(frozen=True)
class Sampled:
    """What a loss gives on the first `count` of `n` samples; NaN of none, where it cannot be computed of a part."""

    value: float
    count: int
    n: int


def turned(tables: Mapping[str, Heading], entries: Sequence[Entry], values: Values | None) -> tuple[frozenset[str], str]:
    """Choose which of the `tables` in doubt to read the other way, so that all `entries` are equally long, and why.

    Without `values` they are taken to differ.
    Raises: InputError where both readings fit, neither is likelier, and the values differ.
    """
    found = ways(tables, entries)
    if len(found) < 2:  # noqa: PLR2004 - nothing to choose between
        return (found[0] if found else frozenset()), "since all inputs are equally long so"
    if values is None:
        raise _refused(tables, found[0] ^ found[1], None)
    given = [(way, values(way)) for way in found]
    able = [(way, losses) for way, losses in given if any(loss is not None for loss in losses)]
    first, own = able[0] if able else given[0]
    for way, losses in able[1:]:
        pairs = [(one, other) for one, other in zip(own, losses, strict=True) if one is not None and other is not None]
        wrong = [pair for pair in pairs if _differ(*pair)]
        if wrong or not pairs:
            raise _refused(tables, way ^ first, wrong[0] if wrong else None)
    return first, "since the other reading gives no value"


def _differ(one: Sampled, other: Sampled) -> bool:
    """Whether two values differ, or might on the samples that were not looked at."""
    alike = one.value == other.value or (isnan(one.value) and isnan(other.value))
    return not alike or one.count < one.n or other.count < other.n


def _refused(tables: Mapping[str, Heading], paths: frozenset[str], values: tuple[Sampled, Sampled] | None) -> InputError:
    """The error that says both readings."""
    path = min(paths)
    numbers = ""
    if values and values[0].count:
        names, sample = values if tables[path].header else values[::-1]
        first = f" of the first {sample.count:,} samples" if sample.count < sample.n else ""
        numbers = f" As names the loss{first} is {names.value:.6g}, as a sample {sample.value:.6g}."
    what = "may hold names, as pandas writes them, or a sample, and all inputs are equally long both ways"
    message = f"The first row of {path} {what}.{numbers}"
    return InputError(message, hint="Say which it is: --header yes, or --header no.")
