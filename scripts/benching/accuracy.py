"""How far answers are from the exact ones."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from benching.data import TERMS, elements
from benching.kernels import Kernel, plural, torch_way
from benching.lines import BAR, Case, Line
from benching.plan import threads
from benching.running import compute

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benching.plan import Plan

TITLE = "Accuracy"
TEXT = """Relative error of the printed value, against sums of {bits} bits of precision over the same float32 values. torch's
depends on the number of its threads."""


def text() -> str:
    """What the reader has to know."""
    return TEXT.format(bits=np.finfo(np.longdouble).nmant + 1)


def cases(plan: Plan) -> Iterator[Case]:
    """Three losses, as lossctl and as torch compute them."""
    pair = plan.data.pair("large", elements(plan.size))
    for loss in TERMS:
        exact = plan.data.exact["large"][loss]
        for dtype, name, target in (("f64", "lossctl, float64", "<= 1e-15"), ("native", "lossctl, native", "")):
            answer = partial(printed, plan, compute(loss, pair, "--dtype", dtype))
            yield Case(f"{loss}{BAR}{name}", partial(error, f"{loss}{BAR}{name}", answer, exact, target))
        for count in threads():
            name = f"{loss}{BAR}torch, float32, {plural(count)}"
            yield Case(name, partial(error, name, partial(by_torch, loss, pair, count), exact))


def printed(plan: Plan, command: list[str]) -> Any:
    """What a command prints, with all its digits."""
    return np.longdouble(plan.runner.run(command).answer)


def by_torch(loss: str, pair: list[str], count: int) -> Any:
    """What torch gives on so many threads."""
    return np.longdouble(torch_way(Kernel(loss, loss, f"{loss}_loss", pair), count)[1])


def error(what: str, answer: Callable[[], Any], exact: Any, target: str = "") -> list[Line]:
    """The relative error of an answer."""
    return [Line(what, [float(abs(answer() - exact) / exact)], "", target)]
