"""Offline runs of Weights & Biases, read back from their record files."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from stored_toys import EPOCHS, put, put_run

from erase_ray.errors import EraseError
from erase_ray.experiment.store import Store
from erase_ray.report.exports import Exported, export

pytest.importorskip("wandb")
messages = pytest.importorskip("wandb.proto.wandb_internal_pb2")

BLOCK, HEAD = 32768, 7
"""A record file is a LevelDB log: blocks of 32 KiB, and 7 bytes before each piece of a record."""


def records(path: Path) -> Iterator:
    """All records of a file."""
    data = path.read_bytes()
    assert data.startswith(b":W&B")
    place, whole = HEAD, b""
    while place + HEAD <= len(data):
        if BLOCK - place % BLOCK < HEAD:
            place += BLOCK - place % BLOCK
        length, kind = int.from_bytes(data[place + 4 : place + 6], "little"), data[place + 6]
        whole += data[place + HEAD : place + HEAD + length]
        place += HEAD + length
        if kind in (1, 4):  # a whole record, or its last piece
            yield messages.Record.FromString(whole)
            whole = b""


def values(items) -> dict:
    return {"/".join(i.nested_key) or i.key: json.loads(i.value_json) for i in items}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A store of two cells of a run, exported once."""
    folder = tmp_path_factory.mktemp("wandb")
    store = Store(str(folder / "runs"))
    keys = [put(store, log=EPOCHS), put(store, "base")]
    put_run(store, "grid", keys)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("WANDB_PROJECT", "WANDB_MODE", "WANDB_DIR"):
            patch.delenv(name, raising=False)
        assert export(store, "wandb", str(folder / "out")) == Exported(2, 0, 0)
    return store, keys, folder / "out"


def run_folder(out: Path, key: str) -> Path:
    (found,) = (out / "wandb").glob(f"offline-run-*-{key[:16]}")
    return found


def test_the_numbers_are_in_the_run(exported):
    _, keys, out = exported
    found = list(records(run_folder(out, keys[0]) / f"run-{keys[0][:16]}.wandb"))
    rows = [values(r.history.item) for r in found if r.WhichOneof("record_type") == "history"]
    recall = {row["mark"]: row["results/recall_at_20"] for row in rows if "mark" in row}
    assert recall == {1: 0.1, 2: 0.2, 3: 0.3, 4: 0.4}
    loss = {row["epoch"]: row["training/loss"] for row in rows if "epoch" in row}
    assert loss == {0: 0.9, 1: 0.5}
    norms = {row["request"]: row.get("requests/step_norm") for row in rows if "request" in row}
    assert norms == {1: 0.5, 2: None, 3: 0.25}
    steps = {r.metric.glob_name: r.metric.step_metric for r in found if r.HasField("metric")}
    assert steps["results/*"] == "mark"
    assert steps["training*"] == "epoch"


def test_the_run_is_named_grouped_and_set_up(exported):
    _, keys, out = exported
    found = records(run_folder(out, keys[0]) / f"run-{keys[0][:16]}.wandb")
    run = next(record.run for record in found if record.HasField("run"))
    assert (run.run_id, run.project, run.run_group) == (keys[0][:16], "erase-ray", "grid")
    assert (run.display_name, run.job_type) == ("toy:small/bpr/scif/s2", "scif")
    config = values(run.config.update)
    assert config["scenario.fraction"] == 0.05
    assert config["cell"]["key"] == keys[0]
    assert config["cell"]["split_hash"] == "s" * 8


def test_again_adds_what_is_new_and_redoes_what_was_broken_off(exported):
    store, keys, out = exported
    broken = run_folder(out, keys[1])
    (broken / "erase-ray-cell.txt").unlink()
    put(store, seed=3)
    assert export(store, "wandb", str(out)) == Exported(new=2, there=1, shadows=0)
    assert run_folder(out, keys[1]).exists()
    assert len(list((out / "wandb").glob("offline-run-*"))) == 3


def test_it_writes_to_folders_only(exported):
    with pytest.raises(EraseError, match=r"got https://wandb\.me; `wandb sync FOLDER/wandb/off"):
        export(exported[0], "wandb", "https://wandb.me")
