"""Checks, sweeps and copies of a store on a real S3 server."""

import uuid

import pandas as pd
import pytest
import torch

from erase_ray.cli.main import main
from erase_ray.experiment._open import open_blobs
from erase_ray.experiment.journal import Snapshot
from erase_ray.experiment.results import RESULTS
from erase_ray.experiment.store import CellRecord, Store
from erase_ray.experiment.upkeep.du import usage
from erase_ray.experiment.upkeep.gc import gc, storage_time
from erase_ray.experiment.upkeep.inventory import header_of
from erase_ray.experiment.upkeep.sync import sync
from erase_ray.experiment.upkeep.verify import verify

BASE, SCIF, OPEN = "ba" * 32, "5c" * 32, "9a" * 32
HOUR_S = 3600.0


def put(store, key, method, weights):
    row = dict.fromkeys(RESULTS, "x") | {"fraction": 0.5, "value": 1 / 3}
    results = pd.DataFrame([row | {"seed": 1, "mark": 1, "k": 10, "n": 3}])
    facts = {"dataset": "toy", "data_key": "d", "model": "bpr", "method": method}
    return store.put_cell(key, CellRecord({}, results=results, weights=weights, facts=facts))


@pytest.fixture
def home(s3_address):
    """A base model, a cell that begins with it, and weights that nobody names."""
    store = Store(s3_address)
    weights = torch.arange(40_000, dtype=torch.float32).reshape(10_000, 4)
    base = store.put_weights({"w": weights})
    changed = weights.clone()
    changed[7] += 1
    mark = store.put_weights({"w": changed}, base)
    put(store, BASE, "base", {"0": base})
    put(store, SCIF, "scif", {"1": mark})
    lost = store.put_weights({"w": torch.ones(5)})
    store.flush()
    return store, open_blobs(s3_address), base, mark, lost


def test_an_intact_store_and_a_damaged_one(home, s3_address, capsys):
    _, blobs, base, mark, _ = home
    verdict = verify(blobs)
    assert verdict.findings == []
    assert verdict.num_files == 2 * 7 + 3
    headers = {e.name: header_of(blobs, e) for e in blobs.entries("weights")}
    assert headers[f"weights/{mark}"]["parent"] == base
    blobs.remove(f"weights/{base}")
    found = {finding.name: finding.problem for finding in verify(blobs).findings}
    assert found == {
        f"weights/{base}": "it is not there",
        f"weights/{mark}": f"its parent weights/{base} is not there",
    }
    assert main(["store", "verify", s3_address]) == 1
    assert capsys.readouterr().out.endswith("read: 2 damaged\n")


def test_the_servers_clock_decides_and_nothing_of_the_probe_is_left(home):
    _, blobs, *_ = home
    now = storage_time(blobs)
    young = [entry.modified for entry in blobs.entries("weights")]
    assert all(0 <= now - modified < 600 for modified in young)
    assert blobs.entries("trash") == []


def test_orphans_are_moved_and_found_and_put_back_or_deleted(home):
    store, blobs, base, mark, lost = home
    store.journal(SCIF, {}).save(Snapshot(1, {}, {"w": torch.ones(3)}))
    store.flush()
    assert not gc(blobs, grace_s=HOUR_S).files
    swept = gc(blobs, grace_s=-2.0)
    assert dict(swept.files) == {"weights to the trash": 1, "journal": 1}
    assert blobs.names("weights") == sorted([f"weights/{base}", f"weights/{mark}"])
    assert torch.equal(store.get_weights(lost)["w"], torch.ones(5))
    put(store, OPEN, "late", {"1": lost})
    assert dict(gc(blobs, grace_s=HOUR_S).files) == {"weights put back": 1}
    assert verify(blobs).findings == []
    blobs.clear(f"cells/9a/{OPEN}")
    gc(blobs, grace_s=-2.0)
    assert dict(gc(blobs, grace_s=-5.0).files) == {"trash": 1}
    assert blobs.names("trash") == []


def test_use_of_room_is_the_listing(home):
    _, blobs, *_ = home
    kinds = usage(blobs)["kind"]
    assert kinds.size.total() == sum(entry.size for entry in blobs.entries(""))
    assert kinds.files["weights that no cell names"] == 1


def test_a_store_goes_to_a_folder_and_to_another_bucket_path(home, s3_address, tmp_path):
    _, blobs, base, mark, _ = home
    folder = open_blobs(str(tmp_path / "copy"))
    assert sync(blobs, folder).folders == 2
    assert verify(folder).findings == []
    back = open_blobs(f"{s3_address}-{uuid.uuid4().hex}")
    copied = sync(folder, back)
    assert (copied.folders, copied.weights) == (2, 2)
    assert sync(folder, back).there == 2
    verdict = verify(back)
    assert (verdict.findings, verdict.num_files) == ([], 2 * 7 + 2)
    for sha in (base, mark):
        assert back.read(f"weights/{sha}") == blobs.read(f"weights/{sha}")
