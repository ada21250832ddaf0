"""The commands that would be right: the one that was typed with other inputs, and what writes a file in another order."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lossctl.errors import LossctlError
from lossctl.sources import rows
from lossctl.sources.inputs import FileReader
from lossctl.sources.source import GLOB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from lossctl.losses.loss import Parameter
    from lossctl.sources.readers import NumPyArray
    from lossctl.sources.table import Table
    from lossctl.warnings.sight import Sight

# The options that a value depends on and that fit any order of rows, as they are typed.
REPEATED = (
    "reduction",
    "nan",
    "domain",
    "class_dim",
    "label_offset",
    "squeeze",
    "broadcast",
    "dtype",
    "in_format",
    "on",
    "row_order",
)
# Ids of more rows than this take seconds to read.
JOINED = 100_000


def again(sight: Sight, sources: Mapping[str, str], *more: str) -> str:
    """The command that computes the same loss in the same way, of other sources."""
    typed = {**sight.typed, **sources}
    inputs = [shlex.quote(typed[argument.name]) for argument in sight.bound.loss.signature.inputs]
    # Joined rows have no order to insist on.
    names = [name for name in REPEATED if name != "row_order" or "--on" not in more]
    options = [word for name in names for word in _option(name, getattr(sight.options, name))]
    return " ".join(["lossctl compute", shlex.quote(_loss(sight)), *inputs, *options, *more])


def _option(name: str, value: Any) -> list[str]:
    default = {"reduction": "mean", "nan": "error", "domain": "error", "dtype": "f64", "label_offset": 0}.get(name)
    if value == default or value is None or value is False or value == "":
        return []
    flag = f"--{name.replace('_', '-')}"
    return [flag] if value is True else [flag, shlex.quote(str(value))]


def _loss(sight: Sight) -> str:
    """The loss with the parameters that differ from its defaults."""
    header, params = sight.bound.loss.signature, sight.bound.params
    changed = [
        f"{p.name}={_number(p, params[p.name], sight)}" for p in header.parameters if params[p.name] != _default(p, sight)
    ]
    changed += [f"{t.name}={_tensor(sight.typed[t.name])}" for t in header.tensors if t.name in sight.typed]
    return f"{sight.loss}:{','.join(changed)}" if changed else sight.loss


def _default(parameter: Parameter, sight: Sight) -> Any:
    """What a parameter is if nobody says otherwise; a label to ignore moves with the labels."""
    moved = sight.options.label_offset if parameter.name == "ignore_index" else 0
    return parameter.default + moved if moved and isinstance(parameter.default, int) else parameter.default


def _number(parameter: Parameter, value: Any, sight: Sight) -> str:
    moved = sight.options.label_offset if parameter.name == "ignore_index" else 0
    return str(value - moved if moved else value).lower()


def _tensor(typed: str) -> str:
    return typed.strip("[]").replace(" ", "") if typed.startswith("[") else f"@{typed}"


def joined_by(sight: Sight, cuts: Callable[[NumPyArray], bool]) -> str:
    """The command with `--on`, where both tables have a column of ids that puts the targets in an order that `cuts` likes."""
    tables = [result for name in ("pred", "target") if (result := _table(sight, name))]
    if len(tables) != 2 or tables[0] is tables[1] or sight.bound.n > JOINED or sight.options.on:  # noqa: PLR2004
        return ""
    shared = [name for name in tables[0].names if list(tables[1].names).count(name) == 1]
    for name in shared:
        order = _order(tables, name)
        if order is not None and len(order) == sight.bound.n and cuts(order):
            return again(sight, {}, "--on", shlex.quote(name))
    return ""


def _order(tables: list[Table], name: str) -> NumPyArray | None:
    """The row of the second table that has the id of each row of the first, where each id stands once in both."""
    ours, theirs = (rows.normal(table.all_texts(list(table.names).index(name))) for table in tables)
    try:
        rows.unique(theirs, "", name)
        return rows.order(theirs, ours, "", "")
    except LossctlError:
        return None


def _table(sight: Sight, name: str) -> Table | None:
    """The table that an input comes from."""
    return _table_of(_found(sight, name))


def _table_of(opened: FileReader | None) -> Table | None:
    from lossctl.sources.table import TableColumns

    return opened.part.table if opened and isinstance(opened.part, TableColumns) else None


def _found(sight: Sight, name: str) -> FileReader | None:
    """The array of a file that an input is, whatever views lie above it."""
    opened = sight.opened.get(name)
    return opened if isinstance(opened, FileReader) else None


@dataclass(frozen=True, eq=False, repr=False)
class Copy:
    """A copy of an input with its rows picked by a Python expression: the code that writes it, and its SOURCE."""

    code: str
    source: str


def rewritten(sight: Sight, kind: str) -> str:
    """The commands that write the inputs with their rows paired in the way `kind`, and compute the loss of them.

    Empty where a file is of a kind that no short program writes, or another input would have to be written too.
    """
    picks = dict(_picks(kind, sight.bound.n))
    cut = [slot.input.name for slot in sight.bound.slots if slot.axis is not None]
    moved = [name for name in cut if name not in {"pred", "target"} and (len(picks) > 1 or name.startswith("target"))]
    copies = {name: _copy(sight, name, pick) for name, pick in picks.items()}
    if sight.options.on or moved or not all(copies.values()):
        return ""
    lines = [copy.code for copy in copies.values() if copy]
    code = "; ".join(["import numpy as np", *lines] if any("np." in line for line in lines) else lines)
    sources = {name: copy.source for name, copy in copies.items() if copy}
    return f"python3 -c {shlex.quote(code)} && {again(sight, sources)}"


def _picks(kind: str, n: int) -> Iterator[tuple[str, str]]:
    """Which rows of which input to take. In string order it is always the target that moves: what goes with pred stays."""
    if kind in {"down", "up"}:
        yield from (("pred", "[1:]"), ("target", "[:-1]")) if kind == "down" else (("pred", "[:-1]"), ("target", "[1:]"))
    elif kind == "reversed":
        yield "target", "[::-1]"
    else:
        first = int(kind[-1])
        texts = f"sorted(range({n}), key={'lambda i: str(i + 1)' if first else 'str'})"
        yield "target", f"[{texts}]" if kind.startswith("pred") else f"[sorted(range({n}), key={texts}.__getitem__)]"


def _copy(sight: Sight, name: str, pick: str) -> Copy | None:
    result = _found(sight, name)
    if result is None:
        return None
    stored = result.stored
    if not stored.path or not sight.typed.get(name, "").startswith(stored.name):
        return None
    if table := _table_of(result):
        return _lines(table, sight.bound.n, name, pick, sight.typed[name])
    suffix = Path(stored.name).suffix.lower()
    key = f"[{json.dumps(result.key)}]" if suffix == ".npz" else ""
    # NumPy knows an archive's arrays by name alone, not by place or pattern.
    if suffix not in {".npy", ".npz"} or (suffix == ".npz" and {"#", *GLOB} & set(result.key or "#")):
        return None
    load = f"np.load({json.dumps(stored.name)}){key}{pick}"
    return Copy(f'np.save("aligned-{name}.npy", {load})', f"aligned-{name}.npy")


def _lines(table: Table, n: int, name: str, pick: str, typed: str) -> Copy | None:
    """Lines of a text table are moved as they are, below its header; only where each row is one line."""
    path, skip = table.stored.name, table.layout.skip
    if table.line(n - 1) != skip + n:
        return None
    new = f"aligned-{name}{Path(path).suffix or '.txt'}"
    rows = f"[r[i] for i in {pick[1:-1]}]" if "range" in pick else f"r{pick}"
    code = f"L = open({json.dumps(path)}).read().splitlines(); r = L[{skip}:]; "
    code += f'print(*L[:{skip}], *{rows}, sep="\\n", file=open("{new}", "w"))'
    return Copy(code, new + typed.removeprefix(path))
