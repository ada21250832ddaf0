"""One table class behind losses, file formats, renderers and backends.

A name with a colon is `module:attribute`; of others, own rows come first, then entry points: nobody shadows `mse`. Entry points
are scanned only after our own rows have failed, because importlib.metadata takes longer to import than a small run.
"""

from __future__ import annotations

import importlib
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from lossctl.calls import said
from lossctl.errors import UnknownName, near

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

T = TypeVar("T")


def exactly(name: str) -> str:
    """The spelling rule of tables that have none."""
    return name


@dataclass(frozen=True, eq=False, repr=False)
class Plugins(Generic[T]):
    """Named things: values, or strings `module:attribute` that are imported when asked for."""

    noun: str
    group: str
    rows: Callable[[], Mapping[str, T | str]]
    spelling: Callable[[str], str] = exactly
    by_path: bool = False
    listed: Callable[[], Iterable[str]] | None = None
    plural: str = ""
    also: Callable[[], Iterable[str]] | None = None

    def get(self, name: str) -> T:
        """Return what `name` stands for.

        Raises: UnknownName with the nearest known name, or with what went wrong on import.
        """
        if self.by_path and ":" in name:
            return resolve(name, name)  # type: ignore[no-any-return]
        row = self.rows().get(self.spelling(name))
        if row is not None:
            return resolve(row, name) if isinstance(row, str) else row
        for entry in self.entries():
            if self.spelling(entry.name) == self.spelling(name):
                return resolve(entry.value, f"{name} ({entry.value})")  # type: ignore[no-any-return]
        message = f"There is no {self.noun} '{name}'."
        raise UnknownName(message, hint=self._near(name))

    def _near(self, name: str) -> str:
        also = self.rows() if self.also is None else self.also()
        plural = self.plural or f"{self.noun}s"
        return near(name, self.names(), plural, also, quantities=self.noun == "loss")

    def names(self) -> list[str]:
        """All known names: our own, those that are worth listing, then those of installed packages."""
        own = self.rows() if self.listed is None else self.listed()
        return [*own, *(entry.name for entry in self.entries())]

    def entries(self) -> list[Any]:
        """The entry points of installed packages; nothing is imported of them yet."""
        from importlib.metadata import entry_points  # noqa: PLC0415 - 40 ms that only a name of somebody else's costs

        return list(entry_points(group=self.group))


def resolve(path: str, name: str) -> Any:
    """Import `module:attribute`, or `file.py:attribute`.

    Raises: UnknownName if the module or the attribute is not there, or if importing it fails or exits.
    """
    module, _, attribute = path.rpartition(":")
    try:
        # stdout is the result's; a module that prints while it is imported does so on stderr.
        with redirect_stdout(sys.stderr):
            found = _from_file(module) if module.endswith(".py") else importlib.import_module(module)
            return getattr(found, attribute)
    except (Exception, SystemExit) as error:
        message = f"'{name}' could not be imported: {said(error)}."
        raise UnknownName(message, hint="It is read as package.module:Attribute or ./file.py:Attribute.") from error


def _from_file(path: str) -> Any:
    import importlib.util  # noqa: PLC0415 - only for losses in a file of the user's

    # Known by its path: under its bare name, ./random.py would stand in for the standard library's module.
    spec = importlib.util.spec_from_file_location(str(Path(path).resolve()), path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    if spec.name in sys.modules:
        return sys.modules[spec.name]
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    folder = str(Path(path).resolve().parent)
    if folder not in sys.path:
        # Last, so that what stands beside it can be imported and shadows nothing.
        sys.path.append(folder)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[spec.name]
        raise
    return module
