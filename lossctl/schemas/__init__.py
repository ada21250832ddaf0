"""The JSON Schemas that results keep to, as data files beside this one."""

from __future__ import annotations

from importlib.resources import files

from lossctl.errors import UnknownName, near


def names() -> list[str]:
    """Return the names of all schemas, such as `result-1`."""
    return sorted(entry.name.removesuffix(".json") for entry in files(__name__).iterdir() if entry.name.endswith(".json"))


def load(name: str) -> str:
    """Return the text of the schema `name`, which may be written with or without `.json`.

    Raises: UnknownName for any other name.
    """
    bare = name.removesuffix(".json")
    if bare not in names():
        message = f"There is no schema '{name}'."
        raise UnknownName(message, hint=near(bare, names(), "schemas"))
    return files(__name__).joinpath(f"{bare}.json").read_text(encoding="utf-8")
