"""From sums to answers: reductions, per-sample values, groups, statistics.

The mean is the loss's own `finish` on sums; sum, none and batchmean are the engine's. A result that is not a number
although every input is one is an error too, unless NaN may propagate.
"""

from __future__ import annotations

import math
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.engine.fold import Keep, fold, fold_block
from lossctl.engine.values import infinities
from lossctl.errors import LossctlError, NoSuchReduction, NotFinite, NothingLeft, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lossctl.engine.binding import Bound
    from lossctl.engine.block import Selection
    from lossctl.engine.totals import Digest, LossTotals
    from lossctl.losses.backends import Backend
    from lossctl.request.options import Options
    from lossctl.sources.readers import NumPyArray

# No label is moved farther: whole numbers of 64 bits must not run over.
FARTHEST = 2**31
# Numbers that are looked at in search of an infinity.
FEW = 1 << 18


@dataclass(frozen=True, eq=False, repr=False)
class Outcome:
    """What one loss came to.

    `value` is a float, or a nested list under `none`; `samples` are pairs of sample number and value; `sums` are those of the
    loss's terms. An optional loss that refuses the values is `unfit`, and the rest means nothing.
    """

    value: Any
    n: int
    skipped: int = 0
    groups: Mapping[int, tuple[float, int]] = field(default_factory=dict)
    samples: tuple[NumPyArray, NumPyArray] | None = None
    stats: Mapping[str, float] = field(default_factory=dict)
    sums: Mapping[str, float] = field(default_factory=dict)
    unfit: LossctlError | None = None

    @property
    def coverage(self) -> float:
        """The share of samples that were not skipped."""
        seen = self.n + self.skipped
        return self.n / seen if seen else 0.0


def evaluate(bounds: Sequence[Bound], backend: Backend, options: Options, selection: Selection) -> list[Outcome]:
    """Fold all losses in one pass and reduce each.

    Raises: NoSuchReduction, NothingLeft, NotFinite, and what the fold raises.
    """
    some = (options.worst or options.best or options.stats) and not options.per_sample
    digest = None
    if some:
        from lossctl.engine.totals import ByOptions

        digest = ByOptions(bounds, options, own_values)
    return evaluate_keeping(bounds, backend, options, selection, keep_of(options), digest=digest)[0]


def evaluate_keeping(  # noqa: PLR0913, PLR0917 - everything that a pass depends on
    bounds: Sequence[Bound],
    backend: Backend,
    options: Options,
    selection: Selection,
    keep: Keep,
    extra: Keep = frozenset(),
    digest: Digest | None = None,
) -> tuple[list[Outcome], list[LossTotals]]:
    """The same, with what was gathered, or what `digest` left of it.

    `extra` is gathered where a loss has it, and no loss is refused that has not.

    Raises: as `evaluate`.
    """
    check_asked(bounds, options, selection, keep)
    tallies = fold(bounds, backend, options, selection, keep=keep | extra, digest=digest)
    outcomes = []
    for bound, tally in zip(bounds, tallies, strict=True):
        outcome = Outcome(math.nan, 0)
        with tally.tolerating() if bound.optional else nullcontext():
            if tally.unfit is None:
                outcome = outcome_of(bound, tally, options)
                if options.nan != "propagate":
                    _refuse_non_finite(bound, outcome, tally, backend, options, selection)
        outcomes.append(replace(outcome, unfit=tally.unfit) if tally.unfit else outcome)
    return outcomes, tallies


def check_asked(bounds: Sequence[Bound], options: Options, selection: Selection, keep: Keep = frozenset()) -> None:
    """Refuse a reduction, a weight or a label offset that a loss has no meaning for.

    Raises: NoSuchReduction, UsageError.
    """
    for bound in bounds:
        _check_reduction(bound, options.reduction, keep)
        _check_selection(bound, options.reduction, selection)
    _check_offset(bounds, options)


def keep_of(options: Options) -> Keep:
    """What a pass has to gather besides sums."""
    samples = options.per_sample or options.worst or options.best or options.stats
    return frozenset({"samples"} if samples else ()) | frozenset({"values"} if options.reduction == "none" else ())


def _check_reduction(bound: Bound, reduction: str, keep: Keep) -> None:
    loss = bound.loss
    if reduction not in loss.reductions:
        pooled = "sum" not in loss.reductions
        why = "it is a formula on pooled sums, not a mean of terms" if pooled else "only some losses have it, as in torch"
        message = f"{loss.name} has no reduction '{reduction}': {why}."
        raise NoSuchReduction(message, hint=f"It has: {', '.join(loss.reductions)}.")
    if keep and loss.whole and "none" not in loss.reductions:
        message = f"{loss.name} is a property of all samples together: no sample has a value of its own."
        raise NoSuchReduction(message, hint="Leave out --per-sample, --worst, --best and --stats.")


def _check_selection(bound: Bound, reduction: str, selection: Selection) -> None:
    """Refuse weights and masks where it is not clear what they would mean."""
    if bound.loss.whole and "none" not in bound.loss.reductions and not selection.whole:
        own = [tensor.name for tensor in bound.loss.signature.tensors]
        message = f"{bound.loss.name} is a property of all samples together: --weights and --mask do not apply to it."
        raise UsageError(message, hint=f"It has weights of its own: {', '.join(own)}." if own else "Leave them out.")
    if reduction == "batchmean" and selection.weights is not None:
        message = "batchmean divides by the number of samples, and --weights changes what a sample counts for."
        raise NoSuchReduction(message, hint="Use --reduction mean or sum.")


def _check_offset(bounds: Sequence[Bound], options: Options) -> None:
    if abs(options.label_offset) > FARTHEST:
        message = f"--label-offset {options.label_offset} moves labels beyond every class."
        raise UsageError(message, hint="Labels that begin at 1 need --label-offset -1.")
    if options.label_offset and not any(slot.input.word.shifts for bound in bounds for slot in bound.slots):
        message = f"--label-offset has no meaning here: {bounds[0].loss.name} is given no class labels."
        raise UsageError(message, hint="Leave it out.")


def reduced(bound: Bound, sums: Mapping[str, Any], n: int, reduction: str) -> NumPyArray:
    """Reduce sums, which may be scalars or one entry a sample; nothing to average gives NaN."""
    arrays = {name: np.asarray(value, np.float64) for name, value in sums.items()}
    if "own_mean" in arrays:
        return _own(bound, arrays, reduction)
    with np.errstate(all="ignore"):
        if reduction == "sum":
            return arrays["value"]
        if reduction == "batchmean":
            return arrays["value"] / np.float64(n)
        finished: NumPyArray = bound.loss.finish(np, arrays, **bound.params)
        return np.where(arrays["weight"] == 0, np.nan, finished)


def _own(bound: Bound, sums: Mapping[str, NumPyArray], reduction: str) -> NumPyArray:
    """What somebody else's loss gives under its own reduction; without one, its values still have a sum."""
    result = sums.get(f"own_{reduction}", sums.get("value") if reduction == "sum" else None)
    if result is None:
        message = f"{bound.loss.name} has no reduction '{reduction}' of its own."
        has = [name.removeprefix("own_") for name in sums if name.startswith("own_")]
        raise NoSuchReduction(message, hint=f"It has: {', '.join(has)}.")
    return result


def outcome_of(bound: Bound, tally: LossTotals, options: Options) -> Outcome:
    """Reduce what one loss has gathered.

    Raises: NothingLeft, NoSuchReduction.
    """
    sums = tally.sums.finish()
    if options.reduction in {"mean", "batchmean"} and options.nan != "propagate" and (sums["weight"] == 0 or tally.n == 0):
        raise _nothing_left(bound, tally)
    value: Any = (
        _unreduced(bound, tally) if options.reduction == "none" else float(reduced(bound, sums, tally.n, options.reduction))
    )
    groups = {
        code: (float(reduced(bound, part.finish(), tally.counts[code], _scalar(options))), tally.counts[code])
        for code, part in sorted(tally.groups.items())
    }
    samples, stats = _of_samples(bound, tally, options) if tally.rows or tally.found else (None, {})
    return Outcome(value, tally.n, tally.skipped, groups, samples, stats, sums)


def _of_samples(
    bound: Bound, tally: LossTotals, options: Options
) -> tuple[tuple[NumPyArray, NumPyArray] | None, dict[str, float]]:
    """The samples that were asked for, and their spread."""
    from lossctl.engine.totals import Kept
    from lossctl.statistics.ordered import spread, statistics

    kept = tally.found if isinstance(tally.found, Kept) else Kept()
    samples = own_values(bound, tally) if tally.rows and "samples" in keep_of(options) else None
    if kept.extremes is not None:
        samples = kept.extremes.rows, kept.extremes.values
    stats = spread(kept.pile.done(), kept.pile.moments) if kept.pile is not None else {}
    if options.stats and not stats and samples is not None:
        stats = statistics(samples[1])
    return samples, stats


def _scalar(options: Options) -> str:
    return "mean" if options.reduction == "none" else options.reduction


def _unreduced(bound: Bound, tally: LossTotals) -> Any:
    values = np.concatenate(tally.values) if tally.values else np.zeros(0)
    return values[0].tolist() if bound.single and len(values) else values.tolist()


def own_values(bound: Bound, tally: LossTotals) -> tuple[NumPyArray, NumPyArray]:
    """The number and the own mean of each sample, by the same formula as the whole."""
    names = tally.samples[0]
    sums = {name: np.concatenate([part[name] for part in tally.samples]) for name in names}
    return np.concatenate(tally.rows), reduced(bound, sums, 1, "mean")


def _nothing_left(bound: Bound, tally: LossTotals) -> NothingLeft:
    seen = tally.n + tally.skipped
    why = f"all {seen} samples are skipped or masked" if seen else "there are no samples"
    if tally.n:
        why = f"every one of the {seen} samples is ignored, masked, or has weight 0"
    if tally.n and bound.slots and not any(prod(slot.reader.shape) for slot in bound.slots):
        why = f"the {seen} samples have no elements"
    message = f"{bound.loss.name} has nothing left to average: {why}, so that the mean is undefined."
    return NothingLeft(message, hint="Use --reduction sum for 0, or --nan propagate for nan.")


def _refuse_non_finite(  # noqa: PLR0913, PLR0917 - everything that the value depends on
    bound: Bound, outcome: Outcome, tally: LossTotals, backend: Backend, options: Options, selection: Selection
) -> None:
    """Refuse a result that is not finite, and say where it began: inputs are finite, or at infinities without a limit.

    One block is read anew for that, and nothing where a set of losses leaves this one out.
    """
    values = np.asarray(outcome.value, np.float64)
    if np.isfinite(values).all():
        return
    odd = values[~np.isfinite(values)]
    word = "nan" if np.isnan(odd).any() else "-inf" if (odd < 0).all() else "inf"
    where = "" if bound.optional else _where(bound, tally, backend, options, selection)
    raise NotFinite(f"{bound.loss.name} is {word}{where}.", hint="Use --nan propagate to print it all the same.")


def _where(bound: Bound, tally: LossTotals, backend: Backend, options: Options, selection: Selection) -> str:
    """Where a result that is not finite comes from, as far as the first block tells whose sums are not."""
    span = tally.spoiled or tally.span
    if bound.loss.whole or span is None:
        sample, said = None, ""
    else:
        sample, count = _first_spoiled(bound, fold_block(bound, backend, options, selection, span))
        said = "" if sample is None else f"sample {sample} is the first" + (f" of {count}" if span == (0, bound.n) else "")
    culprit = _infinite_input(bound, sample)
    if culprit:
        return f": {said}{', and ' if said else ''}{culprit}, where it has no finite limit"
    finite = not any(infinities(slot, bound) and prod(slot.reader.shape) > FEW for slot in bound.slots)
    return f"{', although every input is finite' if finite else ''}{': ' if said else ''}{said}"


def _first_spoiled(bound: Bound, tally: LossTotals) -> tuple[int | None, int]:
    """The number of the first sample of a block that spoils its sums or its own mean, and how many do.

    What counts for nothing has no mean of its own, and spoils only by its sums.
    """
    if not tally.rows:
        return None, 0
    rows, values = own_values(bound, tally)
    sums = tally.samples[0]
    spoiled = ~np.all([np.isfinite(term) for term in sums.values()], axis=0)
    bad = np.flatnonzero(spoiled | ((sums["weight"] != 0) & ~np.isfinite(values)))
    return (int(rows[bad[0]]) if len(bad) else None), len(bad)


def _infinite_input(bound: Bound, sample: int | None) -> str:
    """Name the first infinity of a sample, or among the first numbers: only scores may hold any."""
    for slot in (slot for slot in bound.slots if infinities(slot, bound)):
        axis, length = slot.axis or 0, slot.reader.shape[slot.axis or 0] if slot.reader.shape else 1
        one = sample is not None and slot.axis is not None
        start, step = (sample or 0, 1) if one else (0, max(1, FEW * length // max(1, prod(slot.reader.shape))))
        array = slot.reader.read(start, min(start + step, length), axis)
        wrong = np.isinf(array)
        if wrong.any():
            place = [int(i) for i in np.unravel_index(int(np.argmax(wrong)), wrong.shape)]
            number = array[tuple(place)]
            if place:
                place[axis] += start
            name = f"{slot.input.name} ({slot.reader.name})"
            return f"{name} at {slot.reader.place(tuple(place))} is {number}" if place else f"{name} is {number}"
    return ""
