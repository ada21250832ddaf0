"""What else is asked for changes no bit of a loss: sums are those of the same pieces."""

import numpy as np
import pytest

from lossctl.engine.binding import bind
from lossctl.engine.block import Selection
from lossctl.engine.fold import fold, piece_of, pieces_of
from lossctl.losses import catalogue
from lossctl.losses.backends import BACKENDS
from lossctl.losses.loss import scalars
from lossctl.request.options import Options
from lossctl.sources.readers import PIECE, Memory

NUMPY = BACKENDS.get("numpy")()
ROWS = 70_001
RNG = np.random.default_rng(3)
LOGITS = RNG.normal(size=(ROWS, 7)).astype(np.float32)
GIVEN = {
    "cross_entropy": {"pred": LOGITS, "target": RNG.integers(0, 7, ROWS)},
    "mse": {"pred": LOGITS, "target": LOGITS[::-1].copy()},
    "bce": {"pred": 1 / (1 + np.exp(-LOGITS)), "target": (LOGITS > 0).astype(np.float32)},
}


def tied(name, options):
    loss = catalogue()[name]
    return bind(loss, {key: Memory(array) for key, array in GIVEN[name].items()}, scalars(loss, {}), options)


def summed(*names, keep=(), selection=None, **how):
    options = Options(**how)
    return fold([tied(name, options) for name in names], NUMPY, options, selection or Selection(), keep=frozenset(keep))


@pytest.mark.parametrize("name", GIVEN)
@pytest.mark.parametrize("dtype", ["f64", "native"])
def test_whatever_else_is_asked_for(name, dtype):
    plain = summed(name, dtype=dtype)[0].sums.finish()
    ones, everything, groups = Memory(np.ones(ROWS)), Memory(np.ones(ROWS, bool)), np.arange(ROWS) % 3
    for found in (
        summed(name, dtype=dtype, keep=["samples"]),
        summed(name, dtype=dtype, selection=Selection(weights=ones)),
        summed(name, dtype=dtype, selection=Selection(mask=everything)),
        summed(name, dtype=dtype, selection=Selection(groups=groups)),
        summed(name, dtype=dtype, nan="skip"),
        summed(name, dtype=dtype, jobs=2),
    ):
        assert found[0].sums.finish() == plain


def test_losses_in_one_pass_have_the_bits_of_each_alone():
    together = summed("mse", "cross_entropy", "mse")
    alone = [summed(name)[0] for name in ("mse", "cross_entropy", "mse")]
    assert [one.sums.finish() for one in together] == [one.sums.finish() for one in alone]


@pytest.mark.parametrize(
    ("elements", "pieces"), [(10, 4), (PIECE // 8, 4), (PIECE // 8 + 1, 3), (PIECE // 4, 2), (PIECE // 2 - 9, 1), (PIECE, 1)]
)
def test_a_block_of_large_samples_has_fewer(elements, pieces):
    options, loss = Options(), catalogue()["mse"]
    array = Memory(np.broadcast_to(np.float32(1), (9, elements)))
    bound = bind(loss, {"pred": array, "target": array}, scalars(loss, {}), options)
    assert pieces_of([bound], options, PIECE, 4) == pieces


@pytest.mark.parametrize(("dtype", "width"), [("f64", 8), ("f32", 4), ("native", 4)])
def test_a_piece_fits_into_the_cache(dtype, width):
    options = Options(dtype=dtype)
    rows = piece_of(tied("cross_entropy", options), options, PIECE)
    assert PIECE - 7 * width < rows * 7 * width <= PIECE
    assert piece_of(tied("cross_entropy", options), options, 1) == 1
    assert piece_of(tied("cross_entropy", options), options, PIECE, block=70) == 10
