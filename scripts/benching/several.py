"""Jobs of several parts: gradients, many losses at once, many pairs at once, several processes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from benching.data import elements
from benching.lines import Case, Line
from benching.running import LOSSCTL, compute
from benching.whole import cluster, gradient, ratio

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benching.plan import Plan

TITLE = "Gradients, several losses, many pairs"
TEXT = """Whole processes. The ten losses are {ten}; the dearest is that one which takes longest alone. `compare` does more than
compute them: it adds the best constant under each loss and what that says of the losses."""
TEN = ("mse", "l1", "huber", "smooth_l1", "log_cosh", "pseudo_huber", "cauchy", "charbonnier", "fair", "lp")
PAIRS = 200


def text() -> str:
    """What the reader has to know."""
    return TEXT.format(ten=", ".join(TEN))


def cases(plan: Plan) -> Iterator[Case]:
    """All jobs of several parts."""
    yield from gradient(plan)
    yield Case("ten losses in one pass", partial(ten_losses, plan))
    yield from many_pairs(plan)
    if not plan.huge:
        name = f"npy, 2 x {plan.size:g} MB"
        yield from cluster(plan, name, plan.data.pair("large", elements(plan.size)))


def ten_losses(plan: Plan) -> list[Line]:
    """Ten losses in one call, computed or compared, to the dearest of them alone."""
    size = plan.size / 4
    pair = plan.data.pair("quarter", elements(size))
    alone = {loss: plan.runner.seconds(compute(loss, pair)) for loss in TEN}
    dearest = compute(max(TEN, key=alone.__getitem__), pair)
    together = [*LOSSCTL, "compute", ",".join(TEN), *pair]
    compared = [*LOSSCTL, "compare", ",".join(TEN), pair[0], "-t", pair[1]]
    after = f"ten losses, 2 x {size:g} MB / the dearest alone"
    return [
        *ratio(plan, f"compute: {after}", together, dearest, "<= 4"),
        *ratio(plan, f"compare: {after}", compared, dearest, "<= 4"),
    ]


def many_pairs(plan: Plan) -> Iterator[Case]:
    """Many small pairs in one call to one pair in one call."""
    count = 20 if plan.short else PAIRS
    folder = plan.data.folder / "pairs"
    folder.mkdir()
    terms, suite = write_pairs(folder, count)
    one = compute("mse", [str(folder / "0_pred.npy"), str(folder / "0_target.npy")])
    commands = {
        f"compute: a spec of {count} small pairs / one pair": [*LOSSCTL, "compute", terms],
        f"check: a suite of {count} specs / one pair": [*LOSSCTL, "check", suite],
    }
    for what, command in commands.items():
        yield Case(what, partial(many, plan, what, command, one))


def many(plan: Plan, what: str, command: list[str], one: list[str]) -> list[Line]:
    """The time of one call for many to that of one call for one."""
    return [Line(what, plan.runner.ratios(command, one, plan.runs), "x", "<= 2")]


def write_pairs(folder: Path, count: int) -> tuple[str, str]:
    """Write pairs, a spec whose terms are their losses, and a suite of a spec each; return the paths of both."""
    random = np.random.default_rng(0)
    lines = ["terms:"]
    for number in range(count):
        for role in ("pred", "target"):
            np.save(folder / f"{number}_{role}.npy", random.standard_normal(1000, dtype=np.float32))
        inputs = f"inputs: {{pred: {number}_pred.npy, target: {number}_target.npy}}"
        lines.append(f"  - {{name: p{number}, loss: mse, {inputs}}}")
        (folder / f"{number}.yaml").write_text(f"loss: mse\n{inputs}\ngates: [{{key: mse, max: 10}}]\n", encoding="utf-8")
    (folder / "terms.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    names = ", ".join(f"{number}.yaml" for number in range(count))
    (folder / "suite.yaml").write_text(f"specs: [{names}]\n", encoding="utf-8")
    return str(folder / "terms.yaml"), str(folder / "suite.yaml")
