"""Hugging Face's .safetensors: a JSON header with names, types, shapes and places, then the bytes of all arrays.

Arrays are read in place. The header is the only thing that is parsed, and everything that it claims is checked against the
size of the file. Floats of two bytes and less that NumPy does not know, of torch's files too, become the float32 of the same
value.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.errors import LossctlError, UnreadableFile
from lossctl.sources.container import Arrays
from lossctl.sources.npy import Header, NpyPart
from lossctl.sources.readers import NumPyArray, Part, Shape, place
from lossctl.sources.values import DEEPEST, reason, shown, unique

if TYPE_CHECKING:
    from collections.abc import Callable

    from lossctl.sources.stored import Stored


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


# The header's own length, little-endian.
MOST = 2**60
LENGTH = 8
# Three hundred thousand arrays.
LONGEST_HEADER = 1 << 25
METADATA = "__metadata__"
PLAIN = {
    "BOOL": "?",
    "C64": "<c8",
    **{f"{letter}{8 * size}": f"<{letter.lower()}{size}" for letter in "IU" for size in (1, 2, 4, 8)},
    **{f"F{8 * size}": f"<f{size}" for size in (2, 4, 8)},
}
WRITE_AGAIN = "Write it again with safetensors.numpy.save_file({'name': array}, path)."


class _Fault(Exception):
    """What is wrong with a header; the sentence goes on after the name of the file."""


def open_safetensors(stored: Stored) -> Arrays:
    """Open a .safetensors.

    Raises: UnreadableFile if the header is damaged, or claims what the file does not hold.
    """
    try:
        header, start = _header(stored)
        spans = {name: _span(name, entry, stored.size - start) for name, entry in header.items()}
        _apart(spans)
    except _Fault as fault:
        raise UnreadableFile(f"{stored.name} is not a readable .safetensors: {fault}.", hint=WRITE_AGAIN) from fault
    members = [(name, _member(stored, name, entry, start + spans[name][0])) for name, entry in header.items()]
    return Arrays(stored, members, WRITE_AGAIN)


def _header(stored: Stored) -> tuple[dict[str, Any], int]:
    """Return the entries of the header, and where the bytes of the arrays begin."""
    length = int.from_bytes(stored.head(LENGTH), "little")
    if stored.size < LENGTH or length > min(stored.size - LENGTH, LONGEST_HEADER):
        raise _Fault(f"its header claims {length} bytes, and the file has {stored.size}")
    try:
        header = json.loads(stored.part(LENGTH, length).head(length).decode(), object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise _Fault(f"its header is no JSON ({reason(error)})") from error
    if not isinstance(header, dict):
        raise _Fault("its header is no JSON object")
    header.pop(METADATA, None)
    return header, LENGTH + length


def _span(name: str, entry: Any, room: int) -> tuple[int, int]:
    """Return where an array begins and ends, counted from the end of the header."""
    entry = entry if isinstance(entry, dict) else {}
    shape, offsets = entry.get("shape"), entry.get("data_offsets")
    if not isinstance(entry.get("dtype"), str) or not _counts(shape) or not _counts(offsets) or len(offsets) != 2:  # noqa: PLR2004 - begin and end
        raise _Fault(f"the entry of '{name}' lacks a type, a shape or two offsets")
    begin, end = offsets
    if not begin <= end <= room:
        raise _Fault(f"'{name}' lies at the bytes {begin} to {end} of {room}")
    kind = entry["dtype"]
    if _is_known(kind) and math.prod(shape) * _stored_as(kind).itemsize != end - begin:
        raise _Fault(f"'{name}' has the shape {shown(tuple(shape))} of {kind}, but {end - begin} bytes")
    return begin, end


def _counts(value: Any) -> bool:
    counts = isinstance(value, list) and len(value) <= DEEPEST and all(type(item) is int and item >= 0 for item in value)
    # NumPy counts bytes in signed words of 64 bits, of eight bytes a number, axes of size 0 left out.
    return counts and math.prod(item for item in value if item) < MOST


def _apart(spans: dict[str, tuple[int, int]]) -> None:
    """Check that no two arrays share bytes."""
    filled = sorted((span, name) for name, span in spans.items() if span[0] < span[1])
    for (first, name), (second, other) in pairwise(filled):
        if second[0] < first[1]:
            raise _Fault(f"'{name}' and '{other}' overlap")


def _is_known(kind: str) -> bool:
    return kind in PLAIN or kind in KNOWN


def _stored_as(kind: str) -> np.dtype[Any]:
    return np.dtype(PLAIN[kind]) if kind in PLAIN else bits_of(kind)


def _member(stored: Stored, name: str, entry: dict[str, Any], start: int) -> Part | LossctlError:
    kind = entry["dtype"]
    if not _is_known(kind):
        message = f"{stored.name}:{name} holds numbers of the type {shown(kind)}, which lossctl does not read."
        return UnreadableFile(message, hint=f"Known types: {', '.join(sorted({*PLAIN, *KNOWN} - {'C64'}))}.")
    header = Header(tuple(entry["shape"]), fortran=False, dtype=_stored_as(kind), offset=0)
    part = NpyPart(stored.part(start, header.size), header)
    return Widened(part, kind) if kind in KNOWN else part
