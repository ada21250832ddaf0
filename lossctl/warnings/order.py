"""Traps about rows: predictions and targets that are both right and do not belong together.

Each is found by trying: the same rows are paired in the way that would be right if the mistake had been made. All of small
data is looked at, of large data rows in pieces that are spread over it, since a shift shows only in rows that follow one
another.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from itertools import pairwise
from math import gcd
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.engine.fold import unreduced
from lossctl.engine.reduce import reduced
from lossctl.engine.values import cast, check, finite_rows
from lossctl.errors import LossctlError
from lossctl.losses.loss import weighted_mean
from lossctl.sources.inputs import FileReader
from lossctl.sources.keys import WELL_KNOWN
from lossctl.sources.readers import NumPyArray, dear
from lossctl.warnings.sight import ENOUGH, Sight, trap

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lossctl.engine.binding import Bound, Slot
    from lossctl.request.options import Options


# Below this a tenfold cut is chance too often: with 20 labels of two kinds, one in a million orders fits them all.
FEWEST = 20
ROWS = 20_000
# So many numbers an array cost a wide loss, such as cross_entropy, under a millisecond a pairing.
NUMBERS = 1 << 16
PIECES = 20
# Up to so many numbers, all pairings take less than a millisecond, and are tried whatever the loss.
CHEAP = 1 << 12
# What is read in few places where each costs far more than its bytes.
FEW = 3
SHORTEST = 10
GOLDEN = 0.6180339887498949


@dataclass(frozen=True, eq=False, repr=False)
class TriedPairing:
    """One pairing: its mean, and each row's own loss, NaN where a row counts for nothing."""

    mean: float
    values: NumPyArray


@dataclass(frozen=True, eq=False, repr=False)
class PairedRows:
    """The rows of one loss that are looked at; `whole` arrays are read once, and pieces from their files."""

    bound: Bound
    options: Any
    index: NumPyArray
    everything: bool
    read: dict[str, NumPyArray] = field(default_factory=dict)

    @cached_property
    def own(self) -> dict[str, NumPyArray]:
        """Every input's rows as they were given."""
        return {slot.input.name: self._taken(slot, self.index) for slot in self.bound.slots}

    @cached_property
    def given(self) -> TriedPairing | None:
        """The pairing that was given."""
        return self._tried(self.own)

    def chance(self, step: int = 1) -> TriedPairing | None:
        """Pairs that have nothing to do with one another: the yardstick of a loss that is no better than chance."""
        order = scattered(len(self.index), step)
        mixed = {s.input.name: np.take(self.own[s.input.name], order, s.axis) for s in self.bound.slots if of_target(s)}
        return self._tried({**self.own, **mixed})

    def paired(self, ours: NumPyArray, theirs: NumPyArray) -> TriedPairing | None:
        """Pair rows `ours` of the prediction, and of all that goes with it, with rows `theirs` of the target.

        Returns None where they give no finite number.
        """
        wanted = {slot.input.name: theirs if of_target(slot) else ours for slot in self.bound.slots}
        arrays = {
            slot.input.name: self.own[slot.input.name]
            if wanted[slot.input.name] is self.index
            else self._taken(slot, wanted[slot.input.name])
            for slot in self.bound.slots
        }
        return self._tried(arrays)

    def each(self, pairs: Sequence[tuple[NumPyArray, NumPyArray]]) -> list[TriedPairing | None]:
        """The same of several pairings: those of little data at once, since a call costs more there than its numbers."""
        if self.everything and self.bound.n * self.bound.elements <= CHEAP:
            ours, theirs = (np.concatenate(side) for side in zip(*pairs, strict=True))
            wanted = {slot.input.name: theirs if of_target(slot) else ours for slot in self.bound.slots}
            arrays = {slot.input.name: self._taken(slot, wanted[slot.input.name]) for slot in self.bound.slots}
            # Where one pairing is refused, the others are not.
            with suppress(LossctlError):
                return tried_each(self.bound, arrays, self.options, len(pairs))
        return [self.paired(*pair) for pair in pairs]

    def _tried(self, arrays: Mapping[str, NumPyArray]) -> TriedPairing | None:
        try:
            return tried(self.bound, arrays, self.options)
        except LossctlError:
            # CTC refuses labels that are longer than the frames they are now paired with.
            return None

    def _taken(self, slot: Slot, rows: NumPyArray) -> NumPyArray:
        if slot.axis is None:
            return self._whole(slot, slot.reader.shape[0] if slot.reader.shape else 1)
        return np.take(self._whole(slot, self.bound.n), rows, slot.axis) if self.everything else gathered(slot, rows)

    def _whole(self, slot: Slot, length: int) -> NumPyArray:
        if slot.input.name not in self.read:
            self.read[slot.input.name] = slot.reader.read(0, length, slot.axis or 0)
        return self.read[slot.input.name]


def rows_of(sight: Sight) -> PairedRows | None:
    """Choose the rows to look at, without the first and the last: each has a neighbour on both sides, in every pairing.

    Returns None where there are too few, or where samples are so large that looking at enough of them would take long.
    """
    n, count = sight.bound.n, min(ROWS, NUMBERS // max(1, sight.bound.elements))
    if min(n, count) < FEWEST:
        return None
    if n <= count:
        return PairedRows(sight.bound, sight.options, np.arange(1, n - 1), everything=True)
    pieces = min(FEW if is_dear(sight.bound) else PIECES, max(1, count // SHORTEST))
    length = min(count, n - 2) // pieces
    # They lie at least `length` apart, since all together are no longer than the data.
    starts = np.linspace(1, n - 1 - length, pieces).astype(np.int64)
    index = (starts[:, None] + np.arange(length)).ravel()
    return PairedRows(sight.bound, sight.options, index, everything=False)


def is_dear(bound: Bound) -> bool:
    """Whether single rows of some input cost far more than their bytes."""
    return any(slot.axis is not None and dear(slot.reader) for slot in bound.slots)


def of_target(slot: Slot) -> bool:
    """Whether an input goes with the target: CTC's targets have lengths that move with them."""
    return slot.input.name.startswith("target")


def gathered(slot: Slot, rows: NumPyArray) -> NumPyArray:
    """Read single rows, those that follow one another in one piece."""
    axis, rising = slot.axis or 0, bool((np.diff(rows) > 0).all())
    wanted, back = (rows, None) if rising else np.unique(rows, return_inverse=True)
    ends = np.flatnonzero(np.diff(wanted) != 1) + 1
    pieces = [slot.reader.read(int(run[0]), int(run[-1]) + 1, axis) for run in np.split(wanted, ends)]
    read = np.concatenate(pieces, axis)
    return read if back is None else np.take(read, back, axis)


def tried(bound: Bound, arrays: Mapping[str, NumPyArray], options: Any) -> TriedPairing | None:
    """The mean of the rows that hold only finite numbers, and each one's loss."""
    return tried_each(bound, arrays, options, 1)[0]


def tried_each(bound: Bound, arrays: Mapping[str, NumPyArray], options: Any, parts: int) -> list[TriedPairing | None]:
    """The same of each of `parts` equal parts of the rows, which follow one another.

    Raises: what the loss raises.
    """
    cut = {slot.input.name: slot.axis for slot in bound.slots if slot.axis is not None}
    finite = np.logical_and.reduce([finite_rows(arrays[name], axis) for name, axis in cut.items()])
    kept = {name: np.compress(finite, arrays[name], axis) for name, axis in cut.items()} if not finite.all() else {}
    count = int(finite.sum())
    if not count:
        return [None] * parts
    ready = {s.input.name: cast(kept.get(s.input.name, arrays[s.input.name]), s, options) for s in bound.slots}
    terms = unreduced(bound, ready, np, lambda: np.arange(count))
    sums = {name: term.reshape(count, -1).sum(axis=1) for name, term in _weighed(terms).items()}
    values = np.full(len(finite), np.nan)
    values[finite] = reduced(bound, sums, 1, "mean")
    ends = [0, *np.cumsum(finite.reshape(parts, -1).sum(axis=1)).tolist()]
    totals = {name: np.array([term[low:high].sum() for low, high in pairwise(ends)]) for name, term in sums.items()}
    means = reduced(bound, totals, count, "mean").tolist()
    return [
        TriedPairing(mean, own) if np.isfinite(mean) else None
        for mean, own in zip(means, values.reshape(parts, -1), strict=True)
    ]


def _weighed(terms: dict[str, Any]) -> dict[str, Any]:
    return terms if "weight" in terms else {**terms, "weight": np.ones_like(next(iter(terms.values())))}


def scattered(count: int, step: int = 1) -> NumPyArray:
    """An order of `count` rows in steps of about the golden section; numpy.random would take longer to import."""
    stride = max(1, int(count * GOLDEN * step) % count)
    while gcd(stride, count) > 1:
        stride += 1
    return np.arange(count) * stride % count


@lru_cache(maxsize=4)
def ranked(n: int, first: int) -> NumPyArray:
    """The row of each of `n` rows in the string order of numbers from `first`."""
    return string_ranks(np.arange(n) + first, n + first) - first


def string_ranks(numbers: NumPyArray, stop: int) -> NumPyArray:
    """The places that whole numbers take when all from 0 to `stop` - 1 are sorted as text: 0, 1, 10, 100, …, 2, 20.

    Nothing is sorted: of each length, those are counted that come before.
    """
    digits = 1 + np.searchsorted(10 ** np.arange(1, 18), numbers, side="right")
    ranks = np.zeros(len(numbers), np.int64)
    for length in range(1, len(str(stop - 1)) + 1):
        least = 10 ** (length - 1) if length > 1 else 0
        longer = np.maximum(length - digits, 0)
        head = np.where(length > digits, numbers * 10**longer, numbers // 10 ** np.maximum(digits - length, 0))
        before = np.minimum(head, stop) - least + (length < digits)
        ranks += np.maximum(before, 0)
    return ranks


CUT = 10
# A cut that a few rows make, such as a rare label next to the row that it was predicted for, is chance.
LOWER, LOWER_TO_HIGHER = 10, 3
# At half of what chance gives, rows belong together at least roughly, and only a shift is still looked for.
RELATED = 0.5
CHANCES = 4
PAIR = ["pred", "target"]
# Words of names that say which of the two a column is.
WORDS = re.compile(r"[^a-z]+")
SAID = "pred preds predict prediction predictions predicted yhat hat output outputs logit logits score scores prob probs proba"
MEASURED = "true truth target targets label labels gt actual actuals observed groundtruth"
PREDICTED = frozenset(f"{SAID} probability probabilities forecast forecasts fitted estimate".split())
OBSERVED = frozenset(MEASURED.split())
VAGUE = frozenset({"y", "y_test", "y_val", "score", "scores", "output", "outputs", "label", "labels", "estimate"})
LABELLED = {"bce", "bce_with_logits", "focal", "dice", "brier", "log_loss"}


@dataclass(frozen=True, eq=False, repr=False)
class Pairing:
    """A way to pair rows: its kind, what it says of the data, and the rows of the prediction and of the target."""

    kind: str
    says: str
    ours: NumPyArray
    theirs: NumPyArray


@trap("L043", "rows in another order", whole=True)
def misaligned(sight: Sight) -> str:
    """The loss falls to a tenth or less when rows are paired in another way: shifted by one row, in reverse, or one file in
    the string order of its ids (1, 10, 100, 2, …). Rows that are paired wrongly are no error to any program: an MSE of
    0.010 became 1.91 so. Join on an id with --on, or write one file again in the order of the other. A forecast that only
    repeats the last value looks like a shift by one row.
    """
    if not has_order(sight.bound, sight.options):
        return ""
    rows = rows_of(sight)
    if rows is None or rows.given is None:
        return ""
    result = _best(rows, rows.given)
    return _message(sight, rows, *result) if result else ""


def has_order(bound: Bound, options: Options) -> bool:
    """Whether there are rows of predictions and of targets that could be paired in another way.

    What a mask leaves out may hold anything, and would be paired with what counts.
    """
    sides = {of_target(slot) for slot in bound.slots if slot.axis is not None}
    return len(sides) > 1 and not bound.loss.whole and "mean" in bound.loss.reductions and options.mask is None


def _best(rows: PairedRows, given: TriedPairing) -> tuple[Pairing, TriedPairing] | None:
    """The pairing with the lowest loss of those that cut it to a tenth."""
    chance = rows.chance()
    large = rows.bound.n * rows.bound.elements > CHEAP
    related = large and chance is not None and given.mean <= RELATED * chance.mean
    pairings = [*_shifts(rows), *(() if related else _orders(rows))]
    tries = rows.each([(pairing.ours, pairing.theirs) for pairing in pairings])
    result = [(one, got) for one, got in zip(pairings, tries, strict=True) if got]
    others = [got for _, got in result] + ([] if chance is None else [chance])
    floor = _floor(rows, given, others)
    cut = [] if floor is None else [(one, got) for one, got in result if _cuts(given, got, floor)]
    return min(cut, key=lambda pair: pair[1].mean, default=None)


def _shifts(rows: PairedRows) -> Iterator[Pairing]:
    yield Pairing("down", "each prediction fits the target one row before it", rows.index, rows.index - 1)
    yield Pairing("up", "each prediction fits the target one row after it", rows.index, rows.index + 1)


def _orders(rows: PairedRows) -> Iterator[Pairing]:
    index, n = rows.index, rows.bound.n
    yield Pairing("reversed", "the predictions fit the targets in reverse order", index, n - 1 - index)
    if not rows.everything and is_dear(rows.bound):
        # The rest asks for rows that lie anywhere.
        return
    for first in (0, 1):
        ranks = ranked(n, first)[index] if rows.everything else string_ranks(index + first, n + first) - first
        says = f"are in the string order of numbers from {first} ({'' if first else '0, '}1, 10, 100, …, 2, …)"
        yield Pairing(f"pred{first}", f"the predictions {says}", ranks, index)
        yield Pairing(f"target{first}", f"the targets {says}", index, ranks)


def _floor(rows: PairedRows, given: TriedPairing, others: Sequence[TriedPairing]) -> NumPyArray | None:
    """What each row's loss is measured from: 0, unless some are below it.

    A loss such as a negative log-likelihood may be negative, and a tenth of it means nothing. Then it is measured from the
    least that any pairing gives for the row, chance included. A formula on sums has no such floor.
    """
    every = [given, *others]
    if min(float(np.nanmin(item.values, initial=0)) for item in every) >= 0 <= min(item.mean for item in every):
        return np.zeros(len(given.values))
    if rows.bound.loss.finish is not weighted_mean:
        return None
    more = [rows.chance(step) for step in range(2, 2 + CHANCES)]
    floor: NumPyArray = np.fmin.reduce([item.values for item in (*every, *more) if item is not None])
    return floor


def _cuts(given: TriedPairing, found: TriedPairing, floor: NumPyArray) -> bool:
    """Whether the loss falls to a tenth, in many rows rather than in a few."""
    level = not floor.any()
    if level and found.mean * CUT > given.mean:
        return False
    both = np.isfinite(given.values) & np.isfinite(found.values)
    lower, higher = int((found.values < given.values)[both].sum()), int((found.values > given.values)[both].sum())
    if lower < LOWER or lower < LOWER_TO_HIGHER * higher:
        return False
    if level:
        return True
    before, after = (float((item.values - floor)[both].mean()) for item in (given, found))
    return after * CUT <= before


def _message(sight: Sight, rows: PairedRows, pairing: Pairing, found: TriedPairing) -> str:
    from lossctl.warnings.remedy import joined_by, rewritten

    before, after = _means(rows, pairing, found)
    looked = "" if rows.everything else f" on the {len(rows.index)} rows looked at"
    says = f"{pairing.says}: the mean is then {after:.4g} instead of {before:.4g}{looked}"
    lag = "; a forecast that repeats the last value looks so too" if pairing.kind == "down" else ""
    right = joined_by(sight, lambda order: _joins(rows, order)) or rewritten(sight, pairing.kind)
    return f"{says}{lag}{f'. Right: {right}' if right else ''}"


def _means(rows: PairedRows, pairing: Pairing, found: TriedPairing) -> tuple[float, float]:
    """The means as given and as paired; of all rows, where no row is lost, so that they are those that the user sees."""
    every = replace(rows, index=np.arange(rows.bound.n)) if rows.everything else rows
    same = next((order for order in _orders(every) if order.kind == pairing.kind), None)
    tries = (every.given, every.paired(same.ours, same.theirs)) if same else (rows.given, found)
    before, after = (np.nan if item is None else item.mean for item in tries)
    return before, after


def _joins(rows: PairedRows, order: NumPyArray) -> bool:
    """Whether pairing each prediction with the target of the same id cuts the loss to a tenth too."""
    joined = rows.paired(rows.index, order[rows.index])
    return joined is not None and rows.given is not None and joined.mean * CUT <= rows.given.mean


@trap("L036", "predictions and targets the wrong way round")
def swapped(sight: Sight) -> str:
    """The first input is the prediction. Where it holds nothing but 0 and 1 while the target holds fractions, or whole
    numbers while the target of a class loss does not, the two were probably given in the wrong order. Of any loss this is
    said where the names of the columns or the form of the numbers say so and exchanging them cuts the loss to a tenth. A
    loss that is the same either way shows nothing.
    """
    same = sight.pred.shape == sight.target.shape and sight.pred.size >= ENOUGH
    if not same or [argument.name for argument in sight.bound.loss.signature.inputs] != PAIR or sight.bound.loss.whole:
        return ""
    cut = _exchanged(sight) if _looks_exchanged(sight) else None
    if cut:
        return f"exchanged, pred and target give a mean of {cut[1]:.4g} instead of {cut[0]:.4g}. Right: {_exchange(sight)}"
    labels = sight.loss in LABELLED and np.isin(sight.pred, (0, 1)).all() and not np.isin(sight.target, (0, 1)).all()
    if not labels:
        return ""
    return f"pred holds only 0 and 1 and target holds fractions: are they the wrong way round? Perhaps: {_exchange(sight)}"


def _exchange(sight: Sight) -> str:
    """The command with both the other way round."""
    from lossctl.warnings.remedy import again

    return again(sight, {"pred": sight.typed["target"], "target": sight.typed["pred"]})


def _looks_exchanged(sight: Sight) -> bool:
    """Whether names or numbers say so: by the loss alone, a forecast that is always too low would look exchanged as well."""
    names = [_called(sight.typed.get(name, "")) for name in ("target", "pred")]
    named = all(name in WELL_KNOWN[role] for role, name in zip(("pred", "target"), names, strict=True))
    whole = [bool((array == np.floor(array)).all()) for array in (sight.pred, sight.target)]
    return named or whole == [True, False]


def _called(source: str) -> str:
    """The column of a SOURCE, or its file without a suffix."""
    path, _, key = source.rpartition(":")
    return (key if path else Path(source).stem).lower()


def _exchanged(sight: Sight) -> tuple[float, float] | None:
    """The mean before and after the exchange, where it falls to a tenth."""
    other = {**sight.arrays, "pred": sight.target, "target": sight.pred}
    try:
        for slot in sight.bound.slots:
            check(other[slot.input.name], slot, sight.bound, lambda: np.arange(len(sight.pred)), sight.options)
    except LossctlError:
        return None
    before, after = (tried(sight.bound, arrays, sight.options) for arrays in (sight.arrays, other))
    if before is None or after is None or after.mean < 0 or after.mean * CUT > before.mean:
        return None
    return before.mean, after.mean


@trap("L054", "columns whose names contradict their roles", whole=True)
def misnamed(sight: Sight) -> str:
    """The first input is the prediction, and it comes from what is called y_true, target, label or actual; or the second is
    the target, and is called pred, y_hat, prob or forecast. It is said where the other name does not settle it, and where
    the loss is another one the other way round: mape divides by the target, and mse does not care.
    """
    if sight.pred.shape != sight.target.shape or [argument.name for argument in sight.bound.loss.signature.inputs] != PAIR:
        return ""
    pred, target = (_named(sight, name) for name in PAIR)
    ours, theirs = _role(pred), _role(target)
    wrong = (ours == "target" and theirs != "target") or (theirs == "pred" and ours != "pred")
    # A lone y or score may be anything, unless the other name says which it is.
    if not wrong or ({pred, target} & VAGUE and {ours, theirs} != set(PAIR)) or swapped.look(sight) or _symmetric(sight):
        return ""
    which = f"pred is '{pred}', which is the name of a target" if ours == "target" else ""
    other = f"target is '{target}', which is the name of a prediction" if theirs == "pred" else ""
    return f"{', and '.join(filter(None, (which, other)))}. Exchanged: {_exchange(sight)}"


def _role(name: str) -> str:
    """What a name says that it holds: a prediction, also one of labels; a target; or nothing."""
    words = {word for word in WORDS.split(name) if word}
    return "pred" if words & PREDICTED else "target" if words & OBSERVED or name in {"y", "y_test", "y_val"} else ""


def _named(sight: Sight, name: str) -> str:
    """The column or array of an input, else its file without a suffix."""
    opened = sight.opened.get(name)
    if isinstance(opened, FileReader) and len(opened.columns) == 1:
        return str(opened.columns[0]).lower()
    typed = sight.typed.get(name, "")
    return "" if typed.startswith("[") else _called(typed)


def _symmetric(sight: Sight) -> bool:
    """Whether exchanging both changes nothing, by what the samples looked at give."""
    try:
        pairs = (sight.arrays, {**sight.arrays, "pred": sight.target, "target": sight.pred})
        before, after = (tried(sight.bound, arrays, sight.options) for arrays in pairs)
    except LossctlError:
        return False
    return before is not None and after is not None and bool(np.isclose(before.mean, after.mean, rtol=1e-12, atol=0))
