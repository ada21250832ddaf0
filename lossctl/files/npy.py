"""NumPy's .npy: ranges along the first stored axis are read in place, into fresh arrays.

Other axes, and Fortran order, are read through a mapping that is closed again after each read. Nothing is unpickled.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from typing import IO, TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.lib import format as npy

from lossctl.blocks import Memory, place
from lossctl.errors import LossctlError, ShapeMismatch, UnreadableFile
from lossctl.files.container import columns
from lossctl.files.values import DEEPEST, NUMERIC, reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lossctl.blocks import NumPyArray, Part
    from lossctl.files.container import Container
    from lossctl.files.stored import Stored
    from lossctl.shapes import Shape

# A header is a hundred bytes, or some thousands with very many fields; NumPy's own limit is the same.
LONGEST_HEADER = 1 << 16
# NumPy counts bytes in signed words of 64 bits.
TOO_MANY = 2**63
# What NumPy's own headers take, of arrays without fields.
USUAL = 128
PICKLED = "holds pickled Python objects, which can run code; lossctl never unpickles"
WRITE_AGAIN = "Write it again with numpy.save(path, numpy.asarray(values, dtype=float))."
# What arrays of other kinds are called in messages.
KINDS = {"c": "complex numbers", "S": "text", "U": "text", "V": "raw bytes", "M": "dates", "m": "time spans"}


@dataclass(frozen=True)
class Header:
    """What the first bytes say: the shape as stored in C order, and whether to see it transposed."""

    shape: Shape
    fortran: bool
    dtype: np.dtype[Any]
    offset: int

    @property
    def size(self) -> int:
        """How many bytes the array takes, with the header."""
        return self.offset + math.prod(self.shape) * self.dtype.itemsize


def _any_header(stored: Stored) -> Header:
    # Only so many bytes: a header's length field can claim four gigabytes.
    head = stored.part(0, min(stored.size, 2 * LONGEST_HEADER))
    return read_header(head.stream(LONGEST_HEADER), stored.name)


@lru_cache(maxsize=64)
def _usual(head: bytes) -> Header | None:
    """The header in the first bytes of a file, where they hold all of it and nothing is wrong with it.

    Files that belong together begin alike, and reading a header takes longer than reading a thousand numbers.
    """
    try:
        header = read_header(BytesIO(head), "")
    except LossctlError:
        return None
    return header if header.offset == len(head) else None


def read_header(stream: IO[bytes], name: str) -> Header:
    """Read the header of an .npy from a stream.

    Raises: UnreadableFile if it is not one, or holds Python objects.
    """
    try:
        version = npy.read_magic(stream)
        shape, fortran, dtype = _fields(stream, version)
    except LossctlError:
        raise
    except Exception as error:  # whatever NumPy's parser of headers stumbles over
        message = f"{name} is not a readable .npy: {reason(error)}."
        raise UnreadableFile(message, hint=WRITE_AGAIN) from error
    if dtype.hasobject:
        message = f"{name} {PICKLED}."
        raise UnreadableFile(message, hint=WRITE_AGAIN)
    # NumPy counts neither more axes than this nor more bytes, axes of size 0 left out.
    bytes_claimed = math.prod(size for size in shape if size) * max(1, dtype.itemsize)
    if any(size < 0 for size in shape) or len(shape) > DEEPEST or (0 in shape and bytes_claimed >= TOO_MANY):
        message = f"{name} is not a readable .npy: its header claims the shape {shape}."
        raise UnreadableFile(message, hint=WRITE_AGAIN)
    return Header(shape, fortran, dtype, stream.tell())


def _fields(stream: IO[bytes], version: tuple[int, int]) -> tuple[Shape, bool, np.dtype[Any]]:
    if version == (1, 0):
        return npy.read_array_header_1_0(stream, max_header_size=LONGEST_HEADER)
    if version not in {(2, 0), (3, 0)}:
        message = f"it has the format version {version[0]}.{version[1]}, and only 1.0, 2.0 and 3.0 are known"
        raise ValueError(message)
    shape, fortran, dtype = npy.read_array_header_2_0(stream, max_header_size=LONGEST_HEADER)
    if version == (3, 0) and dtype.names:
        # Version 3 differs from 2 in nothing but the encoding of field names.
        dtype.names = tuple(field.encode("latin1").decode("utf8") for field in dtype.names)
    return shape, fortran, dtype


@dataclass(frozen=True)
class NpyPart:
    """An array in an .npy, or one field of its records. `field` is "" where there are no records."""

    stored: Stored
    header: Header
    field: str = ""

    @property
    def shape(self) -> Shape:
        """The array's shape; a field with a shape of its own adds its axes at the end."""
        return self.header.shape + (self.header.dtype[self.field].shape if self.field else ())

    @property
    def dtype(self) -> np.dtype[Any]:
        """The array's type in this computer's byte order."""
        stored = self.header.dtype[self.field].base if self.field else self.header.dtype
        return stored.newbyteorder("=")

    def read(self, start: int, stop: int, axis: int = 0) -> NumPyArray:
        """Return the range [start, stop) along `axis`; a 0-d array as it is."""
        shape, fortran = self.header.shape, self.header.fortran
        if axis >= len(shape) > 0:
            return self.read(0, shape[0])[(slice(None),) * axis + (slice(start, stop),)]
        start, stop, _ = slice(start, stop).indices(shape[axis] if shape else 1)
        stored_first = axis == (len(shape) - 1 if fortran else 0) or not shape
        records = self._rows(start, max(start, stop)) if stored_first else self._mapped(start, max(start, stop), axis)
        values = records[self.field] if self.field else records
        return values.astype(self.dtype, copy=False)

    def _rows(self, start: int, stop: int) -> NumPyArray:
        """Read a range along the axis that is stored first."""
        header = self.header
        stored = header.shape[::-1] if header.fortran else header.shape
        array = np.empty((stop - start, *stored[1:]) if stored else (), header.dtype)
        step = math.prod(stored[1:]) * header.dtype.itemsize
        self.stored.fill(array, header.offset + start * step)
        return array.T if header.fortran else array

    def _mapped(self, start: int, stop: int, axis: int) -> NumPyArray:
        header = self.header
        order: Literal["C", "F"] = "F" if header.fortran else "C"
        shape = (*header.shape[:axis], stop - start, *header.shape[axis + 1 :])
        copy = np.empty(shape, header.dtype, order=order)
        if copy.size:
            with self.stored.mapped() as pages:
                offset = self.stored.start + header.offset
                array = np.ndarray(header.shape, header.dtype, pages, offset, order=order)
                copy[...] = array[(slice(None),) * axis + (slice(start, stop),)]
                del array
        return copy

    def place(self, index: tuple[int, ...]) -> str:
        """Return the index in brackets."""
        return place(index)


@dataclass(frozen=True)
class Npy:
    """An opened .npy: one array, or records whose fields are the columns."""

    stored: Stored
    header: Header
    noun: str = "an .npy file"

    @property
    def names(self) -> Sequence[str] | None:
        """The fields of a structured array; None for a plain one."""
        return self.header.dtype.names

    def numeric(self) -> list[int]:
        """Return the fields that hold numbers."""
        fields = self.names or ()
        return [i for i, field in enumerate(fields) if self.header.dtype[field].base.kind in NUMERIC]

    def part(self, position: int) -> Part:
        """Return the array, or the field at `position`.

        Raises: UnreadableFile if it holds something else than real numbers.
        """
        found = self.unchecked(position)
        if found.dtype.kind not in NUMERIC:
            which = f":{found.field}" if found.field else ""
            message = f"{self.stored.name}{which} holds {KINDS.get(found.dtype.kind, 'no numbers')} ({found.dtype}), not real numbers."
            raise UnreadableFile(message, hint=WRITE_AGAIN)
        return found

    def unchecked(self, position: int) -> NpyPart:
        """Return the array or field, whatever it holds."""
        return NpyPart(self.stored, self.header, self.names[position] if self.names else "")

    def block(self, positions: Sequence[int]) -> Part:
        """Return fields as columns, in memory."""
        names = [(self.names or ())[i] for i in positions]
        return Memory(columns([self.part(i) for i in positions], names, self.stored.name))

    def entries(self, position: int) -> Part:
        """Return a one-dimensional array or field whose elements are ids or groups.

        Raises: ShapeMismatch for other ranks.
        """
        part = self.unchecked(position)
        if len(part.shape) != 1:
            message = f"{self.stored.name} has shape {part.shape}; ids and groups are one-dimensional."
            raise ShapeMismatch(message)
        return part

    def texts(self, position: int) -> list[str]:
        """Return a one-dimensional array or field as text.

        Raises: ShapeMismatch for other ranks.
        """
        part = self.entries(position)
        return [item.decode(errors="replace") if isinstance(item, bytes) else str(item) for item in part.read(0, part.shape[0])]


def open_npy(stored: Stored) -> Container:
    """Open an .npy of any format version; several that stand end to end, as numpy.save appends them, are `#1`, `#2`, ….

    Raises: UnreadableFile if it is not one, is cut short, or holds Python objects.
    """
    first = one_npy(stored)
    if stored.part(first.header.size, stored.size - first.header.size).head(len(npy.MAGIC_PREFIX)) != npy.MAGIC_PREFIX:
        return first
    from lossctl.files.appended import open_appended

    return open_appended(stored)


def one_npy(stored: Stored) -> Npy:
    """Open the .npy at the beginning of the bytes, whatever follows it.

    Raises: what open_npy raises.
    """
    header = _usual(stored.head(USUAL)) or _any_header(stored)
    if header.size > stored.size:
        message = f"{stored.name} is cut short: its header claims {header.size} bytes, but it has {stored.size}."
        raise UnreadableFile(message, hint="Copy or write it again.")
    return Npy(stored, header, "field" if header.dtype.names else "an .npy file")
