"""Where blocks are cut, what a loss that is read whole may take, and what a pass announces."""

import numpy as np
import pytest
from ask import ask, reader, select, tie

from lossctl.engine.binding import bind
from lossctl.engine.fold import elements_of, fold, piece_of, pieces_of, spans
from lossctl.errors import NothingLeft, TooLarge
from lossctl.losses import LOSSES
from lossctl.losses.backends import BACKENDS
from lossctl.losses.loss import scalars
from lossctl.progress import Nobody, watched_by
from lossctl.request.options import Options
from lossctl.sources.inputs import Stacked
from lossctl.sources.readers import BLOCK

PLAIN = Options()


@pytest.mark.parametrize(
    ("loss", "shapes", "numbers"),
    [
        ("max_error", ((10,), (10,)), 3 * 20),
        ("max_error", ((10, 2), (10, 2)), 3 * 40),
        # A loss of pairs takes three arrays of all pairs beside.
        ("info_nce", ((6, 2), (6, 2)), 3 * 24 + 3 * 36),
    ],
)
def test_a_loss_that_is_read_whole_takes_three_arrays_of_each_size(loss, shapes, numbers):
    bound = tie(loss, *map(np.ones, shapes))
    assert elements_of(bound, Options(max_memory=8 * numbers)) == 0
    with pytest.raises(TooLarge) as caught:
        elements_of(bound, Options(max_memory=8 * numbers - 1))
    assert f"couples all {shapes[0][0]} samples" in caught.value.message
    with pytest.raises(NothingLeft):
        elements_of(tie(loss, *(np.ones((0, *shape[1:])) for shape in shapes)), PLAIN)


def test_samples_of_a_piece_and_pieces_of_a_block():
    narrow, wide = tie("mse", np.ones(5), np.ones(5)), tie("mse", np.ones((5, 100)), np.ones((5, 100)))
    assert [piece_of(bound, PLAIN, 8000) for bound in (narrow, wide)] == [1000, 10]
    assert piece_of(wide, Options(dtype="f32"), 8000) == 20
    assert [piece_of(wide, PLAIN, size) for size in (800, 799, 1)] == [1, 1, 1]
    assert [piece_of(wide, PLAIN, 8000, block) for block in (1000, 199, 99)] == [10, 1, 1]
    assert piece_of(tie("max_error", np.ones(5), np.ones(5)), PLAIN, 8000) == 0
    assert [pieces_of([narrow, wide], PLAIN, size, 8) for size in (8000, 800, 799, 400, 1)] == [8, 8, 7, 4, 1]


def stacked(*lengths, width=1):
    parts = [reader(np.ones((length, width))) for length in lengths]
    return Stacked(parts, "files", None)


def test_no_block_goes_across_the_end_of_a_file():
    readers = {name: stacked(3, 5, 2) for name in ("pred", "target")}
    bound = bind(LOSSES.get("mse"), readers, scalars(LOSSES.get("mse"), {}), PLAIN)
    assert spans([bound], 1, PLAIN, 4) == [(0, 3), (3, 7), (7, 8), (8, 10)]
    plain = tie("mse", np.ones((10, 1)), np.ones((10, 1)))
    assert spans([plain], 1, PLAIN, 4) == [(0, 4), (4, 8), (8, 10)]
    assert spans([plain, bound], 1, PLAIN, 4) == spans([bound], 1, PLAIN, 4)


@pytest.mark.parametrize("parts", [1, 2, 3, 4, 7])
def test_parts_are_all_blocks_once_and_in_order(parts):
    bound = tie("mse", np.ones(30), np.ones(30))
    every = [span for number in range(parts) for span in spans([bound], 1, Options(part=(number + 1, parts)), 7)]
    assert every == spans([bound], 1, PLAIN, 7) == [(0, 7), (7, 14), (14, 21), (21, 28), (28, 30)]


class Noting(Nobody):
    """Notes what is announced and how much of it is done."""

    def __init__(self):
        self.passes = []

    def begin(self, what, total, *, of_bytes=False):
        self.passes.append([what, total, 0, of_bytes])

    def step(self, steps=1):
        self.passes[-1][2] += steps


@pytest.mark.parametrize(("n", "blocks"), [(1, 1), (10, 1), (11, 2), (100, 10), (101, 11)])
@pytest.mark.parametrize("jobs", [1, 4])
def test_as_many_blocks_as_there_are_are_announced_and_done(n, blocks, jobs):
    watch = Noting()
    bound = tie("mse", np.ones(n), np.ones(n))
    with watched_by(watch):
        fold([bound], BACKENDS.get("numpy")(), Options(jobs=jobs), select(), block=10)
    assert watch.passes == [["computing", blocks, blocks, False]]


def test_one_sample_and_many_wide_ones_have_the_same_value():
    assert ask("mse", np.full((1, 3 * BLOCK), 2.0), np.zeros((1, 3 * BLOCK))).value == 4.0
    assert ask("mse", np.float64(3), np.float64(1)).value == 4.0
