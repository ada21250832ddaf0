"""First rows that may be names or a sample: of the two readings, the one that makes all inputs equally long.

Imported only where a table leaves it open.
"""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING

from lossctl.errors import InputError
from lossctl.files.lengths import ways

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lossctl.commands.opening import Opened
    from lossctl.files.lengths import Entry

# What each loss gives; None where it cannot be computed.
Values = list[float | None]


def settle(
    opened: Opened,
    by_sample: Callable[[str], bool],
    values: Callable[[], Values] | None,
    more: Sequence[tuple[Sequence[str], int]] = (),
) -> None:
    """Choose, and open anew what was read otherwise. `more` are the files and lengths of what is no reader, such as groups.

    `values` computes the losses with what is opened at the time; without it they are taken to differ.
    Raises: InputError where both readings fit, neither is likelier, and the values differ.
    """
    tables = opened.files.doubtful()
    entries: list[Entry] = [
        (frozenset(opened.files.paths(given)) & tables.keys(), reader.shape[0])
        for (given, role), reader in opened.readers.items()
        if reader.shape and by_sample(role)
    ]
    entries += [(frozenset(paths) & tables.keys(), length) for paths, length in more]
    found = ways(tables, entries)
    if not found:
        return
    why = "since all inputs are equally long so" if len(found) == 1 else "since the other reading gives no value"
    _turn(opened, dict.fromkeys(found[0] if len(found) == 1 else _decided(opened, values, found), why))


def _turn(opened: Opened, paths: Mapping[str, str]) -> None:
    """Read files the other way, each with what is said of it."""
    for path, why in paths.items():
        opened.files.turn(path, why)
    opened.refresh()


def _decided(opened: Opened, values: Callable[[], Values] | None, found: Sequence[frozenset[str]]) -> frozenset[str]:
    """Of readings that all fit, the first that gives a value, if no other gives another one."""
    if values is None:
        raise _refused(opened, found[0] ^ found[1], ())
    said = {path: one.why for path, one in opened.files.doubtful().items()}
    given: list[tuple[frozenset[str], Values]] = []
    for way in found:
        _turn(opened, dict.fromkeys(way, ""))
        given.append((way, values()))
        _turn(opened, {path: said[path] for path in way})
    able = [(way, each) for way, each in given if any(value is not None for value in each)]
    if not able:
        return found[0]
    first, own = able[0]
    for way, each in able[1:]:
        pairs = [(one, other) for one, other in zip(own, each, strict=True) if one is not None and other is not None]
        wrong = [pair for pair in pairs if not _same(*pair)]
        if wrong or not pairs:
            raise _refused(opened, way ^ first, wrong)
    return first


def _same(one: float, other: float) -> bool:
    return one == other or (isnan(one) and isnan(other))


def _refused(opened: Opened, paths: frozenset[str], values: Sequence[tuple[float, float]]) -> InputError:
    """The error that says both readings."""
    path = min(paths)
    named = opened.files.doubtful()[path].header
    numbers = ""
    if values:
        names, sample = values[0] if named else values[0][::-1]
        numbers = f" As names the loss is {names:.6g}, as a sample {sample:.6g}."
    what = "may hold names, as pandas writes them, or a sample, and all inputs are equally long both ways"
    message = f"The first row of {path} {what}.{numbers}"
    return InputError(message, hint="Say which it is: --header yes, or --header no.")
