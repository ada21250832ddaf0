"""`schema`: the JSON Schemas of what lossctl writes and reads."""

from __future__ import annotations

import json

from lossctl.errors import UnknownName, near


def run(what: str) -> str:
    """Return a schema as text.

    Raises: UnknownName.
    """
    if what == "result":
        from lossctl.schemas import load

        return load("result-1")
    if what == "spec":
        from lossctl.specfile import spec_schema

        return json.dumps(spec_schema(), indent=2) + "\n"
    if what == "partial":
        from lossctl.commands.partial_file import schema

        return schema()
    message = f"There is no schema '{what}'."
    raise UnknownName(message, hint=near(what, ["partial", "result", "spec"], "schemas"))
