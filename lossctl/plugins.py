"""Code of others, called with care: it may raise anything, exit, print, draw random numbers, or return what is no loss.

What it prints goes to stderr, since stdout is the result's. Random numbers begin at the same seed on every call, so that a
run can be repeated. Inputs are torch tensors; a function that refuses them is given NumPy arrays. Where a type is refused,
the call is repeated with float arrays of whole numbers as int64 (tables hold labels as floats, and torch wants them whole),
then with int64 arrays as floats.

One table class behind losses, file formats, renderers and backends.

A name with a colon is `module:attribute`; of others, own rows come first, then entry points: nobody shadows `mse`. Entry points
are scanned only after our own rows have failed, because importlib.metadata takes longer to import than a small run.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from lossctl.errors import LossctlError, MissingExtra, NoGradient, OutOfDomain, PluginFailed, ShapeMismatch, UnknownName, near

# Longer messages of others are cut: torch lists whole overload tables.
LONGEST = 300
DEBUG = "--debug shows where."
# What data can be to blame for; everything else is a fault of the code.
DATA = (ValueError, IndexError, ArithmeticError, AssertionError, RuntimeError, Warning)
CODE = (RecursionError, NotImplementedError)
SHAPES = re.compile(r"\b(sizes?|shapes?|dimensions?|dims?|lengths?|broadcast\w*|\dD)\b", re.IGNORECASE)
TYPES = re.compile(r"\b(dtypes?|scalar type|type|Long|Int|Double|Float|indices must be|numpy)\b|astype")


def torch_of(name: str) -> Any:
    """Import torch.

    Raises: MissingExtra, which says that `name` needs it.
    """
    try:
        import torch
    except ImportError as error:
        raise MissingExtra("torch", name, "torch") from error
    return torch


def said(error: BaseException) -> str:
    """Say an error of others in one line, with its kind."""
    text = " ".join(str(error).split())
    text = f"{text[:LONGEST]}…" if len(text) > LONGEST else text.rstrip(".")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def failure(what: str, error: BaseException, *, data: bool) -> LossctlError:
    """Make one of our errors of anything; `data` says that the inputs, too, may be to blame."""
    message = f"{what}: {said(error)}."
    if not data or isinstance(error, CODE) or not isinstance(error, DATA):
        return PluginFailed(message, hint=DEBUG)
    if isinstance(error, Warning) or SHAPES.search(str(error)):
        return ShapeMismatch(message, hint="Give inputs of the shapes that it takes.")
    return OutOfDomain(message, hint=f"Give values that it takes; {DEBUG}")


@contextmanager
def guarded(what: str, *, data: bool = False) -> Iterator[None]:
    """Run code of others; whatever it raises becomes one error that begins with `what`."""
    try:
        with redirect_stdout(sys.stderr), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.filterwarnings("error", message="Using a (target|input) size")
            yield
    except (LossctlError, MemoryError):
        raise
    except (Exception, SystemExit) as error:
        raise failure(what, error, data=data) from error


@contextmanager
def unheard() -> Iterator[None]:
    """Keep stdout clean: with TensorBoard comes TensorFlow, where that is installed, and both talk."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with redirect_stdout(sys.stderr), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def seeded(torch: Any) -> Iterator[None]:
    """Begin random numbers at the same seed, and leave those of everybody else as they were."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def tensor(torch: Any, array: Any) -> Any:
    """Return an array as a tensor; torch shares no memory with arrays that may not be written to."""
    if isinstance(array, torch.Tensor):
        return array
    import numpy as np

    result = np.ascontiguousarray(array)
    return torch.from_numpy(result if result.flags.writeable else result.copy()).reshape(array.shape)


def numpy_of(value: Any) -> Any:
    """Return a tensor as a NumPy array, and anything else as it is."""
    return value.detach().numpy() if hasattr(value, "detach") else value


def fits(torch: Any, tensors: Sequence[Any]) -> Iterable[list[Any]]:
    """The inputs as they are; with labels among them as int64; with all of them as floats."""
    yield list(tensors)
    if any(_labels(item) for item in tensors[1:]):
        yield [tensors[0], *(item.long() if _labels(item) else item for item in tensors[1:])]
    if not all(item.is_floating_point() for item in tensors):
        yield [item if item.is_floating_point() else item.to(torch.float64) for item in tensors]


def _labels(value: Any) -> bool:
    """Whether a float array could be labels: whole numbers that no gradient is asked of."""
    whole = value.is_floating_point() and not value.requires_grad and value.numel() > 0
    return whole and bool((value.detach() == value.detach().round()).all())


def attempt(torch: Any, run: Callable[..., Any], tensors: Sequence[Any], name: str, *, numpy: bool) -> Any:
    """Call `run` with tensors in the first way that it accepts; where `numpy` allows it, with NumPy arrays last.

    Raises: NoGradient where NumPy would have to be differentiated; what `failure` makes of a refusal.
    """
    refused: list[LossctlError] = []
    what = f"{name} failed on inputs of shape {', '.join(str(tuple(item.shape)) for item in tensors)}"
    differentiated = any(item.requires_grad for item in tensors)
    for way in _ways(torch, tensors, numpy=numpy):
        try:
            with guarded(what, data=True), seeded(torch):
                result = run(*way)
        except LossctlError as error:
            refused.append(error)
            if isinstance(error.__cause__, SystemExit):
                break
        else:
            return _connected(torch, result, name) if differentiated else result
    if differentiated and numpy:
        raise _no_gradient(name)
    raise next((error for error in refused if not _typed(error.__cause__)), refused[0])


def _ways(torch: Any, tensors: Sequence[Any], *, numpy: bool) -> Iterable[list[Any]]:
    yield from fits(torch, tensors)
    if numpy and not any(item.requires_grad for item in tensors):
        yield from ([numpy_of(item) for item in way] for way in fits(torch, tensors))


def _typed(cause: BaseException | None) -> bool:
    """Whether a refusal was about types, of which another attempt gave the right ones."""
    return isinstance(cause, TypeError | AttributeError) or bool(TYPES.search(str(cause)))


def _no_gradient(name: str) -> NoGradient:
    message = f"{name} calculates with NumPy or plain numbers, so that there is no backward."
    return NoGradient(message, hint="Write it with torch.")


def _connected(torch: Any, result: Any, name: str) -> Any:
    """Return a result that autograd can follow back to an input.

    Raises: NoGradient where it is no tensor, PluginFailed where it was cut off.
    """
    if not isinstance(result, torch.Tensor):
        raise _no_gradient(name)
    if not result.requires_grad:
        message = f"{name} gives a result that is cut off from its inputs, so that its backward trains nothing."
        raise PluginFailed(message, hint="Look for detach(), .data, item() or no_grad() in it.")
    return result


T = TypeVar("T")


def exactly(name: str) -> str:
    """The spelling rule of tables that have none."""
    return name


@dataclass(frozen=True, eq=False, repr=False)
class Plugins(Generic[T]):
    """Named things: values, or strings `module:attribute` that are imported when asked for."""

    noun: str
    group: str
    rows: Callable[[], Mapping[str, T | str]] | Mapping[str, T | str]
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
        rows = self._rows()
        row = rows.get(name) or rows.get(self.spelling(name))
        if row is not None:
            return resolve(row, name) if isinstance(row, str) else row
        for entry in self.entries():
            if self.spelling(entry.name) == self.spelling(name):
                return resolve(entry.value, f"{name} ({entry.value})")  # type: ignore[no-any-return]
        raise UnknownName(f"There is no {self.noun} '{name}'.", hint=self._near(name))

    def _rows(self) -> Mapping[str, T | str]:
        return self.rows() if callable(self.rows) else self.rows

    def _near(self, name: str) -> str:
        also = self._rows() if self.also is None else self.also()
        plural = self.plural or f"{self.noun}s"
        return near(name, self.names(), plural, also, quantities=self.noun == "loss")

    def names(self) -> list[str]:
        """All known names: our own, those that are worth listing, then those of installed packages."""
        own = self._rows() if self.listed is None else self.listed()
        return [*own, *(entry.name for entry in self.entries())]

    def entries(self) -> list[Any]:
        """The entry points of installed packages; nothing is imported of them yet."""
        from importlib.metadata import entry_points

        return list(entry_points(group=self.group))


def resolve(path: str, name: str) -> Any:
    """Import `module:attribute`, or `file.py:attribute`.

    Raises: UnknownName if the module or the attribute is not there, or if importing it fails or exits.
    """
    module, _, attribute = path.rpartition(":")
    try:
        # stdout is the result's; a module that prints while it is imported does so on stderr.
        with redirect_stdout(sys.stderr):
            result = _from_file(module) if module.endswith(".py") else importlib.import_module(module)
            return getattr(result, attribute)
    except (Exception, SystemExit) as error:
        message = f"'{name}' could not be imported: {said(error)}."
        raise UnknownName(message, hint="It is read as package.module:Attribute or ./file.py:Attribute.") from error


def _from_file(path: str) -> Any:
    import importlib.util

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
