"""Floats of two bytes and less that NumPy does not know: their bits become the float32 of the same value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.sources.readers import place

if TYPE_CHECKING:
    from collections.abc import Callable

    from lossctl.sources.readers import NumPyArray, Part
    from lossctl.sources.shapes import Shape


def _bf16(bits: NumPyArray) -> NumPyArray:
    """bfloat16 is the upper half of a float32."""
    return np.asarray(bits.astype(np.uint32) << 16, np.uint32).view(np.float32)


def _f8_e5m2(bits: NumPyArray) -> NumPyArray:
    """E5M2 is the upper half of a float16."""
    return np.asarray(bits.astype(np.uint16) << 8, np.uint16).view(np.float16).astype(np.float32)


def _f8_e4m3(bits: NumPyArray) -> NumPyArray:
    """E4M3, the variant without infinities (Micikevicius et al. 2022, arXiv:2209.05433)."""
    codes = np.arange(128)
    exponents, digits = codes >> 3, codes & 7
    sizes = np.where(exponents == 0, np.ldexp(digits, -9), np.ldexp(8 + digits, exponents - 10))
    sizes[-1] = np.nan
    return np.asarray(np.concatenate([sizes, -sizes]).astype(np.float32)[bits])


# The width of the bits in bytes, and what they mean.
KNOWN: dict[str, tuple[int, Callable[[NumPyArray], NumPyArray]]] = {
    "BF16": (2, _bf16),
    "F8_E5M2": (1, _f8_e5m2),
    "F8_E4M3": (1, _f8_e4m3),
}


@dataclass(frozen=True)
class Widened:
    """A part of unsigned integers whose bits are small floats of a `kind` that is in KNOWN."""

    bits: Part
    kind: str

    @property
    def shape(self) -> Shape:
        """The array's shape."""
        return self.bits.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Always float32, which holds every value exactly."""
        return np.dtype(np.float32)

    def read(self, start: int, stop: int, axis: int = 0) -> NumPyArray:
        """Return the range [start, stop) along `axis`."""
        return KNOWN[self.kind][1](self.bits.read(start, stop, axis))

    def place(self, index: tuple[int, ...]) -> str:
        """Return the index in brackets."""
        return place(index)


def bits_of(kind: str) -> np.dtype[Any]:
    """The type of the bits of a kind, as files have them."""
    return np.dtype(f"<u{KNOWN[kind][0]}")
