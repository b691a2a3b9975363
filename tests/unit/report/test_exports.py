"""What is exported of a cell, whatever the tool."""

import sys
from pathlib import Path

import pytest
from stored_toys import EPOCHS, MARKS, TRAINED, put, put_run

from erase_ray.errors import EraseError, SettingsError, StoreError
from erase_ray.experiment.store import Store
from erase_ray.report.exports import TARGETS, Exported, export
from erase_ray.report.exports._read import CellExport, Point, read_exports
from erase_ray.report.stored import stored_cells


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(str(tmp_path / "runs"))


def exported(store: Store, **options) -> CellExport:
    key = put(store, **options)
    cells = [cell for cell in stored_cells(store) if cell.key == key]
    return next(read_exports(store, cells))


class Remembered:
    """A target that keeps what it gets."""

    there_before: set[str] = set()

    def __init__(self, out, grid):
        Remembered.grid, Remembered.cells = grid, []

    def __enter__(self):
        return self

    def __exit__(self, *args):
        pass

    def there(self):
        return self.there_before

    def put(self, cell):
        self.cells.append(cell)


@pytest.fixture
def target(monkeypatch):
    monkeypatch.setitem(TARGETS, "memory", Remembered)
    monkeypatch.setattr(Remembered, "there_before", set())
    return Remembered


def test_settings_become_dotted_names_and_none_is_left_out(store):
    assert exported(store, settings={"damping": 0.01}).params == {
        "dataset": "toy",
        "dataset.min_rating": 0.5,
        "model": "bpr",
        "model.sizes": "[8, 4]",
        "model.tied": True,
        "training.epochs": 2,
        "training.optimiser.name": "adam",
        "scenario": "sensitive",
        "scenario.category": "health",
        "scenario.fraction": 0.05,
        "method": "scif",
        "method.damping": 0.01,
        "seed": 2,
    }


def test_numbers_have_a_name_an_axis_and_a_step(store):
    values = {("recall", 20): (0.1, 0.2, 0.3, 0.4), ("exposure_rank", 0): (9.0, 8.0, 7.0, 6.0)}
    cell = exported(store, values=values, log=EPOCHS, seconds=14.0)
    assert cell.points == [
        *(Point("results/recall_at_20", "mark", n, n / 10) for n in (1, 2)),
        Point("results/recall_at_20", "mark", 3, 0.3),
        Point("results/recall_at_20", "mark", 4, 0.4),
        *(Point("results/exposure_rank", "mark", n, 10.0 - n) for n in (1, 2, 3, 4)),
        Point("costs/seconds_request", "mark", 4, 2.0),
        Point("training/loss", "epoch", 0, 0.9),
        Point("training/valid", "epoch", 0, 0.25),
        Point("training/loss", "epoch", 1, 0.5),
        Point("requests/step_norm", "request", 1, 0.5),
        Point("requests/seconds", "request", 1, 0.25),
        Point("requests/seconds", "request", 2, 1.25),
        Point("requests/step_norm", "request", 3, 0.25),
        Point("requests/seconds", "request", 3, 2.25),
    ]
    assert [cell.served(point) for point in cell.points[:4]] == list(MARKS)
    assert cell.served(cell.points[-1]) == 3
    assert cell.last() == {
        "results/recall_at_20": 0.4,
        "results/exposure_rank": 6.0,
        "costs/seconds_request": 2.0,
    }
    assert list(cell.rows())[3:6] == [
        {
            "mark": 4,
            "results/recall_at_20": 0.4,
            "results/exposure_rank": 6.0,
            "costs/seconds_request": 2.0,
        },
        {"epoch": 0, "training/loss": 0.9, "training/valid": 0.25},
        {"epoch": 1, "training/loss": 0.5},
    ]


def test_a_base_model_has_its_training_at_mark_0(store):
    cell = exported(store, method="base", log=EPOCHS, seconds=7.0)
    assert cell.points[0] == Point("costs/seconds_train", "mark", 0, 1.0)
    assert cell.served(cell.points[0]) == 0
    assert {point.axis for point in cell.points} == {"mark", "epoch"}


def test_several_trainings_of_a_cell_are_told_apart(store):
    cell = exported(store, log=[*EPOCHS, TRAINED, *EPOCHS, TRAINED, EPOCHS[0]])
    losses = [(p.name, p.step) for p in cell.points if p.name.endswith("loss")]
    assert losses == [
        ("training/loss", 0),
        ("training/loss", 1),
        ("training_2/loss", 0),
        ("training_2/loss", 1),
        ("training_3/loss", 0),
    ]


def test_tags_and_files_lead_back_to_the_store(store):
    cell = exported(store)
    assert cell.tags["label"] == "toy:small/bpr/scif/s2"
    assert (cell.tags["split_hash"], cell.tags["test_hash"]) == ("s" * 8, "t" * 8)
    assert (cell.tags["outcome.applied"], cell.tags["device"]) == ("2", "cpu")
    assert cell.tags["version.torch"].startswith("2.")
    folder = Path(store.uri, "cells", cell.key[:2], cell.key)
    assert set(cell.files) == {"settings.yaml", "results.parquet"}
    for name, content in cell.files.items():
        assert content == (folder / name).read_bytes()


def test_paths_can_be_read_and_are_safe(store):
    audited = exported(store, more={"audit": {"name": "rmia", "settings": {"shadows": 4}}})
    assert audited.path == f"toy-small/bpr/scif+rmia/s2/{audited.key[:12]}"
    assert audited.params["audit.shadows"] == 4
    retrained = exported(store, method="retrain", mark=3, values={("recall", 20): (0.5,)})
    assert retrained.path == f"toy-small/bpr/retrain@3/s2/{retrained.key[:12]}"
    assert retrained.served(retrained.points[0]) == MARKS[2]


def test_shadow_models_are_left_out_unless_asked_for(store, target):
    put(store)
    put(store, method="base", more={"shadow": {"index": 1, "count": 4}})
    put(store, more={"audit": {"name": "rmia", "settings": {}}})
    assert export(store, "memory", "") == Exported(new=2, there=0, shadows=1)
    assert [cell.label for cell in target.cells] == [
        "toy:small/bpr/scif+rmia/s2",
        "toy:small/bpr/scif/s2",
    ]
    assert export(store, "memory", "", shadows=True) == Exported(new=3, there=0, shadows=0)


def test_what_was_exported_is_not_read_again(store, target, monkeypatch):
    one = put(store)
    put(store, seed=3)
    monkeypatch.setattr(target, "there_before", {one})
    assert export(store, "memory", "") == Exported(new=1, there=1, shadows=0)
    assert [cell.params["seed"] for cell in target.cells] == [3]


def test_cells_of_a_run_and_the_name_of_the_grid(store, target):
    one, _ = put(store), put(store, seed=3)
    export(store, "memory", "")
    assert target.grid == "all"
    put_run(store, "abc", [one, "f" * 64])
    export(store, "memory", "")
    assert (target.grid, len(target.cells)) == ("abc", 2)
    put_run(store, "other", [])
    export(store, "memory", "", run="abc")
    assert (target.grid, [cell.key for cell in target.cells]) == ("abc", [one])
    with pytest.raises(StoreError, match=r"no plan of a run 'abd' \(did you mean 'abc'\?\); "):
        export(store, "memory", "", run="abd")


def test_only_keeps_matching_cells_and_chains_have_every_mark(store, target):
    put(store)
    put(store, seed=3)
    put(store, method="retrain", mark=1, values={("recall", 20): (0.5,)})
    put(store, more={"audit": {"name": "rmia", "settings": {}}})
    for only, count in (
        ("seed=3", 1),
        ("method=scif|retrain,seed=2", 3),
        ("mark=2", 3),
        ("audit=rmia", 1),
        ("category=health, task=cf", 4),
    ):
        assert export(store, "memory", "", only=only).new == count, only
    with pytest.raises(SettingsError, match=r"--only method=skif: no finished cell has this "):
        export(store, "memory", "", only="method=skif")
    with pytest.raises(SettingsError, match=r"--only what=1: expected key=value with a key of "):
        export(store, "memory", "", only="what=1")


def test_a_damaged_cell_is_named(store, target):
    key = put(store)
    Path(store.uri, "cells", key[:2], key, "requests.parquet").write_bytes(b"x")
    with pytest.raises(StoreError, match=r"requests\.parquet"):
        export(store, "memory", "")


@pytest.mark.parametrize(
    ("tool", "module"),
    [("tensorboard", "tensorboardX"), ("mlflow", "mlflow.entities"), ("wandb", "wandb")],
)
def test_a_missing_library_comes_with_the_command_that_brings_it(
    store, tmp_path, monkeypatch, tool, module
):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(EraseError, match=rf"pip install 'erase-ray\[{tool}\]' brings it"):
        export(store, tool, str(tmp_path / "out"))
