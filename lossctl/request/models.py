"""What a spec file and the request in a saved result may hold, checked before any of it is asked for.

The JSON Schema of specs, for editors, comes from the same models. `spec_of` makes the request of a saved result again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    JsonValue,
    Tag,
    ValidationError,
    WithJsonSchema,
    create_model,
)

from lossctl.errors import UnreadableFile, UsageError
from lossctl.losses import LOSSES
from lossctl.losses import rows as known
from lossctl.request.lookup import understand
from lossctl.request.options import TYPES, Option, Options, own_rows, rows
from lossctl.request.spec import LossSpec, Spec, Term
from lossctl.sources.source import FORMATS, ROWS, Given

SHARE = r"^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)%$"
NUMBERS = {"anyOf": [{"type": ["number", "boolean"]}, {"type": "array", "items": {}}]}
ONE_LOSS: list[JsonValue] = [{"required": ["loss"]}, {"required": ["losses"]}, {"required": ["terms"]}]
ONE_BOUND: list[JsonValue] = [
    {"required": ["key", "max"]},
    {"required": ["key", "min"]},
    {"required": ["key", "expect"]},
    {"required": ["key", "max_abs"]},
    {"required": ["key", "max_rel"]},
    {"required": ["require"], "not": {"anyOf": [{"required": ["max_abs"]}, {"required": ["max_rel"]}]}},
]


def _numbers(value: Any) -> Any:
    """Accept a number, or lists of numbers to any depth; labels are integers and stay so."""
    if isinstance(value, list):
        return [_numbers(item) for item in value]
    if isinstance(value, bool | int | float):
        return value
    problem = f"should be numbers, a file, or {{file:, column:}}, and holds {'nothing' if value is None else repr(value)}"
    raise ValueError(problem)


def _parameter(value: Any) -> Any:
    if isinstance(value, dict):
        problem = "should be a number, a word, a list of numbers, or '@FILE' or '@FILE::KEY' for an array"
        raise ValueError(problem)  # noqa: TRY004 - pydantic collects ValueErrors only
    return value if value is None or isinstance(value, str) else _numbers(value)


def _kind(value: Any) -> str:
    if isinstance(value, str):
        return "Source"
    return "FileInput" if isinstance(value, dict) else "Inline"


def _loss_kind(value: Any) -> str:
    return "LossItem" if isinstance(value, dict) else "Words"


def said(text: str) -> Any:
    """What editors show of a key. Docstrings below keys would be looked up in the source whenever a spec is read."""
    return Field(description=text)


class Strict(BaseModel):
    """YAML gives types already, so nothing is converted and nothing unknown is passed over."""

    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)


class FileInput(Strict):
    """An input out of a file."""

    file: Annotated[str, Field(min_length=1), said("The path, relative to the spec.")]
    column: Annotated[str | None, said("The column of a table.")] = None
    key: Annotated[str | None, said("The array of an npz, or the path of keys inside JSON, and so on.")] = None


Word = Annotated[str, Field(min_length=1)]
Inline = Annotated[Any, BeforeValidator(_numbers), WithJsonSchema(NUMBERS)]
Input = Annotated[
    Annotated[Word, Tag("Source")] | Annotated[FileInput, Tag("FileInput")] | Annotated[Inline, Tag("Inline")],
    Discriminator(_kind),
]
Params = dict[str, Annotated[Any, AfterValidator(_parameter), WithJsonSchema({"not": {"type": "object"}})]]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class LossItem(Strict):
    """A loss with its parameters."""

    loss: Annotated[Word, said("NAME, or NAME:param=value[,param=value].")]
    params: Params = {}


class TermItem(LossItem):
    """One part of a weighted sum."""

    name: Annotated[Word | None, said("What the part is called; the name of its loss unless given.")] = None
    weight: Finite | None = None
    log_var: Annotated[
        Finite | None, said("A learned log-variance s in place of a weight: e^-s L + s/2, with half of e^-s for a regression.")
    ] = None
    inputs: dict[str, Input] = {}


class GateItem(Strict):
    """A bound on one result, or on its change from a baseline; exactly one of max, min, expect, max_abs, max_rel and require.

    `require` may also stand beside max_abs or max_rel, and says how the change is judged.
    """

    model_config = ConfigDict(json_schema_extra={"oneOf": ONE_BOUND})

    key: Annotated[Word | None, said("The loss, or the term, that is bounded; every loss where only `require` is given.")] = (
        None
    )
    max: Finite | None = None
    min: Finite | None = None
    expect: Finite | None = None
    max_abs: Annotated[Finite | None, said("By how much it may be worse than the baseline.")] = None
    max_rel: Annotated[
        Finite | Annotated[str, Field(pattern=SHARE)] | None, said("The same in parts of the baseline: 0.02 or 2%.")
    ] = None
    require: Annotated[Literal["point", "sig", "noninf", "equiv"] | None, said("How the change is judged.")] = None
    rtol: Annotated[Finite, Field(ge=0)] = 1e-9
    atol: Annotated[Finite, Field(ge=0)] = 0.0


def option_keys(table: Mapping[str, Option], given: Any, **others: Any) -> type[Strict]:
    """Return a model of the options in `table`, in which inputs are as `given`.

    `others` are the types of keys that have another than their row says, and of keys that are no options and must be there.
    """
    keys: dict[str, Any] = {name: (others.get(name) or _key_type(row, given), row.default) for name, row in table.items()}
    keys |= {name: (kind, ...) for name, kind in others.items() if name not in table}
    made: type[Strict] = create_model("OptionKeys", __base__=Strict, **keys)
    return made


def _key_type(row: Option, given: Any) -> Any:
    kind = TYPES.get(row.type, given | None if "Given" in row.type else row.type)
    if row.choices:
        kind = Literal[row.choices]
        if "yes" in row.choices:
            kind = Annotated[kind, BeforeValidator(lambda value: ("no", "yes")[value] if isinstance(value, bool) else value)]
    elif kind in {float, float | None}:
        kind = Finite if kind is float else Finite | None
    return Annotated[kind, Field(ge=row.min, le=row.max, description=row.help)]


SPEC_ROWS = {name: row for name, row in rows(Options).items() if row.spec}
OptionKeys = option_keys(SPEC_ROWS, Input)


class SpecItems(OptionKeys, Strict):  # type: ignore[valid-type, misc] # made of the table
    """A whole spec; exactly one of loss, losses and terms."""

    model_config = ConfigDict(title="lossctl spec", json_schema_extra={"oneOf": ONE_LOSS})

    loss: Annotated[Word | None, said("NAME, or NAME:param=value[,param=value].")] = None
    losses: Annotated[
        list[Annotated[Annotated[Word, Tag("Words")] | Annotated[LossItem, Tag("LossItem")], Discriminator(_loss_kind)]],
        Field(min_length=1),
        said("Several losses on the same inputs."),
    ] = []
    terms: Annotated[list[TermItem], Field(min_length=1), said("The parts of a weighted sum.")] = []
    params: Annotated[Params, said("The parameters of the one loss.")] = {}
    inputs: Annotated[dict[str, Input], said("What each input of the loss is: numbers, a file, or {file:, column:}.")] = {}
    against: Annotated[Word | None, said("The saved result that is the baseline, relative to the spec.")] = None
    alpha: Annotated[Finite, Field(gt=0, lt=0.5), said("The level at which changes are judged.")] = 0.05
    gates: Annotated[list[GateItem], said("Bounds that decide the exit code of `lossctl check`.")] = []


# The model whose keys are meant where pydantic says that a key is unknown, by the last word on the way to it.
PLACES: dict[str, type[Strict]] = {"FileInput": FileInput, "LossItem": LossItem, "terms": TermItem, "gates": GateItem}


# NumPy's arrays have no more axes.
DEEPEST = 64
NOT_FINITE = ("nan", "inf", "-inf")


def _saved_numbers(value: Any, depth: int = 0) -> Any:
    """Accept what an array written in place may be: numbers, and null or words for those that JSON lacks."""
    if isinstance(value, list) and depth < DEEPEST:
        for item in value:
            _saved_numbers(item, depth + 1)
    elif not (isinstance(value, bool | int | float) or value in NOT_FINITE or (value is None and depth)):
        problem = "should be numbers"
        raise ValueError(problem)
    return value


def _saved_parameter(value: Any) -> Any:
    if isinstance(value, dict):
        try:
            return GivenItem.model_validate(value).model_dump(exclude_unset=True)
        except ValidationError as error:
            problem = "should be numbers, or a source"
            raise ValueError(problem) from error
    return value if value is None or isinstance(value, str) else _saved_numbers(value)


class GivenItem(Strict):
    """An input: a SOURCE, or numbers written in place."""

    source: Word | None = None
    value: Annotated[Any, AfterValidator(_saved_numbers)] = None

    def model_post_init(self, _: Any) -> None:
        """Refuse none of the two, and both."""
        if len(self.model_fields_set) != 1 or (self.source is None and self.value is None):
            problem = "should be either a source or a value"
            raise ValueError(problem)


Givens = dict[str, GivenItem]


def now_called(backend: str) -> str:
    """The backend that is meant by the name that a saved request has."""
    return "numpy" if backend == "auto" else backend


class LossInResult(Strict):
    """A loss; `of` names the set that it comes from."""

    name: Word
    params: dict[str, Annotated[Any, AfterValidator(_saved_parameter)]] = {}
    of: str = ""


class TermInResult(Strict):
    """One part of a weighted sum."""

    name: Word
    loss: LossInResult
    weight: Finite = 1.0
    inputs: Givens = {}
    log_var: Finite | None = None


ReplayedOptions = option_keys(
    {name: row for name, row in rows(Options).items() if row.replayed},
    GivenItem,
    # A device may stand behind it. `auto` is what older results hold: it computed with NumPy wherever data fit into memory.
    backend=Annotated[Word, AfterValidator(now_called)],
)


class RequestItems(Strict):
    """A whole request."""

    losses: list[LossInResult] = []
    positional: list[GivenItem] = []
    inputs: Givens = {}
    terms: list[TermInResult] = []
    options: ReplayedOptions = {}  # type: ignore[valid-type] # made of the table
    folder: str = ""
    grad: dict[str, Any] | None = None
    compare: dict[str, Any] | None = None

    def model_post_init(self, _: Any) -> None:
        """Refuse a request for nothing, and one for both."""
        if bool(self.losses) == bool(self.terms):
            problem = "should be for either losses or terms"
            raise ValueError(problem)


def checked(request: Any, name: str) -> dict[str, Any]:
    """Return a request as plain values; of what it leaves out there is nothing.

    Raises: UnreadableFile with the path of the first key that is no part of one.
    """
    options = request.get("options", {}) if isinstance(request, dict) else {}
    barred = sorted(options.keys() - ReplayedOptions.model_fields.keys()) if isinstance(options, dict) else []
    if barred:
        message = f"{name}: request.options.{barred[0]} is no option that a file may ask for."
        raise UnreadableFile(message, hint="Compute it anew; what runs where is said on the command line.")
    try:
        return RequestItems.model_validate(request).model_dump(exclude_unset=True)
    except ValidationError as error:
        raise _refused(error, name, "request") from error


def own_options(request: Mapping[str, Any], name: str, command: str, kind: type, **others: Any) -> dict[str, Any]:
    """Return what a request asks for of a command's own options, and of `others`, which must be there, by their types.

    Raises: UnreadableFile with the path of the first key that is none.
    """
    model = option_keys({one: row for one, row in own_rows(kind).items() if row.replayed}, GivenItem, **others)
    try:
        return model.model_validate(request[command]).model_dump()
    except ValidationError as error:
        raise _refused(error, name, f"request.{command}") from error


def _refused(error: ValidationError, name: str, place: str) -> UnreadableFile:
    first = error.errors()[0]
    where = ".".join(map(str, (place, *first["loc"])))
    message = f"{name}: {where}: {first['msg'].removeprefix('Value error, ')}."
    return UnreadableFile(message, hint="Compute it anew with this version of lossctl: -o FILE.json.")


def spec_of(request: Any, name: str, *, allow_code: bool, allow_remote: bool = False, max_memory: int = 0) -> Spec:
    """Return the spec that the request in the file `name` was made of. Nothing in it is a command.

    Code that it names is imported only with `allow_code`, and addresses are read only with `allow_remote`.
    Raises: UnreadableFile with the key that is no part of a request, UsageError for code.
    """
    result = checked(request, name)
    options: dict[str, Any] = result.get("options", {})
    sources = {one: _given(value) for one, value in options.items() if isinstance(value, dict)}
    own = {"max_memory": max_memory} if max_memory else {}
    chosen = Options(**{**options, **sources, **own}, allow_code=allow_code, allow_remote=allow_remote)
    spec = Spec(
        losses=tuple(map(_loss_of, result.get("losses", ()))),
        positional=tuple(map(_given, result.get("positional", ()))),
        inputs=_givens(result.get("inputs", {})),
        terms=tuple(
            Term(**{**item, "loss": _loss_of(item["loss"]), "inputs": _givens(item.get("inputs", {}))})
            for item in result.get("terms", ())
        ),
        options=chosen,
        folder=result.get("folder", ""),
        saved=name,
    )
    if not allow_code:
        _check_code(spec, name)
    return spec


def _check_code(spec: Spec, name: str) -> None:
    """Refuse losses, formats and array libraries that are none of ours: looking one up may import it.

    Raises: UsageError.
    """
    from lossctl.losses.backends import AT, DEVICE

    losses = [loss for loss in (*spec.losses, *(term.loss for term in spec.terms)) if not loss.name.startswith("@")]
    foreign = [
        loss.name for loss in losses if LOSSES.spelling(understand(loss.name)[0].name) not in known() or ":" in loss.name
    ]
    if spec.options.in_format and FORMATS.spelling(spec.options.in_format) not in ROWS:
        foreign.append(spec.options.in_format)
    library, at, device = spec.options.backend.partition(AT)
    if library not in {"numpy", "torch"} or (at and not DEVICE.fullmatch(device)):
        foreign.append(spec.options.backend)
    if foreign:
        message = f"{name} names '{foreign[0]}', which is none of lossctl's own and would run code."
        raise UsageError(message, hint="If you trust it, use --allow-code.")


def _loss_of(mapping: Mapping[str, Any]) -> LossSpec:
    params = {name: _given(value) if isinstance(value, dict) else value for name, value in mapping.get("params", {}).items()}
    return LossSpec(mapping["name"], params, mapping.get("of", ""))


def _given(item: Mapping[str, Any]) -> Given:
    return Given(text=item.get("source", ""), value=_read(item.get("value")))


def _read(value: Any) -> Any:
    return [*map(_read, value)] if isinstance(value, list) else float(value) if isinstance(value, str) else value


def _givens(items: Mapping[str, Any]) -> dict[str, Given]:
    return {name: _given(item) for name, item in items.items()}
