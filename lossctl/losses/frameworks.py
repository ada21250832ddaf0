"""What other frameworks call their losses, and what we call the same thing.

A value is a loss as one would type it, parameters included, so that a framework's own defaults come along. A name that
stands under its framework (`optax.l2_loss`) is looked up here and nowhere else: it is that framework's number, or is refused.
The tables are data, in frameworks.json. `REFUSED` says why and what to write instead, `RULES` where the number is theirs only
for some inputs. Compared with Keras 3.15,
optax 0.2.8, scikit-learn 1.9, torchvision 0.29, torchmetrics 1.9, SMP 0.6, MONAI 1.6, timm 1.0 and LightGBM 4.7.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from lossctl.losses import Rules

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_TABLES: Any = json.loads(files("lossctl.losses").joinpath("frameworks.json").read_text(encoding="utf-8"))
# Spellings in front of the last dot, as code imports them.
PREFIXES: Mapping[str, Sequence[str]] = _TABLES["spellings"]
FRAMEWORKS: Mapping[str, Mapping[str, str]] = _TABLES["losses"]
# Functions whose names are not those of the classes, and short names.
ALSO: Mapping[str, Mapping[str, str]] = _TABLES["also"]
# Names that are another number there than any here: why, and what to write.
REFUSED: Mapping[str, Mapping[str, Sequence[str]]] = _TABLES["refused"]
RULES: dict[str, dict[str, Rules]] = {}
for _row in _TABLES["rules"]:
    _framework, _names = _row.pop("of"), _row.pop("names")
    _words: Any = {word: tuple(value) if isinstance(value, list) else value for word, value in _row.items()}
    RULES.setdefault(_framework, {}).update(dict.fromkeys(_names, Rules(**_words)))
