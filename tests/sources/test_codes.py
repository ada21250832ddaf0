"""Groups by number, in memory and out of it, against NumPy's unique."""

import pickle

import numpy as np
import pytest

from lossctl.sources import codes
from lossctl.sources.source import Given


def wanted(labels):
    names, found = np.unique(np.asarray(labels), return_inverse=True)
    return names.tolist(), found


@pytest.fixture(params=[1 << 24, 100], ids=["in memory", "in files"])
def kept(request, monkeypatch):
    monkeypatch.setattr(codes, "KEPT", request.param)
    monkeypatch.setattr(codes, "ELEMENTS", 50)
    return request.param


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("groups", [1, 3, 256, 257, 900])
def test_codes_are_those_of_unique_and_as_small_as_can_be(groups):
    numbers = np.random.default_rng(groups).permutation(np.arange(3000) % groups)
    labels = [f"g{number}" for number in numbers]
    names, found = codes.numbered(codes.told_apart(labels[start : start + 70]) for start in range(0, 3000, 70))
    assert names == wanted(labels)[0]
    assert found.dtype == (np.uint8 if groups <= 256 else np.uint16)
    assert found.shape == (3000,)
    np.testing.assert_array_equal(found[:], wanted(labels)[1])
    np.testing.assert_array_equal(found[100:2900], wanted(labels)[1][100:2900])
    chosen = np.flatnonzero(numbers % 2 == 0)
    np.testing.assert_array_equal(found[chosen], wanted(labels)[1][chosen])
    assert [found[place] for place in (0, 1999)] == [wanted(labels)[1][place] for place in (0, 1999)]
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(found))[:], found[:])  # noqa: S301 - our own


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize(
    "array",
    [
        np.arange(500) % 7 - 3,
        np.arange(500) % 2 == 0,
        np.where(np.arange(500) % 3 == 0, -0.0, np.where(np.arange(500) % 3 == 1, 0.0, np.nan)),
        (np.arange(500) % 5 / 10).astype(np.float32),
        np.array(["b", "a", "ü"] * 100),
        np.array([b"b", b"a"] * 100),
        np.arange(300).astype("datetime64[D]"),
    ],
    ids=lambda array: str(array.dtype),
)
def test_arrays_have_the_groups_of_their_texts(folder, array):
    folder.save("g.npy", array)
    names, found = folder.files.groups("g.npy", Given("p.npy", value=[0]))
    labels = folder.files.labels("g.npy", Given("p.npy", value=[0]))
    assert names == wanted(labels)[0]
    np.testing.assert_array_equal(found[:], wanted(labels)[1])


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("rows", [200, 60_000])
def test_columns_of_tables_have_them_too(folder, rows):
    labels = [f'"x, {row % 11}"' if row % 2 else f" y{row % 5}" for row in range(rows)]
    folder.write("t.csv", "\n".join(["p,who", *(f"{row / 7},{label}" for row, label in enumerate(labels))]) + "\n")
    names, found = folder.files.groups("who", Given("t.csv:p"))
    texts = folder.files.labels("who", Given("t.csv:p"))
    assert len(texts) == rows
    assert names == wanted(texts)[0]
    np.testing.assert_array_equal(found[:], wanted(texts)[1])


def test_ids_that_take_too_much_are_refused_with_the_figure(folder):
    from lossctl.errors import TooLarge

    folder.write("t.csv", "id,p\n" + "".join(f"{row},1\n" for row in range(5000)))
    folder.files.max_memory = 1 << 20
    with pytest.raises(TooLarge, match=r"bytes a row, and t.csv:p has 5,000 or more") as refused:
        folder.files.open_joined([("pred", Given("t.csv:p"))], "id")
    assert "--max-memory 2" in refused.value.hint
    folder.files.max_memory = 2 << 20
    assert folder.files.open_joined([("pred", Given("t.csv:p"))], "id")[0].shape == (5000,)
