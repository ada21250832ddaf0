"""Array libraries. NumPy's own namespace follows the array API standard, so the default path wraps nothing.

torch is wrapped by array_api_compat and imported only when its name is given: importing it takes over a second. A backend also
says how a pass runs in it: on how many threads, in blocks of how many elements, and when its totals become numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from lossctl.errors import BadParameter, MissingExtra, UsageError
from lossctl.plugins import Plugins
from lossctl.sources.readers import PIECE, NumPyArray


class Backend(Protocol):
    """An array library: its namespace, the way in and out of it, and how a pass runs in it."""

    @property
    def xp(self) -> Any:
        """The array API namespace."""

    @property
    def piece(self) -> int:
        """Bytes that an array of those takes which are calculated with at once."""

    @property
    def pieces(self) -> int:
        """Pieces of a block, which is what is read at once; half as many where all of it is calculated with at once."""

    @property
    def late(self) -> bool:
        """Whether totals are numbers only once they are settled."""

    def lanes(self, jobs: int) -> AbstractContextManager[int]:
        """While it lasts, a pass runs on as many threads as it gives."""

    def total(self, term: Any) -> Any:
        """Sum all of a term."""

    def settle(self, totals: Iterable[list[Any]]) -> None:
        """Put numbers in the place of totals that are none yet."""

    def give(self, array: NumPyArray) -> Any:
        """Turn a NumPy array into one of this library's."""

    def take(self, array: Any) -> NumPyArray:
        """Turn one of this library's arrays into a NumPy array."""


# Bytes of a piece on a device of its own: it has no cache to fit into, and each piece has a dozen kernels to start.
LARGE = 1 << 27
DEVICE = re.compile(r"(cpu|cuda(:\d+)?|mps)")
# `torch|device:cuda`: which library, and where, as signatures say it.
AT = "|device:"


@dataclass(frozen=True)
class NumPyBackend:
    """NumPy itself."""

    xp: Any
    piece: ClassVar[int] = PIECE
    pieces: ClassVar[int] = 4
    late: ClassVar[bool] = False

    def __reduce__(self) -> tuple[Any, ...]:
        return numpy_backend, ()

    def give(self, array: NumPyArray) -> Any:
        """Return the array as it is."""
        return array

    def take(self, array: Any) -> NumPyArray:
        """Return the array as it is."""
        return array  # type: ignore[no-any-return]

    @contextmanager
    def lanes(self, jobs: int) -> Iterator[int]:
        """As many as are asked for."""
        yield jobs

    def total(self, term: Any) -> float:
        """Sum a term in float64, whatever its type."""
        return float(self.xp.add.reduce(term, axis=None, dtype=self.xp.float64))

    def settle(self, totals: Iterable[list[Any]]) -> None:
        """Every total is a number already."""


@dataclass(frozen=True)
class TorchBackend:
    """torch on the CPU.

    Blocks run in lanes, as in NumPy, and torch keeps to one thread in each: how it splits a sum among threads of its own
    would change the last bits.
    """

    xp: Any
    torch: Any
    device: str = "cpu"
    piece: ClassVar[int] = PIECE
    pieces: ClassVar[int] = 4
    late: ClassVar[bool] = False

    def __reduce__(self) -> tuple[Any, ...]:
        return sent, (self.device,)

    def give(self, array: NumPyArray) -> Any:
        """Make a tensor; torch shares no memory with arrays that may not be written to, and steps over none backwards."""
        fit = array.flags.writeable and all(step >= 0 for step in array.strides)
        return self.torch.from_numpy(array if fit else array.copy(order="K"))

    def take(self, array: Any) -> NumPyArray:
        """Move a tensor to the host."""
        return array.detach().cpu().numpy()  # type: ignore[no-any-return]

    @contextmanager
    def lanes(self, jobs: int) -> Iterator[int]:
        """As many as are asked for, each with one thread of torch's; afterwards torch has as many as before."""
        before = self.torch.get_num_threads()
        self.torch.set_num_threads(1)
        try:
            yield jobs
        finally:
            self.torch.set_num_threads(before)

    def total(self, term: Any) -> Any:
        """Sum a term in float64, whatever its type."""
        return float(self.xp.sum(term, dtype=self.xp.float64))

    def settle(self, totals: Iterable[list[Any]]) -> None:
        """Every total is a number already."""


@dataclass(frozen=True)
class DeviceBackend(TorchBackend):
    """torch on a device of its own: large blocks, one lane, and no waiting for a total before the last block.

    The host copies a block into pinned memory and goes on to read the next one while the device is at work.
    """

    piece: ClassVar[int] = LARGE
    pieces: ClassVar[int] = 1
    late: ClassVar[bool] = True

    def give(self, array: NumPyArray) -> Any:
        """Move an array to the device; mps has no float64, and gets its weights in float32."""
        tensor = super().give(array)
        if self.device == "mps" and tensor.dtype == self.torch.float64:
            tensor = tensor.to(self.torch.float32)
        return (tensor.pin_memory() if self.device.startswith("cuda") else tensor).to(self.device, non_blocking=True)

    @contextmanager
    def lanes(self, jobs: int) -> Iterator[int]:  # noqa: ARG002 - whatever is asked for
        """One: a device takes one block after the other, and is parallel inside."""
        yield 1

    def total(self, term: Any) -> Any:
        """Sum a term, in float64 where the device has it, and leave the sum there."""
        return self.xp.sum(term, dtype=self.xp.float32 if self.device == "mps" else self.xp.float64).detach()

    def settle(self, totals: Iterable[list[Any]]) -> None:
        """Turn the totals that are still on the device into numbers, all moved at once."""
        lists = list(totals)
        places = [(found, at) for found in lists for at, total in enumerate(found) if self.torch.is_tensor(total)]
        if not places:
            return
        numbers = self.torch.stack([found[at] for found, at in places]).cpu().tolist()
        for (found, at), number in zip(places, numbers, strict=True):
            found[at] = number


def numpy_backend() -> Backend:
    """The default."""
    import numpy as np

    return NumPyBackend(np)


def torch_backend(device: str = "cpu") -> Backend:
    """Wrap torch on the CPU, or on another device.

    Raises: MissingExtra without torch or array_api_compat, UsageError without the device.
    """
    try:
        import array_api_compat.torch as xp
        import torch
    except ImportError as error:
        raise MissingExtra(error.name or "torch", "--backend torch", "torch array-api-compat") from error
    if device == "cpu":
        return TorchBackend(xp, torch)
    _check_there(torch, device)
    return DeviceBackend(xp, torch, device)


def sent(device: str) -> Backend:
    """The backend that a worker of a cluster makes of a pickle; nobody else needs its torch, which keeps to one thread."""
    backend = torch_backend(device)
    backend.torch.set_num_threads(1)  # type: ignore[attr-defined]
    return backend


def _check_there(torch: Any, device: str) -> None:
    """Refuse a device that torch does not find.

    Raises: UsageError.
    """
    kind, _, number = device.partition(":")
    there = torch.cuda.device_count() if kind == "cuda" else int(torch.backends.mps.is_available())
    if int(number or 0) < there:
        return
    result = f"only {there} of them" if there else "none"
    message = f"--device {device}: torch {torch.__version__} finds {result} on this machine."
    raise UsageError(message, hint="Leave out --device, or install torch as https://pytorch.org/get-started says for it.")


def placed(device: str, backend: str, dtype: str) -> str:
    """The name of the backend that calculates on a device: `torch|device:cuda`, and plain `torch` on the CPU.

    Raises: BadParameter for what is no device, UsageError for a library or a type that it does not have.
    """
    if not DEVICE.fullmatch(device):
        raise BadParameter(f"--device takes cpu, cuda, cuda:N or mps, not '{device}'.", hint="Its default is cpu.")
    if backend != "torch":
        message = f"--device {device} is torch's, and --backend {backend} was asked for."
        raise UsageError(message, hint=f"Write --device {device} --backend torch, or leave out --device.")
    if device == "mps" and dtype != "f32":
        message = "mps calculates in float32 only, and --dtype is " + dtype + "."
        raise UsageError(message, hint="Write --device mps --dtype f32.")
    return "torch" if device == "cpu" else f"torch{AT}{device}"


def rows() -> dict[str, Any]:
    """Our own backends."""
    return {"numpy": numpy_backend, "torch": torch_backend}


@dataclass(frozen=True)
class Backends(Plugins[Any]):
    """The table of them, in which a name may say a device too."""

    def get(self, name: str) -> Callable[[], Backend]:
        """Return what makes the backend.

        Raises: UnknownName.
        """
        library, at, device = name.partition(AT)
        if at and library == "torch":
            return lambda: torch_backend(device)
        return super().get(name)  # type: ignore[no-any-return]


BACKENDS: Plugins[Any] = Backends("backend", "lossctl.backends", rows)
