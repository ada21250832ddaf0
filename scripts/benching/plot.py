"""The plot of docs/performance.md: losses beside reading, whole programs beside lossctl, and their memory."""

from __future__ import annotations

import io
from typing import Any

from benching.lines import BAR, Line, Section

# The columns of the kernels that are drawn.
DRAWN = ("float64, 2 threads", "native, 2 threads", "torch, 2 threads")
INCH = 0.2
TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)


def plot(sections: list[Section]) -> str:
    """An SVG, the same bytes for the same figures; panels without figures stay empty."""
    import matplotlib as mpl

    mpl.use("svg")
    import matplotlib.pyplot as plt

    mpl.rcParams["svg.hashsalt"] = "performance"
    mpl.rcParams["svg.fonttype"] = "none"
    cells = {
        tuple(line.what.split(BAR)): line for section in sections for line in section.lines if BAR in line.what and line.values
    }
    losses = list(dict.fromkeys(row for row, column in cells if column in DRAWN))
    programs = [row for row, column in cells if column == "time"]
    heights = [len(losses) * 3 + 3, len(programs) * 2 + 3]
    figure, axes = plt.subplots(2, 1, figsize=(8, INCH * sum(heights) + 1), height_ratios=heights, layout="constrained")
    series = {column: [value(cells.get((row, column))) for row in losses] for column in DRAWN}
    bars(axes[0], losses, series, "time, as a multiple of reading the bytes once")
    columns = {name: [value(cells.get((row, name))) for row in programs] for name in ("time", "peak memory")}
    bars(axes[1], programs, columns, "lossctl / the other program: below 1 lossctl takes less")
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    plt.close(figure)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"


def value(line: Line | None) -> float:
    """The median, or 1 for a bar that is not there."""
    return line.median if line else 1.0


def bars(axis: Any, names: list[str], series: dict[str, list[float]], title: str) -> None:
    """Groups of horizontal bars that begin at 1, the first name at the top, on a scale of powers."""
    height = 0.8 / len(series)
    for number, (label, values) in enumerate(series.items()):
        places = [place + number * height for place in range(len(names))]
        axis.barh(places, [each - 1 for each in values], height, left=1, label=label)
    every = [1.0, *(each for values in series.values() for each in values)]
    shown = [tick for tick in TICKS if min(every) / 2 < tick < max(every) * 2]
    axis.set(title=title, xscale="log", yticks=[place + 0.4 - height / 2 for place in range(len(names))], yticklabels=names)
    axis.set_xticks(shown, labels=[f"{tick:g}" for tick in shown])
    axis.minorticks_off()
    axis.axvline(1, color="black", linewidth=0.8)
    axis.invert_yaxis()
    axis.grid(axis="x", alpha=0.3)
    axis.legend(fontsize="small")
