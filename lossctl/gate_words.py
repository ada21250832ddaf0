"""Gates as they are typed: `KEY=V`, split at the last `=`, since a key may be `huber:delta=0.5`."""

from __future__ import annotations

import math

from lossctl.errors import BadParameter
from lossctl.spec import Gate, share

KINDS = ("max", "min", "expect", "max_abs", "max_rel", "require")
REQUIRE = ("point", "sig", "noninf", "equiv")
EXAMPLES = {"max_rel": "mse=2%", "require": "sig", "max_abs": "mse=0.01"}
FORMS = {"max_rel": "KEY=NUMBER%", "require": "point, sig, noninf or equiv"}


def parse_gate(kind: str, item: str, rtol: float = 1e-9, atol: float = 0.0) -> Gate:
    """Read what stands behind --max, --min, --expect, --max-abs, --max-rel or --require.

    Raises: BadParameter.
    """
    key, equals, bound = item.rpartition("=")
    if kind == "require":
        if bound not in REQUIRE or (equals and not key):
            raise _unread(kind, item)
        return Gate(key, kind, 0.0, require=bound)
    value = _number(bound, percent=kind == "max_rel") if key else None
    if value is None or (kind in {"max_abs", "max_rel"} and math.isnan(value)):
        raise _unread(kind, item)
    return Gate(key, kind, value, rtol, atol)


def _unread(kind: str, item: str) -> BadParameter:
    option = f"--{kind.replace('_', '-')}"
    message = f"{option} takes {FORMS.get(kind, 'KEY=NUMBER')}, not '{item}'."
    return BadParameter(message, hint=f"For example: {option} {EXAMPLES.get(kind, 'mse=0.1')}")


def _number(text: str, *, percent: bool) -> float | None:
    try:
        return share(text) if percent else float(text)
    except ValueError:
        return None
