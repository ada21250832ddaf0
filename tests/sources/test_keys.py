"""What the names of columns say of what they hold."""

import pytest

from lossctl.sources.keys import is_unnamed, names_id


@pytest.mark.parametrize(
    "name",
    ["id", "ID", "image_id", "imageId", "sampleID", "user.id", "user id", "key", "index", "idx", "date", "Date", "uuid", "ids"],
)
def test_names_of_ids(name):
    assert names_id(name)
    assert not is_unnamed(name)


@pytest.mark.parametrize("name", ["", " ", "Unnamed: 0", "Unnamed: 12", "__index_level_0__"])
def test_an_index_without_a_name(name):
    assert names_id(name)
    assert is_unnamed(name)


@pytest.mark.parametrize(
    "name", ["grid", "valid", "paid", "bid", "candidate", "monkey", "identity", "y", "logit_0", "#1", "keys_of"]
)
def test_other_names(name):
    assert not names_id(name)
    assert not is_unnamed(name)
