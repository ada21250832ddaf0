"""What a file holds: every array under the name one would type for it, and columns of text, without a role for any."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import PurePath
from typing import TYPE_CHECKING

from lossctl.errors import LossctlError
from lossctl.files.compressed import plain_name
from lossctl.files.container import Found, how_read
from lossctl.files.keys import WELL_KNOWN, pick
from lossctl.files.npy import KINDS, Npy
from lossctl.files.npz import Npz
from lossctl.files.table import Table
from lossctl.files.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lossctl.blocks import Part, Reader
    from lossctl.files.container import Container

# Types of arrays that can be listed as text.
TEXTS = tuple(f"holds {KINDS[kind]} " for kind in "SUM")


@dataclass(frozen=True)
class Listed:
    """One array or column: `name` is what one types for it, `reader` its numbers.

    Without a reader it is text, whose cells `Contents.cells` gives, unless `why` says that it is neither.
    """

    name: str
    path: str | None
    key: str | None
    reader: Reader | None
    position: int = 0
    why: str = ""


@dataclass(frozen=True)
class Contents:
    """All that one file holds, or the part of it that a key names."""

    listed: Sequence[Listed]
    container: Container | None = None

    def cells(self) -> Iterator[Sequence[str | None]]:
        """Yield the cells of all columns of text row by row, None below the end of a shorter one."""
        positions = [one.position for one in self.listed if one.reader is None and not one.why]
        if isinstance(self.container, Table):
            for _, cells in self.container.rows():
                yield [cells[position] for position in positions]
        elif self.container is not None:
            # A file of arrays may hold text of any lengths.
            yield from zip_longest(*(_texts(self.container, position) for position in positions))


def contents(container: Container, key: str | None, again: Callable[[], Container], say: Callable[[str], None]) -> Contents:
    """List what a file holds; `again` opens it anew, for a column that turns out to be text spoils those read beside it.

    Raises: UnknownKey for a key that is not there; UnreadableFile if the file is a single array and that is none of numbers
    or text.
    """
    names = container.names
    positions = list(range(len(names))) if names is not None and key is None else pick(container, key, "", say).positions
    if names is None:
        parts, faults = _parts(container, [0], again)
    else:
        parts, faults = _parts(container, sorted(set(positions) & set(container.numeric())), again)
    alike = Counter(names or ())
    keys = {i: f"#{i + 1}" if alike[names[i]] > 1 else names[i] for i in positions} if names is not None else {}
    listed = [_listed(container, i, keys.get(i), parts.get(i), faults.get(i)) for i in positions]
    return Contents(listed, container)


def _parts(
    container: Container, positions: Sequence[int], again: Callable[[], Container]
) -> tuple[dict[int, Part], dict[int, LossctlError]]:
    """Open those that should hold numbers: all at once, and if one does not, each on its own."""
    try:
        parts = {position: container.part(position) for position in positions}
        # A large table is converted when a shape is asked for, all columns in one pass.
        _ = [part.shape for part in parts.values()]
    except LossctlError:
        pairs = {position: _alone(again(), position) for position in positions}
    else:
        return parts, {}
    parts = {position: part for position, part in pairs.items() if not isinstance(part, LossctlError)}
    return parts, {position: fault for position, fault in pairs.items() if isinstance(fault, LossctlError)}


def _alone(container: Container, position: int) -> Part | LossctlError:
    try:
        part = container.part(position)
        _ = part.shape
    except LossctlError as error:
        return error
    return part


def _listed(container: Container, position: int, key: str | None, part: Part | None, fault: LossctlError | None) -> Listed:
    """One entry, under a name, or its position where two are named alike."""
    path = container.stored.name
    name = path if key is None else f"{path}:{key}"
    if part is not None:
        how = how_read(container, [position], block=False)
        return Listed(name, path, key, Found(part, name, container.stored, key, how), position)
    why = _why_no_text(container, position, fault)
    if why is not None and key is None:
        raise why
    return Listed(name, path, key, None, position, why.message if why is not None else "")


def _why_no_text(container: Container, position: int, fault: LossctlError | None) -> LossctlError | None:
    """Why something without numbers is no text either; None if it is."""
    if isinstance(container, Table):
        return None
    found = fault or _alone(container, position)
    refused = found if isinstance(found, LossctlError) else None
    if refused is not None and isinstance(container, Npy | Npz) and not any(text in refused.message for text in TEXTS):
        return refused
    try:
        _texts(container, position)
    except LossctlError as error:
        return refused or error
    return None


def _texts(container: Container, position: int) -> list[str]:
    if isinstance(container, Tree) and isinstance(value := container.leaves[container.names[position]], str):
        return [value]
    return container.texts(position)


def ignore(sentence: str) -> None:
    """Say nothing."""
    del sentence


def role_of(key: str | None, path: PurePath) -> str:
    """The role that an array is well known for by its key, or by the name of a file that is one array; else nothing."""
    word = (PurePath(plain_name(path.name)).stem if key is None else key).lower()
    return next((role for role, known in WELL_KNOWN.items() if word in known), "")
