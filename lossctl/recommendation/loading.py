"""The YAML files of this package, read once and checked."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lossctl.recommendation.models import Question, Rule, Setting, TreeItems


def _read(name: str) -> Any:
    from lossctl.coreyaml import load

    return load(files(__package__).joinpath(f"{name}.yaml").read_text(encoding="utf-8"))


@cache
def questions() -> dict[str, Question]:
    """All questions by name, in the order of asking."""
    from lossctl.recommendation.models import Question

    found = [Question.model_validate(item) for item in _read("questions")]
    return {one.id: one for one in found}


@cache
def tree_items() -> TreeItems:
    """The guides' tree as it stands in the file."""
    from lossctl.recommendation.models import TreeItems

    return TreeItems.model_validate(_read("tree"))


@cache
def rules() -> tuple[Rule, ...]:
    """All rules, in order."""
    from lossctl.recommendation.models import Rule

    return tuple(Rule.model_validate(item) for item in _read("rules"))


@cache
def expressions() -> dict[str, str]:
    """Losses that torch.nn has no class for, as lines of torch with {parameters}."""
    found: dict[str, str] = _read("expressions")
    return found


@cache
def settings() -> tuple[Setting, ...]:
    """All parameters that can be computed, in order."""
    from lossctl.recommendation.models import Setting

    return tuple(Setting.model_validate(item) for item in _read("settings"))
