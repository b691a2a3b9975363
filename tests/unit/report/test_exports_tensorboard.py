"""Event files, read back by TensorBoard itself."""

import math
from pathlib import Path

import pytest
from stored_toys import EPOCHS, put

from erase_ray.errors import EraseError
from erase_ray.experiment.store import Store
from erase_ray.report.exports import Exported, export

accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
plugin_data = pytest.importorskip("tensorboard.plugins.hparams.plugin_data_pb2")


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(str(tmp_path / "runs"))


def read(folder: Path):
    found = accumulator.EventAccumulator(str(folder), size_guidance={"scalars": 0})
    return found.Reload()


def folder_of(out: Path, key: str) -> Path:
    (folder,) = [path for path in out.rglob(key[:12]) if path.is_dir()]
    return folder


def test_numbers_come_back_at_their_steps(store, tmp_path):
    values = {("recall", 20): (0.1, 0.2, math.nan, 0.4), ("rmia.auc", 0): (0.5, 0.6, 0.7, 0.8)}
    key = put(store, values=values, log=EPOCHS)
    assert export(store, "tensorboard", str(tmp_path / "tb")) == Exported(1, 0, 0)
    folder = folder_of(tmp_path / "tb", key)
    assert folder.relative_to(tmp_path / "tb").as_posix() == f"toy-small/bpr/scif/s2/{key[:12]}"
    events = read(folder)
    assert set(events.Tags()["scalars"]) == {
        "results/recall_at_20",
        "results/rmia.auc",
        "costs/seconds_request",
        "training/loss",
        "training/valid",
        "requests/step_norm",
        "requests/seconds",
    }
    recall = events.Scalars("results/recall_at_20")
    assert [event.step for event in recall] == [2, 4, 5, 7]
    assert [event.value for event in recall] == pytest.approx(
        [0.1, 0.2, math.nan, 0.4], nan_ok=True
    )
    assert [event.value for event in events.Scalars("results/rmia.auc")][3] == pytest.approx(0.8)
    loss = [(event.step, event.value) for event in events.Scalars("training/loss")]
    assert loss == [(0, pytest.approx(0.9)), (1, pytest.approx(0.5))]
    assert [event.step for event in events.Scalars("requests/step_norm")] == [1, 3]


def test_settings_are_hyper_parameters(store, tmp_path):
    key = put(store)
    export(store, "tensorboard", str(tmp_path))
    metadata = read(folder_of(tmp_path, key)).summary_metadata
    content = metadata["_hparams_/session_start_info"].plugin_data.content
    found = plugin_data.HParamsPluginData.FromString(content).session_start_info.hparams
    assert found["scenario.fraction"].number_value == 0.05
    assert found["method"].string_value == "scif"
    assert found["model.tied"].bool_value
    content = metadata["_hparams_/experiment"].plugin_data.content
    metrics = plugin_data.HParamsPluginData.FromString(content).experiment.metric_infos
    assert {info.name.tag for info in metrics} == {"results/recall_at_20", "costs/seconds_request"}


def test_again_adds_what_is_new_and_clears_what_was_broken_off(store, tmp_path):
    out = tmp_path / "tb"
    first = put(store)
    export(store, "tensorboard", str(out))
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    (out / ".partial-x").mkdir()
    second = put(store, seed=3)
    assert export(store, "tensorboard", str(out)) == Exported(new=1, there=1, shadows=0)
    assert not (out / ".partial-x").exists()
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert len(read(folder_of(out, first)).Scalars("results/recall_at_20")) == 4
    assert len(list(folder_of(out, second).glob("events.out.tfevents.*"))) == 1


def test_it_writes_to_folders_only(store):
    with pytest.raises(EraseError, match=r"--to tensorboard writes to a local folder, got s3://b"):
        export(store, "tensorboard", "s3://b")
