"""`verify`: the checks that our own losses are tested with, for any loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lossctl.binding import scalars
from lossctl.blocks import whole
from lossctl.checks import CHECKS, run_check
from lossctl.commands.asked import as_given
from lossctl.commands.listing import look_up
from lossctl.errors import BadParameter, GateFailed, near
from lossctl.files import Files
from lossctl.report import Report
from lossctl.spec import parse_losses
from lossctl.trials import settled

if TYPE_CHECKING:
    from lossctl.errors import LossctlError
    from lossctl.loss import Loss
    from lossctl.spec import LossSpec


def run(name: str) -> tuple[Report, LossctlError | None]:
    """Run every check on a loss. Returns the report, and the error to exit with if a check failed.

    Raises: UnknownName, BadParameter, PluginFailed.
    """
    asked, *more = parse_losses(name)
    if more:
        message = f"verify takes one loss, and '{name}' is {len(more) + 1}."
        raise BadParameter(message, hint=f"Write: lossctl verify {asked.name}")
    loss = look_up(asked.name, asked.params)
    loss = _settled(loss, asked) if loss.origin != "lossctl" else _unparametrised(loss, asked)
    rows = []
    for title, check in CHECKS.items():
        result, detail = run_check(check, loss)
        promise = " ".join((check.__doc__ or "").split())
        rows.append({"loss": loss.name, "check": title, "result": result, "detail": detail or promise})
    failed = [row["check"] for row in rows if row["result"] == "failed"]
    document = {"schema": "lossctl/verify/1", "loss": loss.name, "checks": rows}
    report = Report(("loss", "check", "result", "detail"), rows, document, bare="result")
    return report, GateFailed(f"{loss.name} does not keep: {', '.join(failed)}.") if failed else None


def _unparametrised(loss: Loss, asked: LossSpec) -> Loss:
    """The checks draw the parameters of our own losses themselves.

    Raises: BadParameter where one is given.
    """
    if asked.params:
        message = f"verify draws the parameters of {loss.name} itself."
        raise BadParameter(message, hint=f"Write: lossctl verify {asked.name}")
    return loss


def _settled(loss: Loss, asked: LossSpec) -> Loss:
    """Fix the parameters of somebody else's loss as they were typed.

    Raises: BadParameter, PluginFailed.
    """
    arrays = {tensor.name for tensor in loss.signature.tensors} & set(asked.params)
    unknown = set(asked.params) - arrays - {parameter.name for parameter in loss.signature.parameters}
    if unknown:
        message = f"{loss.name} has no parameter '{min(unknown)}'."
        raise BadParameter(message, hint=near(min(unknown), [one.name for one in loss.signature.parameters], "parameters"))
    files = Files(folder="", in_format="", say=lambda _: None)
    given = {name: whole(files.open(as_given(name, asked.params[name]), name)).astype(np.float64) for name in arrays}
    values = scalars(loss, {name: value for name, value in asked.params.items() if name not in arrays})
    return settled(loss, {**given, **values})
