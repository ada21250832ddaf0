"""The catalogue: every `Loss` value found in this package's modules.

Adding a loss is one edit in one of them. Names may be typed in any case, with or without hyphens or `Loss`.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import TYPE_CHECKING

from lossctl.losses import catalogue as families
from lossctl.losses.absent import KEPT, NO_LETTER, letters
from lossctl.losses.loss import Loss
from lossctl.plugins import Plugins

if TYPE_CHECKING:
    from collections.abc import Iterable


@cache
def catalogue() -> dict[str, Loss]:
    """All losses of our own by canonical name, in order of module and definition."""
    found: dict[str, Loss] = {}
    for module in pkgutil.iter_modules(families.__path__):
        values = vars(importlib.import_module(f"{families.__name__}.{module.name}")).values()
        found.update({value.name: value for value in values if isinstance(value, Loss)})
    return found


@cache
def kept() -> frozenset[str]:
    """Names in which "loss" says something: without it they are a score, another number."""
    ours = (loss for loss in catalogue().values() if loss.higher_is_better)
    return KEPT | {f"{letters(name)}loss" for loss in ours for name in (loss.name, *loss.aliases)}


def spelling(name: str) -> str:
    """Reduce a name to what is compared: `CrossEntropyLoss`, `cross-entropy` and `cross_entropy` are one."""
    short = NO_LETTER.sub("", name.lower())
    return short if not short.endswith("loss") or short in kept() else short.removesuffix("loss") or short


@cache
def rows() -> dict[str, Loss]:
    """All losses by every spelling of every name they have; canonical names win over aliases."""
    by_alias = {spelling(alias): loss for loss in catalogue().values() for alias in loss.aliases}
    by_twin = {spelling(loss.torch): loss for loss in catalogue().values() if loss.torch}
    return by_twin | by_alias | {spelling(name): loss for name, loss in catalogue().items()}


def names() -> Iterable[str]:
    """Every name that a loss has, as it is written, with and without `loss` where that says nothing."""
    written = [name for loss in catalogue().values() for name in (loss.name, *loss.aliases)]
    return [*written, *(longer for name in written if spelling(longer := f"{name}_loss") == spelling(name))]


LOSSES: Plugins[Loss] = Plugins(
    "loss", "lossctl.losses", rows, spelling=spelling, by_path=True, listed=catalogue, plural="losses", also=names
)
