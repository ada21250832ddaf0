"""docs/performance.md and its plot, from what was measured."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from benching.lines import BAR, Line, Section
from benching.machine import sentences
from benching.plot import plot

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """# Performance

Time, memory and accuracy beside the scripts that one would have written instead. `scripts/bench` measures them and writes this
page; no figure is typed by hand, and no test asserts one.

```bash
bash scripts/demo                                           # installs lossctl into .venv
.venv/bin/pip install -c constraints.txt '.[bench]'         # the programs that it is compared with
.venv/bin/python scripts/bench                              # prints the tables, in about a quarter of an hour
.venv/bin/python scripts/bench --huge                       # two arrays of 4 GB too: 10 GB of disk, 16 GB of memory
.venv/bin/python scripts/bench --write --json bench.json    # and writes this page
.venv/bin/python scripts/bench --write --from bench.json    # writes it again without measuring
```

## How it is measured

- **Ratios of neighbouring runs.** Two programs run in turn, A B A B …, and a ratio is taken within each pair, so that a machine
  that slows down in the middle slows both. Tables have the median of those ratios, and their minimum and maximum.
- **Whole processes** but for the kernels: what one waits for after pressing return. Files lie in the page cache.
- **Memory** is the peak of the resident set, of processes that a bare Python of 10 MB has started. (What the system reports
  begins at the peak of the process that starts another, so a large one must not.)
- **The same answer.** Programs that are compared must agree to 0.1 %, or there is no figure.
- A program that is not installed is named, and its line stays empty.

Measured on: {machine}

"""
SLOWER = """## Where lossctl is slower, and why

- **Small files against NumPy alone.** A command line has options to parse and errors to explain; a script of three lines has
  neither. Start-up above `import numpy` is what lossctl adds.
- **float64 is the default.** It takes up to twice as long as float32, and gives the error of the accuracy table in return.
  `--dtype native` calculates in the type of the files, and adds up in float64.
- **Arrays that are in memory already.** In a training process there is nothing to read, and torch's own losses are where the
  tensors are. The column *torch in memory* shows it: divide it by the others'.
- **Few classes.** The softmax of short rows is bound by exponentials and by moving along the short axis.
- **Processors without AVX-512.** NumPy's exp and log take several times longer there; mse, l1 and huber do not use them.
- **Table engines.** polars and DuckDB read only what a query needs with readers of their own; lossctl reads with pyarrow,
  checks every value for NaN and its domain, and keeps to a bounded amount of memory.
- **`compare` of losses** looks for the best constant under each, which takes passes of its own.
- **Many small pairs.** One call spares the start-ups of the others, but each pair is still looked at for warnings, and a spec
  takes the packages that read and check it.
- **A cluster** has to be started. It pays where one machine's disk or cores do not suffice.
"""
PLOT = """![Times of losses, of whole programs and their memory](performance.svg)

"""


def write(folder: Path, machine: dict[str, Any], sections: list[Section]) -> None:
    """Write the page and its plot into a folder."""
    (folder / "performance.svg").write_text(plot(sections), encoding="utf-8")
    (folder / "performance.md").write_text(page(machine, sections), encoding="utf-8")


def page(machine: dict[str, Any], sections: list[Section]) -> str:
    """The whole page."""
    parts = [HEAD.format(machine=sentences(machine)), verdict(sections), PLOT, *map(table_of, sections), SLOWER]
    return re.sub(r"\n{3,}", "\n\n", "".join(parts))


def verdict(sections: list[Section]) -> str:
    """How many targets are kept, and which are not."""
    judged = [(section, line) for section in sections for line in section.lines if line.met is not None]
    missed = [
        f"- {plain(line.what)}: {line.cells()[0]}{unit(line)}, target {symbol(line.target)}"
        for _, line in judged
        if not line.met
    ]
    head = f"Of {len(judged)} targets, {len(judged) - len(missed)} are met."
    return f"## Targets\n\n{head}" + (" The others:\n\n" + "\n".join(missed) if missed else "") + "\n\n"


def table_of(section: Section) -> str:
    """A section with its table: one column of figures, or several where lines name a row and a column."""
    wide, narrow = ([line for line in section.lines if (BAR in line.what) == pivoted] for pivoted in (True, False))
    text = " ".join(section.text.split())
    tables = [pivot(wide) if wide else "", listed(narrow) if narrow else ""]
    return f"## {section.title}\n\n{wrapped(text)}\n\n" + "\n".join(filter(None, tables)) + "\n"


def wrapped(text: str) -> str:
    """Text in lines of 128 characters."""
    import textwrap

    return textwrap.fill(text, 128, break_long_words=False, break_on_hyphens=False)


def listed(lines: list[Line]) -> str:
    """A table with a line each."""
    rows = ["| | median | min | max | target |", "|---|---|---|---|---|"]
    for line in lines:
        cells = line.cells()
        middle = f"{cells[0]}{unit(line)}" if line.values else line.note
        rows.append(f"| {line.what} | {middle} | {cells[1]} | {cells[2]} | {symbol(line.target)} |")
    return "\n".join(rows) + "\n"


def pivot(lines: list[Line]) -> str:
    """A table with a row and a column for each name, and spreads in brackets."""
    cells = {tuple(line.what.split(BAR)): cell(line) for line in lines}
    names, columns = (list(dict.fromkeys(key[place] for key in cells)) for place in (0, 1))
    rows = [f"| | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    rows += [f"| {name} | {' | '.join(cells.get((name, column), '') for column in columns)} |" for name in names]
    return "\n".join(rows) + "\n"


def cell(line: Line) -> str:
    """Median, spread and target in one cell."""
    if not line.values:
        return line.note
    middle, low, high = line.cells()
    spread = f" ({low} to {high})" if len(line.values) > 1 else ""
    target = f", target {symbol(line.target)}" if line.target else ""
    return f"{middle}{unit(line)}{spread}{target}"


def unit(line: Line) -> str:
    """The unit behind a figure."""
    return f" {line.unit}" if line.unit else ""


def symbol(target: str) -> str:
    """A bound as it is printed."""
    return target.replace("<=", "≤").replace(">=", "≥")


def plain(what: str) -> str:
    """The name of a line outside its table."""
    return what.replace(BAR, ", ")
