"""Results that are computed again from what is stored."""

import numpy as np
import pandas as pd
import pytest

from erase_ray.experiment.answers import Gauge, Judged
from erase_ray.experiment.recompute import Questions, differences, recompute, why_skipped
from erase_ray.experiment.tables import to_parquet
from erase_ray.experiment.upkeep.recheck import recheck
from tests.unit.experiment.chain_toys import AT_MARKS, Interrupted, assert_same
from tests.unit.experiment.recompute_toys import copied, finished


@pytest.fixture(scope="module")
def sensitive(tmp_path_factory):
    return finished("sensitive", tmp_path_factory.mktemp("sensitive"))


@pytest.mark.parametrize(
    ("scenario", "model"),
    [("account", "bpr"), ("spam", "bpr"), ("item", "gru4rec"), ("sensitive", "sets2sets")],
)
def test_results_come_out_bit_by_bit(scenario, model, tmp_path):
    store, cell = finished(scenario, tmp_path, model)
    stored, again = store.table(cell.key, "results"), recompute(store, cell.key)
    assert to_parquet("results", again) == to_parquet("results", stored)
    assert again["mark"].unique().tolist() == [1, 2, 3, 4]
    assert ("exposure_mass" in set(again["metric"])) == (scenario != "account")
    assert differences(cell.key, stored, again) == []


def test_exposure_survives_in_a_cell_that_goes_on_from_a_snapshot(sensitive, tmp_path):
    store, cell = sensitive
    stopped = Interrupted(cell, tmp_path)
    stopped.run([6], AT_MARKS)
    assert stopped.served.count(0) == 1
    assert_same(cell, stopped.store, store)
    assert recheck(stopped.store).differences == []


def test_neither_model_nor_weights_are_read(sensitive, monkeypatch):
    store, cell = sensitive
    for name in ("make_model", "make_method"):
        monkeypatch.setattr(f"erase_ray.experiment.cell.Cell.{name}", None)
    monkeypatch.setattr("erase_ray.experiment.store.Store.get_weights", None)
    assert len(recompute(store, cell.key)) > 0


def test_a_wrong_number_is_told_by_name(sensitive, tmp_path):
    store, cell = sensitive
    results = store.table(cell.key, "results")
    at = results.query("metric == 'recall.others' and k == 20 and mark == 3").index[0]
    right = float(results.loc[at, "value"])
    wrong = float(np.nextafter(right, 1))
    results.loc[at, "value"] = wrong
    (found,) = recheck(copied(store, cell, tmp_path, results=results)).differences
    assert vars(found) == {
        "cell": cell.key,
        "mark": 3,
        "metric": "recall.others",
        "k": 20,
        "column": "value",
        "stored": wrong,
        "recomputed": right,
    }
    assert str(found) == (f"recall.others at 20, mark 3: value is {wrong!r}, recomputed {right!r}")


def test_other_answers_and_missing_and_surplus_rows_are_told(sensitive, tmp_path):
    store, cell = sensitive
    results, ranked = (store.table(cell.key, name) for name in ("results", "ranked"))
    is_probe = (ranked["asks"] == "probe") & (ranked["mark"] == 2)
    ranked.loc[is_probe, "exposed_mass"] = np.float32(0.5)
    results = results[results["metric"] != "mrr"]
    surplus = pd.DataFrame([results.iloc[0].to_dict() | {"metric": "made_up"}])
    results = pd.concat([results, surplus])
    found = recheck(copied(store, cell, tmp_path, results=results, ranked=ranked)).differences
    texts = [str(one) for one in found]
    assert any(text.startswith("exposure_mass at 0, mark 2: value is") for text in texts)
    assert "mrr at 10, mark 1: the row is missing" in texts
    assert f"{surplus['metric'][0]} at 10, mark 1: the row is too many" in texts
    assert len(found) == 1 + 8 + 1


def test_nan_is_equal_to_nan_and_to_nothing_else(sensitive):
    store, cell = sensitive
    one = store.table(cell.key, "results").head(2).assign(value=[np.nan, 0.0])
    assert differences(cell.key, one, one.copy()) == []
    (found,) = differences(cell.key, one, one.assign(value=[0.5, 0.0]))
    assert np.isnan(found.stored)
    assert found.recomputed == 0.5
    assert len(differences(cell.key, one, one.assign(value=[np.nan, -0.0]))) == 1


def test_cells_without_answers_are_counted(sensitive):
    store, cell = sensitive
    found = recheck(store, jobs=2)
    assert (found.differences, found.unreadable) == ([], {})
    assert found.num_cells == 1
    assert found.num_rows == len(store.table(cell.key, "results"))
    assert found.skipped == {"base": 1}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, ""),
        ({"audit": {"name": "rmia", "settings": {}}}, "audit"),
        ({"shadow": {"index": 0, "count": 2}}, "shadow"),
        ({"method": {"name": "base", "settings": {}}}, "base"),
        ({"seed": 9}, "made by another version"),
        ({"unheard": 1}, "made by another version"),
        ({"model": {"name": "forgotten", "settings": {}}}, "made by another version"),
    ],
)
def test_why_a_cell_is_passed_over(sensitive, changes, reason):
    store, cell = sensitive
    assert why_skipped(store.settings(cell.key) | changes, cell.key) == reason


def test_a_cell_whose_chain_is_gone_is_unreadable(sensitive, tmp_path):
    store, cell = sensitive
    other = copied(store, cell, tmp_path)
    for path in tmp_path.glob("data/*/*/chains/*/manifest.json"):
        path.unlink()
    found = recheck(other)
    assert "is not at" in found.unreadable[cell.key]
    assert found.num_cells == 0


def test_a_sample_is_drawn_by_its_seed(sensitive):
    store, _ = sensitive
    drawn = [recheck(store, 0.5, seed) for seed in range(8)]
    sizes = {one.num_cells + sum(one.skipped.values()) for one in drawn}
    assert sizes <= {0, 1, 2}
    assert len(sizes) > 1
    again = recheck(store, 0.5, 0)
    assert (again.num_cells, again.skipped) == (drawn[0].num_cells, drawn[0].skipped)


def measured(judged: Judged) -> dict:
    keys = sorted(judged.tallies)
    return {key: [vars(one) for one in judged.measured(*key)] for key in keys}


@pytest.mark.parametrize("tile", [1, 7, 1000])
def test_stored_answers_are_worth_the_same_in_tiles_of_any_size_and_order(
    sensitive, tile, tmp_path
):
    store, cell = sensitive
    gauge = Questions.of(cell, store).gauge
    ranked = store.table(cell.key, "ranked")
    paths = [tmp_path / "one.parquet", tmp_path / "two.parquet"]
    for path, frame in zip(paths, (ranked, ranked.sample(frac=1, random_state=0)), strict=True):
        path.write_bytes(to_parquet("ranked", frame))
    one, two = gauge.stored(str(paths[0])), gauge.stored(str(paths[1]), tile)
    np.testing.assert_equal(measured(one), measured(two))


def test_parts_of_stored_answers_may_be_merged(sensitive, tmp_path):
    store, cell = sensitive
    gauge: Gauge = Questions.of(cell, store).gauge
    ranked = store.table(cell.key, "ranked")
    half = len(ranked) // 2
    parts = []
    for number, frame in enumerate((ranked[half:], ranked[:half], ranked)):
        path = tmp_path / f"{number}.parquet"
        path.write_bytes(to_parquet("ranked", frame))
        parts.append(gauge.stored(str(path)))
    parts[0].merge(parts[1])
    np.testing.assert_equal(measured(parts[0]), measured(parts[2]))


def test_shorter_lists_are_filled_up(sensitive, tmp_path):
    """Lists that someone else cut behind the last item."""
    store, cell = sensitive
    gauge = Questions.of(cell, store).gauge
    ranked = store.table(cell.key, "ranked")
    ranked["items"] = [items[: place % 20] for place, items in enumerate(ranked["items"])]
    full = ranked.copy()
    full["items"] = [np.r_[items, np.full(20 - len(items), -1)] for items in ranked["items"]]
    found = []
    for number, frame in enumerate((ranked, full)):
        path = tmp_path / f"{number}.parquet"
        path.write_bytes(to_parquet("ranked", frame))
        found.append(measured(gauge.stored(str(path))))
    np.testing.assert_equal(*found)
