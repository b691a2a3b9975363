"""Texts by position."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from erase_ray.data.names import Names

texts = st.lists(st.text(max_size=4), max_size=30)


@given(texts)
def test_it_is_the_list_it_was_made_of(listed):
    names = Names.of(listed)
    assert list(names) == listed
    assert names == listed
    assert names == tuple(listed)
    assert names == Names.of(pa.array(listed, pa.string()))
    assert len(names) == len(listed)


def test_positions_and_slices():
    names = Names.of(["b", "", "ä"])
    assert names[2] == "ä"
    assert names[-1] == "ä"
    assert names[1:] == ("", "ä")
    assert names.take(np.array([2, 0])) == ("ä", "b")
    assert names.joined(Names.of("x")) == ("b", "", "ä", "x")
    assert names != ("b", "", "a")
    assert repr(names) == "Names('b', '', 'ä'; 3)"
    assert hash(names) == hash(Names.of(("b", "", "ä")))


def test_where_texts_are():
    places = Names.of(["b", "a"]).positions(["a", "z", "b", "a"])
    assert places.tolist() == [1, -1, 0, 1]
    assert Names.of([]).positions(["a"]).tolist() == [-1]


def test_nulls_are_refused():
    with pytest.raises(ValueError, match="1 of 2 texts are null"):
        Names.of(pa.array(["a", None]))


def test_natural_order():
    in_order = ["0", "2", "07", "7", "10", "", "1a", "B", "a", "é"]
    shuffled = Names.of(in_order[::-1])
    assert shuffled.natural_ranks.tolist() == list(range(len(in_order)))[::-1]


def natural(text: str) -> tuple:
    if text.isascii() and text.isdigit():
        digits = text.lstrip("0")
        return False, len(digits), digits, text
    return True, 0, "", text


@given(st.sets(st.text("019aé²", max_size=4), max_size=20))
def test_natural_order_is_that_of_a_plain_sort(distinct):
    names = Names.of(sorted(distinct))
    expected = sorted(distinct, key=natural)
    assert names.take(np.argsort(names.natural_ranks)) == expected
