"""The catalogue: every `Loss` value found in this package's modules.

Adding a loss is one edit in one of them. Names may be typed in any case, with or without hyphens, `nn.` or `Loss`.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from functools import cache

from lossctl.loss import Loss
from lossctl.plugins import Plugins


@cache
def catalogue() -> dict[str, Loss]:
    """All losses of our own by canonical name, in order of module and definition."""
    found: dict[str, Loss] = {}
    for module in pkgutil.iter_modules(__path__):
        values = vars(importlib.import_module(f"{__name__}.{module.name}")).values()
        found.update({value.name: value for value in values if isinstance(value, Loss)})
    return found


# Names in which "loss" says something: without it they are another number.
FULL = frozenset({"r2loss"})


def spelling(name: str) -> str:
    """Reduce a name to what is compared: `nn.CrossEntropyLoss`, `cross-entropy` and `cross_entropy` are one."""
    letters = re.sub(r"[^a-z0-9]", "", name.rpartition(".")[2].lower())
    return letters if letters in FULL else letters.removesuffix("loss") or letters


@cache
def rows() -> dict[str, Loss]:
    """All losses by every spelling of every name they have; canonical names win over aliases."""
    by_alias = {spelling(alias): loss for loss in catalogue().values() for alias in loss.aliases}
    by_twin = {spelling(loss.torch): loss for loss in catalogue().values() if loss.torch}
    return by_twin | by_alias | {spelling(name): loss for name, loss in catalogue().items()}


LOSSES: Plugins[Loss] = Plugins(
    "loss", "lossctl.losses", rows, spelling=spelling, by_path=True, listed=catalogue, plural="losses"
)
