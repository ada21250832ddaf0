"""The program that every command is a part of: its name, its help, its version."""

from __future__ import annotations

from typing import Annotated

import typer

from lossctl import __version__
from lossctl.streams import terminal

app = typer.Typer(
    name="lossctl",
    help="Compute, check and compare loss functions on the files that predictions are kept in.",
    add_completion=False,
    pretty_exceptions_enable=False,
    # Rich draws help on a terminal; into a pipe goes plain text, which does not need to import it.
    rich_markup_mode="rich" if terminal() else None,
    context_settings={"help_option_names": ["--help", "-h"]},
)


Losses = Annotated[str, typer.Argument(metavar="LOSSES|SPEC.yaml", help="LOSS[:param=value][,LOSS…], @task, or a spec.")]
Sources = Annotated[
    list[str], typer.Argument(metavar="PRED TARGET [MORE…]", help="PATH, PATH:KEY, - for stdin.", show_default=False)
]


def _version(wanted: bool) -> None:  # noqa: FBT001 - Typer calls it so
    if wanted:
        typer.echo(f"lossctl {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,  # noqa: FBT002
) -> None:
    pass
