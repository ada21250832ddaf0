"""The first bytes of the formats that are written in place: what NumPy and safetensors want to know before the numbers."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from numpy.lib import format as npy

from lossctl.sinks.stored import packed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lossctl.sinks.sink import Field

# The header's own length, little-endian, and what the numbers are aligned to.
LENGTH = 8
KINDS = {"b": "BOOL", "i": "I", "u": "U", "f": "F"}


def npy_head(fields: Sequence[Field]) -> bytes:
    """Return the magic and the header of an .npy that holds the only field."""
    (field,) = fields
    stream = io.BytesIO()
    descr = npy.dtype_to_descr(field.stored)
    npy.write_array_header_1_0(stream, {"descr": descr, "fortran_order": False, "shape": field.shape})
    return stream.getvalue()


def safetensors_head(fields: Sequence[Field]) -> bytes:
    """Return the length and the header of a .safetensors, whose numbers follow as `packed` lays them out."""
    import json

    offsets, _ = packed(fields)
    header = {
        field.name: {"dtype": _kind(field), "shape": field.shape, "data_offsets": [offset, offset + field.nbytes]}
        for field, offset in zip(fields, offsets, strict=True)
    }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % LENGTH)
    return len(text).to_bytes(LENGTH, "little") + text


def _kind(field: Field) -> str:
    kind = KINDS[field.dtype.kind]
    return kind if kind == "BOOL" else f"{kind}{8 * field.dtype.itemsize}"
