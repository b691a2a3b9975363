"""A prepared dataset as files and back."""

import numpy as np
import pytest

from erase_ray.data.catalogue import Catalogue
from erase_ray.data.files import from_files, to_files
from erase_ray.data.interactions import Interactions
from erase_ray.data.prepared import Prepared
from erase_ray.data.split import Split
from erase_ray.data.vocabulary import Vocabulary
from erase_ray.errors import DataError


@pytest.fixture
def prepared() -> Prepared:
    columns = {"user": [0, 0, 1], "sequence": [0, 0, 1], "step": [0, 1, 0]}
    table = Interactions.prepared({**columns, "item": [1, 0, 1], "time": [5, 2**40, -3]})
    return Prepared(
        dataset="toy",
        task="cf",
        interactions=table,
        split=Split(np.array([0, 2, 1], np.int8)),
        vocabulary=Vocabulary(("7", "007"), ("Ä, \n", "label"), ("s", "t")),
        catalogue=Catalogue(
            ("Die Ärzte", ""), {"odd": np.array([True, False]), "none": np.zeros(2, bool)}
        ),
    )


def test_round_trip(prepared):
    files = to_files(prepared)
    assert sorted(files) == [
        "catalogue.parquet",
        "interactions.parquet",
        "split.parquet",
        "vocabulary.parquet",
    ]
    back = from_files(files, "toy", "cf")
    assert (back.dataset, back.task) == ("toy", "cf")
    for name, column in prepared.interactions.columns():
        found = getattr(back.interactions, name)
        assert np.array_equal(found, column)
        assert found.dtype == column.dtype
    assert back.split.hash == prepared.split.hash
    assert back.split.marks.dtype == np.int8
    assert vars(back.vocabulary) == vars(prepared.vocabulary)
    assert back.catalogue.labels == prepared.catalogue.labels
    assert sorted(back.catalogue.categories) == ["none", "odd"]
    assert back.catalogue.members("odd").tolist() == [True, False]
    assert back.catalogue.members("odd").dtype == bool


def test_same_data_gives_the_same_bytes(prepared):
    first = to_files(prepared)
    assert to_files(from_files(first, "toy", "cf")) == first


def test_no_category_at_all(prepared):
    bare = Prepared(**{**vars(prepared), "catalogue": Catalogue(("a", "b"), {})})
    assert from_files(to_files(bare), "toy", "cf").catalogue.categories == {}


def test_a_file_is_missing(prepared):
    files = to_files(prepared)
    del files["split.parquet"]
    with pytest.raises(DataError, match=r"split.parquet is missing; found \['catalogue.parquet',"):
        from_files(files, "toy", "cf")


@pytest.mark.parametrize("cut", [0, 40])
def test_a_file_is_damaged(prepared, cut):
    files = to_files(prepared)
    files["vocabulary.parquet"] = files["vocabulary.parquet"][:cut]
    with pytest.raises(DataError, match=r"vocabulary.parquet is damaged: "):
        from_files(files, "toy", "cf")


def test_a_file_is_another_one(prepared):
    files = to_files(prepared)
    files["split.parquet"] = files["catalogue.parquet"]
    with pytest.raises(DataError, match=r"split.parquet lacks the columns \['mark'\]; it has"):
        from_files(files, "toy", "cf")


@pytest.mark.parametrize(
    ("part", "value", "text"),
    [
        ("split", Split(np.zeros(2, np.int8)), "toy: 2 marks, the interactions need 3"),
        ("vocabulary", Vocabulary(("1",), ("a", "b"), ("s", "t")), "toy: 1 users, the .* need 2"),
        ("vocabulary", Vocabulary(("1", "2"), ("a",), ("s", "t")), "toy: 1 items, the .* need 2"),
        ("catalogue", Catalogue(("a",), {}), "toy: 1 labels, the interactions need 2"),
    ],
)
def test_files_that_do_not_fit_together(prepared, part, value, text):
    broken = Prepared(**{**vars(prepared), part: value})
    with pytest.raises(DataError, match=text):
        from_files(to_files(broken), "toy", "cf")
