"""The options of the command line as data: one dataclass a command spreads over its signature."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from lossctl.spreading import GATES, HOW, INPUT, RESULT, TALK, Count, Word, Words, spread
from lossctl.spreading import option as _option

HEADER = "Whether the first row of tables holds names, where it could be either."

__all__ = ["Gated", "Gating", "Passing", "Reading", "Talk", "spread"]


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
            "--output",
            "-o",
            metavar="FILE",
            panel=RESULT,
            writes=True,
            doc="Also write to a file; the suffix names the format. Repeatable.",
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
    verbose: Annotated[int, _option("--verbose", "-v", panel=TALK, count=True, doc="Say how each input was read.")] = 0
    no_progress: Annotated[bool, _option("--no-progress", panel=TALK, doc="No bar on the terminal while it takes long.")] = (
        False
    )
    debug: Annotated[bool, _option("--debug", panel=TALK, doc="Show the traceback of an error.")] = False
    color: Annotated[str, _option("--color", metavar="WHEN", panel=TALK, doc="auto, always or never.")] = "auto"


@dataclass(frozen=True, eq=False, repr=False)
class Passing(Talk):
    """What every command takes that may end without having passed."""

    output_if: Annotated[
        str, _option("--output-if", metavar="WHEN", panel=RESULT, doc="Write files of -o always, or only if all has passed.")
    ] = "always"


@dataclass(frozen=True, eq=False, repr=False)
class Reading(Passing):
    """What every command takes that reads tensors and computes losses."""

    param: Annotated[
        Words, _option("--param", "-p", panel=HOW, metavar="NAME=VALUE", doc="A parameter of a single loss. Repeatable.")
    ] = field(default_factory=list)
    input: Annotated[
        Words, _option("--input", "-i", panel=INPUT, metavar="NAME=SOURCE", doc="An input by name. Repeatable.")
    ] = field(default_factory=list)
    on: Annotated[str, _option("--on", panel=INPUT, metavar="COLUMN", doc="Join tables on this id, not on row order.")] = ""
    row_order: Annotated[
        bool, _option("--row-order", panel=INPUT, doc="Pair rows as they stand, though ids are in another order.")
    ] = False
    by: Annotated[str, _option("--by", panel=INPUT, metavar="COLUMN|SOURCE", doc="One result for each group, too.")] = ""
    weights: Annotated[Word, _option("--weights", panel=INPUT, metavar="SOURCE", doc="One weight a sample.")] = None
    mask: Annotated[Word, _option("--mask", panel=INPUT, metavar="SOURCE", doc="What counts: by sample or by element.")] = None
    in_format: Annotated[
        str, _option("--in-format", metavar="FORMAT", panel=INPUT, doc="Read files as this format, whatever their suffix.")
    ] = ""
    header: Annotated[str, _option("--header", metavar="yes|no", panel=INPUT, doc=HEADER)] = ""
    class_dim: Annotated[
        Count, _option("--class-dim", metavar="K", panel=INPUT, doc="The axis of the classes, if it is not 1.")
    ] = None
    label_offset: Annotated[
        int, _option("--label-offset", metavar="K", panel=INPUT, doc="Added to class labels: -1 for labels from 1.")
    ] = 0
    squeeze: Annotated[bool, _option("--squeeze", panel=INPUT, doc="Drop axes of size 1.")] = False
    broadcast: Annotated[bool, _option("--broadcast", panel=INPUT, doc="Allow torch's broadcasting.")] = False
    nan: Annotated[str, _option("--nan", metavar="HOW", panel=HOW, doc="NaN and infinity: error, skip or propagate.")] = "error"
    domain: Annotated[
        str, _option("--domain", metavar="HOW", panel=HOW, doc="Values that the loss is not defined on: error or ignore.")
    ] = "error"
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
        str, _option("--backend", metavar="NAME", panel=HOW, envvar="LOSSCTL_BACKEND", doc="numpy or torch.")
    ] = "numpy"
    device: Annotated[
        str, _option("--device", metavar="DEVICE", panel=HOW, doc="Where torch calculates: cpu, cuda, cuda:N or mps.")
    ] = ""
    max_memory: Annotated[
        int, _option("--max-memory", panel=HOW, min=1, metavar="MIB", doc="For losses that need all samples at once.")
    ] = 2048
    jobs: Annotated[
        int, _option("--jobs", metavar="N", panel=HOW, min=0, doc="Threads; 0 is one a core. No result depends on it.")
    ] = 0
    allow_code: Annotated[bool, _option("--allow-code", panel=HOW, doc="Let a spec name code to import.")] = False


@dataclass(frozen=True, eq=False, repr=False)
class Gating(Passing):
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
        str,
        _option("--summary", panel=RESULT, writes=True, metavar="FILE", doc="Append results and gates to a file, in Markdown."),
    ] = ""


@dataclass(frozen=True, eq=False, repr=False)
class Gated(Gating, Reading):
    """What every command takes that reduces losses and may bound results."""

    reduction: Annotated[
        str, _option("--reduction", metavar="HOW", panel=RESULT, doc="mean, sum, none or batchmean, as in torch.")
    ] = "mean"
    cluster: Annotated[
        str, _option("--cluster", metavar="ADDRESS", panel=HOW, doc="A Dask scheduler, or local[:N]. No result depends on it.")
    ] = ""
