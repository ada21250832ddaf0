"""Random numbers that depend on what they are for, and on nothing else.

Philox counts (Salmon et al. 2011, doi:10.1145/2063384.2063405): its key is a hash of seed and purpose, and each row of
samples or resamples has a counter of its own. So the numbers of one sample in one resample are the same for any number of
systems, threads, chunks and resamples, and only raw bits are drawn, which NumPy promises not to change.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

RESAMPLES = 9_999
WORDS = np.dtype("<u8")


@dataclass(frozen=True)
class Draws:
    """How much chance is asked for, and which. `jobs` threads share the work of the bootstrap and change no bit."""

    resamples: int = RESAMPLES
    seed: int = 0
    jobs: int = 1

    def words(self, purpose: str, row: int, count: int) -> NDArray[np.uint64]:
        """Draw the first `count` words of 64 random bits of a row; a longer row begins with the same ones."""
        key = hashlib.blake2b(f"{self.seed} {purpose}".encode(), digest_size=16).digest()
        stream = np.random.Philox(key=int.from_bytes(key, "little"), counter=np.array([0, row, 0, 0], np.uint64))
        words: NDArray[np.uint64] = stream.random_raw(count)
        # Bytes of a word are taken from its low end, on any machine.
        return words.astype(WORDS, copy=False)


DEFAULT = Draws()
