"""Files of partial results: what one may hold, checked before anything is believed."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lossctl.errors import MissingFile, UnreadableFile
from lossctl.touched import read_whole

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA = "lossctl/partial/1"
# What the checksum is of; the rest says which version wrote it, and is compared among parts.
SUMMED = ("request", "part", "inputs", "by", "losses")
WRITTEN = "Give what lossctl compute --partial wrote."

Count = Annotated[int, Field(ge=0)]
Totals = dict[str, list[float | Literal["nan", "inf", "-inf"]]]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Seen(_Strict):
    """What a file was: its size in bytes, the SHA-256 of all of it, or of stretches of it where it is large.

    `modified`, in nanoseconds, is when a file was written of which only stretches were looked at.
    """

    size: Count
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    whole: bool
    modified: int | None = None


class Input(_Strict):
    """One input, as it was named."""

    role: str
    source: str
    key: str | None = None
    shape: list[Count]
    dtype: str
    seen: Seen

    @property
    def content(self) -> str:
        """What was read, wherever it lies, as one key."""
        return json.dumps([self.role, self.key, self.shape, self.dtype, self.seen.size, self.seen.sha256])


class Groups(_Strict):
    """The file that the groups come from."""

    source: str
    seen: Seen


class Share(_Strict):
    """The sums of one loss, or of one group of its samples: numbers whose exact sum counts."""

    n: Count
    sums: Totals


class LossSums(Share):
    """The sums of one loss over the samples of the part, and by group; `samples` is how many all parts have."""

    samples: Count
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
    by: Groups | None = None
    losses: Annotated[list[LossSums], Field(min_length=1)]
    warnings: list[dict[str, str]] = []
    checksum: str

    @model_validator(mode="after")
    def _in_range(self) -> Partial:
        if self.part[0] > self.part[1]:
            message = f"part {self.part[0]} of {self.part[1]} is none"
            raise ValueError(message)
        return self

    @property
    def content(self) -> str:
        """What it was computed from, as one key: the same for copies of the same files under other names."""
        return "\n".join([one.content for one in self.inputs] + ([self.by.seen.sha256] if self.by else []))

    @property
    def names(self) -> tuple[str, ...]:
        """What it was computed from, as it was typed."""
        return tuple(f"{one.role} {one.source}" for one in self.inputs) + ((f"groups {self.by.source}",) if self.by else ())

    @property
    def intact(self) -> bool:
        """Whether it is as it was written."""
        return self.checksum == checksum(self.model_dump(by_alias=True, exclude_unset=True))


def checksum(document: Mapping[str, Any]) -> str:
    """The SHA-256 of what a partial result was asked for and holds, whatever the order of keys and the white space."""
    rest = {name: document[name] for name in SUMMED if name in document}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


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
