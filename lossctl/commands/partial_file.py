"""Files of partial results: what one may hold, checked before anything is believed."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lossctl.errors import MissingFile, UnreadableFile
from lossctl.touched import read_whole

SCHEMA = "lossctl/partial/1"
WRITTEN = "Give what lossctl compute --partial wrote."

Count = Annotated[int, Field(ge=0)]
Totals = dict[str, list[float | Literal["nan", "inf", "-inf"]]]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Input(_Strict):
    """One input, as it was named."""

    role: str
    source: str
    shape: list[Count]
    dtype: str


class Share(_Strict):
    """The sums of one loss, or of one group of its samples: numbers whose exact sum counts."""

    n: Count
    sums: Totals


class LossSums(Share):
    """The sums of one loss over the samples of the part, and by group."""

    skipped: Count = 0
    groups: dict[str, Share] = {}


class Partial(_Strict):
    """Exact sums over a part of the samples: what `compute --partial` writes and `merge` reads."""

    schema_: Literal["lossctl/partial/1"] = Field(alias="schema")
    version: str
    signature: str
    request: dict[str, Any]
    part: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=2, max_length=2)]
    inputs: list[Input]
    losses: Annotated[list[LossSums], Field(min_length=1)]
    warnings: list[dict[str, str]] = []

    @model_validator(mode="after")
    def _in_range(self) -> Partial:
        if self.part[0] > self.part[1]:
            message = f"part {self.part[0]} of {self.part[1]} is none"
            raise ValueError(message)
        return self

    @property
    def samples(self) -> str:
        """What it was computed from, as one key."""
        return json.dumps([one.model_dump() for one in self.inputs], sort_keys=True)


def load(path: str) -> Partial:
    """Read a partial result.

    Raises: MissingFile, UnreadableFile.
    """
    try:
        content = read_whole(path)
        return Partial.model_validate_json(content)
    except FileNotFoundError as error:
        message = f"There is no partial result '{path}'."
        raise MissingFile(message, hint=f"Write it with: lossctl compute LOSS PRED TARGET --partial {path}") from error
    except OSError as error:
        message = f"The partial result '{path}' could not be read: {error.strerror or error}."
        raise MissingFile(message, hint="Check the path.") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        message = f"'{path}' is no partial result: {f'{place}: ' if place else ''}{first['msg']}."
        raise UnreadableFile(message, hint=WRITTEN) from error


def schema() -> str:
    """The JSON Schema of partial results."""
    return json.dumps(Partial.model_json_schema(), indent=2) + "\n"
