"""The parameters that people use: for each loss, what is changed from its defaults to see whether it gives the number.

Their values are data, in grids.yaml. Weights of classes follow from how often each label occurs, as far as the target holds
labels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from itertools import combinations
from typing import Any

import numpy as np

from lossctl.errors import BadParameter
from lossctl.losses.loss import Choice, Loss, Number, Parameter
from lossctl.sources.readers import NumPyArray, Reader, cuts
from lossctl.sources.yaml import load

# Where a block holds more different numbers than this, they are no labels.
MOST = 4096
# Labels beyond this are codes of nothing.
LARGEST = 2**31
TWO = (0, 1)


@dataclass(frozen=True)
class LabelCounts:
    """The labels that occur, with their counts, of `classes` classes; 0 where there are no scores by class."""

    counts: Mapping[int, int] = field(default_factory=dict)
    classes: int = 0

    @property
    def present(self) -> list[int]:
        """The labels that occur, in order."""
        return sorted(self.counts)

    @property
    def are_classes(self) -> bool:
        """Whether there are at least two classes, and every label but one that marks nothing is one of them."""
        known = [label for label in self.present if 0 <= label < self.classes]
        return self.classes > 1 and 0 < len(known) >= len(self.present) - 1

    @property
    def balanced(self) -> list[float]:
        """The weights n / (C n_c) that scikit-learn calls balanced; none where a class does not occur."""
        own = [self.counts.get(label, 0) for label in range(self.classes)]
        return [sum(own) / (self.classes * count) for count in own] if own and all(own) and len(set(own)) > 1 else []

    @property
    def odds(self) -> float:
        """Negatives over positives of labels 0 and 1; 0 for others."""
        two = tuple(self.present) == TWO
        return self.counts[0] / self.counts[1] if two and self.counts[0] != self.counts[1] else 0.0


def count_labels(target: Reader, classes: int) -> LabelCounts:
    """Count labels block by block; a target of anything else has none."""
    counts: Counter[int] = Counter()
    length = target.shape[0] if target.shape else 0
    for start, stop in cuts(length, max(1, int(np.prod(target.shape[1:])))):
        labels = _counted(target.read(start, stop)) if length else None
        if labels is None or len(counts | labels) > MOST:
            return LabelCounts({}, classes)
        counts += labels
    return LabelCounts(dict(counts), classes)


def _counted(array: NumPyArray) -> Counter[int] | None:
    if array.dtype.kind not in "biuf" or not array.size:
        return None
    whole = np.isfinite(array).all() and (np.abs(array.astype(np.float64)) < LARGEST).all()
    if not whole or (array != np.floor(array)).any():
        return None
    labels, times = np.unique(array, return_counts=True)
    return Counter(dict(zip(labels.astype(np.int64).tolist(), times.tolist(), strict=True)))


# By the name of the parameter; a loss and a parameter together go before.
TABLES: Any = load(files(__package__).joinpath("grids.yaml").read_text(encoding="utf-8"))
# Losses of which two parameters are usually changed at once.
PAIRED = frozenset({"focal", "focal_multiclass", "cross_entropy", "poisson_nll", "triplet_margin", "tversky", "smape"})
# More labels than this are not each tried as the one to ignore.
FEW = 12
LOOKED_FOR = (0, -1, 255)


@dataclass(frozen=True)
class Variation:
    """What differs from a loss's defaults: scalars, arrays with what they are, and how many things that is."""

    params: Mapping[str, Any] = field(default_factory=dict)
    tensors: Mapping[str, Sequence[float]] = field(default_factory=dict)
    says: tuple[str, ...] = ()

    def __or__(self, other: Variation) -> Variation:
        """Both changes at once."""
        return Variation({**self.params, **other.params}, {**self.tensors, **other.tensors}, self.says + other.says)


NONE = Variation()


def changes(loss: Loss, given: Mapping[str, Any], labels: LabelCounts, fixed: Iterable[str]) -> list[Variation]:
    """Every usual change of `loss` from the parameters `given`; what is `fixed` stays as it is."""
    free = [parameter for parameter in loss.signature.parameters if parameter.name not in set(fixed)]
    singles = {parameter.name: _singles(loss, parameter, given[parameter.name], labels) for parameter in free}
    variations = [NONE, *(change for group in singles.values() for change in group), *_weighted(loss, labels, set(fixed))]
    if loss.name in PAIRED:
        variations += [a | b for first, second in combinations(singles.values(), 2) for a in first for b in second]
    return variations


def _singles(loss: Loss, parameter: Parameter, given: Any, labels: LabelCounts) -> list[Variation]:
    values = dict.fromkeys(_parsed(parameter, _usual(loss, parameter, labels)))
    return [
        Variation({parameter.name: value}, says=(f"{parameter.name} {_said(value)}",)) for value in values if value != given
    ]


def _usual(loss: Loss, parameter: Parameter, labels: LabelCounts) -> Iterable[Any]:
    word = parameter.word
    if isinstance(word, Choice):
        return word.options
    if isinstance(word, Number) and word.kind is bool:
        return (True, False)
    if parameter.name == "ignore_index":
        return labels.present if len(labels.present) <= FEW else [label for label in LOOKED_FOR if label in labels.present]
    values: Iterable[Any] = TABLES["own"].get(loss.name, {}).get(parameter.name) or TABLES["usual"].get(parameter.name, ())
    return values


def _parsed(parameter: Parameter, values: Iterable[Any]) -> Iterable[Any]:
    """The values that the loss takes, as it takes them."""
    for value in values:
        try:
            yield parameter.word.parse(parameter.name, value)
        except BadParameter:
            continue


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _weighted(loss: Loss, labels: LabelCounts, fixed: set[str]) -> list[Variation]:
    """Weights that are made of how often each class occurs."""
    tensors = {tensor.name: tensor.word.shape for tensor in loss.signature.tensors if tensor.name not in fixed}
    variations = []
    if tensors.get("weight") == "c" and labels.balanced:
        variations.append(Variation(tensors={"weight": labels.balanced}, says=("weights n / (C n_c), 'balanced'",)))
    if "pos_weight" in tensors and labels.odds:
        variations.append(Variation(tensors={"pos_weight": [labels.odds]}, says=("pos_weight negatives / positives",)))
    return variations
