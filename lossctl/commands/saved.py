"""Saved results: what a JSON file of lossctl says, by the names that gates know."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lossctl.commands.asked import brief
from lossctl.commands.listing import understand
from lossctl.errors import LossctlError, MissingFile, UnreadableFile
from lossctl.losses import LOSSES, catalogue
from lossctl.report import number_of
from lossctl.schemas.validation import fault
from lossctl.spec import Given
from lossctl.touched import read_whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lossctl.spec import Gate

# What losses were called in results that older versions wrote: their names are those of scores now.
FORMERLY = {"psnr": "psnr_loss", "cosine_similarity": "negative_cosine"}
OURS = "lossctl/"
RESULTS = f"{OURS}result/"
SCHEMA = f"{RESULTS}1"
# A baseline may be written by hand: what no gate looks at may be left out there.
UNSAID = {"version": "?", "command": "compute", "signature": "", "inputs": [], "checks": [], "warnings": []}


@dataclass(frozen=True)
class Entry:
    """One number of a saved result, under the names that a gate may call it by.

    `result` is what the file says of the loss, where the number is its value. `main` is no statistic and no group.
    """

    key: str
    value: float
    aliases: tuple[str, ...] = ()
    higher_is_better: bool = False
    main: bool = False
    result: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Saved:
    """A result: as it was read from a file, or about to be written."""

    name: str
    document: Mapping[str, Any]

    def entries(self) -> list[Entry]:
        """Every number that a gate may bound."""
        found = [entry for result in self.document.get("results", ()) for entry in _entries(result, self._names(result))]
        if "total" in self.document:
            found.append(Entry("total", number_of(self.document["total"]), main=True))
        return found + [entry for one in self.document.get("gradients", ()) for entry in _figures(one, found)]

    def values(self) -> dict[str, float]:
        """The same by name."""
        return {name: entry.value for entry in self.entries() for name in (*entry.aliases, entry.key)}

    def _names(self, result: Mapping[str, Any]) -> tuple[str, ...]:
        """What a result is called: as one would type it, and by its loss alone where it is the only one of it.

        Of two systems, the second has these names; each has them with its own behind, as in `mse[base]`.
        """
        results = [one for one in self.document["results"] if "group" not in one]
        systems = list(dict.fromkeys(one.get("system", "") for one in results))
        own = [one for one in results if one["loss"] == result["loss"] and one.get("system") == result.get("system")]
        label = label_of(result)
        names = (label, result["loss"]) if len(own) == 1 and label != result["loss"] else (label,)
        if "system" not in result:
            return names
        plain = names if result["system"] == systems[-1] and len(systems) <= 2 else ()  # noqa: PLR2004 - base and other
        return (f"{label}[{result['system']}]", *plain)


def load(path: str, *, whole: bool = False) -> Saved:
    """Read a saved result, which keeps to the schema that `lossctl schema` prints.

    Gates need no more of it than its numbers; `whole` demands all that the schema does.

    Raises: MissingFile; UnreadableFile with the path of the key that is missing, unknown or of another type.
    """
    hint = "Give a result that lossctl wrote with -o FILE.json."
    try:
        document = json.loads(read_whole(path), object_pairs_hook=_once, parse_constant=_refused)
    except FileNotFoundError as error:
        message = f"There is no result '{path}'."
        raise MissingFile(message, hint=f"Write it with: lossctl compute LOSS PRED TARGET -o {path}") from error
    except OSError as error:
        message = f"The result '{path}' could not be read: {error.strerror or error}."
        raise MissingFile(message, hint="Check the path.") from error
    except (ValueError, RecursionError) as error:
        message = f"'{path}' is no JSON: {error}."
        raise UnreadableFile(message, hint=hint) from error
    _check_kind(path, document, hint)
    if wrong := fault(document if whole else {**UNSAID, **document}, "result-1"):
        message = f"'{path}' is no result of lossctl: {wrong}."
        raise UnreadableFile(message, hint=hint)
    return Saved(path, _as_now_called(document))


def _as_now_called(document: dict[str, Any]) -> dict[str, Any]:
    """A result whose losses go by the names that they have now, in what it says and in what it was asked for."""
    request = document.get("request")
    lists = [document.get("results"), request.get("losses") if isinstance(request, dict) else None]
    for entry in [entry for found in lists if isinstance(found, list) for entry in found if isinstance(entry, dict)]:
        word = "loss" if "loss" in entry else "name"
        if isinstance(entry.get(word), str):
            entry[word] = FORMERLY.get(entry[word], entry[word])
    return document


def _check_kind(path: str, document: Any, hint: str) -> None:
    """Refuse what is no result, or one of another kind than this version writes.

    Raises: UnreadableFile.
    """
    schema = document.get("schema", "") if isinstance(document, dict) else ""
    if schema == SCHEMA:
        return
    message = f"'{path}' is JSON, but no result of lossctl: its schema is not {SCHEMA}."
    if isinstance(schema, str) and schema.startswith(RESULTS):
        message = f"'{path}' is a result of another version of lossctl: its schema is {schema}, and this one reads {SCHEMA}."
        hint = "Use the version that wrote it, or compute it anew."
    elif isinstance(schema, str) and schema.startswith(OURS):
        what = schema.removeprefix(OURS).partition("/")[0].replace("diagnosis", "diagnose")
        message = f"'{path}' is what lossctl {what} wrote: its schema is {schema}, and a result has {SCHEMA}."
        hint = "Results are what compute, grad, compare and merge write with -o FILE.json."
    raise UnreadableFile(message, hint=hint)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        message = f"the key '{next(name for name in names if names.count(name) > 1)}' stands twice in one object"
        raise ValueError(message)
    return found


def _refused(word: str) -> Any:
    message = f"{word} is no number of JSON"
    raise ValueError(message)


def label_of(result: Mapping[str, Any]) -> str:
    """The loss with the parameters that differ from their defaults; a term goes by its own name."""
    if result.get("name"):
        return str(result["name"])
    loss = catalogue().get(result["loss"])
    defaults = {one.name: one.default for one in loss.signature.parameters} if loss else {}
    arrays = {one.name for one in loss.signature.tensors} if loss else set()
    changed = [
        f"{name}={brief(Given(text=value) if name in arrays and isinstance(value, str) else value)}"
        for name, value in result["params"].items()
        if name not in defaults or value != defaults[name]
    ]
    return f"{result['loss']}:{','.join(changed)}" if changed else str(result["loss"])


def _entries(result: Mapping[str, Any], names: Sequence[str]) -> Iterable[Entry]:
    """The value of one result, and its statistics; unreduced values are no numbers."""
    if isinstance(result["value"], list):
        return
    higher, group = higher_is_better(result["loss"]), result.get("group")
    behind = "" if group is None else f"@{group}"
    head, *aliases = (f"{name}{behind}" for name in names)
    yield Entry(head, number_of(result), tuple(aliases), higher, group is None, result)
    stats = result.get("stats", {})
    for name in (one for one in stats if one != "statuses"):
        yield Entry(f"{names[0]}.{name}", number_of(stats, name), tuple(f"{one}.{name}" for one in names[1:]), higher)


def higher_is_better(loss: str) -> bool:
    """Whether a loss of ours is a score."""
    known = catalogue().get(loss)
    return known is not None and known.higher_is_better


def _figures(gradient: Mapping[str, Any], found: Sequence[Entry]) -> Iterable[Entry]:
    """The figures of a gradient: `pred.norm`, and `mse.norm` where there is one loss."""
    mains = [entry for entry in found if entry.main]
    heads = [name for entry in mains for name in (entry.key, *entry.aliases)] if len(mains) == 1 else []
    infinite = gradient.get("statuses", {})
    for name, value in gradient.items():
        if (isinstance(value, float | int) and not isinstance(value, bool)) or name in infinite:
            yield Entry(f"{gradient['wrt']}.{name}", number_of(gradient, name), tuple(f"{head}.{name}" for head in heads))


def renamed(gates: Iterable[Gate], names: Iterable[str]) -> list[Gate]:
    """The gates with losses under the names that a saved result has, whatever they were called."""
    known = set(names)
    return [gate if gate.key in known else replace(gate, key=_canonical(gate.key, known)) for gate in gates]


def _canonical(key: str, known: set[str]) -> str:
    end = min((key.find(sign) for sign in ".:@[" if sign in key), default=len(key))
    try:
        name = LOSSES.get(understand(key[:end])[0].name).name if end else ""
    except LossctlError:
        return key
    return f"{name}{key[end:]}" if f"{name}{key[end:]}" in known else key
