"""How these tests run a whole command in this process: what it prints, says and exits with."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from lossctl.cli.program import _run


@dataclass(frozen=True)
class Told:
    """The exit code, stdout, and the lines of stderr."""

    code: int
    out: str
    said: list[str]

    @property
    def value(self) -> float:
        """The number of a bare run, which went well."""
        assert self.code == 0, self.said
        return float(self.out)

    @property
    def document(self) -> Any:
        """The JSON of a run that went well."""
        assert self.code == 0, self.said
        return json.loads(self.out)

    @property
    def fault(self) -> str:
        """What a refusal says, with its exit code before it."""
        assert self.code, self.out
        assert not self.out
        return f"{self.code}: {self.said[-1]}"


def told(capsys, *words: str) -> Told:
    """Run a command."""
    capsys.readouterr()
    code = _run(list(words))
    found = capsys.readouterr()
    return Told(code, found.out, found.err.splitlines())
