"""Specs in YAML: from a file to the request it stands for, or to an error with its line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lossctl.errors import BadSpec, MissingFile, near
from lossctl.touched import read_whole

if TYPE_CHECKING:
    from lossctl.spec import Spec


def read_spec(path: str) -> Spec:
    """Return the request in the YAML file at `path`; `allow_code` is off in it, and its paths stay relative to `folder`.

    Raises: MissingFile where the file cannot be read, BadSpec with the line for anything in it that is no spec.
    """
    # Its plugins are looked for among all installed packages, and a spec needs none.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    from lossctl.specfile.build import build  # noqa: PLC0415 - pydantic takes longer to import than a small run
    from lossctl.specfile.nodes import parse  # noqa: PLC0415 - yaml likewise

    return build(parse(path, _text(path)), str(Path(path).parent))


def read_suite(path: str) -> tuple[str, ...] | None:
    """Return what the YAML file at `path` lists under `specs`, relative to it; None where it is no suite but a spec.

    Raises: MissingFile where the file cannot be read, BadSpec with the line for a list that is none.
    """
    from lossctl.specfile.nodes import parse  # noqa: PLC0415 - yaml takes longer to import than a small run

    text = _text(path)
    if "specs" not in text:
        return None
    document = parse(path, text)
    if not isinstance(document.value, dict) or "specs" not in document.value:
        return None
    if others := [name for name in document.value if name != "specs"]:
        raise document.fault((others[0],), f"'{others[0]}' cannot stand beside 'specs'.", "Keep it in a spec of its own.")
    listed = document.value["specs"]
    if not isinstance(listed, list) or not listed or not all(isinstance(one, str) and one for one in listed):
        raise document.fault(("specs",), "'specs' should be a list of files, folders or patterns.")
    return tuple(str(Path(path).parent / one) for one in listed)


def spec_schema() -> dict[str, Any]:
    """Return the JSON Schema of specs, for the completion of editors."""
    from lossctl.specfile.models import SpecItems  # noqa: PLC0415 - pydantic again

    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **SpecItems.model_json_schema()}


def _text(path: str) -> str:
    try:
        raw = read_whole(path)
    except FileNotFoundError as error:
        beside = (one.name for one in Path(path).parent.glob("*.y*ml"))
        message = f"There is no spec '{path}'."
        raise MissingFile(message, hint=near(Path(path).name, beside, f"specs in '{Path(path).parent}'")) from error
    except OSError as error:
        message = f"The spec '{path}' could not be read: {error.strerror or error}."
        raise MissingFile(message, hint="Check the path.") from error
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        message = f"{path}, line {line}: the byte 0x{raw[error.start]:02x} is not UTF-8."
        raise BadSpec(message, hint="Save the spec as UTF-8.") from error
