"""Gates: bounds that a result must keep. They are decided on unrounded values, and say all the digits they decided on.

A bound on a value is at most, at least, or close to a number. A bound on a change from a baseline is judged in one of four
ways by the samples that it comes from: `point` looks at the values alone, and at a few hundred samples it fails about every
second run in which nothing has changed but chance; `sig` also asks that the change be significant, `noninf` that it surely
stay below a margin, `equiv` that it surely stay within one. What the samples cannot decide is undecided, and is no pass.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lossctl.errors import BadParameter, GateFailed, LossctlError, Undecided, UsageError, near
from lossctl.losses.absent import hint_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lossctl.request.spec import Gate


FIELDS = ("key", "kind", "bound", "value", "passed", "message")
WORDS = {True: "passed", False: "failed", None: "undecided"}


@dataclass(frozen=True)
class Check:
    """A gate that was looked at; `passed` is None where the data cannot decide it.

    `more` is what it was decided on besides the value; `hint` is the command that would decide it.
    """

    key: str
    kind: str
    bound: float
    value: float
    passed: bool | None
    message: str
    more: Mapping[str, Any] = field(default_factory=dict)
    hint: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the entry of the result's `checks`."""
        hint = {"hint": self.hint} if self.hint else {}
        return {**{name: getattr(self, name) for name in FIELDS}, **self.more, **hint}


def verdict(checks: Sequence[Check]) -> LossctlError | None:
    """The error to exit with: a failed gate before one that is undecided, and None when all passed."""
    failed = [check for check in checks if check.passed is False]
    undecided = [check for check in checks if check.passed is None]
    if not failed and not undecided:
        return None
    kind, said = (GateFailed, failed) if failed else (Undecided, undecided)
    return kind("; ".join(check.message for check in said) + ".", hint=next((check.hint for check in said if check.hint), ""))


ABSOLUTE = ("max", "min", "expect")


def check_bounds(gates: Iterable[Gate], values: Mapping[str, float], system: str = "") -> list[Check]:
    """Look at every gate that bounds a value; `system` names whose values these are, where there are several.

    Raises: BadParameter for a key that no result has, or a bound that is no number.
    """
    return [_check_bound(_bounded(gate), _find(gate, values), system) for gate in gates if gate.kind in ABSOLUTE]


def _bounded(gate: Gate) -> Gate:
    if not math.isfinite(gate.rtol + gate.atol):
        message = f"The gate --expect {gate.key} has a tolerance of {gate.rtol + gate.atol}, which bounds nothing."
        raise BadParameter(message, hint="Give --rtol and --atol finite numbers.")
    if math.isnan(gate.bound):
        message = f"The gate --{gate.kind} {gate.key}=nan bounds nothing: no number compares with nan."
        raise BadParameter(message, hint="Give a number, or inf.")
    return gate


def _find(gate: Gate, values: Mapping[str, float]) -> float:
    key = gate.key
    if not values:
        message = f"A gate bounds one number, and with --reduction none '{key}' has one for each element."
        raise BadParameter(message, hint="Leave out the gate, or use another reduction.")
    if key not in values:
        message = f"There is no result '{key}' that a gate could bound."
        raise BadParameter(
            message, hint=hint_for(key, gate.kind, repr(gate.bound), values) or near(key, values, "results", quantities=True)
        )
    return values[key]


def _check_bound(gate: Gate, value: float, system: str) -> Check:
    relation, passed = _decide_bound(gate, value)
    whose = f"{gate.key} of {system}" if system else gate.key
    message = f"gate {WORDS[passed]}: {whose} = {value!r}, wanted {relation}"
    return Check(gate.key, gate.kind, gate.bound, value, passed, message, {"system": system} if system else {})


def _decide_bound(gate: Gate, value: float) -> tuple[str, bool | None]:
    relations = {
        "max": (f"<= {gate.bound!r}", value <= gate.bound),
        "min": (f">= {gate.bound!r}", value >= gate.bound),
        "expect": (
            f"{gate.bound!r} within rtol {gate.rtol:g}, atol {gate.atol:g}",
            value == gate.bound or abs(value - gate.bound) <= gate.atol + gate.rtol * abs(gate.bound) < math.inf,
        ),
    }
    relation, passed = relations[gate.kind]
    return relation, None if math.isnan(value) else passed


def check_coverage(coverage: float, least: float) -> list[Check]:
    """Look at `--min-coverage`: too few samples decide nothing."""
    if coverage >= least:
        return []
    digits = 1 if f"{coverage:.1%}" != f"{least:.1%}" else 12
    share, wanted = f"{coverage:.{digits}%}", f"{least:.{digits}%}"
    message = f"undecided: only {share} of the samples could be used, fewer than --min-coverage {wanted}"
    return [Check("coverage", "min_coverage", least, coverage, None, message)]


@dataclass(frozen=True)
class Change:
    """The value of one result and of its baseline.

    `low` and `high` are the interval of value - base of level 1 - alpha, `low90` and `high90` that of level 1 - 2 alpha, which
    decides one-sidedly at alpha; `p` is two-sided and corrected for all that is tested at once; `error` is the standard error
    of value - base, from `units` samples or clusters. What is not known is None, and `why` then says the reason and `hint`
    the command that would find out. `aliases` are other names of `key`; `system` is whose value it is, where there are several.
    `main` says that a gate without a key means this one, too: no statistic and no group of it.
    """

    key: str
    value: float
    base: float
    low: float | None = None
    high: float | None = None
    low90: float | None = None
    high90: float | None = None
    p: float | None = None
    alpha: float = 0.05
    error: float | None = None
    units: int | None = None
    system: str = ""
    aliases: tuple[str, ...] = ()
    higher_is_better: bool = False
    main: bool = True
    why: str = "no samples of both were given"
    hint: str = ""

    @property
    def difference(self) -> float:
        """Value less baseline."""
        return self.value - self.base

    @property
    def worse(self) -> float:
        """By how much the value is worse: below zero where it is better."""
        return self.base - self.value if self.higher_is_better else self.value - self.base

    @property
    def relative(self) -> float:
        """`worse` in parts of the baseline's size: 0 where both are 0, infinite where only the baseline is."""
        if self.base == 0:
            return math.copysign(math.inf, self.worse) if self.worse else self.worse
        return self.worse / abs(self.base)

    @property
    def bounds(self) -> tuple[float, float] | None:
        """The interval of `worse` that decides one-sidedly at alpha."""
        if self.low90 is None or self.high90 is None:
            return None
        return (-self.high90, -self.low90) if self.higher_is_better else (self.low90, self.high90)


MARGINS = ("max_abs", "max_rel")
RELATIVE = (*MARGINS, "require")
# Those that need p or an interval, and so the samples.
TESTED = ("sig", "noninf", "equiv")
# Beyond this alpha the one-sided level leaves no room for a power.
LARGEST_ALPHA = 0.35


def check_changes(gates: Iterable[Gate], changes: Sequence[Change]) -> list[Check]:
    """Look at every gate that bounds a change: margins, each judged as `require` says for its key, or for all keys.

    A `require` whose key has no margin allows no change for the worse at all; one without a key speaks of every loss, unless
    there are margins, which then say of which. Several changes may have one key, one a system; each is looked at.
    Raises: UsageError where there is no baseline, or no margin where one is needed; BadParameter for a key that no result has.
    """
    relative = [gate for gate in gates if gate.kind in RELATIVE]
    if relative and not changes:
        message = f"--{relative[0].kind.replace('_', '-')} judges a change, and there is no baseline to change from."
        raise UsageError(message, hint="Name a saved result: --against BASE.json")
    pairs = [(gate, change) for gate in relative for change in _meant(gate, relative, changes)]
    return [_check_change(gate, change, _required(gate, relative, change)) for gate, change in pairs]


def _meant(gate: Gate, gates: Sequence[Gate], changes: Sequence[Change]) -> list[Change]:
    """The changes that a gate is decided for; a `require` only says how, where there is a margin."""
    if gate.key and not any(_names(gate, change) for change in changes):
        message = f"There is no result '{gate.key}' in both results, whose change a gate could bound."
        known = [name for change in changes for name in (change.key, *change.aliases)]
        raise BadParameter(message, hint=hint_for(gate.key) or near(gate.key, known, "results", quantities=True))
    if gate.kind in MARGINS:
        return [change for change in changes if _names(gate, change)]
    margins = [other for other in gates if other.kind in MARGINS]
    if gate.key:
        return [change for change in changes if _names(gate, change) and not any(_names(margin, change) for margin in margins)]
    own = [other for other in gates if other.key]
    return [] if margins else [change for change in changes if change.main and not any(_names(other, change) for other in own)]


def _names(gate: Gate, change: Change) -> bool:
    return gate.key == change.key or gate.key in change.aliases


def _required(gate: Gate, gates: Sequence[Gate], change: Change) -> str:
    """How a change is judged: as its own key says, else as all are, else by the values alone."""
    own = [other.require for other in gates if other.kind == "require" and _names(other, change)]
    every = [other.require for other in gates if other.kind == "require" and not other.key]
    result = [gate.require] if gate.require else own or every
    return result[-1] if result else "point"


def _check_change(gate: Gate, change: Change, require: str) -> Check:
    margin = gate.bound * abs(change.base) if gate.kind == "max_rel" else gate.bound
    if require in {"noninf", "equiv"} and not margin > 0:
        message = f"--require {require} needs a margin above 0 for '{change.key}', and it is {margin!r}."
        raise UsageError(message, hint=f"For example: --max-abs {change.key}=0.01")
    passed, wanted = _decide_change(gate, change, require, margin)
    more = _facts(change, require, margin, undecided=passed is None)
    message = f"gate {WORDS[passed]}: {_seen(gate, change)}, wanted {wanted}{_why(change, more) if passed is None else ''}"
    hint = change.hint if passed is None and change.bounds is None else ""
    return Check(gate.key or change.key, gate.kind, gate.bound, change.value, passed, message, more, hint)


def _decide_change(gate: Gate, change: Change, require: str, margin: float) -> tuple[bool | None, str]:
    """Whether a change passes, and in words what was wanted."""
    beyond = (change.relative if gate.kind == "max_rel" else change.worse) > gate.bound
    least = (
        "no worse"
        if gate.bound == 0
        else f"worse by at most {f'{gate.bound!r} of the baseline' if gate.kind == 'max_rel' else repr(margin)}"
    )
    if math.isnan(change.worse):
        return None, least
    if require == "sig":
        return _significant(change, beyond=beyond), f"{least}, or p > {change.alpha:g}"
    if require == "point":
        return not beyond, least
    surely = "surely worse by less than" if require == "noninf" else "surely different by less than"
    return _interval(change, require, margin), f"{surely} {margin!r} at alpha {change.alpha:g}"


def _significant(change: Change, *, beyond: bool) -> bool | None:
    """Whether a change passes that may be worse by chance alone."""
    if not beyond:
        return True
    return None if change.p is None else change.p > change.alpha


def _interval(change: Change, require: str, margin: float) -> bool | None:
    from lossctl.statistics.power import equivalent, noninferior

    if change.bounds is None:
        return None
    low, high = change.bounds
    decision = noninferior(high, margin, low) if require == "noninf" else equivalent(low, high, margin)
    return {"yes": True, "no": False, "undecided": None}[decision]


def _seen(gate: Gate, change: Change) -> str:
    """The value, its baseline and what is known of the difference, with all digits."""
    whose = f"{change.key} of {change.system}" if change.system else change.key
    size = f"{abs(change.worse)!r}"
    if gate.kind == "max_rel":
        size += f" ({abs(change.relative)!r} of the baseline)"
    moved = "unchanged" if change.worse == 0 else f"{'worse' if change.worse > 0 else 'better'} by {size}"
    if math.isnan(change.worse):
        moved = "not to be compared"
    known = [f"p = {change.p!r}"] if change.p is not None else []
    known += [f"{100 * (1 - 2 * change.alpha):.3g} % interval [{change.low90!r}, {change.high90!r}]"] if change.bounds else []
    return ", ".join([f"{whose} = {change.value!r}", f"baseline {change.base!r}", moved, *known])


def _facts(change: Change, require: str, margin: float, *, undecided: bool) -> dict[str, Any]:
    """What the entry of the result's `checks` holds besides the value."""
    known = {name: getattr(change, name) for name in ("p", "low", "high", "low90", "high90", "units")}
    facts = {"base": change.base, "difference": change.difference, "require": require, "margin": margin}
    if require != "point":
        facts |= {"alpha": change.alpha, **{name: value for name, value in known.items() if value is not None}}
    if change.system:
        facts["system"] = change.system
    reach = margin - (change.worse if require == "noninf" else abs(change.worse))
    needed = _needed(change, reach) if undecided and change.bounds else math.inf
    return {**facts, "needed": int(needed)} if math.isfinite(needed) else facts


def _needed(change: Change, reach: float) -> float:
    """How many samples would decide, four times of five, if the difference and its spread stay as they are."""
    from lossctl.statistics.power import needed

    if change.error is None or change.units is None or change.alpha > LARGEST_ALPHA:
        return math.inf
    return needed(reach, change.error, change.units, alpha=2 * change.alpha)


def _why(change: Change, facts: dict[str, Any]) -> str:
    """Why the data does not decide, and how much more would."""
    if math.isnan(change.worse):
        return ""
    if change.bounds is None:
        return f": {change.why}"
    if "needed" in facts:
        return (
            f": the interval holds the margin; about {facts['needed']:,} samples would decide, and there are {change.units:,}"
        )
    return ": the interval holds the margin"
