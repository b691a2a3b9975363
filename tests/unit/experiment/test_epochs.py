"""Trainings that are killed after any epoch end in the same bytes as those that are not."""

import logging
import math
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from chain_toys import ALWAYS, NEVER, Killed, Shelf, assert_same, chain_cell, prepared

from erase_ray.checkpoints import TrainingState
from erase_ray.errors import StoreError
from erase_ray.experiment import chain_cells
from erase_ray.experiment.epochs import (
    EVERY_EPOCH,
    EpochJournal,
    collected,
    epoch_journal,
    is_over,
)
from erase_ray.experiment.journal import Journal
from erase_ray.experiment.pace import Pace, Rhythm
from erase_ray.experiment.run import run_cell
from erase_ray.experiment.setting import Setting
from erase_ray.methods import METHODS
from erase_ray.models import TrainingSettings
from tests.conftest import CPU

LONG = {"epochs": 4, "batch_size": 64, "patience": 9}


def base_of(model="bpr", **training):
    return chain_cell(model, "scif", training=LONG | training).base


@contextmanager
def dying_after(epochs):
    """Ends the process, as it were, once so many epochs were kept or passed by."""
    save = EpochJournal.save

    def saved(self, state):
        save(self, state)
        if len(state.losses) == epochs:
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EpochJournal, "save", saved)
        with pytest.raises(Killed):
            yield


@contextmanager
def counting():
    """Numbers of the epochs that are run."""
    told, save = [], EpochJournal.save

    def saved(self, state):
        told.append(len(state.losses) - 1)
        save(self, state)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EpochJournal, "save", saved)
        yield told


def setting_of(cell, folder):
    return Setting.load(cell, prepared(cell, folder), CPU)


def trained(setting, pace=ALWAYS):
    model, log = setting.fresh_model(), []
    record = chain_cells.train_model(setting, model, setting.interactions, log, pace)
    return model.state_dict(), record, log


def files(store, cell):
    found = store._blobs.names(f"cells/{cell.key[:2]}/{cell.key}/journal")
    return [name for name in found if "/epochs/" in name]


@pytest.mark.parametrize("model", ["bpr", "lightgcn", "sets2sets"])
def test_goes_on_after_the_last_epoch_with_the_same_weights_and_log(model, tmp_path):
    cell = base_of(model)
    weights, record, log = trained(setting_of(cell, tmp_path / "whole"), NEVER)
    setting = setting_of(cell, tmp_path / "broken")
    for epochs in (1, 3):
        with dying_after(epochs):
            trained(setting)
    with counting() as run:
        again, same, whole_log = trained(setting)
    assert run == [3]
    assert whole_log == log
    assert [event["epoch"] for event in log] == [0, 1, 2, 3]
    assert (same.losses, same.valid_curve) == (record.losses, record.valid_curve)
    assert (same.best_epoch, same.epochs) == (record.best_epoch, 4)
    assert all(torch.equal(again[name], tensor) for name, tensor in weights.items())


def test_seconds_of_earlier_tries_count(tmp_path, monkeypatch):
    setting = setting_of(base_of(), tmp_path)
    with dying_after(2):
        trained(setting)
    journal = epoch_journal(setting, setting.interactions, "cpu")
    snapshot = journal.load()
    assert snapshot is not None
    assert snapshot.facts["seconds"] > 0
    monkeypatch.setattr(Journal, "load", lambda self: with_seconds(snapshot, 1000.0))
    assert trained(setting)[1].seconds > 1000


def with_seconds(snapshot, seconds):
    snapshot.facts["seconds"] = seconds
    return snapshot


def test_a_retrained_cell_that_was_killed_ends_in_the_same_bytes(tmp_path):
    cell = chain_cell("lightgcn", "retrain", training=LONG)
    assert cell.mark is not None
    whole, broken = prepared(cell, tmp_path / "whole"), prepared(cell, tmp_path / "broken")
    assert run_cell(cell, whole, CPU)
    with dying_after(2):
        run_cell(cell, broken, CPU, ALWAYS)
    assert files(broken, cell)
    with counting() as run:
        assert run_cell(cell, broken, CPU, ALWAYS)
    assert run == [2, 3]
    assert_same(cell, whole, broken)
    assert events(whole, cell) == events(broken, cell)
    assert files(broken, cell) == []


def events(store, cell):
    kept = [{k: v for k, v in e.items() if "seconds" not in k} for e in store.log(cell.key)]
    assert [event["event"] for event in kept].count("epoch") == 4
    return kept


def test_a_method_that_trains_before_its_first_request(tmp_path, monkeypatch):
    monkeypatch.setitem(METHODS._classes, "shelf", Shelf)
    cell = chain_cell("bpr", "shelf", training=LONG)
    whole, broken = prepared(cell, tmp_path / "whole"), prepared(cell, tmp_path / "broken")
    assert run_cell(cell, whole, CPU, NEVER)
    with dying_after(3):
        run_cell(cell, broken, CPU, ALWAYS)
    with counting() as run:
        assert run_cell(cell, broken, CPU, ALWAYS)
    assert run == [3]
    assert_same(cell, whole, broken)


def test_short_trainings_write_nothing(tmp_path):
    cell = base_of()
    setting = setting_of(cell, tmp_path)
    trained(setting, Pace())
    assert files(setting.store, cell) == []


def test_epochs_on_other_rows_are_passed_over(tmp_path, caplog):
    setting = setting_of(base_of(), tmp_path)
    trained(setting)
    less = setting.interactions.without(setting.interactions.row[:5])
    with counting() as run, caplog.at_level(logging.WARNING):
        chain_cells.train_model(setting, setting.fresh_model(), less, [], ALWAYS)
    assert run == [0, 1, 2, 3]
    assert "is passed over: it belongs to" in caplog.text


def test_epochs_are_no_snapshots_of_the_chain(tmp_path, caplog):
    cell = base_of()
    setting = setting_of(cell, tmp_path)
    trained(setting)
    assert files(setting.store, cell)
    with caplog.at_level(logging.WARNING):
        assert setting.store.journal(cell.key, {}).load() is None
    assert caplog.text == ""
    setting.store.drop_working_files(cell.key)
    assert files(setting.store, cell) == []


def test_what_has_to_be_kept_and_cannot_is_an_error(tmp_path, monkeypatch):
    setting = setting_of(base_of(), tmp_path)
    journal = epoch_journal(setting, setting.interactions, "cpu")
    monkeypatch.setattr(Journal, "save", lambda self, snapshot: False)
    state = TrainingState({}, [0.5, 0.4], [], {"model/w": torch.ones(2)})
    EpochJournal(journal, EVERY_EPOCH).save(state)
    with pytest.raises(StoreError, match=r"^epoch 1 could not be kept; see the warnings$"):
        EpochJournal(journal, EVERY_EPOCH, must_keep=True).save(state)


@pytest.mark.parametrize(
    ("losses", "curve", "expected"),
    [
        ([1.0] * 3, [], False),
        ([1.0] * 5, [], True),
        ([1.0] * 3, [0.1, 0.3, 0.3], False),
        ([1.0] * 4, [0.3, 0.1, 0.3], True),
        ([1.0] * 3, [0.3, 0.1, 0.2], True),
    ],
)
def test_when_no_epoch_is_left(losses, curve, expected):
    settings = TrainingSettings(epochs=5, patience=2)
    assert is_over(TrainingState({}, losses, curve, {}), settings) is expected


def test_the_first_of_the_best_epochs_is_collected(tmp_path):
    setting = setting_of(base_of(), tmp_path)
    weights, record, _ = trained(setting, EVERY_EPOCH)
    kept = EpochJournal(epoch_journal(setting, setting.interactions, "cpu"), NEVER)
    state = kept.load()
    assert state is not None
    model = setting.fresh_model()
    found = collected(model, state, kept)
    assert (found.best_epoch, found.epochs, found.workers) == (record.best_epoch, 4, 0)
    assert (found.losses, found.valid_curve) == (record.losses, record.valid_curve)
    assert found.best_epoch == int(np.argmax(record.valid_curve))
    assert all(torch.equal(model.state_dict()[name], tensor) for name, tensor in weights.items())


def test_pace():
    assert Rhythm(Pace(every_s=0.0)).is_due()
    assert not Rhythm(Pace(every_s=math.inf)).is_due()
    assert Rhythm(Pace(every_s=math.inf, mark_s=0.0)).is_due(is_mark=True)
    slow = Rhythm(Pace(every_s=0.0, share=1e-9))
    with slow.beat():
        sum(range(1000))
    assert not slow.is_due()
