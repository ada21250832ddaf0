"""A finding, and what a detector hands over to make one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lossctl.diagnosis.faults import FAULTS

if TYPE_CHECKING:
    from lossctl.diagnosis.faults import Fault


@dataclass(frozen=True)
class Finding:
    """Something that is wrong from step `first` to step `last`: `value` is the statistic, `evidence` says it in words."""

    code: str
    first: float
    last: float
    value: float
    evidence: str

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
            "causes": list(fault.causes),
            "remedies": list(fault.remedies),
            "source": fault.source,
        }


def whole(step: float) -> float | int:
    """A step as people write it: whole where it is."""
    return int(step) if step.is_integer() else step
