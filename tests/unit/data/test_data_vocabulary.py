"""Outer and inner ids."""

import pytest

from erase_ray.data.vocabulary import Vocabulary
from erase_ray.errors import DataError


def test_look_up_of_an_item():
    vocabulary = Vocabulary(("u",), ("007", "7"), ("s",))
    assert vocabulary.item("7") == 1
    with pytest.raises(DataError, match="item '8' is not in the vocabulary of 2 items"):
        vocabulary.item("8")
