"""What torch.save writes: .pt and .pth. torch's restricted unpickler says where tensors lie; numbers are read without it.

A file is loaded onto the device "meta", which reads its structure and no storage; each storage then knows the place of its
bytes, which is compared with the archive's own directory. Pages of a mapped tensor would count as the process's own memory.
Files of torch before 1.6 are read whole.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.blocks import Memory
from lossctl.errors import LossctlError, TooLarge, UnreadableFile
from lossctl.files.container import Arrays
from lossctl.files.smallfloats import Widened, bits_of
from lossctl.files.torch_records import WRITE_AGAIN, Record, placed, records
from lossctl.files.values import DEEPEST, MOST_NAMES, numbers, reason
from lossctl.files.zipped import SIGN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lossctl.blocks import Part
    from lossctl.files.stored import Stored

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
    flat = isinstance(item, list | tuple) and all(isinstance(one, int | float | str) for one in item)
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
