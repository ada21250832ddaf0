"""Which column or array is meant: by exact name, `#3`, a glob, or a name that is well known for the role.

lossctl never guesses the first column: a wrong guess is a wrong number that looks right.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import MappingProxyType

from lossctl.errors import LISTED, UnknownKey, near
from lossctl.sources.container import Container, TextTable
from lossctl.sources.source import GLOB
from lossctl.sources.stored import titled

PRED = "pred prediction predictions preds y_pred yhat y_hat output outputs logits logit score scores prob probs probability"
TARGET = "target targets y y_true label labels gt truth ground_truth"
# Targets whose names are nothing else; y is also a coordinate.
TRUTHS = frozenset(TARGET.split()) - {"y"}
WELL_KNOWN = {"pred": frozenset(PRED.split()), "target": frozenset(TARGET.split())}

# Names that say which row it is, not what was measured: `id`, `image_id`, `imageId`, `date`.
ID = re.compile(r"(?:.*[_\W])?(?:id|ids|uuid|guid)|key|index|idx|date|datetime|timestamp", re.IGNORECASE | re.DOTALL)
CAMEL = re.compile(r".*[a-z0-9](?:Id|ID|Uuid|UUID)", re.DOTALL)
# What pandas calls an index without a name: in text, as it reads that again, and in Parquet.
UNNAMED = re.compile(r"(?:unnamed: ?\d+|__index_level_\d+__)?", re.IGNORECASE)

# The key that means all columns of numbers.
EVERY = "*"
# What differs in the names of columns that belong together: `logit_a`, `logit_b`.
STEM = re.compile(r"[^_.-]*\Z")


@dataclass(frozen=True)
class Picked:
    """Positions in a container: one array, or a block of several. `key` is what to report, None where none was needed."""

    positions: tuple[int, ...]
    block: bool = False
    key: str | None = None


def names_id(name: str) -> bool:
    """Whether a column says that it tells rows apart: `id`, `*_id`, `key`, `index`, `date`, or an index without a name."""
    return bool(ID.fullmatch(name.strip()) or CAMEL.fullmatch(name.strip())) or is_unnamed(name)


def is_unnamed(name: str) -> bool:
    """Whether a column is an index to which pandas gave no name."""
    return bool(UNNAMED.fullmatch(name.strip()))


def pick(
    container: Container,
    key: str | None,
    role: str,
    say: Callable[[str], None],
    taken: Mapping[int, str] = MappingProxyType({}),
) -> Picked:
    """Find the positions that `key` names, or those that `role` needs where there is no key.

    `taken` are positions that are used for something else, each with what it is: a name or `#3` alone takes them.

    Raises: UnknownKey with the list of what there is.
    """
    names, path = container.names, container.stored.name
    if names is None:
        if key is None:
            return Picked((0,))
        message = f"{titled(path)} has no '{key}': {container.noun} holds one array and takes no key."
        raise UnknownKey(message, hint=f"Write {path} alone.")
    if key == EVERY and EVERY not in names:
        return _every(container, names, role, say, taken)
    if key is not None:
        return named(container, names, key)
    return _unnamed(container, names, role, say, taken)


def named(container: Container, names: Sequence[str], key: str) -> Picked:
    """Find a key: an exact name wins over a position, and that over a glob.

    Raises: UnknownKey if there is none such, or several of one name.
    """
    where = [i for i, name in enumerate(names) if name == key]
    if not where and container.noun == "array":
        # An archive's members are files, and some type them so.
        where = [i for i, name in enumerate(names) if f"{name}.npy" == key]
    if len(where) > 1:
        places = " or ".join(f"{container.stored.name}:#{i + 1}" for i in where)
        message = f"{titled(container.stored.name)} has {len(where)} {container.noun}s named '{key}'."
        raise UnknownKey(message, hint=f"Name it by its position: {places}.")
    if where:
        return Picked((where[0],), key=key)
    if key.startswith("#") and key[1:].isdecimal() and 0 < int(key[1:]) <= len(names):
        return Picked((int(key[1:]) - 1,), key=key)
    matching = _matching(container, names, key) if GLOB & set(key) else []
    if matching:
        return Picked(tuple(matching), block=True, key=key)
    inner = [name for name in names if name.startswith(f"{key}.")]
    if inner:
        message = f"{titled(container.stored.name)}: '{key}' is no single {container.noun}; it holds {_listed(inner)}."
        raise UnknownKey(message, hint=f"Name one: {container.stored.name}:{inner[0]}.")
    hint = near(key, (f"{name}" for name in names), f"{container.noun}s")
    if not key.isdecimal() and isinstance(container, TextTable) and key in container.first:
        hint = f"It stands in the first row, which was taken for a sample: --header yes takes it for names. {hint}"
    if key.isdecimal():
        hint = f"For a position write {container.stored.name}:#{key}. {hint}"
    raise UnknownKey(f"{titled(container.stored.name)} has no {container.noun} '{key}'.", hint=hint)


def _matching(container: Container, names: Sequence[str], pattern: str) -> Sequence[int]:
    return container.numeric() if pattern == EVERY else [i for i, name in enumerate(names) if fnmatchcase(name, pattern)]


def _every(
    container: Container, names: Sequence[str], role: str, say: Callable[[str], None], taken: Mapping[int, str]
) -> Picked:
    """What `*` means: the columns of numbers that can be one block. What is left out is said, and a target in a prediction.

    Raises: UnknownKey where nothing is left.
    """
    numeric = set(container.numeric())
    left = {at: "text" for at in range(len(names)) if at not in numeric}
    left |= {at: "an index" if is_unnamed(names[at]) else "an id" for at in numeric if names_id(names[at])}
    left |= dict.fromkeys(_counting(container), "row numbers")
    left |= taken
    kept = [at for at in range(len(names)) if at not in left]
    path = container.stored.name
    said = ", ".join(f"'{names[at]}' ({left[at]})" for at in sorted(left)[:LISTED])
    more = f", and {len(left) - LISTED} more" if len(left) > LISTED else ""
    if not kept:
        message = f"{titled(path)} has no {container.noun} that '{EVERY}' could take: {said}{more}."
        raise UnknownKey(message, hint=f"Name what is meant, by a name or a pattern: '{path}:?*' takes what has a name.")
    if left:
        say(f"{path}:{EVERY} leaves out {said}{more}")
    targets = [names[at] for at in kept if role == "pred" and names[at].lower() in TRUTHS]
    if targets and len(targets) < len(kept):
        say(f"{path}:{EVERY} takes in {_listed(targets)}, the name of a target; another pattern leaves it out")
    return Picked(tuple(kept), block=True, key=EVERY)


def _unnamed(
    container: Container, names: Sequence[str], role: str, say: Callable[[str], None], taken: Mapping[int, str]
) -> Picked:
    numeric = [i for i in container.numeric() if i not in taken]
    columns = len(names)
    if columns > 1 and (others := [i for i in numeric if not is_unnamed(names[i])]):
        # An index that pandas wrote along is no candidate.
        columns -= len(numeric) - len(others)
        numeric = others
    if len(numeric) == 1 and (columns == 1 or not _of_another_role(names[numeric[0]], role)):
        return Picked((numeric[0],), key=names[numeric[0]])
    known = WELL_KNOWN.get(role, frozenset({role.lower()}))
    fitting = [i for i in numeric if names[i].lower() in known]
    if len(fitting) == 1:
        name = names[fitting[0]]
        say(f"{titled(container.stored.name)}: using {container.noun} '{name}' as {role}")
        return Picked((fitting[0],), key=name)
    raise _undecided(container, names, numeric, role)


def _counting(container: Container) -> Sequence[int]:
    return container.counting() if isinstance(container, TextTable) else ()


def _of_another_role(name: str, role: str) -> bool:
    """Whether `name` is well known for something else: a lone numeric `pred` beside text columns is no target."""
    return any(name.lower() in known for other, known in WELL_KNOWN.items() if other != role)


def _undecided(container: Container, names: Sequence[str], numeric: list[int], role: str) -> UnknownKey:
    path, noun = container.stored.name, container.noun
    if not numeric:
        listed = f": {_listed(names)}" if names else ""
        hint = f"Name another file for {role}, or write numbers into this one."
        return UnknownKey(f"{titled(path)} has no {noun} of numbers to use as {role}{listed}.", hint=hint)
    listed = _listed([names[i] for i in numeric])
    message = f"{titled(path)} has {len(numeric)} {noun}s of numbers ({listed}), and none is certain to be {role}."
    if len(numeric) == 1:
        message = f"{titled(path)} has one {noun} of numbers ({listed}), and by its name it is not {role}."
    counting = _counting(container)
    values = [i for i in numeric if not names_id(names[i]) and i not in counting] or numeric
    likely = [names[i] for i in values if not _of_another_role(names[i], role)] or [names[i] for i in values]
    pattern = _pattern(likely, len(numeric))
    block = f"; or several as one block: '{path}:{pattern}'" if pattern else ""
    return UnknownKey(message, hint=f"Name one: {path}:{likely[0]}{block}.")


def _pattern(likely: Sequence[str], count: int) -> str:
    """A glob for names that begin alike, such as those of scores; all only if that takes no target into the block."""
    stems = {STEM.sub("", name) for name in likely}
    if len(likely) > 1 and len(stems) == 1 and stems != {""}:
        return f"{stems.pop()}*"
    return "*" if len(likely) == count > 1 else ""


def _listed(names: Sequence[str]) -> str:
    more = f", and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(f"'{name}'" for name in names[:LISTED]) + more
