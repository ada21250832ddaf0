"""`--backend auto`: torch where it saves more than it takes to import, by a table of what each loss costs in either.

The table was measured by scripts/costs, in passes over arrays in memory. The choice depends on losses, shapes, types and on
whether NumPy has AVX-512 to work with, but not on how many cores there are: no result may depend on that.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lossctl.binding import Bound
    from lossctl.spec import Options

TABLE = Path(__file__).with_name("table.json")
# Lanes that a saving is shared by: as many as usual machines have cores. torch is imported on one.
LANES = 8
# Classes from which on a row is long, in the table.
WIDE = 100
# What is quicker by less is not quicker for sure.
NOISE = 0.1


@cache
def table() -> Mapping[str, Any]:
    """Nanoseconds an element in NumPy and in torch, by processor, loss, and kind of array; seconds that an import takes."""
    found: dict[str, Any] = json.loads(TABLE.read_text(encoding="utf-8"))
    return found


def cheaper(bounds: Iterable[Bound], options: Options, processor: str = "") -> str:
    """The backend that is done first with these losses: `numpy` or `torch`."""
    costs = table()["nanoseconds"][processor or processor_here()]
    saved = sum(_saved(bound, costs.get(bound.loss.name, {}), options) for bound in bounds)
    return "torch" if not options.cluster and saved / LANES > table()["import_seconds"] else "numpy"


def _saved(bound: Bound, costs: Mapping[str, list[float]], options: Options) -> float:
    """Seconds of one lane that torch would save; nothing is known of losses that are not in the table."""
    numpy, torch = costs.get(kind_of(bound, options), (0.0, 0.0))
    better = numpy - torch
    return (0.0 if 0 < better < NOISE * numpy else better) * 1e-9 * bound.n * bound.elements


def kind_of(bound: Bound, options: Options) -> str:
    """The column of the table: the type that is calculated with, and whether rows of classes are long."""
    widest = max((slot.reader.dtype.itemsize for slot in bound.slots if slot.reader.dtype.kind == "f"), default=8)
    double = options.dtype == "f64" or (options.dtype == "native" and widest > 4)  # noqa: PLR2004 - bytes of a float32
    classes = bound.dims.get("c", (1,))[0]
    return ("f64" if double else "native") + ("/wide" if classes >= WIDE else "")


@cache
def processor_here() -> str:
    """`avx512` where NumPy's exponential uses it, else `plain`."""
    from numpy.lib.introspect import opt_func_info  # noqa: PLC0415 - only for `--backend auto`

    ways = opt_func_info(func_name="^exp$", signature="float64")["exp"].values()
    return "avx512" if any(word in way["current"] for way in ways for word in ("V4", "AVX512")) else "plain"
