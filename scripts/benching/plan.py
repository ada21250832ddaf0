"""How much is measured: sizes, and how often; and what every measurement needs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benching.running import compute

if TYPE_CHECKING:
    from benching.data import Data
    from benching.running import Runner

# What the largest scripts keep in memory at once, in bytes for each byte of their files.
COPIES = 1.6


@dataclass(frozen=True)
class Plan:
    """Sizes and numbers of runs. `size` is MB in each of two large arrays, `huge` the same for the largest, 0 to leave out."""

    runner: Runner
    data: Data
    size: float
    rows: int
    runs: int
    huge: float
    short: bool

    @property
    def few(self) -> int:
        """How often what takes many seconds is run."""
        return min(self.runs, 3)

    def floor(self, paths: list[str]) -> float:
        """Peak memory in MB of a run on few values in files of the same kind: what starting up takes."""
        return min(self.runner.run(compute("mse", paths)).peak for _ in range(self.few))

    def tiny(self, suffix: str) -> list[str]:
        """Inputs of 1 000 values."""
        if suffix == "npy":
            return self.data.pair("tiny", 1000)
        return columns(self.data.table(1000, suffix))


def columns(path: str) -> list[str]:
    """The two columns of a table as inputs."""
    return [f"{path}:pred", f"{path}:target"]


def threads() -> list[int]:
    """The numbers of threads that are measured: one, and two where there are two processors."""
    return [1, 2] if (os.cpu_count() or 1) > 1 else [1]


def room_for(size: float) -> bool:
    """Whether scripts that load two arrays of `size` MB have the memory."""
    have = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return have > COPIES * 2 * size * 1_000_000
