"""`inspect`: what files hold, and what it looks like, from one pass over each array."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from lossctl import __version__
from lossctl.cli.command import Printed, check_outputs, printed, say, spread
from lossctl.cli.program import app
from lossctl.report import Report
from lossctl.request.options import Options, Talk

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lossctl.guides.facts import Facts
    from lossctl.sources.listing import Contents, Listed


@dataclass(frozen=True, eq=False, repr=False)
class Inspecting(Options, Talk):
    """What `inspect` takes."""

    takes: ClassVar = ("in_format", "header")


@app.command()
@spread
def inspect(
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE…", help="PATH, PATH:KEY, - for stdin.")],
    *,
    options: Inspecting,
    typed: set[str],  # noqa: ARG001
) -> Printed:
    """Say what files hold: shapes, types, ranges, and what each array looks like.

    Example: lossctl inspect predictions.csv
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

    check_outputs(options)
    return printed(run(sources, options.in_format, say(options), options.header), options)


COLUMNS = ("name", "role", "shape", "dtype", "n", "missing", "low", "high", "mean", "distinct", "looks like")
# Beyond this many, distinct values are not counted.
MANY = ">1000"
PAIR = 2
# Which loss to try on a prediction and a target that look like this, the first that fits.
SUGGESTED = (
    ({"simplex"}, {"labels", "binary"}, "log_loss"),
    ({"log_probabilities"}, {"labels", "binary"}, "nll"),
    ({"simplex"}, {"simplex", "one_hot"}, "categorical_crossentropy_prob"),
    ({"probabilities", "simplex"}, {"binary", "multi_hot", "mask", "probabilities", "proportions"}, "bce"),
    ({"real", "logits", "positive"}, {"binary", "multi_hot", "mask"}, "bce_with_logits"),
    ({"real", "logits"}, {"plus_minus"}, "hinge"),
    ({"labels", "binary"}, {"labels", "binary"}, "zero_one"),
)
# What is said of a pair, and how it is called.
SAID = {
    "accuracy": "accuracy",
    "majority_share": "accuracy of the commonest class",
    "auc": "area under the ROC curve",
    "saturated_share": "share of predictions at 0 or 1",
    "labels_outside": "labels that are no class",
    "bias": "mean of prediction - target",
    "correlation": "correlation",
    "r2": "R2",
    "residual_mad": "MAD of residuals",
    "residual_outlier_share": "share of residuals beyond 3.5 MAD",
    "residual_skew": "skew of residuals",
    "residual_tail": "tail index of residuals",
    "heteroscedasticity": "rank correlation of |residual| and prediction",
    "top_1_percent_mse": "share of squared error in the largest 1 %",
}
# What is predicted by nobody.
NEITHER = frozenset({"ids", "times"})
# Of labels and rows of classes, differences mean nothing.
DECIDED = frozenset({"accuracy", "majority_share", "auc", "saturated_share", "labels_outside"})
DISCRETE = frozenset({"labels", "binary", "plus_minus", "one_hot", "multi_hot", "mask", "ids"})


@dataclass(frozen=True)
class InspectedArray:
    """One array or column with what was found out about it."""

    listed: Listed
    role: str
    facts: Facts

    def row(self) -> dict[str, Any]:
        """The row of the table."""
        facts = self.facts
        cells = {name: facts.get(name) for name in ("dtype", "n", "missing", "low", "high", "mean", "distinct")}
        cells["distinct"] = MANY if cells["distinct"] is None and facts.get("dtype") is not None else cells["distinct"]
        shape = None if facts.get("shape") is None else str(tuple(facts["shape"]))
        return {"name": self.listed.name, "role": self.role or None, "shape": shape, **cells, "looks like": self._looks()}

    def _looks(self) -> str:
        """The likeliest kind, and the next."""
        if self.listed.why:
            return "nothing that is read"
        return " or ".join([look["kind"] for look in self.facts["looks"][:2]] or [self.facts["kind"]])

    def reason(self) -> dict[str, str]:
        """The row that says why it looks so."""
        from lossctl.sources.values import shown

        if self.listed.why:
            because = self.listed.why
        elif self.facts["kind"] == "text":
            because = ", ".join(map(shown, self.facts["examples"]))
            because += "" if self.facts["distinct"] == len(self.facts["examples"]) else ", …"
        else:
            because = str(self.facts["looks"][0]["reason"])
        return {"name": self.listed.name, "because": because}

    def entry(self) -> dict[str, Any]:
        """The entry of the document, with all facts."""
        listed = self.listed
        where = {"name": listed.name, "path": listed.path, "key": listed.key, "role": self.role or None}
        return {**where, **({"why": listed.why} if listed.why else self.facts.values)}


def run(sources: Sequence[str], in_format: str, say: Callable[[str], None], header: str = "") -> Report:
    """Look at every array and column of the sources; where a prediction and a target are among them, at both together too.

    Raises: MissingFile, UnreadableFile, UnknownKey.
    """
    from lossctl.sources.files import Files

    files = Files(in_format=in_format, say=say, header=header)
    listings = [listing for text in dict.fromkeys(sources) for listing in files.listed(text)]
    listed = [array for listing in listings for array in listing.listed]
    if getattr(say, "wordy", False):
        from lossctl.sources.inputs import say_how

        say_how([(array.name, array.reader) for array in listed if array.reader is not None], say)
    pair = _pair(listed)
    known, both = _facts_of_pair(pair)
    inspected = [array for listing in listings for array in _look_at(listing, known)]
    rows = [array.row() for array in inspected]
    columns = tuple(name for name in COLUMNS if name != "role" or any(row["role"] for row in rows))
    arrays = [array.entry() for array in inspected]
    more = [Report(("name", "because"), [array.reason() for array in inspected])]
    document: dict[str, Any] = {"schema": "lossctl/inspect/1", "lossctl": __version__, "arrays": arrays, "pair": None}
    if both is not None:
        inputs = " ".join(shlex.quote(array.name) for array in pair)
        command = f"lossctl compute {_loss(*(known[array.name] for array in pair))} {inputs}"
        names = {"pred": pair[0].name, "target": pair[1].name, "command": command}
        document["pair"] = {**names, **both.values}
        more.append(_together(both, pair, known))
        say(f"{pair[0].name} and {pair[1].name} fit: {command}, or lossctl recommend {inputs}")
    return Report(columns, rows, document, bare="looks like", more=more)


def _role(listed: Listed) -> str:
    from lossctl.sources.listing import role_of

    return "" if listed.path is None else role_of(listed.key, PurePath(listed.path))


def _pair(listed: Sequence[Listed]) -> Sequence[Listed]:
    """A prediction and its target: the only arrays with such names, or two arrays of two files. Nothing if they do not fit."""
    numeric = [array for array in listed if array.reader is not None]
    chosen = [array for role in ("pred", "target") for array in numeric if _role(array) == role]
    if [_role(array) for array in chosen] != ["pred", "target"]:
        apart = len(numeric) == PAIR and numeric[0].path != numeric[1].path
        # A file that is called for one role leaves the other to the other.
        chosen = sorted(numeric, key=lambda array: ("pred", "", "target").index(_role(array))) if apart else []
        # Scores by class and labels: the scores are the prediction.
        chosen = chosen if _fit(chosen) else chosen[::-1]
    return chosen if _fit(chosen) else []


def _fit(pair: Sequence[Listed]) -> bool:
    from lossctl.guides.facts import fitting

    shapes = [array.reader.shape for array in pair if array.reader is not None]
    return len(shapes) == PAIR and fitting(*shapes) is not None


def _facts_of_pair(pair: Sequence[Listed]) -> tuple[dict[str, Facts], Facts | None]:
    """The facts of both by name, and together; both are read once."""
    from lossctl.guides.facts import facts_of_both

    readers = [array.reader for array in pair if array.reader is not None]
    if len(readers) != PAIR:
        return {}, None
    pred, target, both = facts_of_both(*readers)
    known = {pair[0].name: pred, pair[1].name: target}
    return known, None if {pred["kind"], target["kind"]} & NEITHER or not both["elements"] else both


def _look_at(contents: Contents, known: dict[str, Facts]) -> list[InspectedArray]:
    from lossctl.guides.facts import text_facts

    texts = [array for array in contents.listed if array.reader is None and not array.why]
    of_text = iter(text_facts(contents.cells(), len(texts)) if texts else ())
    return [InspectedArray(array, _role(array), _facts(array, known, of_text)) for array in contents.listed]


def _facts(listed: Listed, known: dict[str, Facts], of_text: Any) -> Facts:
    from lossctl.guides.facts import Facts, facts_of

    if listed.why:
        return Facts()
    if listed.reader is None:
        return next(of_text)  # type: ignore[no-any-return]
    return known.get(listed.name) or facts_of(listed.reader)


def _loss(pred: Facts, target: Facts) -> str:
    """A loss that fits what the two look like."""
    by_class = pred["class_axis"] is not None and pred["shape"] != target["shape"]
    if by_class and pred["kind"] in {"logits", "real", "positive"} and target["kind"] in {"labels", "binary"}:
        return "ce"
    return next((loss for of, on, loss in SUGGESTED if pred["kind"] in of and target["kind"] in on), "mse")


def _together(both: Facts, pair: Sequence[Listed], known: dict[str, Facts]) -> Report:
    """What people see of a pair below the table."""
    decided = known[pair[1].name]["kind"] in DISCRETE
    names = [name for name in SAID if both.get(name) is not None and (name in DECIDED or not decided)]
    rows = [{"together": SAID[name], "value": both[name]} for name in names]
    return Report(("together", "value"), rows, title=f"{pair[0].name} and {pair[1].name}")
