"""The pytest plug-in: `lossctl_check`, a gate on a loss inside a test suite.

pytest imports this in every run of everyone who has lossctl installed, so that nothing else is imported before a test asks.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lossctl.request.spec import Gate, Spec

BOUNDS = ("max", "min", "expect")


@pytest.fixture
def lossctl_check(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., float]:
    """Compute a loss of arrays, tensors or files, and fail the test if a bound does not hold.

    `lossctl_check("huber", pred, target, max=0.5, delta=2.0)` returns the value. Bounds are `max`, `min` and `expect` with
    `rtol` and `atol`; `reduction` is as on the command line; other keywords are parameters of the loss, or inputs beyond pred
    and target by their names. Raises AssertionError with the gate's message, and lossctl's errors for what cannot be computed.
    """

    def check(loss: str, pred: Any, target: Any, **keywords: Any) -> float:
        return _checked(loss, {"pred": pred, "target": target}, keywords, tmp_path_factory.mktemp("lossctl"))

    return check


def _checked(loss: str, inputs: Mapping[str, Any], keywords: dict[str, Any], folder: Path) -> float:
    """Compute `loss`, and hold its value against the bounds among the keywords."""
    from lossctl.commands.compute import run
    from lossctl.sources.touched import touching

    bounds = {name: keywords.pop(name) for name in BOUNDS if name in keywords}
    close = (keywords.pop("rtol", 1e-9), keywords.pop("atol", 0.0))
    with touching([]) as files:
        report, error = run(_spec(loss, inputs, keywords, _gates(loss, bounds, close), folder), _say, document=False)
        files.check_unchanged()
    if error is not None:
        raise AssertionError(error.paragraph())
    return float(report.document["results"][0]["value"])


def _gates(loss: str, bounds: Mapping[str, float | None], close: tuple[float, float]) -> tuple[Gate, ...]:
    from lossctl.request.spec import Gate, parse_losses

    key = parse_losses(loss)[0].name
    return tuple(Gate(key, kind, float(bound), *close) for kind, bound in bounds.items() if bound is not None)


def _spec(loss: str, inputs: Mapping[str, Any], keywords: dict[str, Any], gates: tuple[Gate, ...], folder: Path) -> Spec:
    """The request; arrays become files, so that they keep their types and are read as any other file is."""
    from lossctl.errors import BadParameter
    from lossctl.request.options import Options
    from lossctl.request.spec import Spec, parse_losses, with_params
    from lossctl.sources.source import Given

    reduction = keywords.pop("reduction", "mean")
    if reduction not in {"mean", "sum", "batchmean"}:
        message = f"lossctl_check bounds one number, and takes the reduction mean, sum or batchmean, not '{reduction}'."
        raise BadParameter(message)
    params = {name: _parameter(name, value, folder) for name, value in keywords.items()}
    named = {name: params.pop(name) for name in _inputs_of(loss) & set(params)}
    given = {name: Given(text=_source(name, value, folder)) for name, value in inputs.items()}
    given |= {name: Given(text=value.removeprefix("@")) for name, value in named.items()}
    losses = with_params(parse_losses(loss), params, instead=True)
    return Spec(losses=losses, inputs=given, options=Options(reduction=reduction), gates=gates)


def _inputs_of(loss: str) -> set[str]:
    """The names of a loss's inputs."""
    from lossctl.request.lookup import look_up
    from lossctl.request.spec import parse_losses

    one = parse_losses(loss)[0]
    return {argument.name for argument in look_up(one.name, one.params).signature.inputs}


def _parameter(name: str, value: Any, folder: Path) -> Any:
    """A parameter as it would be typed: words and numbers as they are, arrays as files."""
    if isinstance(value, str | bool | int | float):
        return str(value).lower() if isinstance(value, bool) else str(value)
    return f"@{_source(name, value, folder)}"


def _source(name: str, value: Any, folder: Path) -> str:
    """Where the input is read from: the path that was given, or a file that an array is written to."""
    if isinstance(value, str | Path):
        return str(value)
    import numpy as np

    path = folder / f"{name}.npy"
    np.save(path, _array(value))
    return str(path)


def _array(value: Any) -> Any:
    """A NumPy array of whatever has numbers; a tensor may need its gradient, sit elsewhere, or have a type NumPy lacks."""
    import numpy as np

    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = value.float() if str(value.dtype) == "torch.bfloat16" else value
    return np.asarray(value)


def _say(text: str) -> None:
    """Notes and warnings stand in the captured output, which pytest shows where a test fails."""
    from lossctl.cli.command import tell

    tell(f"lossctl: {text}")
