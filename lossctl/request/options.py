"""The table of options: everything that is said of an option, once.

A row is a field of a dataclass, written with `option`. `Options` holds the rows that the engine reads, `Talk` to `Gated` those
that several commands share, and each command its own. From a row come the command line's signature and help (`cli.command`),
the check of choices (`check`), what a spec file and a saved request may hold (`models`), and the signature of a result.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from functools import cache
from typing import Annotated, Any, ClassVar, NamedTuple

from lossctl.errors import UsageError
from lossctl.sources.source import Given

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
    engine = {item.name for base in kind.__mro__ if vars(base).get("engine") for item in fields(base)}
    result = {}
    for one in fields(kind):
        row: Option = one.metadata["option"]
        if takes is not None and one.name in engine:
            offered = one.name in takes
        else:
            offered = not command or not row.commands or command in row.commands
        if offered:
            default = [] if one.default is MISSING else one.default
            result[one.name] = replace(
                row, name=one.name, type=one.type if isinstance(one.type, str) else one.type.__name__, default=default
            )
    return result


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
            raise UsageError(f"{row.flag} is empty.", hint="Give it a value, or leave it out.")


def converted(every: Mapping[str, Option], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was typed as the program holds it.

    Raises: UsageError.
    """
    return {name: row.typed.convert(values[name]) if row.typed else values[name] for name, row in every.items()}


def part_of(text: str) -> tuple[int, int]:
    """Read `--part K/N`; nothing is all there is.

    Raises: UsageError.
    """
    match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text or "1/1")
    number, parts = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= number <= parts:
        raise UsageError(f"--part takes K/N with K from 1 to N, not '{text}'.", hint="The third of eight shares is --part 3/8.")
    return number, parts


CODES = Typed("list[str]", [], lambda words: tuple(map(str.upper, words)))


SOURCE = Typed("str | None", None, lambda text: Given(text=text) if text else None)


REDUCING = ("compute", "grad", "compare")


# What an option is about decides where it may come from. The numbers: a spec, a saved result, and the signature names it.
DATA: dict[str, Any] = {"spec": True, "replayed": True}


# What is shown of them, and how they were found in files: the same, and the signature does not name it.
SHOWN: dict[str, Any] = {**DATA, "unsigned": True}


# What is made of them: a spec alone. And what the machine may do: whoever types it.
VERDICT: dict[str, Any] = {"spec": True, "unsigned": True}


@dataclass(frozen=True)
class Options:
    """How to read, check and reduce: the options that the engine reads. Each is one row; nothing else has to be told of it.

    The rows stand in the order that the signature names them in. `commands` are those that take one; nothing means each that
    computes losses.
    """

    engine: ClassVar = True

    reduction: str = option(
        "mean",
        "--reduction HOW",
        RESULT,
        "{}, as in torch.",
        choices="mean sum none batchmean",
        commands=REDUCING,
        always="red",
        **DATA,
    )
    nan: str = option("error", "--nan HOW", HOW, "NaN and infinity: {}.", choices="error skip propagate", always="nan", **DATA)
    domain: str = option(
        "error", "--domain HOW", HOW, "Values that the loss is not defined on: {}.", choices="error ignore", **DATA
    )
    min_coverage: float = option(
        0.0, "--min-coverage SHARE", GATES, "Undecided (exit 5) if skipping leaves a smaller share.", min=0, max=1, **VERDICT
    )
    broadcast: bool = option(False, "--broadcast", INPUT, "Allow torch's broadcasting.", **DATA)
    squeeze: bool = option(False, "--squeeze", INPUT, "Drop axes of size 1.", **DATA)
    class_dim: int | None = option(None, "--class-dim K", INPUT, "The axis of the classes, if it is not 1.", label=True, **DATA)
    label_offset: int = option(0, "--label-offset K", INPUT, "Added to class labels: -1 for labels from 1.", label=True, **DATA)
    ignore_index: int | None = option(None, "--ignore-index K", HOW, "The label that counts for nothing.", label=True, **DATA)
    ignore: tuple[str, ...] = option((), "--ignore CODE", TALK, "Do not warn of this. Repeatable.", typed=CODES, **VERDICT)
    strict: bool = option(False, "--strict", GATES, "Fail (exit 1) where there is a warning.", **VERDICT)
    dtype: str = option("f64", "--dtype TYPE", HOW, "Calculate in {}.", choices="f64 f32 native", always="dtype", **DATA)
    backend: str = option(
        "numpy",
        "--backend NAME",
        HOW,
        "{}.",
        choices="numpy torch",
        envvar="LOSSCTL_BACKEND",
        open=True,
        always="backend",
        **DATA,
    )
    max_memory: int = option(
        2 << 30,
        "--max-memory MIB",
        HOW,
        "For losses that need all samples at once.",
        min=1,
        typed=Typed("int", 2048, lambda mebibytes: mebibytes << 20),
        unsigned=True,
    )
    jobs: int = option(0, "--jobs N", HOW, "Threads; 0 is one a core. No result depends on it.", min=0, unsigned=True)
    cluster: str = option(
        "",
        "--cluster ADDRESS",
        HOW,
        "A Dask scheduler, or local[:N]. No result depends on it.",
        commands=REDUCING,
        unsigned=True,
    )
    part: tuple[int, int] = option(
        (1, 1),
        "--part K/N",
        INPUT,
        "Of N shares of the samples the K-th.",
        typed=Typed("str", "", part_of),
        commands=("compute",),
    )
    in_format: str = option(
        "", "--in-format FORMAT", INPUT, "Read files as this format, whatever their suffix.", replayed=True, unsigned=True
    )
    header: str = option(
        "",
        "--header yes|no",
        INPUT,
        "Whether the first row of tables holds names, where it could be either.",
        choices="yes no",
        **DATA,
    )
    on: str = option("", "--on COLUMN", INPUT, "Join tables on this id, not on row order.", **DATA)
    row_order: bool = option(False, "--row-order", INPUT, "Pair rows as they stand, though ids are in another order.", **SHOWN)
    by: str = option("", "--by COLUMN|SOURCE", INPUT, "One result for each group, too.", source=True, **DATA)
    weights: Given | None = option(None, "--weights SOURCE", INPUT, "One weight a sample.", typed=SOURCE, source=True, **DATA)
    mask: Given | None = option(
        None, "--mask SOURCE", INPUT, "What counts: by sample or by element.", typed=SOURCE, source=True, **DATA
    )
    per_sample: bool = option(
        False, "--per-sample", RESULT, "One row a sample.", commands=("compute",), samples="order", **SHOWN
    )
    worst: int = option(
        0, "--worst N", RESULT, "The N samples with the largest loss.", min=0, commands=("compute",), samples="order", **SHOWN
    )
    best: int = option(
        0, "--best N", RESULT, "The N samples with the smallest loss.", min=0, commands=("compute",), samples="order", **SHOWN
    )
    stats: bool = option(
        False, "--stats", RESULT, "Spread of the per-sample losses.", commands=("compute",), samples="figures", **SHOWN
    )
    # Whoever calls from Python, or types a name, has named the code; files need leave.
    allow_code: bool = option(
        True,
        "--allow-code",
        HOW,
        "Let a spec or a result name code to import.",
        typed=Typed("bool", default=False, convert=bool),
        unsigned=True,
    )
    allow_remote: bool = option(
        False, "--allow-remote", HOW, "Let a result name addresses to read.", commands=("verify",), unsigned=True
    )


def engine_options(options: Any) -> Options:
    """Return what the engine reads of a command's options."""
    return Options(**{name: getattr(options, name) for name in rows(Options)})


@dataclass(frozen=True, eq=False, repr=False)
class Talk:
    """What every command takes: how to print, where to, and how much to say."""

    format: str = option("auto", "-f --format FORMAT", RESULT, "{}.", envvar="LOSSCTL_FORMAT")
    bare: bool = option(False, "-b --bare", RESULT, "The bare number: --format value.")
    output: list[str] = option(
        [], "-o --output FILE", RESULT, "Also write to a file; the suffix names the format. Repeatable.", writes=True
    )
    sig: int | None = option(None, "--sig N", RESULT, "Significant digits in tables.", min=1, max=17)
    decimals: int | None = option(None, "--decimals N", RESULT, "Decimals in tables.", min=0, max=99)
    quiet: int = option(0, "-q --quiet", TALK, "No notes on stderr; -qq also nothing on stdout.", count=True)
    verbose: int = option(0, "-v --verbose", TALK, "Say how each input was read.", count=True)
    no_progress: bool = option(False, "--no-progress", TALK, "No bar on the terminal while it takes long.")
    debug: bool = option(False, "--debug", TALK, "Show the traceback of an error.")
    color: str = option("auto", "--color WHEN", TALK, "{}.", choices="auto always never")


@dataclass(frozen=True, eq=False, repr=False)
class Passing(Talk):
    """What every command takes that may end without having passed."""

    output_if: str = option(
        "always", "--output-if WHEN", RESULT, "Write files of -o always, or only if all has passed.", choices="always passed"
    )


@dataclass(frozen=True, eq=False, repr=False)
class Asking(Passing):
    """How every command that computes losses is told of parameters, inputs and devices; `spec.Spec` holds what they mean."""

    param: list[str] = option([], "-p --param NAME=VALUE", HOW, "A parameter of a single loss. Repeatable.")
    input: list[str] = option([], "-i --input NAME=SOURCE", INPUT, "An input by name. Repeatable.")
    device: str = option("", "--device DEVICE", HOW, "Where torch calculates: cpu, cuda, cuda:N or mps.")


@dataclass(frozen=True, eq=False, repr=False)
class Gating(Passing):
    """What every command takes that may bound results."""

    max: list[str] = option([], "--max KEY=V", GATES, "Fail (exit 1) above V. Repeatable.")
    min: list[str] = option([], "--min KEY=V", GATES, "Fail below V. Repeatable.")
    expect: list[str] = option([], "--expect KEY=V", GATES, "Fail unless close to V. Repeatable.")
    rtol: float = option(1e-09, "--rtol X", GATES, "Relative tolerance of --expect.", min=0)
    atol: float = option(0.0, "--atol X", GATES, "Absolute tolerance of --expect.", min=0)
    max_abs: list[str] = option([], "--max-abs KEY=V", GATES, "Fail if worse than the baseline by more. Repeatable.")
    max_rel: list[str] = option([], "--max-rel KEY=V%", GATES, "The same in parts of the baseline. Repeatable.")
    require: list[str] = option(
        [], "--require [KEY=]HOW", GATES, "How to judge a change: point, sig, noninf or equiv. Repeatable."
    )
    alpha: float = option(0.05, "--alpha X", GATES, "The level of --require.", min=0, max=0.5)
    against: str = option("", "--against FILE", GATES, "The baseline: a saved JSON result.")
    summary: str = option("", "--summary FILE", RESULT, "Append results and gates to a file, in Markdown.", writes=True)


@dataclass(frozen=True, eq=False, repr=False)
class Gated(Gating, Options, Asking):
    """What every command takes that reduces losses and may bound results."""
