import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from erase_ray.errors import StoreError
from erase_ray.experiment.results import OBSERVED, RANKED, REQUESTS, RESULTS
from erase_ray.experiment.tables import SCHEMAS, from_parquet, to_parquet

RESULT = {
    "task": "cf",
    "dataset": "planted",
    "model": "bpr",
    "method": "scif",
    "scenario": "sensitive",
    "category": "health",
    "fraction": 0.001,
    "seed": 2,
    "mark": 1,
    "metric": "recall",
    "k": 10,
    "value": 0.1 + 0.2,
    "unit": "share",
    "better": "up",
    "n": 943,
    "test_hash": "ab",
    "cell": "cd",
}


def results(**changes):
    return pd.DataFrame([RESULT, RESULT | {"mark": 2, "value": float("nan")} | changes])


def test_results_have_the_columns_of_the_format_in_order_and_these_types():
    stored = pq.read_table(pa.BufferReader(to_parquet("results", results())))
    assert tuple(stored.schema.names) == RESULTS
    assert stored.schema.metadata is None
    kinds = {name: str(stored.schema.field(name).type) for name in RESULTS}
    assert {n for n, kind in kinds.items() if kind == "int64"} == {"seed", "mark", "k", "n"}
    assert {n for n, kind in kinds.items() if kind == "double"} == {"fraction", "value"}
    assert {kinds[n] for n in set(RESULTS) - {"seed", "mark", "k", "n", "fraction", "value"}} == {
        "string"
    }


def test_numbers_come_back_bit_for_bit():
    back = from_parquet(to_parquet("results", results()))
    assert back["value"][0].hex() == (0.1 + 0.2).hex()
    assert np.isnan(back["value"][1])
    assert back["mark"].tolist() == [1, 2]
    assert back["category"].tolist() == ["health", "health"]


def test_equal_frames_give_equal_bytes_whatever_their_index_and_column_order():
    frame = results()
    other = frame[list(reversed(RESULTS))].set_index(pd.Index([7, 3]))
    assert to_parquet("results", frame) == to_parquet("results", other)


def test_ranked_lists_are_int32():
    frame = pd.DataFrame(
        {
            "mark": [1, 1],
            "asks": ["test", "probe"],
            "query": [0, 1],
            "user": [5, 6],
            "row": [-1, 9],
            "items": list(np.array([[3, 1], [2, -1]], np.int32)),
            "relevant": [np.array([4], np.int32), np.array([], np.int32)],
            "exposed_rank": np.array([np.nan, 7.5], np.float32),
            "exposed_mass": np.array([np.nan, 0.1], np.float32),
        }
    )
    data = to_parquet("ranked", frame)
    schema = pq.read_schema(pa.BufferReader(data))
    assert str(schema.field("items").type).startswith("list<")
    assert {str(schema.field(f"exposed_{n}").type) for n in ("rank", "mass")} == {"float"}
    back = from_parquet(data)
    assert tuple(back.columns) == RANKED
    assert back["items"][1].tolist() == [2, -1]
    assert back["items"][0].dtype == np.int32
    assert back["relevant"][1].tolist() == []
    for name in ("exposed_rank", "exposed_mass"):
        assert back[name].dtype == np.float32
        np.testing.assert_array_equal(back[name], frame[name])


def test_observations_are_numbers_and_a_flag():
    row = {"mark": 1, "example": 0, "row": 5, "user": 3, "request": -1, "value": -0.5}
    back = from_parquet(to_parquet("observed", pd.DataFrame([row | {"member": False}])))
    assert tuple(back.columns) == OBSERVED
    assert (back["member"].dtype, back["value"].dtype) == (bool, np.float64)
    assert all(back[n].dtype == np.int64 for n in ("mark", "example", "row", "user", "request"))


@pytest.mark.parametrize("name", list(SCHEMAS))
@pytest.mark.parametrize("columns", [(), ("task", "mark")])
def test_empty_frames_keep_the_schema(name, columns):
    stored = pq.read_table(pa.BufferReader(to_parquet(name, pd.DataFrame(columns=list(columns)))))
    assert stored.schema == SCHEMAS[name]
    assert stored.num_rows == 0


def test_requests_have_the_columns_of_the_format():
    assert tuple(SCHEMAS["requests"].names) == REQUESTS


def test_missing_and_unknown_columns_are_named():
    frame = results().drop(columns=["k"]).assign(extra=1)
    with pytest.raises(
        StoreError,
        match=r"^table 'results' lacks the columns \['k'\] and has the unknown columns \['extra'\]",
    ):
        to_parquet("results", frame)


@pytest.mark.parametrize("change", [{"mark": 1.5}, {"mark": "first"}, {"metric": 3}])
def test_values_of_the_wrong_type_are_refused(change):
    with pytest.raises(StoreError, match=r"^table 'results' does not fit its types: "):
        to_parquet("results", results(**change))
