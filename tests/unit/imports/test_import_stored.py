"""Imported results in the store, and what keeps a store tidy."""

import math

import pandas as pd
import pytest

from erase_ray.errors import StoreError
from erase_ray.experiment._open import open_blobs
from erase_ray.experiment.results import RESULTS
from erase_ray.experiment.store import Store
from erase_ray.experiment.upkeep.du import usage
from erase_ray.experiment.upkeep.gc import gc
from erase_ray.experiment.upkeep.sync import sync
from erase_ray.experiment.upkeep.verify import verify
from erase_ray.imports.rows import COLUMNS
from erase_ray.imports.stored import imported_names, imported_results, put_imported


@pytest.fixture(params=["local", "memory"])
def uri(request, tmp_path):
    return str(tmp_path / "runs") if request.param == "local" else f"memory://imp{tmp_path}"


def rows(seed: int = 2) -> pd.DataFrame:
    row = dict.fromkeys(COLUMNS, "x") | {"seed": seed, "mark": 0, "k": 10, "n": math.nan}
    return pd.DataFrame([row | {"fraction": math.nan, "value": 0.25, "source": "erase"}])


def put(blobs, name: str, seed: int = 2) -> str:
    facts = {"source": "erase", "read": {"a.log": {"size": 1, "sha256": "0" * 64}}}
    return put_imported(blobs, name, rows(seed), {"requests_a.parquet": b"PAR1"}, facts)


def test_without_any_the_table_is_empty_and_has_the_columns(uri):
    found = imported_results(Store(uri))
    assert list(found.columns) == [*RESULTS, "source"]
    assert len(found) == 0


def test_all_imports_in_the_order_of_their_names(uri):
    blobs = open_blobs(uri)
    assert put(blobs, "two", 3) == "imported/two"
    put(blobs, "one", 2)
    assert imported_names(blobs) == ["one", "two"]
    for found in (imported_results(Store(uri)), imported_results(blobs)):
        assert found["seed"].tolist() == [2, 3]
        assert found["n"].isna().all()
        assert found["fraction"].isna().all()
        assert found["value"].tolist() == [0.25, 0.25]


def test_a_name_is_taken_once(uri):
    blobs = open_blobs(uri)
    put(blobs, "one")
    with pytest.raises(StoreError, match="has imported/one already; choose another --name"):
        put(blobs, "one", 3)
    assert imported_results(blobs)["seed"].tolist() == [2]
    with pytest.raises(StoreError, match=r"'\.\./x' cannot name imported results"):
        put(blobs, "../x")


def test_damage_is_found(uri):
    blobs = open_blobs(uri)
    put(blobs, "one")
    blobs.write("imported/one/results.parquet", b"other")
    with pytest.raises(StoreError, match="is missing or not what was committed"):
        imported_results(blobs)
    assert [f.name for f in verify(blobs).findings] == [
        "imported/one/requests_a.parquet",
        "imported/one/results.parquet",
    ]


def test_upkeep_keeps_and_counts_them(uri, tmp_path):
    blobs = open_blobs(uri)
    put_imported(blobs, "one", rows(), {}, {"source": "erase"})
    assert verify(blobs).findings == []
    assert verify(blobs).num_files == 2
    assert gc(blobs, grace_s=0).files == {}
    kinds = usage(blobs)["kind"]
    assert kinds.files["imported results"] == 2
    assert kinds.files["raw and other files"] == kinds.files["tables"] == 0
    target = open_blobs(str(tmp_path / "copy"))
    assert sync(blobs, target).folders == 1
    assert imported_results(target).equals(imported_results(blobs))
    assert sync(blobs, target, only="model=bpr").folders == 0


def test_what_a_killed_import_left_is_swept(uri):
    blobs = open_blobs(uri)
    put_imported(blobs, "one", rows(), {}, {"source": "erase"})
    blobs.write("imported/one/pending", b"12345")
    swept = gc(blobs, grace_s=-1)
    assert swept.files == {"pending": 1}
    assert len(imported_results(blobs)) == 1
