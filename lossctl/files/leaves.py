"""The columns of an Arrow schema, fields of structs among them, and where to find them in what was read."""

from __future__ import annotations

import struct
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from itertools import count
from typing import TYPE_CHECKING, Any

from lossctl.errors import LossctlError, TooLarge, UnreadableFile
from lossctl.files.arrowed import bare, nesting, number_type, slots, stored_as
from lossctl.files.stored import explained, titled
from lossctl.files.values import reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np

# What arrays of other types are called in messages, by the beginning of Arrow's name for the type.
KINDS = {"string": "text", "large_string": "text", "date": "dates", "timestamp": "dates", "time": "times", "map": "maps"}
KINDS |= {"binary": "raw bytes", "large_binary": "raw bytes", "fixed_size_binary": "raw bytes", "duration": "time spans"}
# Deeper than anybody nests, and far from Python's own limit.
DEEPEST = 64


@dataclass(frozen=True)
class Leaf:
    """A column: `path` leads to it through structs, `sizes` are the lengths of the lists in it, None where left open.

    `slots` are its numbers among the innermost columns of the file; `dtype` is None if it holds no numbers.
    """

    name: str
    path: tuple[int, ...]
    slots: tuple[int, ...]
    sizes: tuple[int | None, ...]
    dtype: np.dtype[Any] | None
    kind: str
    nullable: bool

    @property
    def open(self) -> bool:
        """Whether it holds lists whose lengths the type leaves open."""
        return None in self.sizes


def leaves(schema: Any) -> list[Leaf]:
    """Return all columns of a schema in order."""
    numbers = count()
    fields = [(schema.field(i), i) for i in range(len(schema))]
    return [leaf for field, i in fields for leaf in _within(field, field.name, (i,), numbers, nullable=False)]


def _within(field: Any, name: str, path: tuple[int, ...], numbers: count[int], *, nullable: bool) -> Iterator[Leaf]:
    from pyarrow import types

    kind, nullable = bare(field.type), nullable or field.nullable
    if not types.is_struct(kind):
        yield _leaf(field.type, name, path, numbers, nullable)
        return
    if len(path) > DEEPEST:
        message = f"column '{name}' is nested more than {DEEPEST} levels deep"
        raise ValueError(message)
    for i in range(kind.num_fields):
        inner = kind.field(i)
        yield from _within(inner, f"{name}.{inner.name}", (*path, i), numbers, nullable=nullable)


def _leaf(given: Any, name: str, path: tuple[int, ...], numbers: count[int], nullable: bool) -> Leaf:  # noqa: FBT001
    sizes, value = nesting(given)
    called = next((word for begins, word in KINDS.items() if str(value).startswith(begins)), "values")
    kind = f"{called if not sizes else f'lists of {called}'} ({bare(given)})"
    # An element of a list may always be null.
    return Leaf(name, path, tuple(slots(given, numbers)), tuple(sizes), number_type(given), kind, nullable or bool(sizes))


def route(path: tuple[int, ...], chosen: Sequence[tuple[int, ...]], depth: int) -> tuple[int, ...]:
    """Return where a column stands among the `chosen` ones, if only their fields were read in the first `depth` levels."""
    among = [sorted({other[i] for other in chosen if other[:i] == path[:i] and len(other) > i}) for i in range(len(path))]
    return tuple(found.index(step) if i < depth else step for i, (step, found) in enumerate(zip(path, among, strict=True)))


def follow(arrays: Sequence[Any], steps: Sequence[int]) -> list[Any]:
    """Go down into structs; where a struct is null, so are its fields."""
    return [reduce(lambda struct, step: stored_as(struct).flatten()[step], steps, array) for array in arrays]


@contextmanager
def reading(name: str, what: str) -> Iterator[None]:
    """Turn pyarrow's errors about `name`, which should be `what`, into ours.

    Raises: UnreadableFile; MissingFile; TooLarge where memory does not suffice.
    """
    import pyarrow as pa

    try:
        yield
    except LossctlError:
        raise
    except (FileNotFoundError, PermissionError):
        with explained(name):
            raise
    except MemoryError as error:
        message = f"{titled(name)} asks for more memory than there is: {reason(error)}."
        raise TooLarge(
            message, hint="Write it again in smaller row groups or record batches; it may also be damaged."
        ) from error
    except (
        pa.ArrowException,
        OSError,
        ValueError,
        LookupError,
        TypeError,
        OverflowError,
        RecursionError,
        struct.error,
    ) as error:
        why = reason(error)
        if "crypt" in why:
            message = f"{titled(name)} is encrypted: {why}."
            raise UnreadableFile(message, hint="Decrypt it where the key is known, and write it again.") from error
        message = f"{titled(name)} is not {what} that can be read: {why}."
        raise UnreadableFile(
            message, hint="Copy or write it again; --in-format names its format if the suffix does not."
        ) from error
