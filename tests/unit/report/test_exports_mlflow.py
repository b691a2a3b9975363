"""An MLflow database, read back with SQL."""

import sqlite3
from pathlib import Path
from urllib.parse import urlparse

import pytest
from stored_toys import EPOCHS, put, put_run

from erase_ray.errors import EraseError
from erase_ray.experiment.store import Store
from erase_ray.report.exports import Exported, export

tracking = pytest.importorskip("mlflow.tracking")
pytest.importorskip("sqlalchemy")


class Exports:
    """One store and one database for all tests here, as making the latter takes seconds."""

    def __init__(self, folder: Path):
        self.store, self.out = Store(str(folder / "runs")), folder / "out"
        self.keys = [
            put(self.store, log=EPOCHS, settings={"damping": 0.1}),
            put(self.store, "base"),
        ]
        put_run(self.store, "grid", self.keys)
        self.first = self.export()

    def export(self) -> Exported:
        return export(self.store, "mlflow", str(self.out))

    def ask(self, query: str, *values: str) -> list[tuple]:
        connection = sqlite3.connect(self.out / "mlflow.db")
        try:
            return connection.execute(query, values).fetchall()
        finally:
            connection.close()

    def run_of(self, key: str) -> str:
        ((run,),) = self.ask(
            "select t.run_uuid from tags t join runs r on r.run_uuid = t.run_uuid "
            "where t.key = 'erase_ray.cell' and t.value = ? and r.lifecycle_stage = 'active'",
            key,
        )
        return run


@pytest.fixture(scope="module")
def exports(tmp_path_factory) -> Exports:
    return Exports(tmp_path_factory.mktemp("mlflow"))


def test_cells_are_finished_runs_nested_in_that_of_the_grid(exports):
    assert exports.first == Exported(new=2, there=0, shadows=0)
    rows = exports.ask("select name, status, run_uuid from runs order by name")
    assert [row[:2] for row in rows] == [
        ("grid", "FINISHED"),
        ("toy:small/bpr/base/s2", "FINISHED"),
        ("toy:small/bpr/scif/s2", "FINISHED"),
    ]
    parents = exports.ask("select distinct value from tags where key = 'mlflow.parentRunId'")
    assert parents == [(rows[0][2],)]


def test_numbers_settings_and_hashes_come_back(exports):
    run = exports.run_of(exports.keys[0])
    asked = "select step, value from metrics where run_uuid = ? and key = ? order by step"
    assert exports.ask(asked, run, "results/recall_at_20") == [
        (1, 0.1),
        (2, 0.2),
        (3, 0.3),
        (4, 0.4),
    ]
    assert exports.ask(asked, run, "training/loss") == [(0, 0.9), (1, 0.5)]
    assert exports.ask(asked, run, "requests/step_norm") == [(1, 0.5), (3, 0.25)]
    params = dict(exports.ask("select key, value from params where run_uuid = ?", run))
    assert params["method.damping"] == "0.1"
    assert params["model.sizes"] == "[8, 4]"
    tags = dict(exports.ask("select key, value from tags where run_uuid = ?", run))
    assert tags["erase_ray.cell"] == exports.keys[0]
    assert tags["erase_ray.split_hash"] == "s" * 8


def test_artifacts_are_the_files_of_the_store(exports):
    key = exports.keys[0]
    ((uri,),) = exports.ask("select artifact_uri from runs where run_uuid = ?", exports.run_of(key))
    folder, stored = Path(urlparse(uri).path), Path(exports.store.uri, "cells", key[:2], key)
    assert folder.is_relative_to(exports.out)
    for name in ("settings.yaml", "results.parquet"):
        assert (folder / name).read_bytes() == (stored / name).read_bytes()


def test_again_adds_what_is_new_and_redoes_what_was_broken_off(exports):
    broken = exports.run_of(exports.keys[0])
    client = tracking.MlflowClient(tracking_uri=f"sqlite:///{exports.out}/mlflow.db")
    client.update_run(broken, status="RUNNING")
    put(exports.store, seed=3)
    assert exports.export() == Exported(new=2, there=1, shadows=0)
    assert exports.run_of(exports.keys[0]) != broken
    active = exports.ask("select count(*) from runs where lifecycle_stage = 'active'")
    assert active == [(4,)]  # three cells and the grid
    assert exports.export() == Exported(new=0, there=3, shadows=0)


def test_a_server_that_does_not_answer_is_named_without_secrets(exports, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(EraseError, match=r"^MLflow at http://[^@]*127\.0\.0\.1:9") as caught:
        export(exports.store, "mlflow", "http://me:secret@127.0.0.1:9")
    assert "secret" not in str(caught.value)
