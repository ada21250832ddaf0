"""Everything that can go wrong and be said to a person: one tree, an exit code on each branch, a hint on each leaf.

An error is one paragraph: what, where and why (the message), then the command that would work (the hint).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

# Longer lists of known names are cut in messages: a paragraph, not a page.
LISTED = 32
# Of names shorter than SHORT no letter is a slip; of those shorter than LONG every letter counts.
SHORT, LONG = 3, 5
# Names like rmsle and smape, where each letter is a word.
ACRONYM = re.compile(r"[b-df-hj-np-tv-z]+(e|ap?e)?")


class LossctlError(Exception):
    """The root of all errors that lossctl raises on purpose.

    `message` says what, where and why; `hint` says what would work. The class carries the exit code.
    """

    code: ClassVar[int] = 70

    def __init__(self, message: str, *, hint: str = "") -> None:
        """Keep the sentence about the fault apart from the sentence about the way out."""
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), dict(self.__dict__))

    def paragraph(self) -> str:
        """Return the message and the hint as one paragraph."""
        return f"{self.message} {self.hint}".strip()

    def as_dict(self) -> dict[str, Any]:
        """Return the error as the JSON object that `--format json` puts on stderr."""
        return {"kind": type(self).__name__, "code": self.code, "message": self.message, "hint": self.hint}


def _restored(kind: type[LossctlError], state: dict[str, Any]) -> LossctlError:
    """An error as it was raised in another process, whatever its class wants to be made of."""
    error = kind.__new__(kind, state["message"])
    error.__dict__.update(state)
    return error


class GateFailed(LossctlError):
    """A gate that the user set was not met. Nothing else exits 1."""

    code = 1


class UsageError(LossctlError):
    """What was typed cannot be done as typed."""

    code = 2


class UnknownName(UsageError):
    """A loss, format or other plug-in that no table knows."""


class BadParameter(UsageError):
    """A parameter that the loss does not have, or a value that it does not take."""


class NoSuchReduction(UsageError):
    """The loss has no such reduction, for a reason that the message gives."""


class NoGradient(UsageError):
    """The loss cannot be differentiated, for a reason that the message gives."""


class PluginFailed(UsageError):
    """Code of somebody else's raised, or returned what is no loss."""


class WouldOverwrite(UsageError):
    """What would be written is what is read."""


class BadSpec(UsageError):
    """A spec with an unknown or doubled key, a wrong type, or words that cannot be parsed."""


class InputError(LossctlError):
    """An input is missing, unreadable, or does not fit the others."""

    code = 3


class MissingFile(InputError):
    """There is no such file, or it may not be read."""


class UnreadableFile(InputError):
    """The file is there, but it is not what its format says."""


class InputChanged(InputError):
    """The file is no longer what it was when it was opened."""


class UnknownKey(InputError):
    """The file has no such column, array or member, or several that could be meant."""


class ShapeMismatch(InputError):
    """Shapes, lengths or ids of the inputs do not fit one another."""


class RowsInAnotherOrder(InputError):
    """Two files hold the same ids in another order, so that rows that are paired do not belong together."""


class TooLarge(InputError):
    """A loss that needs all samples at once would need more memory than it may take."""


class ValuesError(LossctlError):
    """The values themselves forbid an answer."""

    code = 4


class NotFinite(ValuesError):
    """NaN or infinity in an input under `--nan error`."""


class OutOfDomain(ValuesError):
    """Finite values that the loss is not defined on."""


class NothingLeft(ValuesError):
    """No sample, or no weight, is left to average."""


class Undecided(LossctlError):
    """A gate that the data cannot decide."""

    code = 5


class MissingExtra(LossctlError):
    """An optional dependency is not installed."""

    code = 6

    def __init__(self, module: str, purpose: str, install: str) -> None:
        """Say what needs `module` and how pip installs it."""
        super().__init__(f"{purpose} needs the package '{module}', which is not installed.", hint=f"Run: pip install {install}")


def near(name: str, known: Iterable[str], noun: str, also: Iterable[str] = (), *, quantities: bool = False) -> str:
    """Return the hint for an unknown name: the nearest known one, if one is within reach, and the list without `also`.

    Short names of `quantities` are often a letter apart and mean different numbers (`nse`, `mse`): of those only the order of
    letters may be wrong, or one be doubled. Of other short names, a letter may be missing or too many as well.
    """
    names = sorted(set(known))
    close = _nearest(name, [*names, *sorted(set(also))], quantities=quantities)
    meant = f"Did you mean '{close}'? " if close else ""
    if len(names) > 2 * LISTED:
        return f"{meant}There are {len(names)} {noun}: lossctl list names them."
    more = f", and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return f"{meant}Known {noun}: {', '.join(names[:LISTED])}{more}." if names else f"{meant}There are no {noun}."


def _nearest(name: str, known: Sequence[str], *, quantities: bool) -> str:
    """The known name that is a slip of the finger away."""
    typed, words = _compared(name), _words(name)
    reached = [(slips, item) for item in known if (slips := _slips(typed, _compared(item), strict=quantities)) is not None]
    close = [(slips, one) for slips, one in reached if not (quantities and slips and _is_another(words, _words(one)))]
    return min(close, key=lambda found: found[0])[1] if close else ""


def _words(name: str) -> list[str]:
    """The words of a name, as hyphens and capitals part them."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return [word for word in re.split(r"[\s_-]+", parted.lower()) if word]


def _is_another(words: Sequence[str], known: Sequence[str]) -> bool:
    """Whether names that are few letters apart differ by a whole word: `neg_log_loss` is no slip of `log_loss`."""
    if len(words) != len(known):
        return not Counter(words) - Counter(known) or not Counter(known) - Counter(words)
    return len(words) > 1 and any(not _is_slip(*pair) for pair in zip(words, known, strict=True))


def _is_slip(word: str, known: str) -> bool:
    """Whether a word within a name may be a slip of another; in a short one a letter may be, since others stand around it."""
    longest = max(len(word), len(known))
    if word == known or longest < SHORT:
        return word == known
    return _slips(word, known, strict=True) is not None or (longest < LONG and _edits(word, known) == 1)


def _compared(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum() or letter in ".@%")


def _single(name: str) -> str:
    """A name without letters that are doubled."""
    return "".join(letter for letter, before in zip(name, f" {name}", strict=False) if letter != before)


def _slips(one: str, other: str, *, strict: bool) -> int | None:
    """How many letters are wrong, missing, too many, or in the wrong order of two; None where that is more than a slip.

    Of up to four letters none may be another one, and where it is `strict` none be missing either, nor of acronyms any; of
    more, one of five may be wrong, two of nine, three of twelve.
    """
    if one != other and _single(one) == _single(other):
        return 1
    longest = max(len(one), len(other))
    allowed = sum(longest >= size for size in (LONG, 9, 12))
    if strict and ACRONYM.fullmatch(other):
        allowed = 0
    if longest < SHORT or abs(len(one) - len(other)) > max(allowed, 1):
        return 0 if one == other else None
    if not allowed and sorted(one) != sorted(other) and (strict or len(one) == len(other)):
        return None
    result = _edits(one, other)
    return result if result <= max(allowed, 1) else None


def _edits(one: str, other: str) -> int:
    """How many letters are wrong, missing, too many, or in the wrong order of two."""
    rows = [list(range(len(other) + 1))]
    for i, left in enumerate(one, 1):
        rows.append([i])
        for j, right in enumerate(other, 1):
            cost = min(rows[i - 1][j] + 1, rows[i][j - 1] + 1, rows[i - 1][j - 1] + (left != right))
            swapped = i > 1 and j > 1 and left == other[j - 2] and one[i - 2] == right
            rows[i].append(min(cost, rows[i - 2][j - 2] + 1) if swapped else cost)
    return rows[-1][-1]
