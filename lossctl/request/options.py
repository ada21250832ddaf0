"""A command's dataclass of options, spread over the signature that Typer makes a command line of.

The options that several commands share, besides those of `spec.Options`: a command's own dataclass adds its rows to them.
"""

from __future__ import annotations

from dataclasses import dataclass

from lossctl.request.option_table import GATES, HOW, INPUT, RESULT, TALK, option
from lossctl.request.spec import Options


@dataclass(frozen=True, eq=False, repr=False)
class Talk:
    """What every command takes: how to print, where to, and how much to say."""

    format: str = option(
        "auto",
        "-f --format FORMAT",
        RESULT,
        "{}.",
        envvar="LOSSCTL_FORMAT",
    )
    bare: bool = option(False, "-b --bare", RESULT, "The bare number: --format value.")
    output: list[str] = option(
        [], "-o --output FILE", RESULT, "Also write to a file; the suffix names the format. Repeatable.", writes=True
    )
    sig: int | None = option(None, "--sig N", RESULT, "Significant digits in tables.", min=1, max=17)
    decimals: int | None = option(None, "--decimals N", RESULT, "Decimals in tables.", min=0, max=99)
    quiet: int = option(0, "-q --quiet", TALK, "No notes on stderr; -qq also nothing on stdout.", count=True)
    verbose: int = option(0, "-v --verbose", TALK, "Say how each input was read.", count=True)
    no_progress: bool = option(False, "--no-progress", TALK, "No bar on the terminal while it takes long.")
    debug: bool = option(False, "--debug", TALK, "Show the traceback of an error.")
    color: str = option("auto", "--color WHEN", TALK, "{}.", choices="auto always never")


@dataclass(frozen=True, eq=False, repr=False)
class Passing(Talk):
    """What every command takes that may end without having passed."""

    output_if: str = option(
        "always", "--output-if WHEN", RESULT, "Write files of -o always, or only if all has passed.", choices="always passed"
    )


@dataclass(frozen=True, eq=False, repr=False)
class Asking(Passing):
    """How every command that computes losses is told of parameters, inputs and devices; `spec.Spec` holds what they mean."""

    param: list[str] = option([], "-p --param NAME=VALUE", HOW, "A parameter of a single loss. Repeatable.")
    input: list[str] = option([], "-i --input NAME=SOURCE", INPUT, "An input by name. Repeatable.")
    device: str = option("", "--device DEVICE", HOW, "Where torch calculates: cpu, cuda, cuda:N or mps.")


@dataclass(frozen=True, eq=False, repr=False)
class Gating(Passing):
    """What every command takes that may bound results."""

    max: list[str] = option([], "--max KEY=V", GATES, "Fail (exit 1) above V. Repeatable.")
    min: list[str] = option([], "--min KEY=V", GATES, "Fail below V. Repeatable.")
    expect: list[str] = option([], "--expect KEY=V", GATES, "Fail unless close to V. Repeatable.")
    rtol: float = option(1e-09, "--rtol X", GATES, "Relative tolerance of --expect.", min=0)
    atol: float = option(0.0, "--atol X", GATES, "Absolute tolerance of --expect.", min=0)
    max_abs: list[str] = option([], "--max-abs KEY=V", GATES, "Fail if worse than the baseline by more. Repeatable.")
    max_rel: list[str] = option([], "--max-rel KEY=V%", GATES, "The same in parts of the baseline. Repeatable.")
    require: list[str] = option(
        [], "--require [KEY=]HOW", GATES, "How to judge a change: point, sig, noninf or equiv. Repeatable."
    )
    alpha: float = option(0.05, "--alpha X", GATES, "The level of --require.", min=0, max=0.5)
    against: str = option("", "--against FILE", GATES, "The baseline: a saved JSON result.")
    summary: str = option("", "--summary FILE", RESULT, "Append results and gates to a file, in Markdown.", writes=True)


@dataclass(frozen=True, eq=False, repr=False)
class Gated(Gating, Options, Asking):
    """What every command takes that reduces losses and may bound results."""
