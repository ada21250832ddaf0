"""`verify RESULT.json`: whether a saved result still comes out: the same inputs, and the same numbers from them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lossctl import __version__
from lossctl.commands.again import spec_of
from lossctl.commands.saved import label_of, load
from lossctl.errors import GateFailed, MissingFile, UnreadableFile, UsageError
from lossctl.files.source import STDIN
from lossctl.report import Report, strict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from lossctl.errors import LossctlError

SECTIONS = ("results", "total", "gradient", "gradients", "comparisons", "explanations", "tolerances")
# Where a gradient was written says nothing of what it is.
ELSEWHERE = {"files"}
CHUNK = 1 << 20


@dataclass(frozen=True)
class Fact:
    """One thing that was looked at, and what is wrong with it, if anything is."""

    check: str
    wrong: str = ""
    right: str = ""

    def row(self) -> dict[str, str]:
        """The row of the report."""
        return {"check": self.check, "result": "failed" if self.wrong else "passed", "detail": self.wrong or self.right}


def run(
    path: str, say: Callable[[str], None], *, rtol: float = 0.0, allow_code: bool = False
) -> tuple[Report, LossctlError | None]:
    """Look at the hashes of a result's inputs, and where they are the same compute it again and compare every number.

    Numbers may differ by `rtol` relatively. Returns the report, and the error to exit with if something has changed.
    Raises: MissingFile, UnreadableFile, and what computing raises.
    """
    saved = load(path).document
    request = saved.get("request")
    if not isinstance(request, dict) or saved.get("command") not in {"compute", "grad", "compare"}:
        message = f"{path} does not say what it was asked for."
        raise UnreadableFile(message, hint="Save it anew with this version of lossctl: -o FILE.json.")
    if saved["version"] != __version__:
        say(f"{path} was computed by lossctl {saved['version']}, and this is {__version__}")
    facts = [_same_input(one, request.get("folder", "")) for one in saved["inputs"]]
    if not any(fact.wrong for fact in facts):
        facts += _compared(saved, _again(saved, allow_code=allow_code), rtol)
    rows = [{"file": path, **fact.row()} for fact in facts]
    document = {"schema": "lossctl/verify/1", "file": path, "checks": rows}
    failed = [fact for fact in facts if fact.wrong]
    error = GateFailed(f"{path} does not come out again: {failed[0].check}: {failed[0].wrong}.") if failed else None
    return Report(("file", "check", "result", "detail"), rows, document, bare="result"), error


def _same_input(saved: Mapping[str, Any], folder: str) -> Fact:
    """Whether a file still has the bytes that it had.

    Raises: MissingFile, UsageError for standard input.
    """
    path = saved["path"]
    if path == STDIN:
        message = f"The {saved['role']} came from standard input, which cannot be read again."
        raise UsageError(message, hint="Save it to a file, and compute from that.")
    check = f"{saved['role']} {path}" if path else f"{saved['role']} in place"
    file = Path(folder, path) if path else None
    if file is None or file.is_dir() or any(sign in path for sign in "*?[") or "://" in path:
        # The hash of what was written in place, or put together of many files, is compared once it is computed again.
        return Fact(check, right="compared with the numbers")
    if not file.is_file():
        message = f"{path} is not there, from which the result was computed."
        raise MissingFile(message, hint="Run verify in the folder that the result was computed in.")
    found = _hash(file)
    return Fact(check, "" if found == saved["sha256"] else f"the file has changed: its SHA-256 is {found}", f"SHA-256 {found}")


def _hash(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            found.update(chunk)
    return found.hexdigest()


def _again(saved: Mapping[str, Any], *, allow_code: bool) -> Mapping[str, Any]:
    """The document that the same request gives now, as JSON holds it."""
    request, command = saved["request"], saved["command"]
    spec = spec_of(request, allow_code=allow_code)
    report = _RUNS[command](spec, request.get(command, {}))
    found: Mapping[str, Any] = json.loads(json.dumps(strict(report.document)))
    return found


def _compute(spec: Any, _: Mapping[str, Any]) -> Report:
    from lossctl.commands.compute import run as compute

    return compute(spec, _silent, document=True)[0]


def _grad(spec: Any, asked: Mapping[str, Any]) -> Report:
    from lossctl.commands.grad import Wanted
    from lossctl.commands.grad import run as grad
    from lossctl.gradient.clipping import Clipped

    lists: dict[str, Any] = {name: tuple(asked.get(name, ())) for name in ("wrt", "precision")}
    clip = Clipped(asked.get("clip_norm"), asked.get("clip_value"))
    return grad(spec, Wanted(**lists, eps=asked.get("eps", Wanted.eps), clip=clip), _silent, document=True)[0]


def _compare(spec: Any, asked: Mapping[str, Any]) -> Report:
    from lossctl.commands.compare import run as compare
    from lossctl.commands.compare import wanted_again

    return compare(spec, wanted_again(asked, spec.options.reduction), _silent, document=True)[0]


_RUNS = {"compute": _compute, "grad": _grad, "compare": _compare}


def _silent(text: str) -> None:
    del text


def _compared(saved: Mapping[str, Any], found: Mapping[str, Any], rtol: float) -> list[Fact]:
    """One fact an input whose hash is new, and one a result, comparison and so on."""
    pairs = zip(saved["inputs"], found["inputs"], strict=False)
    changed = [f"{old['role']} has other numbers" for old, new in pairs if old["sha256"] != new["sha256"]]
    facts = [Fact("inputs", changed[0])] if changed else []
    return facts + [fact for name in SECTIONS for fact in _section(name, saved.get(name), found.get(name), rtol)]


def _section(name: str, old: Any, new: Any, rtol: float) -> Iterable[Fact]:
    """Compare one part of the documents, entry by entry."""
    if not (isinstance(old, list) and isinstance(new, list) and all(isinstance(one, dict) for one in old)):
        if old is not None or new is not None:
            yield Fact(name, _difference(old, new, rtol), "the same")
        return
    if len(old) != len(new):
        yield Fact(name, f"there were {len(old)} entries, and now there are {len(new)}")
        return
    for was, is_ in zip(old, new, strict=True):
        yield Fact(_title(name, was), _difference(was, is_, rtol), f"{was['value']!r}" if "value" in was else "the same")


def _title(section: str, entry: Mapping[str, Any]) -> str:
    label = label_of(entry) if section == "results" else entry.get("loss", entry.get("wrt", ""))
    whose = [str(entry[name]) for name in ("system", "group") if name in entry]
    return " ".join([section.removesuffix("s"), label, *whose]).strip()


def _difference(old: Any, new: Any, rtol: float) -> str:
    """The first place where two parts differ, in words; empty where they are the same."""
    was, is_ = dict(_leaves(old)), dict(_leaves(new))
    for place in dict.fromkeys([*was, *is_]):
        if not _same(was.get(place), is_.get(place), rtol):
            return f"{place or 'it'} was {was.get(place)!r} and is {is_.get(place)!r}"
    return ""


def _same(old: Any, new: Any, rtol: float) -> bool:
    if old == new or not all(isinstance(one, int | float) and not isinstance(one, bool) for one in (old, new)):
        return bool(old == new)
    return bool(abs(new - old) <= rtol * abs(old))


def _leaves(part: Any, place: str = "") -> Iterable[tuple[str, Any]]:
    """Every number, word and null of a document, with its place."""
    if isinstance(part, dict):
        for name, item in part.items():
            if name not in ELSEWHERE:
                yield from _leaves(item, f"{place}.{name}" if place else name)
    elif isinstance(part, list):
        yield f"{place} (length)", len(part)
        for number, item in enumerate(part):
            yield from _leaves(item, f"{place}[{number}]")
    else:
        yield place, part
