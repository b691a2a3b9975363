import json

import pytest
import torch
from upkeep_toys import BASE, HOUR_S, SCIF, SEIF, age, cell, filled, put, table

from erase_ray.errors import StoreError
from erase_ray.experiment._commit import _pack
from erase_ray.experiment._open import open_blobs
from erase_ray.experiment.journal import Snapshot
from erase_ray.experiment.store import Store
from erase_ray.experiment.upkeep.gc import gc, storage_time
from erase_ray.experiment.upkeep.inventory import Inventory, header_of
from erase_ray.experiment.upkeep.verify import verify

OPEN = "9a" * 32


@pytest.fixture
def home(tmp_path):
    store, *names = filled(str(tmp_path))
    return store, open_blobs(str(tmp_path)), names


def orphan(store, number=5.0, parent=None):
    return store.put_weights(table(number), parent)


def weights(blobs):
    return {name.rpartition("/")[2] for name in blobs.names("weights")}


def test_a_store_of_finished_cells_stays_as_it_is(home):
    _, blobs, _ = home
    age(blobs, 100)
    before = blobs.entries("")
    assert not gc(blobs).files
    assert blobs.entries("") == before


@pytest.mark.parametrize("kind", ["local", "memory"])
def test_orphans_go_to_the_trash_and_then_away(kind, tmp_path):
    uri = str(tmp_path) if kind == "local" else f"memory://gc{tmp_path}"
    store, *names = filled(uri)
    lost, blobs = orphan(store), open_blobs(uri)
    size = blobs.size(f"weights/{lost}")
    swept = gc(blobs, grace_s=-1.0)
    assert dict(swept.files) == {"weights to the trash": 1}
    assert swept.size["weights to the trash"] == size
    assert weights(blobs) == set(names)
    assert store.get_weights(lost)["w"][3, 0] == 17.0
    assert dict(gc(blobs, grace_s=HOUR_S).files) == {}
    assert dict(gc(blobs, grace_s=-2.0).files) == {"trash": 1}
    assert blobs.names("trash") == []
    assert verify(blobs).findings == []


def test_young_orphans_stay(home):
    store, blobs, _ = home
    orphan(store)
    assert not gc(blobs, grace_s=HOUR_S).files


def test_the_age_is_that_of_the_storage_whatever_the_clock_of_this_machine(home, monkeypatch):
    store, blobs, _ = home
    orphan(store)
    monkeypatch.setattr("time.time", lambda: 9e9)
    assert not gc(blobs, grace_s=HOUR_S).files
    age(blobs, 25, "weights")
    assert gc(blobs).files["weights to the trash"] == 1


def test_a_storage_without_times_is_not_swept(home, monkeypatch):
    _, blobs, _ = home
    monkeypatch.setattr(blobs, "entries", lambda folder: [])
    with pytest.raises(StoreError, match="does not tell when files were written; nothing is swept"):
        storage_time(blobs)


def test_a_dry_run_changes_nothing(home):
    store, blobs, _ = home
    orphan(store)
    age(blobs, 100)
    before = blobs.entries("")
    assert gc(blobs, dry_run=True).files["weights to the trash"] == 1
    assert blobs.entries("") == before


def test_parents_of_what_is_kept_stay_though_no_manifest_names_them(home):
    store, blobs, (base, _, second) = home
    for key in (BASE, SEIF, SCIF):
        blobs.clear(cell(key))
    put(store, "1a" * 32, "x", {"1": second})
    lost = orphan(store, 3.0, second)
    age(blobs, 100)
    needed, sha, stock = set(), second, Inventory.of(blobs)
    while sha:
        needed.add(sha)
        sha = header_of(blobs, stock.weights[sha]).get("parent")
    assert base in needed
    gc(blobs)
    assert weights(blobs) == needed
    assert lost not in needed
    assert torch.equal(store.get_weights(second)["w"], table(2.0)["w"])


def test_what_a_young_file_is_a_difference_from_stays(home):
    store, blobs, _ = home
    parent = store.put_weights({"w": torch.ones(2000, 4)})
    age(blobs, 100)
    child = torch.ones(2000, 4)
    child[7] = 2
    store.put_weights({"w": child}, parent)
    assert not gc(blobs).files


def test_journals_and_live_logs_and_pending_records_of_open_cells_name_weights(home):
    store, blobs, _ = home
    shas = [orphan(store, 10.0 + number) for number in range(4)]
    facts = {"weights": {"1": shas[0]}}
    store.journal(OPEN, {}).save(Snapshot(1, facts, {"w": torch.ones(3)}))
    event = json.dumps({"event": "mark", "weights": shas[1]})
    blobs.write(f"{cell(OPEN)}/live/a-0.jsonl", event.encode())
    manifest = json.dumps({"weights": {"1": shas[2]}}).encode()
    blobs.write(f"{cell('9b' * 32)}/pending", _pack({"manifest.json": manifest}))
    age(blobs, 100)
    assert dict(gc(blobs).files) == {"weights to the trash": 1}
    assert [f"trash/{sha}" for sha in shas[3:]] == [
        "trash/" + name.rpartition("/")[2] for name in blobs.names("trash")
    ]
    assert blobs.names(cell(OPEN))


def test_leftovers_of_committed_cells_and_temporary_files_go(home):
    store, blobs, _ = home
    store.journal(SCIF, {}).save(Snapshot(1, {}, {"w": torch.ones(3)}))
    for name in ("live/a-0.jsonl", "lease/000001", "pending"):
        blobs.write(f"{cell(SCIF)}/{name}", b"x")
    blobs.write(f"{cell(OPEN)}/lease/000001", b"x")
    blobs.write("weights/.new.abc.tmp", b"half")
    blobs.write(".probe-abc123", b"1")
    age(blobs, 100)
    blobs.write(f"{cell(SEIF)}/pending", b"young")
    swept = gc(blobs)
    assert dict(swept.files) == {"journal": 1, "live": 1, "lease": 1, "pending": 1, "temporary": 2}
    assert swept.size["temporary"] == 5
    left = [entry.name for entry in blobs.entries("")]
    assert f"{cell(OPEN)}/lease/000001" in left
    assert f"{cell(SEIF)}/pending" in left
    assert len(Inventory.of(blobs).leftovers) == 1
    assert verify(blobs).findings == []


def late(monkeypatch, when, action):
    """Do something just after the store was listed so many times."""
    listings, take_stock = [], Inventory.of

    def of(blobs, folder=""):
        found = take_stock(blobs, folder)
        listings.append(folder)
        if len(listings) == when:
            action()
        return found

    monkeypatch.setattr(Inventory, "of", of)


def test_a_cell_committed_meanwhile_is_seen_before_the_sweep(home, monkeypatch):
    store, blobs, _ = home
    lost = orphan(store)
    age(blobs, 100)
    late(monkeypatch, 1, lambda: put(store, "1a" * 32, "x", {"1": lost}))
    assert not gc(blobs).files
    assert lost in weights(blobs)


def test_a_cell_committed_after_the_last_look_gets_its_weights_back(home, monkeypatch):
    store, blobs, _ = home
    lost = orphan(store)
    age(blobs, 100)
    late(monkeypatch, 2, lambda: put(store, "1a" * 32, "x", {"1": lost}))
    assert gc(blobs).files["weights to the trash"] == 1
    monkeypatch.undo()
    store.get_weights(lost)
    assert dict(gc(blobs).files) == {"weights put back": 1}
    assert lost in weights(blobs)
    assert blobs.names("trash") == []
    assert verify(blobs).findings == []


def test_a_difference_from_what_was_thrown_away_meanwhile_brings_it_back(home):
    store, blobs, _ = home
    parent = store.put_weights({"w": torch.ones(2000, 4)})
    age(blobs, 100)
    gc(blobs)
    child = torch.ones(2000, 4)
    child[7] = 2
    put(store, "1a" * 32, "x", {"1": store.put_weights({"w": child}, parent)})
    assert dict(gc(blobs, grace_s=-2.0).files)["weights put back"] == 1
    assert parent in weights(blobs)


def test_a_damaged_manifest_stops_the_sweep(home):
    store, blobs, _ = home
    orphan(store)
    age(blobs, 100)
    blobs.write(f"{cell(SCIF)}/manifest.json", b"{")
    before = blobs.entries("")
    with pytest.raises(StoreError, match=r"Nothing was swept, see 'erase-ray store verify'"):
        gc(blobs)
    assert blobs.entries("") == before


def test_raw_files_and_runs_and_data_are_never_touched(home):
    _, blobs, _ = home
    kept = ["data/raw/abc/films.csv", "runs/r1/events/a.jsonl", "data/toy/d1/split.parquet"]
    for name in kept:
        blobs.write(name, b"x")
    age(blobs, 100)
    assert not gc(blobs).files
    assert set(kept) <= {entry.name for entry in blobs.entries("")}


def test_the_other_store_api_does_not_mind_the_trash(home):
    store, blobs, _ = home
    orphan(store)
    age(blobs, 100)
    gc(blobs)
    assert Store(blobs.address).done_cells() == {BASE, SCIF, SEIF}
