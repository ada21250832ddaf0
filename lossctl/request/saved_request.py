"""What the request in a result or a partial result may hold, checked before any of it is asked for again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from lossctl.errors import UnreadableFile
from lossctl.request.models import option_keys
from lossctl.request.option_table import own_rows, rows
from lossctl.request.spec import Options

if TYPE_CHECKING:
    from collections.abc import Mapping

# NumPy's arrays have no more axes.
DEEPEST = 64
WORDS = ("nan", "inf", "-inf")
Text = Annotated[str, Field(min_length=1)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


def _numbers(value: Any, depth: int = 0) -> Any:
    """Accept what an array written in place may be: numbers, and null or words for those that JSON lacks."""
    if isinstance(value, list) and depth < DEEPEST:
        for item in value:
            _numbers(item, depth + 1)
    elif not (isinstance(value, bool | int | float) or value in WORDS or (value is None and depth)):
        problem = "should be numbers"
        raise ValueError(problem)
    return value


def _parameter(value: Any) -> Any:
    if isinstance(value, dict):
        try:
            return GivenItem.model_validate(value).model_dump(exclude_unset=True)
        except ValidationError as error:
            problem = "should be numbers, or a source"
            raise ValueError(problem) from error
    return value if value is None or isinstance(value, str) else _numbers(value)


class _StrictRequest(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class GivenItem(_StrictRequest):
    """An input: a SOURCE, or numbers written in place."""

    source: Text | None = None
    value: Annotated[Any, AfterValidator(_numbers)] = None

    def model_post_init(self, _: Any) -> None:
        """Refuse none of the two, and both."""
        if len(self.model_fields_set) != 1 or (self.source is None and self.value is None):
            problem = "should be either a source or a value"
            raise ValueError(problem)


Givens = dict[str, GivenItem]


def now_called(backend: str) -> str:
    """The backend that is meant by the name that a saved request has."""
    return "numpy" if backend == "auto" else backend


class LossInResult(_StrictRequest):
    """A loss; `of` names the set that it comes from."""

    name: Text
    params: dict[str, Annotated[Any, AfterValidator(_parameter)]] = {}
    of: str = ""


class TermInResult(_StrictRequest):
    """One part of a weighted sum."""

    name: Text
    loss: LossInResult
    weight: Finite = 1.0
    inputs: Givens = {}
    log_var: Finite | None = None


ReplayedOptions = option_keys(
    {name: row for name, row in rows(Options).items() if row.replayed},
    GivenItem,
    # A device may stand behind it. `auto` is what older results hold: it computed with NumPy wherever data fit into memory.
    backend=Annotated[Text, AfterValidator(now_called)],
)


class RequestItems(_StrictRequest):
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
