"""How people want to see numbers, and what their screen can show."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Style:
    """What `--sig`, `--decimals`, `--color` and the terminal's width ask for. Machine formats ignore all of it."""

    sig: int | None = None
    decimals: int | None = None
    width: int | None = None
    color: bool = False
