"""The reference pages: one a loss, made from its docstring, its signature, and its curve, which is measured."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.checking.checks import Drawn, gradients, value
from lossctl.commands.listing import NO_GUIDE, describe
from lossctl.losses import catalogue
from lossctl.losses.names import FRAMEWORKS

if TYPE_CHECKING:
    from lossctl.losses.loss import Domain, Input, Loss

POINTS = 401
TINY = 1e-9
# A gradient that still changes by so much over a width of 1e-9 jumps.
JUMP, NARROW = 1e-3, 1e-9
# Where a loss is looked at far out, and a gradient that divides by a target of 0.
FAR, NEAR, HUGE = (1e3, 1e6), (1e-3, 1e-6), 1e6


@dataclass(frozen=True)
class Curve:
    """A loss and its gradient as functions of one prediction, for one target."""

    loss: Loss
    pred: Any
    value: Any
    gradient: Any
    target: float


def curves(loss: Loss) -> list[Curve]:
    """The curves of a loss of one number against one number; none for any other."""
    inputs = loss.signature.inputs
    plain = [a.name for a in inputs] == ["pred", "target"] and all(a.word.shape == "n *d" and not a.word.index for a in inputs)
    if not plain or loss.whole or "none" not in loss.reductions:
        return []
    pred = _span(inputs[0].word.domain)
    found = [_curve(loss, pred, at) for at in _targets(inputs[1])]
    return found if TINY < np.abs(found[0].gradient).max() < HUGE else [_curve(loss, pred, 1.0)]


def _span(domain: Domain) -> Any:
    low = max(domain.low, -4.0) + (0.01 if np.isfinite(domain.low) else 0)
    high = min(domain.high, 4.0) - (0.01 if np.isfinite(domain.high) else 0)
    return np.linspace(low, high, POINTS)


def _targets(argument: Input) -> list[float]:
    domain = argument.word.domain
    if domain.values:
        return sorted(value for value in domain.values if value or not argument.word.signs)
    if domain.high == 1:
        return [0.0, 1.0]
    return [0.0] if domain.holds(0.0, 0.0) and domain.low == -np.inf else [1.0]


def _curve(loss: Loss, pred: Any, target: float) -> Curve:
    drawn = _drawn(loss, pred, target)
    return Curve(loss, pred, np.asarray(value(loss, drawn, reduction="none")), _slope(loss, pred, target), target)


def _drawn(loss: Loss, pred: Any, target: float) -> Drawn:
    params = {parameter.name: parameter.default for parameter in loss.signature.parameters}
    return Drawn({"pred": pred, "target": np.full(pred.shape, target)}, {}, params)


def _slope(loss: Loss, pred: Any, target: float) -> Any:
    return gradients(loss, _drawn(loss, pred, target))["pred"] * pred.size


def behaviour(curve: Curve) -> list[str]:
    """What the measured gradient says: whether it is bounded, where it is zero, whether it rises, whether it jumps."""
    rise = np.diff(curve.gradient)
    flat = np.abs(curve.gradient) < TINY
    jump = _jump(curve)
    return [
        _bound(curve),
        f"zero on {flat.mean():.0%} of the plotted range" if flat.mean() > 2 / POINTS else "zero at most at single points",
        "convex" if (rise > -TINY * np.abs(curve.gradient).max()).all() else "not convex",
        "smooth" if jump is None else f"with a kink at {jump:.3g}",
    ]


def _bound(curve: Curve) -> str:
    """Whether the gradient keeps growing far out or towards the edge of the domain."""
    domain = curve.loss.signature.inputs[0].word.domain
    largest = np.abs(curve.gradient).max()
    ends = [np.array([side * far for far in FAR]) for side, end in ((-1, domain.low), (1, domain.high)) if not np.isfinite(end)]
    ends += [
        np.array([end + side * step for step in (1e-3, 1e-6)])
        for side, end in ((1, domain.low), (-1, domain.high))
        if np.isfinite(end)
    ]
    with np.errstate(all="ignore"):
        sizes = [np.abs(_slope(curve.loss, end, curve.target)) for end in ends]
    grows = any(not np.isfinite(size).all() or size[1] > 1.1 * max(size[0], largest) for size in sizes)
    return "unbounded gradient" if grows else f"gradient bounded by {max([largest, *(s.max() for s in sizes)]):.3g}"


def _jump(curve: Curve) -> float | None:
    """Where the gradient jumps, found by halving the interval in which it changes most."""
    at = int(np.argmax(np.abs(np.diff(curve.gradient))))
    low, high = curve.pred[at], curve.pred[at + 1]
    while high - low > NARROW:
        middle = (low + high) / 2
        ends = _slope(curve.loss, np.array([low, middle, high]), curve.target)
        low, high = (low, middle) if abs(ends[1] - ends[0]) > abs(ends[2] - ends[1]) else (middle, high)
    left, right = _slope(curve.loss, np.array([low, high]), curve.target)
    return round(float(middle), 6) + 0.0 if abs(right - left) > JUMP * max(1.0, abs(left)) else None


def plot(loss: Loss, found: list[Curve]) -> str:
    """The curves as an SVG, the same bytes on every run."""
    import matplotlib as mpl

    mpl.use("svg")
    import matplotlib.pyplot as plt

    mpl.rcParams["svg.hashsalt"] = loss.name
    mpl.rcParams["svg.fonttype"] = "none"
    figure, axes = plt.subplots(1, 2, figsize=(7, 2.6), layout="constrained")
    for curve in found:
        label = f"target {curve.target:g}"
        axes[0].plot(curve.pred, curve.value, label=label)
        axes[1].plot(curve.pred, curve.gradient, label=label)
    for axis, title in zip(axes, ("loss", "gradient"), strict=True):
        axis.set(xlabel="pred", title=title)
        axis.grid(alpha=0.3)
        axis.legend(fontsize="small")
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    plt.close(figure)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"


def twins(loss: Loss) -> list[str]:
    """What other frameworks call this loss."""
    names = {
        framework: [theirs for theirs, ours in table.items() if ours.partition(":")[0] == loss.name]
        for framework, table in FRAMEWORKS.items()
    }
    return [f"- {framework}: {', '.join(f'`{name}`' for name in found)}" for framework, found in names.items() if found]


def page(loss: Loss, found: list[Curve]) -> str:
    """The page of one loss in Markdown."""
    facts = describe(loss)
    lines = [f"# {loss.name}", "", facts["summary"], "", f"**Formula:** `{facts['formula']}`", "", "## When to use it", ""]
    lines += [f"{facts['use']}", ""]
    lines += [f"The gradient is {NO_GUIDE}; train with [{loss.flat}]({loss.flat}.md).", ""] if loss.flat else []
    lines += ["## Inputs", "", "| name | shape | takes | domain | activation |", "|---|---|---|---|---|"]
    lines += [
        f"| `{a['name']}` | `{a['shape']}` | {a['takes']} | {a['domain']} | {a['needs']} |"
        for a in (*facts["inputs"], *facts["tensors"])
    ]
    if facts["parameters"]:
        lines += ["", "## Parameters", "", "| name | default | takes | |", "|---|---|---|---|"]
        lines += [f"| `{p['name']}` | {p['default']} | {p['takes']} | {p['doc']} |" for p in facts["parameters"]]
    lines += ["", "## Examples", "", *(f"- `{example}`" for example in facts["examples"])]
    if found:
        lines += ["", "## Gradient", "", f"![{loss.name} and its gradient]({loss.name}.svg)", ""]
        lines += [f"- target {curve.target:g}: {'; '.join(behaviour(curve))}" for curve in found]
    lines += ["", "## Pitfalls", "", *(f"- {pitfall}" for pitfall in facts["pitfalls"])]
    lines += [
        "",
        "## Elsewhere",
        "",
        *twins(loss),
        f"- aliases: {', '.join(facts['aliases']) or 'none'}",
        f"- source: {loss.source}",
    ]
    lines += ["", f"Reductions: {', '.join(loss.reductions)}. Merging: {loss.merge}.", ""]
    return "\n".join(lines)


def index() -> str:
    """The table of all losses by task."""
    lines = ["# Losses", "", "Made from the catalogue by `scripts/refresh`.", ""]
    for task in sorted({loss.task for loss in catalogue().values()}):
        lines += [f"## {task}", "", "| loss | |", "|---|---|"]
        chosen = sorted((loss for loss in catalogue().values() if loss.task == task), key=lambda loss: loss.name)
        lines += [f"| [{loss.name}]({loss.name}.md) | {loss.doc.summary} |" for loss in chosen]
        lines.append("")
    return "\n".join(lines)


def pages() -> dict[str, str]:
    """Every file of docs/losses by name."""
    made = {"README.md": index()}
    for loss in catalogue().values():
        found = curves(loss)
        made[f"{loss.name}.md"] = page(loss, found)
        if found:
            made[f"{loss.name}.svg"] = plot(loss, found)
    return made
