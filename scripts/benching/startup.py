"""What starting costs: small inputs, where nearly all of the time is imports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benching import others
from benching.lines import Case, Line
from benching.plan import columns
from benching.running import IMPORT_NUMPY, LOSSCTL, PASS, compute, script

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benching.plan import Plan

TITLE = "Start-up"
TEXT = """Whole processes on 1 000 values, in turn with the other one. Scripts read the same files and print the mean squared
error; a figure above 1 in their lines says how many times longer they take than lossctl."""


def cases(plan: Plan) -> Iterator[Case]:
    """Everything about start-up."""
    npy, csv = plan.tiny("npy"), plan.data.table(1000, "csv")
    ours, ours_csv = compute("mse", npy), compute("mse", columns(csv))
    yield ratio(plan, "compute mse, 1 000 values / import numpy", ours, IMPORT_NUMPY, "<= 2.2")
    yield ratio(plan, "compute mse, 1 000 CSV rows / import numpy", ours_csv, IMPORT_NUMPY, "<= 2.4")
    yield ratio(plan, "torch script / compute mse", script(others.TORCH, *npy), ours, ">= 6")
    yield ratio(plan, "scikit-learn script / compute mse", script(others.SKLEARN, *npy), ours, ">= 5", "sklearn")
    yield ratio(plan, "torchmetrics script / compute mse", script(others.TORCHMETRICS, *npy), ours, "", "torchmetrics")
    yield ratio(plan, "NumPy script / compute mse", script(others.NUMPY, *npy), ours)
    yield ratio(plan, "NumPy loadtxt script / compute mse, CSV", script(others.NUMPY_CSV, csv), ours_csv)
    yield ratio(plan, "pandas script / compute mse, CSV", script(others.PANDAS, csv), ours_csv, "", "pandas")
    yield ratio(plan, "polars script / compute mse, CSV", script(others.POLARS, csv), ours_csv, "", "polars")
    yield from pages(plan)
    for suffix in ("csv", "parquet"):
        table = plan.data.table(plan.rows, suffix)
        yield untouched(plan, f"modules of pandas imported by compute, large {suffix}", columns(table))


def ratio(plan: Plan, what: str, first: list[str], second: list[str], target: str = "", *needs: str) -> Case:
    """The time of one command to that of another."""
    return Case(what, lambda: [Line(what, plan.runner.ratios(first, second, plan.runs), "x", target)], needs)


def pages(plan: Plan) -> Iterator[Case]:
    """What help costs above a bare Python."""
    help_page = [*LOSSCTL, "--help"]
    yield above_python(plan, "--help on a terminal - python", plan.runner.seconds_on_terminal, help_page, "<= 130")
    yield above_python(plan, "--help into a pipe - python", plan.runner.seconds, help_page, "")


def above_python(plan: Plan, what: str, timed: Callable[[list[str]], float], command: list[str], target: str) -> Case:
    """Milliseconds of a command above those of an empty Python process, in turn."""

    def measure() -> list[Line]:
        timed(command), timed(PASS)
        return [Line(what, [1000 * (timed(command) - timed(PASS)) for _ in range(plan.runs)], "ms", target)]

    return Case(what, measure)


def untouched(plan: Plan, what: str, paths: list[str]) -> Case:
    """That pandas, where it is installed, is not imported: pyarrow does so by itself on some conversions."""
    command = script(others.PANDAS_MODULES, *compute("mse", paths)[compute("mse", paths).index("compute") :])
    return Case(what, lambda: [Line(what, [float(plan.runner.run(command).answer)], "", "<= 0")], ("pandas",))
