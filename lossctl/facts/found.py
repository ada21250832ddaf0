"""Facts under names."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Facts:
    """What was found, in plain Python values: `facts["mean"]`. A fact that does not apply is None."""

    values: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def get(self, name: str, default: Any = None) -> Any:
        """Return a fact, or `default` where there is none of that name."""
        return self.values.get(name, default)

    def fits(self, kind: str) -> bool:
        """Whether the values could be of a kind, however likely."""
        return any(look["kind"] == kind for look in self.values.get("looks", ()))
