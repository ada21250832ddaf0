"""Which rows of several files belong together: joined on an id column, or compared by ids that all of them hold.

Where rows are paired by their order in the files, and two files hold the same ids in another order, that gives a number which
looks right and is not, so it is refused: all ids are looked at in one pass, by hash.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, combinations, islice
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.errors import LossctlError, RowsInAnotherOrder, ShapeMismatch
from lossctl.sources.cells import number
from lossctl.sources.codes import Labels
from lossctl.sources.container import ELEMENTS, ArrayContainer, Container, as_text
from lossctl.sources.keys import is_unnamed, names_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from lossctl.sources.readers import NumPyArray


# 7, 7.0 and ' 7' are one id; 007 is another, since leading zeros are kept where they mean something.
INTEGER = re.compile(r"(-?(?:0|[1-9]\d*))\.0*", re.ASCII)
# 2024-01-31 00:00, 2024-01-31T00:00:00 and the moment of the same name in UTC are the day 2024-01-31, as in a column of dates.
MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(?::(\d\d)(\.\d+)?)?(?:Z|\+00:?00)?", re.ASCII)
SHORTEST = len("2024-01-31 00:00")
NAMED = 3


def normal(ids: Sequence[str]) -> list[str]:
    """Return ids in the form in which they are compared."""
    return [_normal(text.strip()) for text in ids]


def _normal(text: str) -> str:
    if len(text) >= SHORTEST and text[4] == "-" and (moment := MOMENT.fullmatch(text)):
        return _moment(*moment.groups())
    integer = INTEGER.fullmatch(text) if "." in text else None
    return integer[1] if integer else text


def _moment(day: str, minute: str, second: str | None, fraction: str | None) -> str:
    time = f"{minute}:{second or '00'}{(fraction or '').rstrip('0').rstrip('.')}"
    return day if time == "00:00:00" else f"{day}T{time}"


def order(ids: Sequence[str], wanted: Sequence[str], name: str, other: str) -> NumPyArray:
    """Return the position in `ids` of each id that is `wanted`; both in normal form, from the files `name` and `other`.

    Raises: ShapeMismatch with up to three ids that are missing on either side.
    """
    where = {text: index for index, text in enumerate(ids)}
    missing = [text for text in wanted if text not in where]
    known = set(wanted)
    extra = [text for text in ids if text not in known]
    if missing or extra:
        lacks = [f"{first} lacks {_listed(gone)} of {second}" for first, second, gone in _sides(name, other, missing, extra)]
        raise ShapeMismatch(f"The ids do not fit: {'; '.join(lacks)}.", hint="Both files need the same ids, in any order.")
    return np.fromiter((where[text] for text in wanted), np.int64, len(wanted))


def _sides(name: str, other: str, missing: list[str], extra: list[str]) -> list[tuple[str, str, list[str]]]:
    return [side for side in ((name, other, missing), (other, name, extra)) if side[2]]


def unique(ids: Sequence[str], name: str, on: str) -> None:
    """Check that no id occurs twice.

    Raises: ShapeMismatch with up to three that do.
    """
    if len(set(ids)) == len(ids):
        return
    seen: set[str] = set()
    # `add` returns None, so each id is kept once it has been seen before.
    double = list(dict.fromkeys(text for text in ids if text in seen or seen.add(text)))  # type: ignore[func-returns-value]
    message = f"{name}: {_listed(double)} in column '{on}' occur{'s' * (len(double) == 1)} more than once."
    raise ShapeMismatch(message, hint="An id names one sample; join on another column, or leave --on out to go by row order.")


def _listed(ids: Sequence[str]) -> str:
    named = ", ".join(repr(text) for text in ids[:NAMED])
    more = f", … ({len(ids)} ids)" if len(ids) > NAMED else ""
    return f"{'id' if len(ids) == 1 else 'ids'} {named}{more}"


# Beyond so many rows nobody looks: 8 bytes a row are held where orders differ.
MOST = 10_000_000
# The rows that decide whether a column could be an id, and the columns that are looked at.
FIRST, COLUMNS = 1000, 8
# So many ids in common, as a share, are no chance: the rows were meant to be the same.
SHARED = 0.5
MIX = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
DIGITS = 10 ** np.arange(1, 19, dtype=np.int64)
INT64 = range(-(2**63), 2**63)
KEEP = "If the rows do belong together as they stand, say so with --row-order."
# What stands between the words of a name.
SEPARATORS = re.compile(r"[\W_]+")


@dataclass(eq=False)
class Side:
    """A source that gives rows: its files, which make one table, and the names of the columns that are compared or used.

    `rows` is how many it has.
    """

    text: str
    containers: Sequence[Container]
    used: frozenset[str]
    rows: int

    @cached_property
    def columns(self) -> dict[str, str]:
        """The columns that could be ids: by the name that they share with other files, their own; each name once in each file.

        An index without a name goes by the same name whatever pandas wrote for it, and `imageId`, `ImageID` and `image_id` are
        one name, unless a file has two of them.
        """
        names = [[*(container.names or ())] for container in self.containers]
        alone = [name for name in (names[0] if names else ()) if all(each.count(name) == 1 for each in names)]
        alike = Counter(map(_alike, alone))
        columns: dict[str, str] = {}
        for name in alone:
            if name not in self.used:
                key = _alike(name)
                columns.setdefault(key if alike[key] == 1 or is_unnamed(name) else name, name)
        return columns

    def is_id(self, column: str) -> bool:
        """Whether a column says by its name that it tells rows apart."""
        return names_id(self.columns[column])

    def on(self, column: str) -> str:
        """What `--on` calls a column here."""
        name = self.columns[column]
        return name if column else f"#{[*(self.containers[0].names or ())].index(name) + 1}"

    def pieces(self, column: str) -> Iterator[Sequence[str] | NumPyArray]:
        """The entries of a column, some at a time: as text, or as whole numbers."""
        for container in self.containers:
            labels = Labels(container, [*(container.names or ())].index(self.columns[column]))
            if not isinstance(container, ArrayContainer):
                yield from labels.texts()
                continue
            part = container.elements(labels.position)
            if part.shape[0] != self.rows and len(self.containers) == 1:
                return
            for start in range(0, part.shape[0], ELEMENTS):
                read = part.read(start, min(start + ELEMENTS, part.shape[0]))
                yield read if read.dtype.kind in "iu" and read.dtype != np.uint64 else [as_text(item) for item in read.tolist()]

    def first(self, column: str) -> list[str]:
        """The first entries of a column, in the form in which they are compared."""
        texts = chain.from_iterable(map(str, piece) for piece in self.pieces(column))
        return normal([*islice(texts, FIRST)])


def _alike(name: str) -> str:
    """A name of ids however it is written, nothing for an index without a name, and any other name as it is."""
    if is_unnamed(name):
        return ""
    return SEPARATORS.sub("", name).lower() if names_id(name) else name


@dataclass(frozen=True)
class Look:
    """What one pass over a column finds: how many, their hash in this order and in any, and whether they only count rows."""

    count: int
    ordered: int
    together: int
    counts: bool

    @staticmethod
    def of(side: Side, column: str) -> Look:
        """Look at a column."""
        count, ordered, together, counts = 0, 0, 0, True
        for keys, whole in map(_keys, side.pieces(column)):
            places = np.arange(count, count + len(keys), dtype=np.uint64)
            ordered += int(_mixed(keys + places * MIX[0]).sum(dtype=np.uint64))
            together += int(_mixed(keys ^ MIX[1]).sum(dtype=np.uint64))
            counts = counts and whole is not None and bool(np.isin(whole[:1].astype(np.int64) - count, (0, 1)).all())
            counts = counts and whole is not None and bool((np.diff(whole.astype(np.int64)) == 1).all())
            count += len(keys)
        return Look(count, ordered % 2**64, together % 2**64, counts)


def _mixed(keys: NumPyArray) -> NumPyArray:
    """Spread 64-bit keys evenly (Steele, Lea and Flood 2014, doi:10.1145/2660193.2660195)."""
    with np.errstate(over="ignore"):
        mixed = (keys ^ (keys >> np.uint64(30))) * MIX[1]
        mixed = (mixed ^ (mixed >> np.uint64(27))) * MIX[2]
        spread: NumPyArray = mixed ^ (mixed >> np.uint64(31))
        return spread


def _keys(piece: Sequence[str] | NumPyArray) -> tuple[NumPyArray, NumPyArray | None]:
    """A number for each entry, the same for 7, '7' and '7.0', and the entries where all are whole numbers."""
    if isinstance(piece, np.ndarray):
        return _of_whole(piece), piece
    whole = _whole(piece)
    if whole is not None:
        return _of_whole(whole), whole
    texts = normal(piece)
    keys = np.fromiter(map(hash, texts), np.int64, len(texts)).view(np.uint64)
    numbers = [place for place, text in enumerate(texts) if _is_whole(text)]
    if numbers:
        keys[numbers] = _of_whole(np.asarray([int(texts[place]) for place in numbers], np.int64))
    return keys, None


def _of_whole(numbers: NumPyArray) -> NumPyArray:
    return _mixed(numbers.astype(np.int64, copy=False).view(np.uint64))


def _is_whole(text: str) -> bool:
    """Whether a text is a number as it is written without more ado: not 007, and not too large."""
    digits = text.removeprefix("-")
    plain = digits.isascii() and digits.isdecimal() and (digits[0] != "0" or text == "0")
    return plain and int(text) in INT64


def _whole(texts: Any) -> NumPyArray | None:
    """Texts as whole numbers, where each is written as the number is: 007, 1_000 and ' 7' are longer than their numbers."""
    try:
        numbers = np.fromiter(map(int, texts), np.int64, len(texts))
    except (ValueError, OverflowError):
        return None
    if (numbers == INT64[0]).any():
        return None
    written = 1 + np.searchsorted(DIGITS, np.abs(numbers), side="right") + (numbers < 0)
    return numbers if int(written.sum()) == sum(map(len, texts)) else None


def check(sides: Sequence[Side], say: Callable[[str], None], *, on: bool = True) -> list[str]:
    """Look whether sides that are paired row by row hold the same ids in the same order.

    `on` says whether the command knows `--on`. Returns what a warning says of rows with other ids on both sides.
    Raises: RowsInAnotherOrder.
    """
    paired = [side for side in sides if side.rows > 1 and side.columns]
    warnings: list[str] = []
    seen: dict[tuple[int, str], Look | None] = {}
    for first, second in combinations(paired, 2):
        if first.rows != second.rows or first.text == second.text:
            continue
        used = first.used | second.used
        shared = [name for name in first.columns if name in second.columns]
        columns = [name for name in shared if not {first.columns[name], second.columns[name]} & used]
        columns = sorted(columns, key=lambda name: (not first.is_id(name), not name))[:COLUMNS]
        columns = [name for name in columns if all(_could_be(side, name) for side in (first, second))]
        if columns and first.rows > MOST:
            say(
                f"{first.text} and {second.text}: nobody looked whether '{first.columns[columns[0]]}' is in the same order in "
                f"both, since {first.rows:,} rows are more than {MOST:,}"
            )
            continue
        warnings += _compared(first, second, columns, seen, on=on)
    return warnings


def _could_be(side: Side, column: str) -> bool:
    """Whether a column may be an id, by its name or by its first entries: different whole numbers, or different texts."""
    try:
        first = side.first(column)
    except LossctlError:
        return False
    if side.is_id(column):
        return bool(first)
    kinds = {_kind(text) for text in first}
    return len(set(first)) == len(first) and kinds in ({"text"}, {"whole"}, {"text", "whole"})


def _kind(text: str) -> str:
    if not text:
        return "blank"
    return "text" if number(text) is None else "whole" if text.removeprefix("-").isdecimal() else "fraction"


def _compared(
    first: Side, second: Side, columns: Sequence[str], seen: dict[tuple[int, str], Look | None], *, on: bool
) -> list[str]:
    looks: dict[str, tuple[Look, Look]] = {}
    for name in columns:
        pair = [_seen(side, name, seen) for side in (first, second)]
        if pair[0] and pair[1] and pair[0].count == pair[1].count == first.rows:
            looks[name] = (pair[0], pair[1])
    same = [name for name, (look, other) in looks.items() if look.ordered == other.ordered]
    moved = [name for name, (look, other) in looks.items() if name not in same and look.together == other.together]
    moved = [name for name in moved if first.is_id(name) or _unique(first, name)]
    if moved and not any(_vouches(first, name, looks[name][0], moved) for name in same):
        raise _error(first, second, moved, on=on)
    if same or moved:
        return []
    ids = [name for name in looks if first.is_id(name)]
    for name in ids:
        _check_zeros(first, second, name)
    return [said for name in ids if name and (said := _differing(first, second, name))]


def _vouches(side: Side, name: str, look: Look, moved: Sequence[str]) -> bool:
    """Whether rows belong together since the ids of one column are in the same order, whatever has `moved`.

    Numbers of rows (0, 1, 2, …) are no ids where other ids or texts moved, but a rank or a count is no better than them.
    """
    if not look.counts:
        return _unique(side, name)
    return side.is_id(name) and name not in {"", "index", "idx"} and all(_is_rank(side, column) for column in moved)


def _is_rank(side: Side, column: str) -> bool:
    """Whether a column may be a rank or a count: whole numbers that no name calls ids."""
    return not side.is_id(column) and all(_kind(text) == "whole" for text in side.first(column))


def _check_zeros(first: Side, second: Side, name: str) -> None:
    """Look at ids that are the same but for leading zeros, which programs drop that read 007 as a number.

    Raises: RowsInAnotherOrder.
    """
    begin = [side.first(name) for side in (first, second)]
    if not all(text.isascii() and text.isdecimal() for texts in begin for text in texts):
        return
    if sum(any(text != "0" and text[0] == "0" for text in texts) for texts in begin) != 1:
        return
    try:
        ours, theirs = (np.fromiter(map(int, _texts(side.pieces(name))), np.int64, side.rows) for side in (first, second))
    except (ValueError, OverflowError):
        return
    if (ours == theirs).all() or len(np.unique(ours)) < len(ours) or (np.sort(ours) != np.sort(theirs)).any():
        return
    row = int(np.flatnonzero(ours != theirs)[0])
    message = (
        f"{first.text} and {second.text} hold the same ids in another order, but for leading zeros: in the column "
        f"'{first.columns[name]}' row {row + 1} is number {ours[row]} in the first and number {theirs[row]} in the second."
    )
    raise RowsInAnotherOrder(message, hint=f"Write the ids alike in both files, and join them by --on. {KEEP}")


def _seen(side: Side, name: str, seen: dict[tuple[int, str], Look | None]) -> Look | None:
    """One pass over a column, once whatever it is compared with; a column that cannot be read is no id."""
    key = id(side), name
    if key not in seen:
        seen[key] = None
        with suppress(LossctlError):
            seen[key] = Look.of(side, name)
    return seen[key]


def _held(side: Side, name: str) -> NumPyArray:
    return np.concatenate([keys for keys, _ in map(_keys, side.pieces(name))])


def _unique(side: Side, name: str) -> bool:
    return len(np.unique(_held(side, name))) == side.rows


def _differing(first: Side, second: Side, name: str) -> str:
    """What is said of ids of which many, but not all, are in both; empty where they are too few."""
    ours, theirs = _held(first, name), _held(second, name)
    if len(np.unique(ours)) != len(ours) or len(np.unique(theirs)) != len(theirs):
        return ""
    shared, rows = int(np.isin(ours, theirs).sum()), int((ours != theirs).sum())
    if shared < SHARED * len(ours):
        return ""
    where = int(np.flatnonzero(ours != theirs)[0])
    texts = [next(islice(_texts(side.pieces(name)), where, None)) for side in (first, second)]
    return (
        f"the column '{first.columns[name]}' of {first.text} and {second.text} differs in {rows} of {len(ours)} rows, although "
        f"{shared} ids are in both: row {where + 1} has {texts[0]!r} and {texts[1]!r}. Rows are paired by their order; leave "
        f"out what only one file has, and join with --on {shlex.quote(first.on(name))}"
    )


def _texts(pieces: Iterable[Sequence[str] | NumPyArray]) -> Iterator[str]:
    return chain.from_iterable(normal([*map(str, piece)]) for piece in pieces)


def _error(first: Side, second: Side, moved: Sequence[str], *, on: bool) -> RowsInAnotherOrder:
    """The error about ids in another order, with the first row that shows it and what would be right."""
    name = next((column for column in moved if _unique(first, column)), moved[0])
    alone = _unique(first, name)
    pairs = enumerate(zip(_texts(first.pieces(name)), _texts(second.pieces(name)), strict=False), 1)
    row, (ours, theirs) = next((row, pair) for row, pair in pairs if pair[0] != pair[1])
    column = f"the column '{first.columns[name]}'" if name else "the index, which has no name,"
    message = (
        f"{first.text} and {second.text} hold the same ids in another order: in {column} row {row} has {ours!r} in the first "
        f"and {theirs!r} in the second, and rows would be paired by their order."
    )
    if on and alone and name and first.on(name) != second.on(name):
        both = f"'{first.columns[name]}' and '{second.columns[name]}'"
        hint = f"Join them by it: name the column alike in both files, which is {both}, and use --on. {KEEP}"
        return RowsInAnotherOrder(message, hint=hint)
    if not on or not alone or first.on(name) != second.on(name):
        why = "" if alone else f" by columns that tell rows apart, since '{first.columns[name]}' repeats itself"
        return RowsInAnotherOrder(message, hint=f"Sort both files alike{why}. {KEEP}")
    return RowsInAnotherOrder(message, hint=f"Join them by it: --on {shlex.quote(first.on(name))}. {KEEP}")
