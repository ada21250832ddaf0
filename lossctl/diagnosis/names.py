"""What training tools call the columns of a history. Where a file has several, the first in these lists counts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lossctl.errors import LISTED, UnknownKey, near

if TYPE_CHECKING:
    from collections.abc import Sequence

STEP = ("step", "global step", "iteration", "iter", "iterations", "steps", "train step", "train global step", "batch", "epoch")
LOSS = (
    *("loss", "train loss", "training loss", "loss train", "loss training", "train loss step", "train loss epoch"),
    *("loss step", "epoch loss", "train epoch loss", "loss epoch", "total loss", "train total loss", "batch loss"),
)
VAL = (
    *("val loss", "valid loss", "validation loss", "eval loss", "dev loss", "loss val", "loss valid", "loss validation"),
    *("loss eval", "val loss epoch", "validation epoch loss", "val epoch loss", "test loss", "loss test"),
)
LR = ("lr", "learning rate", "train lr", "train learning rate", "epoch learning rate")
GRAD_NORM = ("grad norm", "gradient norm", "train grad norm", "train gradient norm", "total grad norm", "global grad norm")
KNOWN = {"step": STEP, "loss": LOSS, "val": VAL, "lr": LR, "grad_norm": GRAD_NORM}
# `trainLoss` and `train/loss` are `train loss`; the trainer of Hugging Face keeps its columns under `log_history`.
BETWEEN = re.compile(r"[^0-9a-zA-Z]+|(?<=[a-z])(?=[A-Z])")
WITHIN = "log history "


def spelt(name: str) -> str:
    """A column's name in lower-case words with single spaces."""
    words = " ".join(word for word in BETWEEN.split(name) if word).lower()
    return words.removeprefix(WITHIN)


def find(role: str, names: Sequence[str], wanted: str, where: str) -> int | None:
    """Return the position of the column for a role: the one that is wanted by name, else the best known one.

    Raises: UnknownKey for a wanted name that there is none of, or a name that stands there twice.
    """
    if wanted:
        places = [i for i, name in enumerate(names) if name == wanted]
        places = places or [i for i, name in enumerate(names) if spelt(name) == spelt(wanted)]
        if not places:
            message = f"{where} has no column '{wanted}'."
            raise UnknownKey(message, hint=near(wanted, names, "columns"))
        return _only(places, names, role, where)
    words = [spelt(name) for name in names]
    known = [one for one in KNOWN[role] if one in words]
    if known:
        return _only([i for i, word in enumerate(words) if word == known[0]], names, role, where)
    # The monitors of learning rates add the optimizer's name: `lr-Adam`.
    return next((i for i, word in enumerate(words) if role == "lr" and word.startswith("lr ")), None)


def _only(places: list[int], names: Sequence[str], role: str, where: str) -> int:
    if len(places) > 1:
        option = role.replace("_", "-")
        message = f"{where} has {len(places)} columns that could be the {option}: {', '.join(names[i] for i in places)}."
        raise UnknownKey(message, hint=f"Name one with --{option}.")
    return places[0]


def missing(names: Sequence[str], where: str) -> UnknownKey:
    """The error about a history without a loss."""
    message = f"{where} has no column that is known as a loss."
    listed = ", ".join(names[:LISTED]) + (f", and {len(names) - LISTED} more" if len(names) > LISTED else "")
    hint = f"Name one with --loss. Its columns are: {listed}." if names else "A history has at least a column of losses."
    return UnknownKey(message, hint=hint)
