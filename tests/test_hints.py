"""What a message tells people to type is typed here, and works: options put behind the line that failed, and whole commands."""

import re
import shlex

import golden
import pytest

# An option that a hint offers, with its value: the words before it are those that offer, and placeholders are no values.
OFFERED = re.compile(
    r"(?:[Uu]se|or|[Ww]rite|widen it:|by it:|so with|example:) "
    r"(?P<offer>--(?:squeeze|broadcast|row-order|allow-code|stats)\b|--[a-z-]+ (?!to\b|tcp:)[a-z0-9][a-z0-9:.-]*)"
)
COMMAND = re.compile(r"lossctl (?P<argv>(?:compute|compare|grad|inspect|info|identify|list|recommend) [^…\"]*)")
# What comes behind a command in its sentence.
BEHIND = re.compile(r"(, or lossctl |, and -i | explains it| names |\. |\.?$)")
# Files that hints name for people to put their own in place of them.
THEIRS = {f"{name}.npy": {"npy": [1.0, 2.0, last]} for last, name in enumerate(("pred", "target", "base", "new"))}
THEIRS["target.csv"] = "y\n1.5\n2.5\n4\n"
# Where what is offered cannot end well with the data of the case, and what it ends with.
ELSEWHERE = {
    ("check: a way to judge that there is none of", "--require sig"): 2,
    ("hostile: a number too large for a float", "--nan skip"): 4,
    ("identify: nothing gives the number", "--rtol 1e-3"): 5,
    ("identify: identify of what is no number", "--value 0.3655"): 5,
    ("specs: code named by a spec", "--allow-code"): 2,
    ("tensors: a line that is no JSON", "--in-format json"): 3,
}


def hint(case):
    """The last sentences that a case says."""
    lines = [line for line in case.get("stderr", "").splitlines() if line.startswith("lossctl: ")]
    return lines[-1] if lines else ""


def commands(case):
    """The whole commands in all that a case says: those that follow a comma and `or` too."""
    for line in case.get("stderr", "").splitlines():
        for part in line.replace(", or lossctl ", "\nlossctl ").split("\n"):
            match = COMMAND.search(part)
            # What is written first by other lines of the message is tested with the warnings of order.
            if match and not re.search("aligned-|LOSS|…|read both|wrote", part):
                yield BEHIND.split(match["argv"])[0].replace("PRED", "pred.npy").replace("TARGET", "target.npy")


OFFERS = [
    pytest.param(
        case, match["offer"].rstrip("."), ELSEWHERE.get((name, match["offer"].rstrip(".")), 0), id=f"{name}: {match[0]}"
    )
    for name, case in golden.every_case()
    if case["code"]
    for match in OFFERED.finditer(hint(case))
]
WHOLE = [
    pytest.param(case, argv, id=f"{name}: {argv}")
    for name, case in golden.every_case()
    for argv in dict.fromkeys(commands(case))
    if argv.split()[1:]
]


def files(case):
    return {"files": THEIRS | case.get("files", {}), **{key: case[key] for key in ("stdin", "env", "prelude") if key in case}}


@pytest.mark.parametrize(("case", "offer", "code"), OFFERS)
def test_an_option_that_is_offered_works(case, offer, code, tmp_path):
    argv, words = shlex.split(case["argv"]) if isinstance(case["argv"], str) else [*case["argv"]], offer.split()
    replaced = "--reduction" if "in its place" in hint(case) else words[0]
    if replaced in argv:
        at = argv.index(replaced)
        del argv[at : at + 2]
    outcome = golden.run({"argv": [*argv, *words], **files(case)}, tmp_path)
    assert outcome.code == code, outcome.stderr


@pytest.mark.parametrize(("case", "argv"), WHOLE)
def test_a_command_that_is_offered_works(case, argv, tmp_path):
    outcome = golden.run({"argv": argv, **files(case)}, tmp_path)
    # The number of the example is that of no loss on these files.
    assert outcome.code == (5 if argv.startswith("identify") else 0), outcome.stderr


def test_hints_are_found():
    """So that the tests above do not stand on nothing when the form of hints changes."""
    assert len(OFFERS) >= 30
    assert len(WHOLE) >= 20
