"""What can be wrong with a training run, as a table: statistic, threshold, likely causes and remedies.

The first four rows are those of document 001, section six. What else they say comes from the sources named beside them. The
table is read without importing NumPy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lossctl.errors import UnknownName, near

ERROR, WARNING, INFO = "error", "warning", "info"
SEVERITIES = (ERROR, WARNING, INFO)
TABLE = "document 001, section 6"


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


ROWS = (
    Fault(
        "D001",
        "the loss does not fall",
        ERROR,
        "decrease from the first values to the lowest level, as a share of the first; 0 where it is no more than noise",
        0.01,
        ("learning rate too small", "vanishing gradients", "learning rate far too large, where D003 or D010 is found too"),
        ("raise the learning rate", "add batch normalization"),
        f"{TABLE}; Mann 1945, doi:10.2307/1907187",
    ),
    Fault(
        "D002",
        "the loss is NaN or infinite",
        ERROR,
        "how many losses are not finite",
        1,
        ("exploding gradients", "numeric overflow"),
        ("clip gradients", "lower the learning rate"),
        TABLE,
    ),
    Fault(
        "D003",
        "the loss oscillates",
        WARNING,
        "spread around the nearest falling curve, over the decrease or half of the first values",
        0.25,
        ("batch too small",),
        ("raise batch_size",),
        f"{TABLE}; Ayer 1955, doi:10.1214/aoms/1177728423",
    ),
    Fault(
        "D004",
        "the loss jumps",
        WARNING,
        "rise between neighbouring medians over the decrease or a quarter of the first values, beyond 7 of its spreads "
        "or 3 times any other step",
        0.3,
        ("learning rate too large",),
        ("lower the learning rate", "use a learning-rate schedule"),
        TABLE,
    ),
    Fault(
        "D005",
        "the loss diverges",
        ERROR,
        "steady rise from the lowest level to the end, over the decrease or a quarter of the first values; or the peak over "
        "them, where no later level comes back to the first value",
        0.5,
        ("learning rate too large", "exploding gradients"),
        ("lower the learning rate, or warm it up", "clip gradients", "go back to the last good checkpoint"),
        "Goodfellow 2016, Deep Learning, sections 8.2.4 and 11.4.1",
    ),
    Fault(
        "D006",
        "the model overfits",
        WARNING,
        "steady rise of the validation loss from its lowest level, over its decrease or a quarter of that level",
        0.1,
        ("more capacity or more epochs than the data support",),
        ("stop at the step with the lowest validation loss", "regularize: weight decay, dropout, augmentation", "add data"),
        "Prechelt 1998, doi:10.1007/3-540-49430-8_3",
    ),
    Fault(
        "D007",
        "the loss stays on a plateau",
        INFO,
        "height above the floor over the height of the first values, where the last two thirds do not improve",
        0.7,
        ("learning rate too large to go further down, or too small to get away", "too little capacity"),
        ("change the learning rate, or reduce it on plateaus", "give the loss that can be reached with --floor"),
        "Smith 2017, arXiv:1506.01186",
    ),
    Fault(
        "D008",
        "the learning rate has spikes",
        WARNING,
        "learning rate over those around it, in short excursions or leaps above all earlier ones",
        3,
        ("a schedule resumed with another step count", "a mistake in a schedule or a restart"),
        ("check the schedule around these steps", "save and restore the state of the scheduler"),
        "Loshchilov 2017, arXiv:1608.03983, for schedules that are meant to rise",
    ),
    Fault(
        "D009",
        "gradients are dead",
        ERROR,
        "gradient norm of the last values over that of the first",
        1e-7,
        ("dead ReLUs or saturated activations", "vanishing gradients", "a detached or frozen part of the model"),
        ("check initialization, and use LeakyReLU or GELU", "add batch normalization or residual connections"),
        "Glorot 2010, proceedings.mlr.press/v9/glorot10a",
    ),
    Fault(
        "D010",
        "gradients explode",
        WARNING,
        "gradient norm over the median of those before it, beyond 8 spreads of its logarithm",
        30,
        ("learning rate too large", "long products of Jacobians, as in recurrent models", "a broken batch"),
        ("clip gradients", "lower the learning rate, or warm it up", "look at the data of these steps"),
        "Pascanu 2013, arXiv:1211.5063",
    ),
)
FAULTS = {fault.code: fault for fault in ROWS}


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
