"""lossctl computes, checks and compares loss functions on the files that predictions are kept in.

Losses of others import `lossctl.loss` and `lossctl.words`. These two names stay, wherever the package keeps the modules.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType

__version__ = "0.1.0"
PUBLIC = {"lossctl.loss": "lossctl.losses.loss", "lossctl.words": "lossctl.losses.words"}


class PublicNames:
    """An import hook that gives a module under its public name: the module itself, not a copy."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:  # noqa: ARG002 - the import system passes them
        """Return where a public name leads, and None for any other name."""
        return ModuleSpec(name, self) if name in PUBLIC else None  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the module."""
        return import_module(PUBLIC[spec.name])

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing, since it has run."""


sys.meta_path.append(PublicNames())
