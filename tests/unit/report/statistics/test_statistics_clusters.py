import numpy as np
import pandas as pd
import pytest

from erase_ray.errors import DataError
from erase_ray.report.statistics.clusters import gather

ROWS = pd.DataFrame(
    {
        "seed": [2, 2, 2, 3, 3],
        "user": ["ann", "ann", "bob", "bob", "cem"],
        "a": [1.0, 2.0, 6.0, 4.0, 8.0],
    }
)


def test_sums_and_counts_of_a_user_in_a_seed():
    clusters = gather(ROWS, ["a"])
    assert clusters.sums_SVU[:, 0].tolist() == [[3, 6, 0], [0, 4, 8]]
    assert clusters.counts_SU.tolist() == [[2, 1, 0], [0, 1, 1]]
    assert (clusters.num_seeds, clusters.num_users) == (2, 3)


def test_a_mean_is_over_queries_and_not_over_users():
    assert gather(ROWS, ["a"]).means_SV[:, 0].tolist() == [3, 6]


def test_the_order_of_rows_does_not_change_a_bit():
    generator = np.random.default_rng(0)
    values = pd.DataFrame(
        {
            "seed": generator.integers(0, 3, 500),
            "user": generator.integers(0, 20, 500),
            "a": generator.random(500),
            "b": generator.random(500),
        }
    )
    first, second = (
        gather(values, ["a", "b"]),
        gather(values.sample(frac=1, random_state=1), ["a", "b"]),
    )
    assert np.array_equal(first.sums_SVU, second.sums_SVU)


def test_a_row_that_lacks_one_number_is_left_out_whole():
    values = ROWS.assign(b=[1.0, np.nan, 1.0, 1.0, 1.0])
    clusters = gather(values, ["a", "b"])
    assert clusters.counts_SU.tolist() == [[1, 1, 0], [0, 1, 1]]
    assert clusters.sums_SVU[0, 0].tolist() == [1, 6, 0]


def test_a_seed_without_any_number_is_no_seed():
    clusters = gather(ROWS.assign(a=[1.0, 2.0, 3.0, np.nan, np.nan]), ["a"])
    assert (clusters.num_seeds, clusters.num_users) == (1, 2)


def test_a_missing_column_is_named():
    with pytest.raises(DataError, match=r"no column user, b; it has: seed, a$"):
        gather(ROWS[["seed", "a"]], ["a", "b"])
