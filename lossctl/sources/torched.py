"""What torch.save writes: .pt and .pth. torch's restricted unpickler says where tensors lie; numbers are read without it.

A file is loaded onto the device "meta", which reads its structure and no storage; each storage then knows the place of its
bytes, which is compared with the archive's own directory. Pages of a mapped tensor would count as the process's own memory.
Files of torch before 1.6 are read whole.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.errors import LossctlError, TooLarge, UnreadableFile
from lossctl.sources.container import Arrays
from lossctl.sources.npy import Header, NpyPart
from lossctl.sources.npz import SIGN, in_place, members, vouch
from lossctl.sources.readers import Memory, NumPyArray, Part, Shape, place
from lossctl.sources.safetensors import Widened, bits_of
from lossctl.sources.values import DEEPEST, MOST_NAMES, numbers, reason

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Iterator, Mapping

    from lossctl.sources.stored import Stored

# What the record about the byte order says on every usual computer.
LITTLE = b"little"
# How much a tensor may repeat itself: more than its bytes in the file, but no row without bound.
REPEATED = 2 << 30
WRITE_AGAIN = "Write it again with torch.save({'name': tensor}, path)."


@dataclass(frozen=True)
class Strided:
    """A tensor of any strides, which are in bytes."""

    stored: Stored
    shape: Shape
    strides: tuple[int, ...]
    kind: np.dtype[Any]

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type in this computer's byte order."""
        return self.kind.newbyteorder("=")

    def read(self, start: int, stop: int, axis: int = 0) -> NumPyArray:
        """Return the range [start, stop) along `axis`."""
        with self.stored.mapped() as pages:
            array: NumPyArray = np.ndarray(self.shape, self.kind, pages, self.stored.start, self.strides)
            copy = array[(slice(None),) * axis + (slice(start, stop),)].astype(self.dtype, order="C")
            del array
        return copy

    def place(self, index: tuple[int, ...]) -> str:
        """Return the index in brackets."""
        return place(index)


@dataclass(frozen=True)
class Record:
    """The bytes of an archive that hold a storage, and the checksum that the archive has of them; 0 where torch wrote none."""

    content: Stored
    crc: int


@dataclass(frozen=True)
class Vouched:
    """A tensor whose record is compared with its checksum before anything of it is read."""

    part: Part
    record: Record

    @property
    def shape(self) -> Shape:
        """The tensor's shape."""
        return self.part.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The tensor's type."""
        return self.part.dtype

    def read(self, start: int, stop: int, axis: int = 0) -> NumPyArray:
        """Return the range [start, stop) along `axis`.

        Raises: UnreadableFile if the record is damaged.
        """
        # torch.serialization.set_crc32_options(False) leaves the place empty.
        if self.record.crc:
            vouch(self.record.content, self.record.crc, self.record.content.name, WRITE_AGAIN)
        return self.part.read(start, stop, axis)

    def place(self, index: tuple[int, ...]) -> str:
        """Say where an element stands."""
        return self.part.place(index)


def records(stored: Stored) -> dict[int, Record]:
    """Return the records of an archive by the places where their bytes begin.

    Raises: UnreadableFile if it is damaged, compressed, or of the other byte order, which torch does not survive.
    """
    places = {member.filename: _record(member, stored) for member in members(stored, WRITE_AGAIN)}
    for name, (_, record) in places.items():
        if name.lower().endswith("byteorder") and record.content.head(len(LITTLE) + 1) != LITTLE:
            message = f"{stored.name} was written by a computer of another byte order."
            raise UnreadableFile(message, hint="Write it there as .safetensors or .npy, which lossctl reads everywhere.")
    return dict(places.values())


def _record(member: zipfile.ZipInfo, stored: Stored) -> tuple[int, Record]:
    content = in_place(stored, member)
    if content is None:
        message = f"{stored.name} was not written by torch: '{member.filename}' is compressed or cut short."
        raise UnreadableFile(message, hint=WRITE_AGAIN)
    return content.start - stored.start, Record(content, member.CRC)


def placed(stored: Stored, tensor: Any, kind: np.dtype[Any], records: Mapping[int, Record]) -> Part:
    """Return a tensor on the device "meta" as ranges of the file; `records` are those of the archive.

    Raises: UnreadableFile if the archive holds no such bytes.
    """
    shape, strides = tuple(tensor.shape), tuple(step * kind.itemsize for step in tensor.stride())
    start = getattr(tensor.untyped_storage(), "_checkpoint_offset", None)
    first = tensor.storage_offset() * kind.itemsize
    total = math.prod(shape) * kind.itemsize
    last = first + sum((size - 1) * step for size, step in zip(shape, strides, strict=True)) + kind.itemsize if total else 0
    if start is None or start not in records or last > records[start].content.size or (0 in strides and total > REPEATED):
        raise UnreadableFile(f"{stored.name} claims a tensor of {total} bytes that it does not hold.", hint=WRITE_AGAIN)
    data = stored.part(start + first, total)
    for order, fortran in ((1, False), (-1, True)):
        if not total or _packed(shape[::order], strides[::order], kind.itemsize):
            return Vouched(NpyPart(data, Header(shape, fortran, kind, 0)), records[start])
    return Vouched(Strided(replace(data, size=last - first), shape, strides, kind), records[start])


def _packed(shape: Shape, strides: tuple[int, ...], item: int) -> bool:
    """Whether elements stand in C order without gaps; the stride of an axis of size 1 means nothing."""
    expected = [item * math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    return all(size == 1 or step == wanted for size, step, wanted in zip(shape, strides, expected, strict=True))


LARGEST = 2 << 30
SMALL = {"bfloat16": "BF16", "float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2"}
KNOWN = frozenset(
    "bool uint8 uint16 uint32 uint64 int8 int16 int32 int64 float16 float32 float64 complex64 complex128".split()  # noqa: SIM905
)


@dataclass(frozen=True)
class _Torched:
    """A file of torch.save: its records by their places; None where its tensors are in memory."""

    stored: Stored
    records: dict[int, Record] | None

    def member(self, name: str, leaf: Any) -> Part | LossctlError:
        """Return what a leaf holds, or why it cannot be read."""
        where = f"{self.stored.name}:{name}" if name else self.stored.name
        try:
            if _is_storage(leaf):
                message = f"{where} holds a bare storage of torch, whose numbers have no shape."
                raise UnreadableFile(message, hint="Save the tensor instead: torch.save({'name': tensor}, path).")
            return self._tensor(leaf, where) if _is_tensor(leaf) else _values(leaf, where)
        except LossctlError as error:
            return error

    def _tensor(self, tensor: Any, where: str) -> Part:
        import torch

        word = str(tensor.dtype).removeprefix("torch.")
        if tensor.layout != torch.strided or tensor.is_neg() or tensor.is_quantized or word not in {*KNOWN, *SMALL}:
            what = f"{tensor.layout}, {word}".replace("torch.", "")
            message = f"{where} holds a tensor of a kind that lossctl does not read ({what})."
            raise UnreadableFile(message, hint="Save tensor.to_dense(), .dequantize() or .float() instead.")
        kind = bits_of(SMALL[word]) if word in SMALL else np.dtype(word)
        part = self._raw(tensor.detach(), kind)
        return Widened(part, SMALL[word]) if word in SMALL else part

    def _raw(self, tensor: Any, kind: np.dtype[Any]) -> Part:
        import torch

        if self.records is not None:
            return placed(self.stored, tensor, kind, self.records)
        # NumPy does not know torch's small floats.
        bits = {1: torch.uint8, 2: torch.uint16}.get(kind.itemsize) if kind.kind == "u" else None
        return Memory((tensor.contiguous().view(bits) if bits else tensor).numpy())


def open_pt(stored: Stored) -> Arrays:
    """Open a file of torch.save: a tensor, or nested dicts, lists and tuples of tensors and numbers, named `a.b` and `a.0`.

    Raises: UnreadableFile if it is damaged, or holds objects that only unpickling could make; TooLarge for a file of torch
    before 1.6 above 2 GiB.
    """
    archived = stored.head(len(SIGN)) == SIGN
    if not archived and stored.size > LARGEST:
        message = f"{stored.name} has {stored.size / 2**30:.1f} GiB in the format before torch 1.6, which is read whole."
        raise TooLarge(message, hint="Write it again with torch.save: then any part of it is read in place.")
    torched = _Torched(stored, records(stored) if archived else None)
    leaves = list(_leaves(_loaded(stored, "meta" if archived else "cpu"), stored.name))
    noun = "this file of torch" if [name for name, _ in leaves] == [""] else "array"
    return Arrays(stored, [(name, torched.member(name, leaf)) for name, leaf in leaves], WRITE_AGAIN, noun)


def _loaded(stored: Stored, device: str) -> Any:
    import pickle

    import torch

    try:
        with warnings.catch_warnings():
            # What torch has to say about old files is for those who write them.
            warnings.simplefilter("ignore")
            return torch.load(stored.openable or stored.stream(), weights_only=True, map_location=device)
    except pickle.UnpicklingError as error:
        message = f"{stored.name} holds Python objects, or is no file of torch; lossctl never unpickles what could run code."
        hint = "Save tensors, and dicts and lists of them, alone: torch.save({'pred': pred, 'target': target}, path)."
        raise UnreadableFile(message, hint=hint) from error
    except NotImplementedError as error:
        message = f"{stored.name} holds a quantized or nested tensor, which lossctl does not read."
        raise UnreadableFile(message, hint="Save tensor.dequantize(), or one padded tensor, instead.") from error
    except Exception as error:  # whatever torch stumbles over in a damaged file
        message = f"{stored.name} is no readable file of torch ({type(error).__name__}: {reason(error)[:100]})."
        raise UnreadableFile(message, hint=WRITE_AGAIN) from error


def _leaves(value: Any, where: str) -> Iterator[tuple[str, Any]]:
    """Yield tensors, numbers, texts and flat lists of them under their names; what is None is left out.

    Raises: UnreadableFile if there are more than anybody wants: a small pickle can claim any number.
    """
    waiting, count = [("", value, 0)], 0
    while waiting:
        name, item, depth = waiting.pop()
        inner = _inner(item)
        count += 1
        if count > MOST_NAMES or depth > DEEPEST:
            message = f"{where} holds more than {MOST_NAMES} arrays, or they are nested more than {DEEPEST} levels deep."
            raise UnreadableFile(message, hint="Stack tensors of one shape: torch.save(torch.stack(tensors), path).")
        if inner is None and item is not None:
            yield name, item
        dotted = f"{name}." if name else ""
        waiting += reversed([(f"{dotted}{key}", one, depth + 1) for key, one in inner or ()])


def _inner(item: Any) -> list[tuple[Any, Any]] | None:
    """What a dict or list holds; None for what is an array on its own."""
    if isinstance(item, dict):
        return list(item.items())
    flat = isinstance(item, list | tuple) and all(isinstance(element, int | float | str) for element in item)
    return list(enumerate(item)) if isinstance(item, list | tuple) and not flat else None


def _is_tensor(leaf: Any) -> bool:
    import torch

    return isinstance(leaf, torch.Tensor)


def _is_storage(leaf: Any) -> bool:
    import torch

    return torch.is_storage(leaf)


def _values(leaf: Any, where: str) -> Part:
    """Return numbers or texts of Python.

    Raises: UnreadableFile for anything else.
    """
    items = leaf if isinstance(leaf, list | tuple) else [leaf]
    if items and all(isinstance(item, str) for item in items):
        return Memory(np.array(leaf))
    return Memory(numbers(leaf, where))
