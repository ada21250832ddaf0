"""A spec's YAML as plain values that know their lines."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

from lossctl.coreyaml import compose, line_of, plain
from lossctl.errors import BadSpec

if TYPE_CHECKING:
    from lossctl.coreyaml import Where


@dataclass(frozen=True)
class Document:
    """The plain value of a YAML file, and the line of each entry by its path of keys and positions."""

    file: str
    value: Any = None
    lines: dict[Where, int] = field(default_factory=dict)

    def fault(self, where: Where, text: str, hint: str = "") -> BadSpec:
        """Return the error that `text` says about the entry at `where`, or about the nearest entry that holds it."""
        return at(self.file, self.line(where), text, hint)

    def line(self, where: Where) -> int:
        """Return the line of the entry at `where`, skipping names that are no keys of the file."""
        known: Where = ()
        for part in where:
            known = (*known, part) if (*known, part) in self.lines else known
        return self.lines.get(known, 1)


def at(file: str, line: int, text: str, hint: str = "") -> BadSpec:
    """Return the error `text`, with its file and line before it."""
    return BadSpec(f"{file}, line {line}: {text}", hint=hint)


def parse(file: str, text: str) -> Document:
    """Return the one document in `text`.

    Raises: BadSpec for what is no YAML, or YAML that specs do not use, with the line.
    """
    lines: dict[Where, int] = {}
    try:
        return Document(file, plain(compose(text), lines), lines)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise at(file, line, f"the sign U+{ord(text[error.position]):04X} is not allowed in YAML.") from error
    except yaml.MarkedYAMLError as error:
        said = f"{', '.join(filter(None, (error.context, error.problem)))}."
        raise at(file, line_of(error.problem_mark), said, getattr(error, "hint", "")) from error
    except RecursionError as error:
        raise at(file, 1, "the nesting is too deep.") from error
