"""The journal of a chain on a real S3 server."""

import math

import pytest
import torch

from erase_ray.experiment.chain import ChainRunner
from erase_ray.experiment.chain_journal import Pace
from erase_ray.experiment.grid import expand
from erase_ray.experiment.grid_file import Block
from erase_ray.experiment.journal import Snapshot
from erase_ray.experiment.plan import build
from erase_ray.experiment.run import run_cell, run_node
from erase_ray.experiment.store import Store

ALWAYS = Pace(every_s=0.0, mark_s=0.0, share=math.inf)
KEY = "ab" * 32


class Killed(BaseException):
    """Stands for SIGKILL."""


def test_two_snapshots_are_kept_and_the_newest_is_read(s3_address):
    store = Store(s3_address)
    journal = store.journal(KEY, {"chain": "1"})
    large = torch.rand(10_000)
    for position in (1, 2, 3, 4):
        assert journal.save(Snapshot(position, {}, {"large": large, "n": torch.tensor(position)}))
    folder = f"cells/{KEY[:2]}/{KEY}/journal"
    names = [name.rpartition("/")[2] for name in store._blobs.names(folder)]
    assert [int(name.partition("-")[0]) for name in names] == [1, 3, 4]
    assert store.done_cells() == set()
    found = Store(s3_address).journal(KEY, {"chain": "1"}).load()
    assert found.position == found.tensors["n"] == 4
    assert torch.equal(found.tensors["large"], large)
    assert Store(s3_address).journal(KEY, {"chain": "2"}).load() is None
    store.drop_working_files(KEY)
    assert store._blobs.names(folder) == []


def test_a_killed_chain_goes_on_from_s3(s3_address, tmp_path, monkeypatch):
    block = Block(
        datasets={"planted": {"task": "cf", "num_users": 60, "num_items": 72}},
        models={"bpr": {"embedding_size": 8}},
        training={"epochs": 1, "batch_size": 64},
        scenarios={"account": {"num_users": 9}},
        methods={"scif": {"num_retain": 16}},
        seeds=[2],
    )
    (cell,) = expand([block])
    there, here = Store(s3_address), Store(str(tmp_path))
    for store, address in ((there, s3_address), (here, str(tmp_path))):
        for node in build([cell], store).pending():
            if node.key != cell.key:
                run_node(node.payload, address)
    run_cell(cell, here, torch.device("cpu"))
    original, served = ChainRunner._serve_one, []

    def serve(runner, spec, *rest):
        if spec.id == 6 and -1 not in served:
            served.append(-1)
            raise Killed
        served.append(spec.id)
        return original(runner, spec, *rest)

    monkeypatch.setattr(ChainRunner, "_serve_one", serve)
    with pytest.raises(Killed):
        run_cell(cell, there, torch.device("cpu"), ALWAYS)
    assert run_cell(cell, Store(s3_address), torch.device("cpu"), ALWAYS)
    assert served == [0, 1, 2, 3, 4, 5, -1, 6, 7, 8]
    one, two = here.manifest(cell.key), there.manifest(cell.key)
    assert one["weights"] == two["weights"]
    for name in ("results.parquet", "ranked.parquet"):
        assert one["files"][name]["sha256"] == two["files"][name]["sha256"]
    assert there._blobs.names(f"cells/{cell.key[:2]}/{cell.key}/journal") == []
