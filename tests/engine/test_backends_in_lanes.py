"""How a pass runs in torch: in lanes, with the same bits for any number of them, and on a device without waiting."""

import pickle
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from ask import ask

from lossctl.engine.binding import bind
from lossctl.engine.block import Selection
from lossctl.engine.fold import fold
from lossctl.errors import BadParameter, NotFinite, UsageError
from lossctl.losses import catalogue
from lossctl.losses.backends import BACKENDS, DeviceBackend, NumPyBackend, TorchBackend, placed
from lossctl.losses.loss import scalars
from lossctl.request.options import Options
from lossctl.sources.readers import PIECE, Memory

RNG = np.random.default_rng(5)
COUNT = 1000
GIVEN = {
    "huber": {"pred": RNG.normal(size=COUNT), "target": RNG.normal(size=COUNT)},
    "bce_with_logits": {"pred": RNG.normal(size=COUNT), "target": RNG.integers(0, 2, COUNT).astype(float)},
    "cross_entropy": {"pred": RNG.normal(size=(COUNT, 7)), "target": RNG.integers(0, 7, COUNT)},
}


def summed(name, backend, block=64, jobs=1, selection=None, **how):
    loss, options = catalogue()[name], Options(jobs=jobs, **how)
    bound = bind(loss, {key: Memory(array) for key, array in GIVEN[name].items()}, scalars(loss, {}), options)
    return fold([bound], backend, options, selection or Selection(), block=block)[0]


@pytest.mark.parametrize("name", GIVEN)
@pytest.mark.parametrize("dtype", ["f64", "f32"])
def test_torch_has_the_same_bits_for_any_number_of_lanes(name, dtype):
    one, two, eight = (summed(name, BACKENDS.get("torch")(), jobs=jobs, dtype=dtype).sums.finish() for jobs in (1, 2, 8))
    assert one == two == eight


@pytest.mark.parametrize("name", GIVEN)
def test_torch_agrees_with_numpy(name):
    ours, theirs = (summed(name, BACKENDS.get(library)()).sums.finish() for library in ("numpy", "torch"))
    assert theirs == pytest.approx(ours, rel=1e-12)


def test_torch_keeps_to_one_thread_in_a_pass_and_has_its_own_again_afterwards():
    backend, seen = BACKENDS.get("torch")(), []

    @dataclass(frozen=True)
    class Watched(TorchBackend):
        def total(self, term):
            seen.append(torch.get_num_threads())
            return super().total(term)

    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        summed("huber", Watched(backend.xp, backend.torch), jobs=2)
        assert set(seen) == {1}
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_torch_has_its_threads_again_after_an_error():
    backend, before = BACKENDS.get("torch")(), torch.get_num_threads()
    with pytest.raises(RuntimeError), backend.lanes(2):
        raise RuntimeError
    assert torch.get_num_threads() == before


@dataclass(frozen=True)
class Elsewhere(DeviceBackend):
    """The way of a device, on the CPU: what waits for totals is counted."""

    # Of float64.
    piece: ClassVar[int] = 128 * 8
    settled: list[int] = field(default_factory=list)

    def settle(self, totals):
        lists = list(totals)
        self.settled.append(sum(torch.is_tensor(total) for found in lists for total in found))
        super().settle(lists)


@pytest.fixture
def device():
    backend = BACKENDS.get("torch")()
    return Elsewhere(backend.xp, backend.torch, "cpu")


@pytest.mark.parametrize("name", GIVEN)
def test_totals_stay_on_a_device_until_the_pass_is_over(name, device):
    found = summed(name, device, block=0, jobs=8).sums
    wanted = summed(name, BACKENDS.get("torch")(), block=128).sums
    assert found.finish() == wanted.finish()
    terms = {"huber": 1, "bce_with_logits": 1, "cross_entropy": 2}[name]
    blocks = -(-GIVEN[name]["pred"].shape[0] // (128 // max(1, GIVEN[name]["pred"].size // COUNT)))
    assert device.settled == [terms * blocks]
    assert all(isinstance(total, float) for totals in found.totals.values() for total in totals)


def test_a_device_does_everything_that_the_cpu_does(device):
    weights, mask, groups = RNG.uniform(size=COUNT), RNG.integers(0, 2, COUNT), np.arange(COUNT) % 3
    selection = Selection(Memory(weights), Memory(mask), groups)
    one, other = (summed("huber", backend, selection=selection, block=128) for backend in (BACKENDS.get("torch")(), device))
    assert other.sums.finish() == one.sums.finish()
    assert {code: sums.finish() for code, sums in other.groups.items()} == {
        code: sums.finish() for code, sums in one.groups.items()
    }
    assert (other.n, other.skipped, other.counts) == (one.n, one.skipped, one.counts)


def test_a_device_finds_what_is_not_a_number(device, monkeypatch):
    monkeypatch.setitem(GIVEN["huber"], "pred", np.where(np.arange(COUNT) == 777, np.nan, 0.0))
    with pytest.raises(NotFinite, match=r"\[777\] is nan"):
        summed("huber", device, block=0)


def test_a_device_takes_large_blocks_and_one_lane(device):
    assert (DeviceBackend.piece, TorchBackend.piece, NumPyBackend.piece) == (1 << 27, PIECE, PIECE)
    assert (DeviceBackend.pieces, TorchBackend.pieces, NumPyBackend.pieces) == (1, 4, 4)
    with device.lanes(8) as jobs:
        assert jobs == 1


@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_backends_travel(name):
    backend, before = BACKENDS.get(name)(), torch.get_num_threads()
    try:
        assert pickle.loads(pickle.dumps(backend)) == backend  # noqa: S301 - our own bytes
        assert torch.get_num_threads() == (1 if name == "torch" else before)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("device", "backend", "dtype", "name"),
    [
        ("cpu", "torch", "f64", "torch"),
        ("cuda", "torch", "f64", "torch|device:cuda"),
        ("cuda:1", "torch", "native", "torch|device:cuda:1"),
        ("mps", "torch", "f32", "torch|device:mps"),
    ],
)
def test_a_device_is_part_of_the_backend_s_name(device, backend, dtype, name):
    assert placed(device, backend, dtype) == name


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        (("gpu", "torch", "f64"), BadParameter, "--device takes cpu, cuda, cuda:N or mps, not 'gpu'"),
        (("cuda:", "torch", "f64"), BadParameter, "not 'cuda:'"),
        (("cuda", "numpy", "f64"), UsageError, "--backend numpy was asked for"),
        (("mps", "torch", "f64"), UsageError, "mps calculates in float32 only, and --dtype is f64"),
        (("mps", "torch", "native"), UsageError, "float32 only"),
    ],
)
def test_devices_that_do_not_exist(given, error, says):
    with pytest.raises(error, match=says):
        placed(*given)


def test_a_device_that_is_not_there():
    number = torch.cuda.device_count()
    says = f"only {number} of them" if number else "none on this machine"
    with pytest.raises(UsageError, match=says):
        BACKENDS.get(f"torch|device:cuda:{number}")()


@pytest.mark.parametrize("name", GIVEN)
@pytest.mark.parametrize("dtype", ["f64", "f32"])
def test_cuda_agrees_with_numpy(name, dtype):
    if not torch.cuda.is_available():
        pytest.skip("there is no CUDA device")
    arrays = [GIVEN[name]["pred"], GIVEN[name]["target"]]
    options = Options(dtype=dtype, per_sample=True)
    one, other = (ask(name, *arrays, options=options), asked_on_cuda(name, arrays, options))
    tolerance = 1e-12 if dtype == "f64" else 1e-5
    assert other.value == pytest.approx(one.value, rel=tolerance)
    np.testing.assert_allclose(other.samples, one.samples, rtol=tolerance, atol=tolerance)


def asked_on_cuda(name, arrays, options):
    return ask(name, *arrays, options=replace(options, backend="torch|device:cuda"))
