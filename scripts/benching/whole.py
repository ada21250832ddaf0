"""Whole processes on large files: arrays and tables, beside the scripts that one would have written."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from benching import others
from benching.data import elements
from benching.lines import BAR, Case, Line
from benching.plan import columns, room_for, threads
from benching.running import LOSSCTL, compute, script

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benching.plan import Plan

TITLE = "Large files"
TEXT = """Whole processes, start-up included, in turn; lossctl calculates in float64 unless `native` is said. Every figure is
lossctl's divided by the other program's: below 1 lossctl takes less. Peak memory is that of the resident set."""
HUGE_TITLE = "Huge arrays"
HUGE_TEXT = """Two arrays of several GB, which `--huge` asks for. All programs find the files in the page cache as
far as it holds them; a script that needs much memory takes it from the cache."""
# Lossctl's time and its memory, as parts of the other's.
TABLE_TARGETS = {("csv", "polars"): ("<= 1.2", "<= 0.5"), ("parquet", "duckdb"): ("<= 1.3", "")}
LIMITS = {"npy": "<= 150", "csv": "<= 250", "parquet": "<= 250"}
CAT = ["sh", "-c", 'cat "$@" > /dev/null', "cat"]
OURS, NATIVE = "lossctl", "lossctl, native"


def cases(plan: Plan) -> Iterator[Case]:
    """Arrays, then tables as CSV and as parquet."""
    pair = plan.data.pair("large", elements(plan.size))
    scripts = {"NumPy": script(others.NUMPY, *pair), "torch": script(others.TORCH, *pair)}
    name = f"npy, 2 x {plan.size:g} MB"
    yield Case(name, partial(beside, plan, name, pair, scripts))
    yield Case(name, partial(memory, plan, name, "npy", pair))
    for suffix in ("csv", "parquet"):
        yield from tables(plan, suffix)


def tables(plan: Plan, suffix: str) -> Iterator[Case]:
    """A table beside each of the libraries that read it."""
    path = plan.data.table(plan.rows, suffix)
    name = f"{suffix}, {plan.rows / 1e6:g} million rows"
    for package, text in others.OF_TABLES.items():
        targets = TABLE_TARGETS.get((suffix, package), ("", ""))
        measure = partial(beside, plan, name, columns(path), {package: script(text, path)}, targets)
        yield Case(f"{name}: {package}", measure, (package,))
    yield Case(name, partial(memory, plan, name, suffix, columns(path)))


def beside(
    plan: Plan, name: str, inputs: list[str], scripts: dict[str, list[str]], targets: tuple[str, str] = ("", "")
) -> list[Line]:
    """Time and memory of lossctl, divided by each script's."""
    native = compute("mse", inputs, "--dtype", "native")
    commands = {OURS: compute("mse", inputs), **scripts} | ({NATIVE: native} if inputs[0].endswith("npy") else {})
    runs = plan.runner.in_turn(commands, plan.runs)
    lines = []
    for other in scripts:
        for ours, said in ((OURS, ""), (NATIVE, ", native")):
            pairs = list(zip(runs.get(ours, []), runs[other], strict=False))
            columns_of = {"time": [a.seconds / b.seconds for a, b in pairs], "peak memory": [a.peak / b.peak for a, b in pairs]}
            named = zip(columns_of.items(), targets, strict=True)
            lines += [Line(f"{name}{said}: {other}{BAR}{column}", each, "x", goal) for (column, each), goal in named if each]
    return lines


def memory(plan: Plan, name: str, suffix: str, inputs: list[str]) -> list[Line]:
    """Lossctl's own memory above what starting up takes."""
    floor, command = plan.floor(plan.tiny(suffix)), compute("mse", inputs)
    what = f"{name}: memory of lossctl above start-up"
    return [Line(what, [plan.runner.run(command).peak - floor for _ in range(plan.few)], "MB", LIMITS[suffix])]


def huge_cases(plan: Plan) -> Iterator[Case]:
    """The largest pair: beside cat, beside scripts, and on two processes of Dask's."""
    plan, count = replace(plan, runs=plan.few), elements(plan.huge)
    plan.data.forget("quarter*.npy", "table*")
    pair = [plan.data.array("normal", count, number) for number in (0, 1)]
    name = f"npy, 2 x {plan.huge / 1000:g} GB"
    for word, target in (("f64", "<= 2"), ("native", "<= 1.2")):
        what = f"{name}, {word} / cat of both"
        command = compute("mse", pair, "--dtype", word, "--jobs", "2")
        yield Case(what, partial(ratio, plan, what, command, [*CAT, *pair], target))
    scripts = {"NumPy": script(others.NUMPY, *pair), "torch": script(others.TORCH, *pair)}
    for other, command in scripts.items():
        what = f"{name}: {other}"
        if room_for(plan.huge):
            yield Case(what, partial(beside, plan, name, pair, {other: command}))
        else:
            yield Case(what, lambda what=what: [Line(what, note="not enough memory here for the script")])
    yield Case(name, partial(memory, plan, name, "npy", pair))
    yield from cluster(plan, name, pair)
    plan.data.forget("normal*_*.npy")


def cluster(plan: Plan, name: str, pair: list[str]) -> Iterator[Case]:
    """Dask's local cluster beside threads."""
    count = str(threads()[-1])
    what = f"{name}, --cluster local:{count} / --jobs {count}"
    ours = [compute("mse", pair, *words) for words in (["--cluster", f"local:{count}"], ["--jobs", count])]
    target = "<= 1.5" if plan.huge else ""
    yield Case(what, partial(ratio, plan, what, *ours, target), ("distributed",))


def ratio(plan: Plan, what: str, first: list[str], second: list[str], target: str) -> list[Line]:
    """The time of one long command to that of another, without runs that are not counted."""
    runs = [plan.runner.run(first).seconds / plan.runner.run(second).seconds for _ in range(plan.few)]
    return [Line(what, runs, "x", target)]


def gradient(plan: Plan) -> Iterator[Case]:
    """A gradient beside the script that one would have written, both with its array written to a file."""
    pair = plan.data.pair("large", elements(plan.size))
    out = str(plan.data.folder / "gradient.npy")
    command = [*LOSSCTL, "grad", "mse", *pair, "-o", out]
    name = f"grad mse, 2 x {plan.size:g} MB, written / torch script"

    def measure() -> list[Line]:
        found = [
            (plan.runner.run(command), plan.runner.run(script(others.TORCH_GRADIENT, *pair, out))) for _ in range(plan.runs)
        ]
        return [
            Line(name, [a.seconds / b.seconds for a, b in found], "x", "<= 1"),
            Line(f"{name}, peak memory", [a.peak / b.peak for a, b in found], "x", "<= 0.33"),
        ]

    yield Case(name, measure)
    plan.data.forget("gradient.npy")
