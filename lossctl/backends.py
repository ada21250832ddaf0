"""Array libraries. NumPy's own namespace follows the array API standard, so the default path wraps nothing.

torch is wrapped by array_api_compat and imported only when its name is given: importing it takes over a second.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lossctl.errors import MissingExtra
from lossctl.plugins import Plugins

if TYPE_CHECKING:
    from lossctl.block import Backend
    from lossctl.blocks import NumPyArray


@dataclass(frozen=True)
class NumPyBackend:
    """NumPy itself."""

    xp: Any

    def give(self, array: NumPyArray) -> Any:
        """Return the array as it is."""
        return array

    def take(self, array: Any) -> NumPyArray:
        """Return the array as it is."""
        return array  # type: ignore[no-any-return]


@dataclass(frozen=True)
class TorchBackend:
    """torch on one device."""

    xp: Any
    torch: Any
    device: str = "cpu"

    def give(self, array: NumPyArray) -> Any:
        """Move an array to the device; torch shares no memory with arrays that may not be written to."""
        import numpy as np

        writable = array if array.flags.writeable else array.copy()
        return self.torch.from_numpy(np.ascontiguousarray(writable).reshape(array.shape)).to(self.device)

    def take(self, array: Any) -> NumPyArray:
        """Move a tensor to the host."""
        return array.detach().cpu().numpy()  # type: ignore[no-any-return]


def numpy_backend() -> Backend:
    """The default."""
    import numpy as np

    return NumPyBackend(np)


def torch_backend() -> Backend:
    """Wrap torch on the CPU.

    Raises: MissingExtra without torch or array_api_compat.
    """
    try:
        import array_api_compat.torch as xp
        import torch
    except ImportError as error:
        raise MissingExtra(error.name or "torch", "--backend torch", "torch array-api-compat") from error
    return TorchBackend(xp, torch)


def rows() -> dict[str, Any]:
    """Our own backends."""
    return {"numpy": numpy_backend, "torch": torch_backend, "auto": numpy_backend}


BACKENDS: Plugins[Any] = Plugins("backend", "lossctl.backends", rows)
