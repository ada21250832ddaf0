"""NumPy's .npy: ranges along the first stored axis are read in place, into fresh arrays.

Other axes, and Fortran order, are read through a mapping that is closed again after each read. Nothing is unpickled.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from io import BytesIO
from typing import IO, TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.lib import format as npy

from lossctl.errors import LossctlError, UnreadableFile
from lossctl.sources.container import Arrays
from lossctl.sources.readers import NumPyArray, Part, Shape, place
from lossctl.sources.values import DEEPEST, reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lossctl.sources.stored import Stored

# A header is a hundred bytes, or some thousands with very many fields; NumPy's own limit is the same.
LONGEST_HEADER = 1 << 16
# NumPy counts bytes in signed words of 64 bits.
TOO_MANY = 2**63
# What NumPy's own headers take, of arrays without fields.
USUAL = 128
PICKLED = "holds pickled Python objects, which can run code; lossctl never unpickles"
WRITE_AGAIN = "Write it again with numpy.save(path, numpy.asarray(values, dtype=float))."


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
        raise UnreadableFile(f"{name} is not a readable .npy: {reason(error)}.", hint=WRITE_AGAIN) from error
    if dtype.hasobject:
        raise UnreadableFile(f"{name} {PICKLED}.", hint=WRITE_AGAIN)
    # NumPy counts neither more axes than this nor more bytes, axes of size 0 left out.
    bytes_claimed = math.prod(size for size in shape if size) * max(1, dtype.itemsize)
    if any(size < 0 for size in shape) or len(shape) > DEEPEST or (0 in shape and bytes_claimed >= TOO_MANY):
        raise UnreadableFile(f"{name} is not a readable .npy: its header claims the shape {shape}.", hint=WRITE_AGAIN)
    return Header(shape, fortran, dtype, stream.tell())


def _fields(stream: IO[bytes], version: tuple[int, int]) -> tuple[Shape, bool, np.dtype[Any]]:
    if version == (1, 0):
        return npy.read_array_header_1_0(stream, max_header_size=LONGEST_HEADER)
    if version not in {(2, 0), (3, 0)}:
        raise ValueError(f"it has the format version {version[0]}.{version[1]}, and only 1.0, 2.0 and 3.0 are known")
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

    @cached_property
    def shape(self) -> Shape:
        """The array's shape; a field with a shape of its own adds its axes at the end."""
        return self.header.shape + (self.header.dtype[self.field].shape if self.field else ())

    @cached_property
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


def open_npy(stored: Stored) -> Arrays:
    """Open an .npy of any format version: an array, or records whose fields are the columns.

    Several that stand end to end, as numpy.save appends them to an open file, are `#1`, `#2`, … and the fields of records
    `#2.pred`; what is no array ends them.

    Raises: UnreadableFile if it is not one, is cut short, or holds Python objects.
    """
    first = header_of(stored)
    if not _begins(stored, first.size):
        noun = "field" if first.dtype.names else "an .npy file"
        return Arrays(stored, [(field, NpyPart(stored, first, field)) for field in fields_of(first)], WRITE_AGAIN, noun)
    members: list[tuple[str, Part]] = []
    start, number = 0, 1
    while _begins(stored, start):
        content = replace(stored.part(start, stored.size - start), name=f"{stored.name}:#{number}")
        header = header_of(content)
        members += [(f"#{number}{field and f'.{field}'}", NpyPart(content, header, field)) for field in fields_of(header)]
        start, number = start + header.size, number + 1
    return Arrays(stored, members, WRITE_AGAIN)


def _begins(stored: Stored, start: int) -> bool:
    """Whether an array begins at a place."""
    left = stored.size - start
    return left > 0 and stored.part(start, left).head(len(npy.MAGIC_PREFIX)) == npy.MAGIC_PREFIX


def fields_of(header: Header) -> Sequence[str]:
    """The fields of records; one without a name for any other array."""
    return header.dtype.names or ("",)


def header_of(stored: Stored) -> Header:
    """Return the header of the .npy at the beginning of the bytes, whatever follows the array.

    Raises: UnreadableFile if there is none, the array is cut short, or holds Python objects.
    """
    header = _usual(stored.head(USUAL)) or _any_header(stored)
    if header.size > stored.size:
        message = f"{stored.name} is cut short: its header claims {header.size} bytes, but it has {stored.size}."
        raise UnreadableFile(message, hint="Copy or write it again.")
    return header
