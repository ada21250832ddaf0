"""Shapes written in dims: matching them, and saying them to a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

Shape = tuple[int, ...]
Dims = dict[str, Shape]


def tokens(spec: str) -> list[str]:
    """The dims of a shape such as `n c *d`."""
    return spec.split()


def fixed(spec: str) -> int:
    """How many axes a shape has at least."""
    return sum(not token.startswith("*") for token in tokens(spec))


def sample_axis(spec: str) -> int | None:
    """Where the sample axis stands, if there is one."""
    names = tokens(spec)
    return names.index("n") if "n" in names else None


def match(spec: str, shape: Shape, dims: Mapping[str, Shape]) -> Dims | None:
    """Bind the dims of `spec` to `shape`, given those already bound; None where they do not fit."""
    names = tokens(spec)
    spare = len(shape) - fixed(spec)
    if spare < 0 or (spare > 0 and "*" not in spec):
        return None
    bound = dict(dims)
    start = 0
    for name in names:
        stop = start + (spare if name.startswith("*") else 1)
        wanted = (int(name),) if name.isdigit() else bound.setdefault(name.lstrip("*"), shape[start:stop])
        if wanted != shape[start:stop]:
            return None
        start = stop
    return bound


def squeezed(spec: str, shape: Shape) -> Shape:
    """Drop the axes of size 1 that no dim of `spec` stands for but `*d`."""
    head, _, tail = spec.partition("*") if "*" in spec else (spec, "", "")
    first, last = len(tokens(head)), max(0, len(tokens(tail)) - 1)
    spare = len(shape) - first - last
    if spare <= 0:
        return shape
    return tuple(size for axis, size in enumerate(shape) if size != 1 or not first <= axis < first + spare)


def lifted(spec: str, shape: Shape) -> Shape:
    """The shape `(n, *d)` with axes of size 1 where `spec` has other dims, so that it broadcasts to all of `spec`."""
    sizes = {"n": shape[:1], "*d": shape[1:]}
    return tuple(size for token in tokens(spec) for size in sizes.get(token, (1,)))


def say(spec: str, dims: Mapping[str, Shape]) -> str:
    """A shape for a person: known sizes as numbers, the rest as capital letters."""
    parts: list[str] = []
    for token in tokens(spec):
        name = token.lstrip("*")
        known = [str(size) for size in dims[name]] if name in dims else None
        unknown = "d1.." if token.startswith("*") else name.upper()
        parts.extend([unknown] if known is None else known)
    return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"


def broadcast(*shapes: Shape) -> Shape | None:
    """The common shape under broadcasting, or None."""
    rank = max((len(s) for s in shapes), default=0)
    result = []
    for sizes in zip(*((1,) * (rank - len(s)) + s for s in shapes), strict=True):
        wide = {size for size in sizes if size != 1}
        if len(wide) > 1:
            return None
        result.append(wide.pop() if wide else 1)
    return tuple(result)
