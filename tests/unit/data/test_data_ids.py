"""Columns of texts as numbers."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from erase_ray.data.ids import Ids


@given(st.lists(st.text(max_size=3), max_size=30))
def test_texts_come_back(texts):
    ids = Ids.of(texts) if texts else Ids.of(pa.array([], pa.string()))
    assert ids.texts() == texts
    assert len(set(ids.names)) == len(ids.names)
    assert ids.codes.dtype == np.int32


def test_numbers_become_text():
    assert Ids.of(pd.Series([20, 3, 20])).texts() == ["20", "3", "20"]
    assert Ids.of(pa.array(["007", "7"])).texts() == ["007", "7"]


def test_pieces_have_one_list_of_names():
    pieces = [pa.array(part).dictionary_encode() for part in (["a", "b"], ["c", "b"], ["a"])]
    ids = Ids.of_chunks(pieces)
    assert ids.texts() == ["a", "b", "c", "b", "a"]
    assert ids.names == ("a", "b", "c")
    assert Ids.of_chunks([]).texts() == []


def test_rows_are_taken_and_names_left():
    ids = Ids.of(["a", "b", "c", "b"])
    taken = ids.take(np.array([False, True, False, True]))
    assert taken.texts() == ["b", "b"]
    assert taken.names == ("a", "b", "c")
    assert taken.used().tolist() == [False, True, False]
    assert taken.compact().names == ("b",)
    assert taken.compact().texts() == ["b", "b"]
    assert ids.compact() is ids


def test_missing_ids_are_refused():
    with pytest.raises(ValueError, match="1 of 2 ids are missing"):
        Ids.of(pa.array(["a", None]))
