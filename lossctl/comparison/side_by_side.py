"""Several losses on one prediction: each one's value, how few samples make it, and how it stands beside the others.

All losses share one pass over the data, and their best constants a second one, however many losses there are; only the
samples that constants are looked for on are read besides.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.comparison.character import Character, character
from lossctl.comparison.constant import Constant, constants
from lossctl.engine.opening import Prepared, without
from lossctl.engine.reduce import Outcome, evaluate_keeping, reduced
from lossctl.engine.threads import in_lanes
from lossctl.errors import LossctlError, NoGradient, UsageError
from lossctl.losses.backends import BACKENDS, Backend
from lossctl.report import Report
from lossctl.statistics.power import FEW, rank_correlation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lossctl.engine.binding import Bound
    from lossctl.engine.block import Selection
    from lossctl.engine.totals import LossTotals
    from lossctl.request.options import Options
    from lossctl.sources.readers import NumPyArray
    from lossctl.statistics.arrays import Floats

# What the values by sample of one loss take until they are ranked, in bytes: two sums, its own mean, its number, and a copy.
BYTES_A_SAMPLE = 40
# Of more samples so many are ranked: the correlation is then known to about 0.005.
RANKED = 50_000
FIGURES = ("top_1_percent", "skill", "rank_correlation")
TRAITS = ("best_constant", "robust", "convex", "estimates")
# More classes than these are in JSON only.
SHOWN = 4


@dataclass(frozen=True)
class Beside:
    """One loss beside the others; None where it has no such figure.

    `top_share` is the part of the sum over samples that the 1 % of samples (rounded up) with the largest share have, and
    `correlation` Spearman's of losses by sample with those of the first loss that has them. `norm` is that of the gradient by
    the prediction, where it was asked for.
    """

    outcome: Outcome
    character: Character = field(default_factory=Character)
    constant: Constant | None = None
    top_share: float | None = None
    correlation: float | None = None
    better_high: bool = False
    norm: float | None = None

    @property
    def unfit(self) -> LossctlError | None:
        """Why a member of a set refused the values; the rest then means nothing."""
        return self.outcome.unfit

    @property
    def skill(self) -> float | None:
        """D^2: the part of the best constant's loss that the prediction saves; only of losses that are not below zero."""
        value = float(self.outcome.value)
        if self.constant is None or self.better_high or not (self.constant.loss > 0 and value >= 0):
            return None
        return 1 - value / self.constant.loss


def bytes_by_sample(bounds: Sequence[Bound]) -> int:
    """How many bytes the values by sample of all losses take."""
    return BYTES_A_SAMPLE * sum(bound.n for bound in bounds)


def losses_of(
    prepared: Prepared, options: Options, seed: int, say: Callable[[str], None], *, grad: bool
) -> tuple[Prepared, list[Beside]]:
    """What is asked for, put side by side; with the request for what the values fit, and with `grad` norms of gradients.

    Raises: UsageError for groups of a loss that couples samples, and what a pass over the data raises.
    """
    _say_limits(prepared, options, say)
    losses = side_by_side(prepared.bounds, BACKENDS.get(options.backend)(), options, _selection(prepared), seed)
    (prepared,), (losses,) = without([prepared], [losses], say)
    if grad:
        pairs = zip(prepared.bounds, losses, strict=True)
        losses = [replace(loss, norm=_norm(bound, loss.outcome, options, prepared.selection)) for bound, loss in pairs]
    return prepared, losses


def _selection(prepared: Prepared) -> Selection:
    """The selection with its groups.

    Raises: UsageError for a loss that couples samples.
    """
    if prepared.groups is None:
        return prepared.selection
    name = next((bound.loss.name for bound in prepared.bounds if bound.loss.whole), "")
    if name:
        message = f"{name} couples all samples, so that its groups cannot be told apart in one pass."
        raise UsageError(message, hint="Leave out --by, or give it one group's samples.")
    return replace(prepared.selection, groups=prepared.groups.codes)


def _say_limits(prepared: Prepared, options: Options, say: Callable[[str], None]) -> None:
    need = bytes_by_sample(prepared.bounds)
    if need > options.max_memory:
        text = "left out top_1_percent and rank_correlation, which need every sample's losses"
        say(f"{text}: about {need / 2**20:,.0f} MiB; --max-memory {need / 2**20 * 1.1:.0f} allows them")


def side_by_side(
    bounds: Sequence[Bound], backend: Backend, options: Options, selection: Selection, seed: int = 0
) -> list[Beside]:
    """Compute every loss and what distinguishes it; what needs every sample's losses only up to the limit of memory.

    Raises: what a pass over the data raises.
    """
    extra = frozenset({"terms"} if bytes_by_sample(bounds) <= options.max_memory else ())
    plain = replace(options, per_sample=False, worst=0, best=0, stats=False)
    outcomes, tallies = evaluate_keeping(bounds, backend, plain, selection, frozenset(), extra)
    fit = [number for number, outcome in enumerate(outcomes) if not outcome.unfit]
    pairs, bounds = [(bounds[number], tallies[number]) for number in fit], [bounds[number] for number in fit]
    shares = in_lanes(_top_share, pairs, options.jobs)
    correlations = in_lanes(RankedSamples.of(pairs, seed).correlation, pairs, options.jobs)
    best = constants(bounds, backend, plain, replace(selection, groups=None), seed)
    characters = [character(bound.loss, bound.params) for bound in bounds]
    higher = [bound.loss.higher_is_better for bound in bounds]
    result = zip(fit, characters, best, shares, correlations, higher, strict=True)
    beside = {number: Beside(outcomes[number], *each) for number, *each in result}
    return [beside.get(number, Beside(outcome)) for number, outcome in enumerate(outcomes)]


def _top_share(pair: tuple[Bound, LossTotals]) -> float | None:
    """Only of a loss that is made of one sum over samples; there is nothing to have a share in where there are several."""
    bound, tally = pair
    names = [name for name in tally.samples[0] if name != "weight"] if _has_own(bound, tally) else []
    name = "value" if "value" in names else names[0] if len(names) == 1 else ""
    if not name:
        return None
    parts = [np.asarray(part[name], np.float64) for part in tally.samples]
    total = math.fsum(float(part.sum()) for part in parts)
    if not math.isfinite(total) or total == 0:
        return None
    count = math.ceil(FEW * sum(map(len, parts)))
    # Block by block, since a block fits into the cache.
    return float(_largest(np.concatenate([_largest(part, count) for part in parts]), count).sum()) / total


def _largest(values: Floats, count: int) -> Floats:
    """The `count` largest in any order, or all where there are fewer."""
    rest = len(values) - count
    return values if rest <= 0 else np.partition(values, rest)[rest:]


Sampled = tuple["NumPyArray", "NumPyArray"]


@dataclass(frozen=True)
class RankedSamples:
    """Which samples losses are ranked on, and the numbers and losses of those of the first loss that has any."""

    chosen: NumPyArray | None
    first: Sampled | None

    @staticmethod
    def of(pairs: Sequence[tuple[Bound, LossTotals]], seed: int) -> RankedSamples:
        """Choose samples where there are too many."""
        first = next((pair for pair in pairs if _has_own(*pair)), None)
        if first is None:
            return RankedSamples(None, None)
        n = sum(map(len, first[1].rows))
        rng = np.random.Generator(np.random.Philox(seed))
        chosen = None if n <= RANKED else np.sort(rng.choice(n, RANKED, replace=False))
        return RankedSamples(chosen, _own(*first, chosen))

    def correlation(self, pair: tuple[Bound, LossTotals]) -> float | None:
        """Spearman's, over the samples that count under both losses; None where these are not the same, or all are equal."""
        first_rows = () if self.first is None else self.first[0]
        if self.first is None or not _has_own(*pair) or sum(map(len, pair[1].rows)) < len(first_rows):
            return None
        rows, values = _own(*pair, self.chosen)
        both = np.isfinite(self.first[1]) & np.isfinite(values) if np.array_equal(first_rows, rows) else np.zeros(1, bool)
        if not both.any():
            return None
        result = rank_correlation(self.first[1][both], values[both])
        return None if math.isnan(result) else result


def _has_own(bound: Bound, tally: LossTotals) -> bool:
    """Whether samples have losses of their own, and not only the whole."""
    return bool(tally.samples) and not (bound.loss.whole and "none" not in bound.loss.reductions)


def _own(bound: Bound, tally: LossTotals, chosen: NumPyArray | None) -> Sampled:
    """The numbers and the losses of the chosen samples, each by the same formula as the whole."""
    sums = {name: _picked([part[name] for part in tally.samples], chosen) for name in tally.samples[0]}
    values = sums["value"] if bound.loss.origin != "lossctl" else reduced(bound, sums, 1, "mean")
    return _picked(tally.rows, chosen), np.asarray(values, np.float64)


def _picked(parts: Sequence[NumPyArray], chosen: NumPyArray | None) -> NumPyArray:
    """The chosen ones of what is given in parts, or all."""
    if chosen is None:
        return np.concatenate(parts)
    ends = np.cumsum([len(part) for part in parts])
    cuts = np.searchsorted(chosen, ends)
    pairs = zip(parts, np.split(chosen, cuts[:-1]), ends, strict=True)
    return np.concatenate([part[mine - (end - len(part))] for part, mine, end in pairs])


@dataclass(frozen=True)
class Wide(Report):
    """A table that people see in two: figures first, then the columns `apart`."""

    apart: tuple[str, ...] = field(default=())

    def parts(self) -> list[Report]:
        """The tables that people see."""
        figures = tuple(column for column in self.columns if column not in self.apart)
        rows = [row for row in self.rows if "skill" in row]
        return [Report(figures, self.rows), Report(("loss", *self.apart), rows, title="what distinguishes them")]


def report(
    labels: Sequence[str], losses: Sequence[Beside], document: Mapping[str, Any], groups: Sequence[str], *, grad: bool
) -> Report:
    """One row a loss, after those of its groups; the results of `document` over all samples get the same figures.

    `groups` names the groups of `--by`, and `grad` says that norms of gradients were asked for.
    """

    def norm(loss: Beside) -> dict[str, Any]:
        return {"norm": loss.norm} if grad else {}

    rows: list[dict[str, Any]] = []
    for label, loss in zip(labels, losses, strict=True):
        for code, (value, n) in loss.outcome.groups.items():
            rows.append({"loss": label, "group": groups[code], "value": value, "n": n})
        whole = {"loss": label, "group": "(all)", "value": loss.outcome.value, "n": loss.outcome.n}
        rows.append(whole | norm(loss) | _figures(loss) | _shown(loss))
    added = iter([norm(loss) | _figures(loss) | _traits(loss) for loss in losses])
    results = [entry if "group" in entry else {**entry, **next(added)} for entry in document["results"]]
    columns = ("loss", *(("group",) if groups else ()), "value", "n", *(("norm",) if grad else ()), *FIGURES, *TRAITS)
    return Wide(columns, rows, {**document, "results": results}, apart=TRAITS)


def _figures(loss: Beside) -> dict[str, Any]:
    return dict(zip(FIGURES, (loss.top_share, loss.skill, loss.correlation), strict=True))


def _traits(loss: Beside) -> dict[str, Any]:
    prediction = None if loss.constant is None else loss.constant.prediction.tolist()
    return {
        "best_constant": prediction[0] if prediction and len(prediction) == 1 else prediction,
        "best_constant_value": None if loss.constant is None else loss.constant.loss,
        "robust": loss.character.robust,
        "redescending": loss.character.redescending,
        "convex": loss.character.convex,
        "estimates": loss.character.estimates or None,
    }


def _shown(loss: Beside) -> dict[str, Any]:
    """Traits in words."""
    constant = _traits(loss)["best_constant"]
    if isinstance(constant, list):
        constant = ", ".join(f"{number:.4g}" for number in constant) if len(constant) <= SHOWN else f"{len(constant)} numbers"
    words = (constant, loss.character.says, loss.character.says_convex, loss.character.estimates or None)
    return dict(zip(TRAITS, words, strict=True))


def _norm(bound: Bound, outcome: Outcome, options: Options, selection: Selection) -> float | None:
    """The Euclidean norm of the gradient of the reduced loss by its first input; None where there is no gradient."""
    from lossctl.gradient.gathering import Gradient
    from lossctl.gradient.passes import Differentiated, chosen, slopes, source_of, stream

    torch = BACKENDS.get("torch")()
    try:
        inputs, _ = chosen(bound, ())
        derivatives = slopes(bound, outcome.sums, outcome.n, options.reduction, (), torch)
        reader = source_of(next(slot.reader for slot in bound.slots if slot.input.name == inputs[0]))
        gradient = Gradient(inputs[0], reader.shape, np.dtype(np.float64), 0.0)
        own = Differentiated(bound, inputs, (), derivatives)
        stream(own, torch, options, selection, work=lambda part: gradient.work(part, inputs[0]), take=gradient.take)
    except NoGradient:
        return None
    gradient.finish()
    return gradient.profile.norm
