"""YAML without surprises: no objects, no anchors (a few lines of them unfold to gigabytes), no doubled keys.

Imported only where YAML is read: it imports yaml, which takes as long as half of NumPy.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

# CParser reads ten times faster; it is missing where PyYAML was built without libyaml.
Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# YAML 1.1, which PyYAML follows, takes 1e-3 for text.
EXPONENT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+")
# libyaml counts no levels when it composes, and would run out of stack: no array has as many.
DEEPEST = 1000
LEVELS = {yaml.SequenceStartEvent: 1, yaml.MappingStartEvent: 1, yaml.SequenceEndEvent: -1, yaml.MappingEndEvent: -1}


class Loader(Base):  # type: ignore[misc]
    """The safe loader, which also refuses a key that occurs twice."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:  # noqa: FBT001, FBT002 - PyYAML's own signature
        """Return a mapping, after looking for doubled keys.

        Raises: ConstructorError.
        """
        seen = set()
        for key, _ in node.value:
            if key.value.__hash__ and key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key '{key.value}' occurs twice", key.start_mark)
            seen.add(key.value if key.value.__hash__ else id(key))
        return super().construct_mapping(node, deep)


Loader.add_implicit_resolver("tag:yaml.org,2002:float", EXPONENT, list("-+.0123456789"))


def load(text: str) -> Any:
    """Parse one YAML document.

    Raises: yaml.YAMLError with the place, RecursionError.
    """
    _look_over(text)
    return yaml.load(text, Loader)  # noqa: S506 - a safe loader with fewer liberties


def _look_over(text: str) -> None:
    """Refuse what would unfold to more than was written, or nest too deeply, before anything is composed."""
    level = 0
    event: Any
    for event in yaml.parse(text, Base):
        level += LEVELS.get(type(event), 0)
        if level > DEEPEST:
            raise RecursionError
        if getattr(event, "anchor", None):
            raise yaml.constructor.ConstructorError(None, None, "anchors and aliases are not read", event.start_mark)
