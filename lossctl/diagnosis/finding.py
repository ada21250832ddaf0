"""A finding, and what a detector hands over to make one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lossctl.diagnosis.faults import FAULTS

if TYPE_CHECKING:
    from lossctl.diagnosis.faults import Fault


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
