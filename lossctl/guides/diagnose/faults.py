"""What can be wrong with a training run, as a table: statistic, threshold, likely causes and remedies.

The table is data, in faults.yaml; it is read without importing NumPy. The first four rows are those of document 001, section
six. What else they say comes from the sources named beside them.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from lossctl.errors import UnknownName, near
from lossctl.sources.yaml import load

ERROR, WARNING, INFO = "error", "warning", "info"
SEVERITIES = (ERROR, WARNING, INFO)


@dataclass(frozen=True)
class Fault:
    """A kind of finding: found where the statistic reaches the threshold, or for D001 and D009 stays below it."""

    code: str
    title: str
    severity: str
    statistic: str
    threshold: float
    causes: tuple[str, ...]
    remedies: tuple[str, ...]
    source: str


def _fault(row: dict[str, Any]) -> Fault:
    return Fault(**{**row, "causes": tuple(row["causes"]), "remedies": tuple(row["remedies"])})


FAULTS = {
    fault.code: fault for fault in map(_fault, load(files(__package__).joinpath("faults.yaml").read_text(encoding="utf-8")))
}


def explain(code: str) -> Fault:
    """Return what a code stands for.

    Raises: UnknownName.
    """
    if code.upper() not in FAULTS:
        raise UnknownName(f"There is no finding '{code}'.", hint=near(code.upper(), FAULTS, "findings"))
    return FAULTS[code.upper()]


@dataclass(frozen=True)
class Finding:
    """Something that is wrong from step `first` to step `last`: `value` is the statistic, `evidence` says it in words.

    `known` are causes and remedies where this run tells more than the table does.
    """

    code: str
    first: float
    last: float
    value: float
    evidence: str
    known: tuple[tuple[str, ...], tuple[str, ...]] | None = None

    @property
    def causes(self) -> tuple[str, ...]:
        """What is likely to have caused it."""
        return self.known[0] if self.known else self.fault.causes

    @property
    def remedies(self) -> tuple[str, ...]:
        """What helps."""
        return self.known[1] if self.known else self.fault.remedies

    @property
    def fault(self) -> Fault:
        """The row of the table that this is an instance of."""
        return FAULTS[self.code]

    def as_dict(self) -> dict[str, Any]:
        """Return the entry of the document's `findings`."""
        fault = self.fault
        return {
            "code": self.code,
            "severity": fault.severity,
            "title": fault.title,
            "from": whole(self.first),
            "to": whole(self.last),
            "statistic": fault.statistic,
            "value": self.value,
            "threshold": fault.threshold,
            "evidence": self.evidence,
            "causes": list(self.causes),
            "remedies": list(self.remedies),
            "source": fault.source,
        }


def whole(step: float) -> float | int:
    """A step as people write it: whole where it is."""
    return int(step) if step.is_integer() else step
