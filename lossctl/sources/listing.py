"""What a file holds: every array under the name one would type for it, and columns of text, without a role for any."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

from lossctl.errors import LossctlError
from lossctl.sources.container import Container, TextTable
from lossctl.sources.inputs import FileReader
from lossctl.sources.keys import WELL_KNOWN, pick
from lossctl.sources.source import plain_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lossctl.sources.readers import Part, Reader


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
        positions = [entry.position for entry in self.listed if entry.reader is None and not entry.why]
        if self.container is not None:
            yield from self.container.cells(positions)


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
        return Listed(name, path, key, FileReader(part, name, container.stored, key, container.how()), position)
    why = _why_no_text(container, position, fault)
    if why is not None and key is None:
        raise why
    return Listed(name, path, key, None, position, why.message if why is not None else "")


def _why_no_text(container: Container, position: int, fault: LossctlError | None) -> LossctlError | None:
    """Why something without numbers is no text either; None if it is."""
    if isinstance(container, TextTable):
        return None
    opened = fault or _alone(container, position)
    refused = opened if isinstance(opened, LossctlError) else None
    try:
        for _ in container.shown(position):
            pass
    except LossctlError as error:
        return refused or error
    return None


def role_of(key: str | None, path: PurePath) -> str:
    """The role that an array is well known for by its key, or by the name of a file that is one array; else nothing."""
    word = (PurePath(plain_name(path.name)).stem if key is None else key).lower()
    return next((role for role, known in WELL_KNOWN.items() if word in known), "")
