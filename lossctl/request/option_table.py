"""A row of the table of options: everything that is said of an option, once.

A row is a field of a dataclass, written with `option`. `spec.Options` holds the rows that the engine reads, `arguments` those
that several commands share, and each command its own. From a row come the command line's signature and help (`spreading`),
the check of choices (`check`), what a spec file and a saved request may hold (`models`), and the signature of a result.
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field, fields, replace
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from lossctl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

INPUT, HOW, RESULT, GATES, TALK = "Inputs", "How to compute", "Result", "Gates", "Messages"
PANELS = (INPUT, HOW, RESULT, GATES, TALK)
# What can be typed, by the words that annotate a row.
TYPES: dict[str, Any] = {
    "bool": bool,
    "int": int,
    "float": float,
    "str": str,
    "bool | None": bool | None,
    "int | None": int | None,
    "float | None": float | None,
    "str | None": str | None,
    "list[str]": list[str],
    "tuple[str, ...]": tuple[str, ...],
}


class Typed(NamedTuple):
    """How an option is typed where the program holds another type: its type, its default, and what converts it.

    `convert` raises UsageError for what it cannot read.
    """

    type: str
    default: Any
    convert: Callable[[Any], Any]


@dataclass(frozen=True, eq=False, repr=False)
class Option:
    """A row. Its `name`, `type` and `default` are those of the field that it stands at.

    `doc` is one sentence, in which `{}` stands for the choices. `choices` are all words that it takes, and where it is `open`
    those that lossctl itself knows. `commands` are those that take it; nothing means each that has the row. `writes` says that
    it names files to be written, `source` that it names data to be read, `label` that it is a class label or an axis.
    `samples` says that it needs each single sample: `order` in an order of its own, `figures` as they stand.

    `spec` says whether a spec file may hold it, and `replayed` whether a saved result may ask for it again: only what says how
    data are read and reduced, since a file is no command of whoever runs `verify` or `merge`. The signature of a result names
    it where it is not the default, or `always` under the short name given, or never if it is `unsigned`.
    """

    flags: tuple[str, ...]
    panel: str
    doc: str
    metavar: str | None = None
    envvar: str | None = None
    choices: tuple[str, ...] = ()
    open: bool = False
    min: float | None = None
    max: float | None = None
    count: bool = False
    show_default: bool = True
    commands: tuple[str, ...] = ()
    typed: Typed | None = None
    writes: bool = False
    source: bool = False
    label: bool = False
    samples: str = ""
    spec: bool = False
    replayed: bool = False
    unsigned: bool = False
    always: str = ""
    name: str = ""
    type: str = ""
    default: Any = None

    @property
    def flag(self) -> str:
        """What messages call it."""
        return next(flag for flag in self.flags if flag.startswith("--")).partition("/")[0]

    @property
    def shortest(self) -> str:
        """The shortest way to write it."""
        return min(self.flags, key=len)

    @property
    def words(self) -> tuple[str, ...]:
        """The choices that can be typed; no word at all is the default of some."""
        return tuple(word for word in self.choices if word)

    @property
    def help(self) -> str:
        """The sentence of its help."""
        *others, last = self.words or ("",)
        return self.doc.replace("{}", f"{', '.join(others)} or {last}" if others else last)

    def annotation(self) -> Any:
        """The row in Typer's words: the type of what is typed, with flags, help and bounds."""
        from typer import Option as TyperOption

        said = TyperOption(
            *self.flags,
            help=self.help,
            rich_help_panel=self.panel,
            metavar=self.metavar,
            envvar=self.envvar,
            min=self.min,
            max=self.max,
            count=self.count,
            show_default=self.show_default,
        )
        return Annotated[self.typed_type, said]

    @property
    def typed_type(self) -> Any:
        """The type of what is typed."""
        name = self.typed.type if self.typed else self.type
        return TYPES.get(name, name)

    @property
    def typed_default(self) -> Any:
        """The value of an option that is not typed, as it would be typed."""
        return self.typed.default if self.typed else self.default


def option(default: Any, usage: str, panel: str, doc: str, *, choices: str = "", **more: Any) -> Any:
    """Return the field of a dataclass that is an option: see `Option`.

    `usage` is how it is written: its flags, and after them the word for its value, if it has one.
    """
    words = usage.split(" ")
    flags = tuple(word for word in words if word.startswith("-"))
    metavar = words[-1] if len(flags) < len(words) else None
    known = (*([] if default else [default]), *choices.split()) if choices else ()
    metadata = {"option": Option(flags, panel, doc, metavar, choices=known, **more)}
    return field(default_factory=list, metadata=metadata) if default == [] else field(default=default, metadata=metadata)


@cache
def rows(kind: type, command: str = "") -> dict[str, Option]:
    """Return the rows of a dataclass by name, or only those that `command` takes.

    Where the class says what it `takes` of the options of the engine, those alone.
    """
    takes: Collection[str] | None = getattr(kind, "takes", None)
    engine = {one.name for base in kind.__mro__ if vars(base).get("engine") for one in fields(base)}
    found = {}
    for one in fields(kind):
        row: Option = one.metadata["option"]
        if takes is not None and one.name in engine:
            offered = one.name in takes
        else:
            offered = not command or not row.commands or command in row.commands
        if offered:
            default = [] if one.default is MISSING else one.default
            found[one.name] = replace(
                row, name=one.name, type=one.type if isinstance(one.type, str) else one.type.__name__, default=default
            )
    return found


def own_rows(kind: type) -> dict[str, Option]:
    """Return the rows that a dataclass declares itself, in their order."""
    every = rows(kind)
    return {name: every[name] for name in vars(kind)["__annotations__"] if name in every}


def replayed(options: Any) -> dict[str, Any]:
    """Return what a saved result holds of a command's own options: those that it may ask for again."""
    return {name: getattr(options, name) for name, row in own_rows(type(options)).items() if row.replayed}


def check(every: Mapping[str, Option], values: Mapping[str, Any], typed: Collection[str]) -> None:
    """Refuse words that are no choices, and text that is empty: a variable that the shell found unset is no option left out.

    Raises: UsageError.
    """
    for name, row in every.items():
        value = values[name]
        if row.choices and not row.open and value not in row.choices:
            message = f"{row.flag} takes {', '.join(row.words)}, not '{value}'."
            hint = f"Its default is {row.default}." if row.default else "Leave it out, or write one of them."
            raise UsageError(message, hint=hint)
        if name in typed and value == "" and not row.typed_default:
            message = f"{row.flag} is empty."
            raise UsageError(message, hint="Give it a value, or leave it out.")


def converted(every: Mapping[str, Option], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was typed as the program holds it.

    Raises: UsageError.
    """
    return {name: row.typed.convert(values[name]) if row.typed else values[name] for name, row in every.items()}
