import numpy as np
import pytest
from ask import ask, none, value

from lossctl.errors import BadParameter, NothingLeft, ShapeMismatch, TooLarge
from lossctl.request.options import Options


@pytest.mark.parametrize("p", [0, 1, 1.5, 2, 3, float("inf")])
@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("shape", [(5,), (4, 5), (2, 3, 5), (2, 1, 3, 2)], ids=str)
def test_triplet_margin_is_torch_s(p, swap, shape):
    import torch

    arrays = np.random.default_rng(0).normal(size=(3, *shape))
    for more in ({}, {"margin": 0.1, "eps": 0.05}):
        for reduction in ("mean", "sum", "none"):
            wanted = torch.nn.functional.triplet_margin_loss(
                *map(torch.tensor, arrays), p=p, swap=swap, reduction=reduction, **more
            ).numpy()
            found = np.asarray(value("triplet", *arrays, p=p, swap=swap, options=Options(reduction=reduction), **more))
            assert found.shape == wanted.shape
            np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


def test_triplet_of_equal_vectors_is_its_margin():
    assert value("triplet", *np.zeros((3, 4, 2)), margin=0.5) == 0.5


@pytest.mark.parametrize("named", [{"p": -1}, {"p": "nan"}, {"margin": 0}, {"eps": -1}])
def test_triplet_refuses(named):
    with pytest.raises(BadParameter, match=f"'{next(iter(named))}' takes"):
        ask("triplet", *np.zeros((3, 4, 2)), **named)


@pytest.mark.parametrize("p", ["inf", 2])
def test_vectors_without_components(p):
    with pytest.raises(ShapeMismatch, match="there are no components"):
        ask("triplet", *np.zeros((3, 4, 0)), p=p)


def test_one_component_is_still_a_component_after_squeezing():
    arrays = np.random.default_rng(0).normal(size=(3, 4, 1))
    assert value("triplet", *arrays, options=Options(squeeze=True)) == value("triplet", *arrays)


@pytest.mark.parametrize("temperature", [0.07, 1.0])
def test_info_nce_is_cross_entropy_of_cosines(temperature):
    import torch

    pred, target = np.random.default_rng(0).normal(size=(2, 6, 5))
    one, other = (torch.nn.functional.normalize(torch.tensor(array), dim=1) for array in (pred, target))
    wanted = torch.nn.functional.cross_entropy(one @ other.T / temperature, torch.arange(6), reduction="none").numpy()
    np.testing.assert_allclose(none("info_nce", pred, target, temperature=temperature), wanted, rtol=1e-12)
    assert value("info_nce", pred, target, temperature=temperature) == pytest.approx(wanted.mean(), rel=1e-12)


def test_info_nce_of_a_zero_vector_is_finite():
    assert value("info_nce", [[0, 0], [1, 0]], [[1, 0], [0, 1]], temperature=1) == pytest.approx(
        (np.log(2) + np.log(1 + np.exp(-1)) + 1) / 2
    )


def test_info_nce_leaves_masked_rows_out_of_the_negatives():
    pred, target = np.random.default_rng(0).normal(size=(2, 6, 5))
    mask = [1, 0, 1, 1, 0, 1]
    kept = np.array(mask, bool)
    assert value("info_nce", pred, target, mask=mask) == value("info_nce", pred[kept], target[kept])


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_info_nce_with_nothing_left(backend):
    with pytest.raises(NothingLeft, match="all 3 are skipped or masked"):
        ask("info_nce", np.eye(3), np.eye(3), mask=[0, 0, 0], options=Options(backend=backend))


def test_info_nce_of_a_single_sample():
    # Read as one vector of 3 components it would be 0 whatever the numbers.
    with pytest.raises(ShapeMismatch, match="compares samples with one another"):
        ask("info_nce", [1, 2, 3], [3, 2, 1])


def test_info_nce_refuses_what_would_not_fit_into_memory():
    big = np.broadcast_to(np.zeros((1, 1)), (20_000, 1))
    with pytest.raises(TooLarge, match=r"couples all 20000 samples and needs about 9,1\d\d MiB, more than 2,048 MiB") as caught:
        ask("info_nce", big, big)
    assert "--max-memory 10" in caught.value.hint
