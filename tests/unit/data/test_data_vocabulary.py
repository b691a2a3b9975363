"""Outer and inner ids."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from erase_ray.data.vocabulary import Vocabulary, number
from erase_ray.errors import DataError


def test_ids_are_given_by_first_appearance():
    ids, names = number(np.array(["b", "a", "b", "c"]))
    assert ids.tolist() == [0, 1, 0, 2]
    assert ids.dtype == np.int32
    assert names == ("b", "a", "c")


def test_numbers_become_text():
    ids, names = number(pd.Series([20, 3, 20]))
    assert ids.tolist() == [0, 1, 0]
    assert names == ("20", "3")


@given(st.lists(st.text(max_size=4), max_size=30))
def test_inner_ids_lead_back_to_the_outer_ones(outer):
    ids, names = number(np.array(outer, object))
    assert [names[inner] for inner in ids] == outer
    assert len(set(names)) == len(names)
    firsts = [outer.index(name) for name in names]
    assert firsts == sorted(firsts)


def test_look_up_of_an_item():
    vocabulary = Vocabulary(("u",), ("007", "7"), ("s",))
    assert vocabulary.item("7") == 1
    with pytest.raises(DataError, match="item '8' is not in the vocabulary of 2 items"):
        vocabulary.item("8")
