"""Losses without start-up: in this process, beside reading the same bytes once and beside torch on whole arrays."""

from __future__ import annotations

import os
import time
import warnings
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benching.data import elements
from benching.lines import BAR, Case, Line
from benching.plan import threads
from benching.running import check_answers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benching.plan import Plan

TITLE = "Kernels"
TEXT = """One process, start-up left out. Every figure is the time from the files, which lie in the page cache, to the loss, in
multiples of the time that one thread takes to read the same bytes once into a reused buffer and do nothing with them. torch
loads whole arrays with `numpy.load`; *torch in memory* leaves the loading out, as where the arrays are in memory anyway. Inputs
are two float32 arrays of equal size, three for gaussian_nll; the logits of cross_entropy are as large as two of them."""
# The function of torch, and the kinds of inputs.
LOSSES = {
    "mse": ("mse_loss", ["normal", "normal"]),
    "l1": ("l1_loss", ["normal", "normal"]),
    "huber": ("huber_loss", ["normal", "normal"]),
    "bce_with_logits": ("binary_cross_entropy_with_logits", ["normal", "unit"]),
    "bce": ("binary_cross_entropy", ["unit", "unit"]),
    "poisson_nll": ("poisson_nll_loss", ["normal", "unit"]),
    "kl_div": ("kl_div", ["log", "unit"]),
    "gaussian_nll": ("gaussian_nll_loss", ["normal", "normal", "unit"]),
}
CLASSES = (10, 1000, 32000)
TWO = "float64, 2 threads"
TWO_NATIVE = "native, 2 threads"
BOTH = "native / torch"
TARGETS = {
    ("mse", TWO): "<= 3",
    ("huber", TWO): "<= 3",
    ("mse", TWO_NATIVE): "<= 2",
    ("huber", TWO_NATIVE): "<= 2",
    ("bce_with_logits", TWO_NATIVE): "<= 5",
    ("cross_entropy, C = 10", TWO_NATIVE): "<= 6",
    ("cross_entropy, C = 1000", TWO_NATIVE): "<= 5",
    ("cross_entropy, C = 32000", TWO_NATIVE): "<= 5",
}
BUFFER = 1 << 20
REST = 0.02
Timed = tuple[float, float]


@dataclass(frozen=True)
class Kernel:
    """A loss on files; `function` is torch's name of it."""

    name: str
    loss: str
    function: str
    paths: list[str]


def cases(plan: Plan) -> Iterator[Case]:
    """Every loss; files that no other loss reads are removed behind it."""
    count = elements(plan.size)
    for name, (function, kinds) in LOSSES.items():
        paths = [plan.data.array(kind, count, number) for number, kind in enumerate(kinds)]
        yield Case(name, partial(measure, plan, Kernel(name, name, function, paths)))
    plan.data.forget("normal*_*.npy", "unit*_*.npy", "log*_*.npy")
    for classes in CLASSES:
        name, paths = f"cross_entropy, C = {classes}", plan.data.logits(2 * count, classes)
        yield Case(name, partial(measure, plan, Kernel(name, "cross_entropy", "cross_entropy", paths)))
        plan.data.forget("logits*.npy", "labels*.npy")


def measure(plan: Plan, kernel: Kernel) -> list[Line]:
    """All ways for one loss in turn, some rounds; torch, which takes longest, in every other round."""
    found: dict[str, list[float]] = defaultdict(list)
    read(kernel.paths, 1)
    answers = {"torch": torch_way(kernel, 1)[1], "lossctl": our_way(kernel, "f64", 1)[1]}
    check_answers({name: str(answer) for name, answer in answers.items()})
    for number in range(plan.runs):
        for count in threads():
            once = read(kernel.paths, 1)
            taken = dict(round_of(kernel, count, torch_too=number % 2 == 0))
            for column, seconds in taken.items():
                found[column].append(seconds / once)
            if f"torch, {plural(count)}" in taken and count == threads()[-1]:
                found[BOTH].append(taken[f"native, {plural(count)}"] / taken[f"torch, {plural(count)}"])
    return [Line(f"{kernel.name}{BAR}{name}", each, "x", target_of(kernel.name, name)) for name, each in found.items()]


def target_of(name: str, column: str) -> str:
    """The target of a figure, if it has one; nothing is to be slower than torch on whole arrays."""
    return "<= 1" if column == BOTH else TARGETS.get((name, column), "")


def round_of(kernel: Kernel, count: int, *, torch_too: bool) -> Iterator[tuple[str, float]]:
    """The seconds of every way with so many threads."""
    if count > 1:
        yield f"reading, {plural(count)}", read(kernel.paths, count)
    for dtype, name in (("f64", "float64"), ("native", "native")):
        yield f"{name}, {plural(count)}", our_way(kernel, dtype, count)[0]
    if torch_too:
        loading, _, working = torch_way(kernel, count)
        yield f"torch, {plural(count)}", loading + working
        if count == threads()[-1]:
            yield f"torch in memory, {plural(count)}", working


def plural(count: int) -> str:
    """A number of threads, for people."""
    return f"{count} thread{'s' * (count > 1)}"


def our_way(kernel: Kernel, dtype: str, jobs: int) -> Timed:
    """Seconds of opening and folding with lossctl, and the value."""
    from lossctl.engine.opening import prepare
    from lossctl.engine.reduce import evaluate
    from lossctl.losses.backends import BACKENDS
    from lossctl.request.options import Options
    from lossctl.request.spec import Spec, parse_losses
    from lossctl.sources.source import Given

    options = Options(dtype=dtype, jobs=jobs)
    inputs = tuple(Given(text=path) for path in kernel.paths)
    spec = Spec(losses=tuple(parse_losses(kernel.loss)), positional=inputs, options=options)
    start = time.perf_counter()
    prepared = prepare(spec, lambda _: None)
    outcome = evaluate(prepared.bounds, BACKENDS.get("numpy")(), options, prepared.selection)[0]
    return time.perf_counter() - start, float(outcome.value)


def torch_way(kernel: Kernel, count: int) -> tuple[float, float, float]:
    """Seconds of loading, the value, and seconds of the loss, with torch on whole arrays."""
    import torch

    torch.set_num_threads(count)
    work: Callable[..., Any] = getattr(torch.nn.functional, kernel.function)
    start = time.perf_counter()
    arrays = [torch.from_numpy(np.load(path)) for path in kernel.paths]
    loaded = time.perf_counter()
    with warnings.catch_warnings():
        # kl_div says that its mean is not the mathematical one; it is what is compared.
        warnings.simplefilter("ignore")
        value = work(*arrays).item()
    done = time.perf_counter()
    # Its threads go on waiting for work for a while, and would take time from what is measured next.
    time.sleep(REST)
    return loaded - start, value, done - loaded


def read(paths: list[str], count: int) -> float:
    """Seconds of reading the bytes of files once on so many threads, each a range, into a reused buffer each."""
    start = time.perf_counter()
    with ThreadPoolExecutor(count) as pool:
        for path in paths:
            list(pool.map(partial(read_share, path, count), range(count)))
    return time.perf_counter() - start


def read_share(path: str, count: int, number: int) -> None:
    """Read one of `count` equal ranges of a file."""
    size = Path(path).stat().st_size
    at, end = number * size // count, (number + 1) * size // count
    buffer = bytearray(BUFFER)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        while at < end and (got := os.preadv(descriptor, [memoryview(buffer)[: end - at]], at)):
            at += got
    finally:
        os.close(descriptor)
