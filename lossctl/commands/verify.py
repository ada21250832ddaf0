"""`verify`: the checks that our own losses are tested with, for any loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lossctl.checks import CHECKS, run_check
from lossctl.commands.listing import look_up
from lossctl.errors import GateFailed
from lossctl.report import Report

if TYPE_CHECKING:
    from lossctl.errors import LossctlError


def run(name: str) -> tuple[Report, LossctlError | None]:
    """Run every check on a loss. Returns the report, and the error to exit with if a check failed.

    Raises: UnknownName.
    """
    loss = look_up(name)
    rows = []
    for title, check in CHECKS.items():
        result, detail = run_check(check, loss)
        promise = " ".join((check.__doc__ or "").split())
        rows.append({"loss": loss.name, "check": title, "result": result, "detail": detail or promise})
    failed = [row["check"] for row in rows if row["result"] == "failed"]
    document = {"schema": "lossctl/verify/1", "loss": loss.name, "checks": rows}
    report = Report(("loss", "check", "result", "detail"), rows, document, bare="result")
    return report, GateFailed(f"{loss.name} does not keep: {', '.join(failed)}.") if failed else None
