"""Trying everything: losses, parameters and readings become trials, trials sums, and sums candidates."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.engine.binding import bind
from lossctl.errors import LossctlError, UsageError
from lossctl.guides.identify.grids import NONE, LabelCounts, Variation, changes, count_labels
from lossctl.guides.identify.passes import InputReading, Trial, TrialSums, gather, readings
from lossctl.guides.identify.ranking import Candidate, Reduced, reductions
from lossctl.sources.readers import Memory, Reader, whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lossctl.engine.block import Selection
    from lossctl.losses.loss import Loss
    from lossctl.request.options import Options

# How many things may depart from the plain reading of a loss with its defaults.
MOST = 2
# Arrays up to this many elements are read once and kept.
KEPT = 1 << 24
# Losses of all pairs of samples are tried up to this many samples.
MANY = 2048
# Losses that read all samples at once are tried on more elements than this only as they are.
LARGE = 1_000_000
# A longer vector than this is no single sample with its classes, but one number a sample.
LONG = 1000


@dataclass(frozen=True)
class Subject:
    """A loss to try, with an array for each argument; `fixed` are parameters that somebody chose."""

    loss: Loss
    params: Mapping[str, Any]
    readers: Mapping[str, Reader]
    fixed: frozenset[str] = frozenset()


def identify(subjects: Sequence[Subject], options: Options, selection: Selection) -> list[Candidate]:
    """Compute every number that the subjects give, in one pass for each reading of the inputs.

    Raises: UsageError where the inputs fit no loss; the error of a loss's values where they forbid all of them.
    """
    kept: dict[int, Reader] = {}
    subjects = [_with_kept(subject, kept) for subject in subjects]
    labels = _labels(subjects, options)
    trials, errors = _trials(subjects, options, labels)
    gathered = gather(trials, selection, options.jobs)
    candidates = [candidate for trial, sums in zip(trials, gathered, strict=True) for candidate in _candidates(trial, sums)]
    if not candidates:
        raise _nothing(errors, [sums.failed for sums in gathered if sums.failed])
    return candidates


def _trials(subjects: Sequence[Subject], options: Options, labels: LabelCounts) -> tuple[list[Trial], list[LossctlError]]:
    """Everything that fits the inputs, and why the rest does not."""
    trials, errors = [], []
    wanted = ((reading, subject) for pairs in _readings(subjects, options, labels) for reading, subject in pairs)
    for reading, subject in wanted:
        for change in _changes(subject, reading, labels):
            try:
                trials.append(_trial(subject, reading, change))
            except LossctlError as error:
                errors.append(error)
    return [trial for trial in trials if not _is_vector(trial)], errors


def _nothing(unfit: Sequence[LossctlError], failed: Sequence[LossctlError]) -> LossctlError:
    if failed:
        return failed[0]
    message = "The inputs fit no loss of the catalogue."
    return UsageError(message, hint=unfit[0].paragraph() if unfit else "Give pred and target.")


def _with_kept(subject: Subject, kept: dict[int, Reader]) -> Subject:
    """Small arrays are read once, however often they are looked at."""
    own = {name: kept.setdefault(id(reader), _in_memory(reader)) for name, reader in subject.readers.items()}
    return Subject(subject.loss, subject.params, own, subject.fixed)


def _in_memory(reader: Reader) -> Reader:
    return Memory(np.asarray(whole(reader)), reader.name) if prod(reader.shape) <= KEPT else reader


def _labels(subjects: Sequence[Subject], options: Options) -> LabelCounts:
    """The labels of the target, of as many classes as the first input has."""
    own = next((subject.readers for subject in subjects if "target" in subject.readers), {})
    if "target" not in own or own["target"].dtype.kind not in "biuf":
        return LabelCounts()
    lead = next(iter(own.values())).shape
    axis = 1 if options.class_dim is None else options.class_dim
    classes = lead[axis] if -len(lead) <= axis < len(lead) else 0
    return count_labels(own["target"], classes)


def _readings(
    subjects: Sequence[Subject], options: Options, labels: LabelCounts
) -> Iterable[list[tuple[InputReading, Subject]]]:
    """Every reading with the losses that it suits; subjects whose inputs are the same arrays share their readings."""
    shared: dict[tuple[tuple[str, int], ...], list[Subject]] = {}
    for subject in subjects:
        own = tuple((argument.name, id(subject.readers[argument.name])) for argument in subject.loss.signature.inputs)
        shared.setdefault(own, []).append(subject)
    for group in shared.values():
        inputs = {argument.name: group[0].readers[argument.name] for argument in group[0].loss.signature.inputs}
        for reading in readings(inputs, options, labels):
            yield [(reading, subject) for subject in group if reading.suits(subject.loss)]


def _changes(subject: Subject, reading: InputReading, labels: LabelCounts) -> list[Variation]:
    """Which parameters are changed: on readings that are unlikely by themselves, only the label to ignore."""
    if subject.loss.pairs and any(reader.shape[:1] > (MANY,) for reader in subject.readers.values()):
        return []
    if subject.loss.whole and any(prod(reader.shape) > LARGE for reader in subject.readers.values()):
        return [] if reading.cost else [NONE]
    fixed = subject.fixed | set(subject.readers)
    variations = changes(subject.loss, subject.params, labels, fixed)
    if reading.deep:
        return variations
    return [NONE, *(variation for variation in variations if set(variation.params) == {"ignore_index"} and not reading.half)]


def _trial(subject: Subject, reading: InputReading, change: Variation) -> Trial:
    own = reading.of(subject.readers)
    own |= {name: Memory(np.asarray(values), name) for name, values in change.tensors.items()}
    return Trial(bind(subject.loss, own, {**subject.params, **change.params}, reading.options), reading, change)


def _is_vector(trial: Trial) -> bool:
    """Whether many numbers would be read as one sample, which only embeddings are."""
    return trial.bound.single and prod(trial.bound.shape) > LONG and trial.bound.loss.task != "embedding"


def _candidates(trial: Trial, trial_sums: TrialSums) -> Iterable[Candidate]:
    if trial_sums.failed or not trial_sums.n:
        return
    reading = trial.reading
    departs = reading.says + trial.change.says
    # Arrays that fit only when they are seen otherwise must be, whatever else departs.
    spare = MOST + (reading.deep and reading.cost) - len(departs)
    for reduced in reductions(trial, trial_sums, spare):
        if len(reduced.says) <= spare:
            made = _rounded(reduced) if reading.half else reduced
            yield Candidate(trial, made, departs + reduced.says)


def _rounded(reduced: Reduced) -> Reduced:
    """A loss calculated in float16 comes out as one."""
    with np.errstate(over="ignore"):
        return Reduced(float(np.float16(reduced.value)), reduced.says, None, reduced.code)
