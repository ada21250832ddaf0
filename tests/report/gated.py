"""Reports with gates, for the formats that CI systems read."""

from lossctl.report import Report


def gate(word, message="gate said so", **more):
    """An entry of `checks`."""
    passed = {"passed": True, "failed": False, "undecided": None}[word]
    return {"key": "mse", "kind": "max", "bound": 0.1, "value": 0.25, "passed": passed, "message": message, **more}


def failed_file(file, message):
    """An entry of `checks` for a file that could not be looked at."""
    empty = {"key": "", "kind": "error", "bound": None, "value": None, "passed": None}
    return {**empty, "file": file, "message": message, "error": {"kind": "MissingFile", "code": 3}}


def report(*checks, command="compute", warnings=()):
    """A report of one result, with these checks."""
    result = {"loss": "mse", "params": {}, "reduction": "mean", "value": 0.25, "n": 4}
    document = {"command": command, "results": [result], "checks": list(checks), "warnings": list(warnings)}
    return Report(("loss", "value"), [{"loss": "mse", "value": 0.25}], document)
