"""`compare`: predictions or losses side by side."""

from __future__ import annotations

import os
from dataclasses import dataclass

from lossctl.cli.app import Losses, Sources, app
from lossctl.option_table import HOW, INPUT, RESULT, option
from lossctl.options import Gated
from lossctl.printing import Printed, check_outputs, printed, say, wants_document
from lossctl.spreading import loading, spread


@dataclass(frozen=True, eq=False, repr=False)
class Comparing(Gated):
    """What `compare` takes."""

    target: str = option("", "-t --target SOURCE", INPUT, "The target; without it the last input is.")
    baseline: str = option("", "--baseline SOURCE", INPUT, "What the others are compared with; else the first.")
    cluster_by: str = option("", "--cluster-by COLUMN|SOURCE", HOW, "Rows that belong together, such as a user's.")
    order: str = option("", "--order COLUMN|SOURCE", HOW, "The order in time; tests by Diebold-Mariano.")
    horizon: int = option(1, "--horizon H", HOW, "Steps that forecasts look ahead.", min=1)
    test: str = option("auto", "--test TEST", HOW, "auto, flip, t, mcnemar, wilcoxon or dm.")
    correction: str = option("maxt", "--correction HOW", HOW, "For several tests: maxt, holm, bh or none.")
    alpha: float = option(0.05, "--alpha X", HOW, "The level of tests and intervals.")
    resamples: int = option(9999, "--resamples N", HOW, "Random flips of a test.", min=99)
    seed: int = option(0, "--seed N", HOW, "Of flips and resamples.", min=0, envvar="LOSSCTL_SEED")
    grad: bool = option(False, "--grad", RESULT, "The norm of each gradient too, of one prediction.")
    explain: list[str] = option([], "--explain COLUMN|SOURCE", RESULT, "Which slices carry the difference. Repeatable.")
    suggest_tol: bool = option(False, "--suggest-tol", RESULT, "Predictions are reruns: which difference is mere noise?")


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
