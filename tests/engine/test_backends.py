import numpy as np
import pytest
from ask import ask, value

from lossctl.checking.checks import draw
from lossctl.errors import UnknownName
from lossctl.losses import catalogue
from lossctl.losses.backends import BACKENDS
from lossctl.request.options import Options

ODD = {
    "read-only": lambda a: np.broadcast_to(a, a.shape),
    "reversed": lambda a: np.array(a[::-1])[::-1],
    "every other": lambda a: np.repeat(a, 2, axis=0)[::2],
    "Fortran": np.asfortranarray,
    "big-endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
}


@pytest.mark.parametrize("name", list(catalogue()))
@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
@pytest.mark.parametrize("dtype", ["f64", "native"])
def test_how_an_array_lies_in_memory_changes_no_bit(name, odd, dtype):
    loss = catalogue()[name]
    drawn = draw(loss, varied=True)
    for backend in ("numpy", "torch"):
        options = Options(backend=backend, dtype=dtype)
        ways = [[make(np.array(drawn.arrays[a.name])) for a in loss.signature.arrays] for make in (np.asarray, odd)]
        inputs = len(loss.signature.inputs)
        tensors = [{a.name: array for a, array in zip(loss.signature.tensors, way[inputs:], strict=True)} for way in ways]
        plain, found = (
            value(name, *way[:inputs], **own, **drawn.params, options=options) for way, own in zip(ways, tensors, strict=True)
        )
        assert found == plain


@pytest.mark.parametrize(("name", "kind"), [("numpy", "NumPyBackend"), ("torch", "TorchBackend")])
def test_names(name, kind):
    assert type(BACKENDS.get(name)()).__name__ == kind


def test_unknown_backend():
    with pytest.raises(UnknownName, match="There is no backend 'jax'"):
        BACKENDS.get("jax")


@pytest.mark.parametrize("shape", [(), (0,), (2, 0), (2, 3)])
def test_arrays_come_back_as_they_went(shape):
    array = np.arange(np.prod(shape, dtype=int), dtype=float).reshape(shape)
    for name in ("numpy", "torch"):
        backend = BACKENDS.get(name)()
        np.testing.assert_array_equal(backend.take(backend.give(array)), array)


def test_torch_does_everything_that_numpy_does():
    rng = np.random.default_rng(0)
    pred, target = rng.normal(size=(2, 30, 4))
    pred[3, 1] = np.nan
    given = {"weights": rng.uniform(size=30), "mask": rng.integers(0, 2, size=(30, 4)), "groups": np.arange(30) % 3}
    one, other = (
        ask(
            "huber", pred, target, delta=0.7, **given, options=Options(backend=backend, nan="skip", per_sample=True, stats=True)
        )
        for backend in ("numpy", "torch")
    )
    assert (other.n, other.skipped) == (one.n, one.skipped)
    assert other.value == pytest.approx(one.value, rel=1e-14)
    assert list(other.groups) == [0, 1, 2]
    np.testing.assert_allclose(list(other.groups.values()), list(one.groups.values()), rtol=1e-13)
    assert other.stats == pytest.approx(one.stats, rel=1e-12)
    np.testing.assert_allclose(other.samples, one.samples, rtol=1e-13)
