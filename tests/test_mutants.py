"""What scripts/mutate changes: each kind of place, and nothing that no test could notice."""

import sys

import pytest
from golden import ROOT

sys.path.insert(0, str(ROOT / "scripts"))

from mutants import mutants_of

CHANGES = {
    "if a < LIMIT:\n        b()": ["if a <= LIMIT", "if a >= LIMIT", "pass"],
    "return a is None": ["return None", "return a is not None"],
    "a = b not in c": ["a = b in c"],
    "a = b and c or d": ["b and c and d", "b or c or d"],
    "a = not b": ["a = (b)"],
    "a = b * (c + d)": ["b / (c + d)", "b * (c - d)"],
    "a = 3": ["a = (4)", "a = (2)"],
    "a = 0.5": ["a = (0.5 * 1.1)", "a = (0.5 * 0.9)"],
    "a = 1 << 18": ["1 << (19)", "1 << (17)"],
    "a = True": ["a = False"],
    "a = max(b, c)": ["a = min(b, c)"],
    "a[b] = c": ["pass"],
    "a += b": ["pass"],
    "for a in b:\n        break": ["continue"],
    "if a:\n        return": ["if (not a)"],
    "raise ValueError(1 + 1)": ["pass"],
    "a: int = b": [],
    "a = f'{b + 1}'": [],
    "'''Text with 1 < 2.'''": [],
    "import a": [],
}


@pytest.mark.parametrize("code", CHANGES)
def test_each_place_is_changed(code):
    source = f"def function():\n    {code}\n".encode()
    changed = [mutant.apply(source).decode() for mutant in mutants_of("file.py", source)]
    assert len(changed) == len(CHANGES[code])
    assert all(part in text for part, text in zip(CHANGES[code], changed, strict=True))
    for text in changed:
        compile(text, "file.py", "exec")


def test_constants_and_defaults_are_known_by_name():
    source = b"LIMIT = 5\n\n\ndef function(a, b=1):\n    return a > LIMIT\n"
    mutants = mutants_of("file.py", source)
    assert [mutant.names for mutant in mutants if not mutant.lines] == [("LIMIT",), ("LIMIT",), ("function",), ("function",)]
    assert [mutant.apply(source)[:11] for mutant in mutants if mutant.constant] == [b"LIMIT = (6)", b"LIMIT = (4)"]


def test_annotations_decorators_and_protocols_stay():
    source = b"@dataclass(frozen=True)\nclass A(Protocol):\n    b: Literal[1] = 2\n"
    assert mutants_of("file.py", source) == []
