"""`compare`: predictions or losses side by side."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Annotated

from lossctl.cli.app import Losses, Sources, app
from lossctl.options import Gated
from lossctl.printing import Printed, check_outputs, printed, say, wants_document
from lossctl.spreading import HOW, INPUT, RESULT, Words, loading, spread
from lossctl.spreading import option as _option


@dataclass(frozen=True, eq=False, repr=False)
class Comparing(Gated):
    """What `compare` takes."""

    target: Annotated[
        str, _option("--target", "-t", metavar="SOURCE", panel=INPUT, doc="The target; without it the last input is.")
    ] = ""
    baseline: Annotated[
        str, _option("--baseline", metavar="SOURCE", panel=INPUT, doc="What the others are compared with; else the first.")
    ] = ""
    cluster_by: Annotated[
        str, _option("--cluster-by", metavar="COLUMN|SOURCE", panel=HOW, doc="Rows that belong together, such as a user's.")
    ] = ""
    order: Annotated[
        str, _option("--order", metavar="COLUMN|SOURCE", panel=HOW, doc="The order in time; tests by Diebold-Mariano.")
    ] = ""
    horizon: Annotated[int, _option("--horizon", metavar="H", panel=HOW, min=1, doc="Steps that forecasts look ahead.")] = 1
    test: Annotated[str, _option("--test", metavar="TEST", panel=HOW, doc="auto, flip, t, mcnemar, wilcoxon or dm.")] = "auto"
    correction: Annotated[
        str, _option("--correction", metavar="HOW", panel=HOW, doc="For several tests: maxt, holm, bh or none.")
    ] = "maxt"
    alpha: Annotated[float, _option("--alpha", metavar="X", panel=HOW, doc="The level of tests and intervals.")] = 0.05
    resamples: Annotated[int, _option("--resamples", metavar="N", panel=HOW, min=99, doc="Random flips of a test.")] = 9_999
    seed: Annotated[
        int, _option("--seed", metavar="N", panel=HOW, min=0, envvar="LOSSCTL_SEED", doc="Of flips and resamples.")
    ] = 0
    grad: Annotated[bool, _option("--grad", panel=RESULT, doc="The norm of each gradient too, of one prediction.")] = False
    explain: Annotated[
        Words, _option("--explain", metavar="COLUMN|SOURCE", panel=RESULT, doc="Which slices carry the difference. Repeatable.")
    ] = field(default_factory=list)
    suggest_tol: Annotated[
        bool, _option("--suggest-tol", panel=RESULT, doc="Predictions are reruns: which difference is mere noise?")
    ] = False


@app.command()
@spread
def compare(losses: Losses, sources: Sources = [], *, options: Comparing, typed: set[str]) -> Printed:  # noqa: B006
    """Compare predictions under one loss or several, or several losses on one prediction.

    Example: lossctl compare mse,l1 base.npy new.npy -t target.npy
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    with loading():
        from lossctl.commands.compare import run, wanted_of
        from lossctl.request import compute_spec

    check_outputs(options)
    wanted = wanted_of(options, sources)
    spec = compute_spec([losses], options, typed)
    report, error = run(spec, wanted, say(options), document=wants_document(options))
    return printed(report, options, error)
