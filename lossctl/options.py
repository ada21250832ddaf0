"""The options of the command line as data: one dataclass a command spreads over its signature."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Annotated

from lossctl.spreading import GATES, HOW, INPUT, RESULT, TALK, Count, Word, Words, spread
from lossctl.spreading import option as _option

__all__ = ["Checking", "Comparing", "Computing", "Gated", "Gating", "Grading", "Identifying", "Reading", "Talk", "spread"]


@dataclass(frozen=True, eq=False, repr=False)
class Talk:
    """What every command takes: how to print, where to, and how much to say."""

    format: Annotated[
        str,
        _option(
            "--format",
            "-f",
            metavar="FORMAT",
            panel=RESULT,
            envvar="LOSSCTL_FORMAT",
            doc="auto, table, value, tsv, csv, json, jsonl, markdown, junit or github.",
        ),
    ] = "auto"
    bare: Annotated[bool, _option("-b", "--bare", panel=RESULT, doc="The bare number: --format value.")] = False
    output: Annotated[
        Words,
        _option(
            "--output", "-o", metavar="FILE", panel=RESULT, doc="Also write to a file; the suffix names the format. Repeatable."
        ),
    ] = field(default_factory=list)
    sig: Annotated[Count, _option("--sig", metavar="N", panel=RESULT, min=1, max=17, doc="Significant digits in tables.")] = (
        None
    )
    decimals: Annotated[Count, _option("--decimals", metavar="N", panel=RESULT, min=0, max=99, doc="Decimals in tables.")] = (
        None
    )
    quiet: Annotated[
        int, _option("--quiet", "-q", panel=TALK, count=True, doc="No notes on stderr; -qq also nothing on stdout.")
    ] = 0
    debug: Annotated[bool, _option("--debug", panel=TALK, doc="Show the traceback of an error.")] = False
    color: Annotated[str, _option("--color", metavar="WHEN", panel=TALK, doc="auto, always or never.")] = "auto"


@dataclass(frozen=True, eq=False, repr=False)
class Reading(Talk):
    """What every command takes that reads tensors and computes losses."""

    param: Annotated[
        Words, _option("--param", "-p", panel=HOW, metavar="NAME=VALUE", doc="A parameter of a single loss. Repeatable.")
    ] = field(default_factory=list)
    input: Annotated[
        Words, _option("--input", "-i", panel=INPUT, metavar="NAME=SOURCE", doc="An input by name. Repeatable.")
    ] = field(default_factory=list)
    on: Annotated[str, _option("--on", panel=INPUT, metavar="COLUMN", doc="Join tables on this id, not on row order.")] = ""
    by: Annotated[str, _option("--by", panel=INPUT, metavar="COLUMN|SOURCE", doc="One result for each group, too.")] = ""
    weights: Annotated[Word, _option("--weights", panel=INPUT, metavar="SOURCE", doc="One weight a sample.")] = None
    mask: Annotated[Word, _option("--mask", panel=INPUT, metavar="SOURCE", doc="What counts: by sample or by element.")] = None
    in_format: Annotated[
        str, _option("--in-format", metavar="FORMAT", panel=INPUT, doc="Read files as this format, whatever their suffix.")
    ] = ""
    class_dim: Annotated[
        Count, _option("--class-dim", metavar="K", panel=INPUT, doc="The axis of the classes, if it is not 1.")
    ] = None
    label_offset: Annotated[
        int, _option("--label-offset", metavar="K", panel=INPUT, doc="Added to class labels: -1 for labels from 1.")
    ] = 0
    squeeze: Annotated[bool, _option("--squeeze", panel=INPUT, doc="Drop axes of size 1.")] = False
    broadcast: Annotated[bool, _option("--broadcast", panel=INPUT, doc="Allow torch's broadcasting.")] = False
    nan: Annotated[str, _option("--nan", metavar="HOW", panel=HOW, doc="NaN and infinity: error, skip or propagate.")] = "error"
    min_coverage: Annotated[
        float,
        _option(
            "--min-coverage",
            metavar="SHARE",
            panel=GATES,
            min=0,
            max=1,
            doc="Undecided (exit 5) if skipping leaves a smaller share.",
        ),
    ] = 0.0
    ignore: Annotated[Words, _option("--ignore", metavar="CODE", panel=TALK, doc="Do not warn of this. Repeatable.")] = field(
        default_factory=list
    )
    strict: Annotated[bool, _option("--strict", panel=GATES, doc="Fail (exit 1) where there is a warning.")] = False
    ignore_index: Annotated[
        Count, _option("--ignore-index", metavar="K", panel=HOW, doc="The label that counts for nothing.")
    ] = None
    dtype: Annotated[str, _option("--dtype", metavar="TYPE", panel=HOW, doc="Calculate in f64, f32 or native.")] = "f64"
    backend: Annotated[
        str, _option("--backend", metavar="NAME", panel=HOW, envvar="LOSSCTL_BACKEND", doc="auto, numpy or torch.")
    ] = "numpy"
    max_memory: Annotated[
        int, _option("--max-memory", panel=HOW, min=1, metavar="MIB", doc="For losses that need all samples at once.")
    ] = 2048
    jobs: Annotated[
        int, _option("--jobs", metavar="N", panel=HOW, min=0, doc="Threads; 0 is one a core. No result depends on it.")
    ] = 0
    allow_code: Annotated[bool, _option("--allow-code", panel=HOW, doc="Let a spec name code to import.")] = False


@dataclass(frozen=True, eq=False, repr=False)
class Gating(Talk):
    """What every command takes that may bound results."""

    max: Annotated[Words, _option("--max", panel=GATES, metavar="KEY=V", doc="Fail (exit 1) above V. Repeatable.")] = field(
        default_factory=list
    )
    min: Annotated[Words, _option("--min", panel=GATES, metavar="KEY=V", doc="Fail below V. Repeatable.")] = field(
        default_factory=list
    )
    expect: Annotated[Words, _option("--expect", panel=GATES, metavar="KEY=V", doc="Fail unless close to V. Repeatable.")] = (
        field(default_factory=list)
    )
    rtol: Annotated[float, _option("--rtol", metavar="X", panel=GATES, min=0, doc="Relative tolerance of --expect.")] = 1e-9
    atol: Annotated[float, _option("--atol", metavar="X", panel=GATES, min=0, doc="Absolute tolerance of --expect.")] = 0.0
    max_abs: Annotated[
        Words, _option("--max-abs", panel=GATES, metavar="KEY=V", doc="Fail if worse than the baseline by more. Repeatable.")
    ] = field(default_factory=list)
    max_rel: Annotated[
        Words, _option("--max-rel", panel=GATES, metavar="KEY=V%", doc="The same in parts of the baseline. Repeatable.")
    ] = field(default_factory=list)
    require: Annotated[
        Words,
        _option(
            "--require", panel=GATES, metavar="[KEY=]HOW", doc="How to judge a change: point, sig, noninf or equiv. Repeatable."
        ),
    ] = field(default_factory=list)
    alpha: Annotated[float, _option("--alpha", panel=GATES, metavar="X", min=0, max=0.5, doc="The level of --require.")] = 0.05
    against: Annotated[str, _option("--against", panel=GATES, metavar="FILE", doc="The baseline: a saved JSON result.")] = ""
    summary: Annotated[
        str, _option("--summary", panel=RESULT, metavar="FILE", doc="Append results and gates to a file, in Markdown.")
    ] = ""


@dataclass(frozen=True, eq=False, repr=False)
class Checking(Gating):
    """What `check` takes."""

    jobs: Annotated[
        int, _option("--jobs", metavar="N", panel=HOW, min=0, doc="Threads; 0 is one a core. No result depends on it.")
    ] = 0
    allow_code: Annotated[bool, _option("--allow-code", panel=HOW, doc="Let a spec name code to import.")] = False


@dataclass(frozen=True, eq=False, repr=False)
class Gated(Gating, Reading):
    """What every command takes that reduces losses and may bound results."""

    reduction: Annotated[
        str, _option("--reduction", metavar="HOW", panel=RESULT, doc="mean, sum, none or batchmean, as in torch.")
    ] = "mean"


@dataclass(frozen=True, eq=False, repr=False)
class Computing(Gated):
    """What `compute` takes."""

    per_sample: Annotated[bool, _option("--per-sample", panel=RESULT, doc="One row a sample.")] = False
    worst: Annotated[int, _option("--worst", panel=RESULT, min=0, metavar="N", doc="The N samples with the largest loss.")] = 0
    best: Annotated[int, _option("--best", panel=RESULT, min=0, metavar="N", doc="The N samples with the smallest loss.")] = 0
    stats: Annotated[bool, _option("--stats", panel=RESULT, doc="Spread of the per-sample losses.")] = False


@dataclass(frozen=True, eq=False, repr=False)
class Grading(Gated):
    """What `grad` takes."""

    wrt: Annotated[
        Words,
        _option("--wrt", metavar="NAME", panel=INPUT, doc="By which input, or param:NAME; all for every input. Repeatable."),
    ] = field(default_factory=list)
    eps: Annotated[
        float, _option("--eps", metavar="X", panel=RESULT, min=0, doc="Slopes of single losses below X count as saturated.")
    ] = 1e-6
    check: Annotated[bool, _option("--check", panel=GATES, doc="Compare with central differences; exit 1 if wrong.")] = False
    precision: Annotated[
        Words, _option("--precision", metavar="TYPE", panel=RESULT, doc="What fp16, bf16 or fp32 would lose. Repeatable.")
    ] = field(default_factory=list)
    clip_norm: Annotated[
        float | None, _option("--clip-norm", metavar="X", panel=RESULT, min=0, doc="What clipping to this norm would do.")
    ] = None
    clip_value: Annotated[
        float | None, _option("--clip-value", metavar="X", panel=RESULT, min=0, doc="What clipping each element would do.")
    ] = None
    tensorboard: Annotated[
        str, _option("--tensorboard", metavar="DIR", panel=RESULT, doc="Write histogram and scalars for TensorBoard.")
    ] = ""
    step: Annotated[int, _option("--step", metavar="N", panel=RESULT, min=0, doc="The step that TensorBoard shows.")] = 0


@dataclass(frozen=True, eq=False, repr=False)
class Identifying(Reading):
    """What `identify` takes."""

    value: Annotated[str, _option("--value", metavar="X", panel=INPUT, doc="The reported number, with all its digits.")] = ""
    rtol: Annotated[float, _option("--rtol", metavar="X", panel=HOW, min=0, doc="Also match what is this close.")] = 0.0
    top: Annotated[int, _option("--top", metavar="N", panel=RESULT, min=1, doc="How many candidates to show.")] = 10

    def gated(self) -> Gated:
        """The same words for reading inputs, as other commands take them."""
        return Gated(**{one.name: getattr(self, one.name) for one in fields(Reading)})


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
