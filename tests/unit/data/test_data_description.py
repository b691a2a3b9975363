"""Numbers of a description, worked out by hand."""

import numpy as np
import pytest

from erase_ray.data.catalogue import Catalogue
from erase_ray.data.description import describe, spread
from erase_ray.data.interactions import Interactions
from erase_ray.data.prepared import Prepared
from erase_ray.data.split import Split
from erase_ray.data.vocabulary import Vocabulary
from tests.conftest import planted


def prepared(task: str) -> Prepared:
    """Two users: one with sequences of 3 and 1 rows, one with a sequence of 2 rows in one step."""
    columns = {
        "user": [0, 0, 0, 0, 1, 1],
        "sequence": [0, 0, 0, 1, 2, 2],
        "step": [0, 1, 1, 0, 0, 0],
        "item": [0, 1, 2, 0, 0, 3],
        "time": [0, 1, 1, 5, 0, 0],
    }
    table = Interactions.prepared({name: np.array(column) for name, column in columns.items()})
    flags = {"odd": np.array([False, True, False, True]), "none": np.zeros(4, bool)}
    return Prepared(
        "toy",
        task,
        table,
        Split(np.array([0, 0, 1, 0, 0, 2], np.int8)),
        Vocabulary(("u", "v"), ("a", "b", "c", "d"), ("x", "y", "z")),
        Catalogue(("A", "B", "C", "D"), flags),
    )


@pytest.mark.parametrize(
    ("task", "lengths", "more"),
    [
        ("cf", {"interactions a user": [4, 2]}, {}),
        (
            "session_based",
            {"interactions a session": [3, 1, 2], "sessions a user": [2, 1]},
            {"sessions": 3},
        ),
        (
            "next_basket",
            {"items a basket": [1, 2, 1, 2], "baskets a user": [3, 1]},
            {"baskets": 4},
        ),
    ],
)
def test_lengths_and_sizes(task, lengths, more):
    found = describe(prepared(task))
    assert {kind: values.tolist() for kind, values in found.lengths.items()} == lengths
    assert found.sizes == {"interactions": 6, "users": 2, "items": 4} | more
    assert found.parts == {"train": 4, "valid": 1, "test": 1}


def test_popularity():
    found = describe(prepared("cf"))
    assert found.popularity.tolist() == [3, 1, 1, 1]
    assert found.top_share(0.25) == 0.5
    assert found.top_share(0.001) == 0.5  # one item at least
    assert found.top_share(1) == 1


def test_categories():
    none, odd = describe(prepared("cf")).categories
    assert (none.name, none.num_items, none.num_rows, none.num_users) == ("none", 0, 0, 0)
    assert none.sample == ()
    assert (odd.name, odd.num_items, odd.num_rows, odd.num_users) == ("odd", 2, 2, 2)
    assert set(odd.sample) == {("b", "B"), ("d", "D")}


def test_samples_are_seeded_and_grow():
    def sample(size: int, seed: int) -> set[tuple[str, str]]:
        _, sensitive = describe(planted("cf"), size, seed).categories
        return set(sensitive.sample)

    assert len(sample(5, 0)) == 5
    assert sample(5, 0) == sample(5, 0)
    assert sample(5, 0) < sample(8, 0)
    assert sample(5, 0) != sample(5, 1)


def test_spread():
    found = spread(np.arange(1, 101))
    assert list(found.values()) == [1, 25, 50, 75, 90, 99, 100, 50.5]
    assert all(np.isnan(value) for value in spread(np.zeros(0)).values())
