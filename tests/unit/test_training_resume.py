"""A run that is stopped after any epoch and goes on ends in the same weights, bit by bit."""

import pytest
import torch

from erase_ray.checkpoints import FileCheckpoint, TrainingState
from erase_ray.errors import TrainingError
from erase_ray.models import MODELS, TrainingSettings
from erase_ray.tasks import TASKS
from erase_ray.training import train
from tests.conftest import CPU, LEARNING, make_model, planted

SETTINGS = TrainingSettings(
    epochs=4, batch_size=64, learning_rate=5e-3, weight_decay=1e-4, decay_every=2, select_k=5
)


class Stop(Exception):
    """Ends a run as a crash would, between two epochs."""


class Stopping(FileCheckpoint):
    """Saves, and stops the run once it has saved enough."""

    def __init__(self, path, last):
        super().__init__(path)
        self.last = last

    def save(self, state):
        super().save(state)
        if len(state.losses) == self.last:
            raise Stop


def run(name, checkpoint=None, seed=3, settings=SETTINGS):
    data = planted(MODELS.get(name).task, num_users=100)
    model = make_model(name, data)
    task, table = TASKS.get(data.task)(), data.interactions
    told = []
    record = train(
        model, task, table, data.split, settings, seed, CPU, lambda *e: told.append(e), checkpoint
    )
    return {key: value.clone() for key, value in model.state_dict().items()}, record, told


@pytest.mark.parametrize("name", LEARNING)
def test_resumed_weights_are_those_of_a_run_in_one_go(name, tmp_path):
    weights, record, _ = run(name)
    for last in (1, 3):
        path = tmp_path / f"{name}{last}.safetensors"
        with pytest.raises(Stop):
            run(name, Stopping(path, last))
        resumed, again, told = run(name, FileCheckpoint(path))
        assert [epoch for epoch, *_ in told] == list(range(last, 4))
        assert all(torch.equal(weights[key], value) for key, value in resumed.items())
        assert again.losses == record.losses
        assert again.valid_curve == record.valid_curve
        assert again.best_epoch == record.best_epoch


def test_a_finished_run_is_not_run_again(tmp_path):
    checkpoint = FileCheckpoint(tmp_path / "state")
    weights, record, _ = run("bpr", checkpoint)
    again, same, told = run("bpr", checkpoint)
    assert told == []
    assert same.best_epoch == record.best_epoch
    assert all(torch.equal(weights[key], value) for key, value in again.items())


def test_patience_counts_on_after_a_stop(tmp_path):
    settings = SETTINGS.model_copy(update={"epochs": 30, "patience": 2, "learning_rate": 0.1})
    weights, record, _ = run("bpr", settings=settings)
    assert record.epochs < 30
    path = tmp_path / "state"
    with pytest.raises(Stop):
        run("bpr", Stopping(path, record.epochs - 1), settings=settings)
    resumed, again, told = run("bpr", FileCheckpoint(path), settings=settings)
    assert len(told) == 1
    assert again.epochs == record.epochs
    assert all(torch.equal(weights[key], value) for key, value in resumed.items())


def test_a_state_of_another_run_is_refused(tmp_path):
    checkpoint = FileCheckpoint(tmp_path / "state")
    run("bpr", checkpoint)
    text = r"^the saved state belongs to another training run: seed is 4, was 3\. Give this run"
    with pytest.raises(TrainingError, match=text):
        run("bpr", checkpoint, seed=4)
    shorter = SETTINGS.model_copy(update={"epochs": 9})
    with pytest.raises(TrainingError, match=r"training is .*'epochs': 9.*, was .*'epochs': 4"):
        run("bpr", checkpoint, settings=shorter)


def test_a_damaged_file_is_named(tmp_path):
    path = tmp_path / "state"
    path.write_bytes(b"nonsense")
    with pytest.raises(TrainingError, match=r"state is no saved training state .*delete it"):
        FileCheckpoint(path).load()


def test_no_file_is_no_state_and_every_other_epoch_is_written(tmp_path):
    checkpoint = FileCheckpoint(tmp_path / "deep" / "state", every=2)
    assert checkpoint.load() is None
    for epochs in (1, 2, 3):
        checkpoint.save(TrainingState({}, [0.5] * epochs, [], {"model/w": torch.ones(2)}))
    state = checkpoint.load()
    assert state is not None
    assert state.losses == [0.5, 0.5]
    assert state.part("model")["w"].tolist() == [1, 1]
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["state"]


def test_a_failed_write_leaves_the_old_state(tmp_path, monkeypatch):
    checkpoint = FileCheckpoint(tmp_path / "state")
    checkpoint.save(TrainingState({}, [0.5], [], {"model/w": torch.ones(2)}))

    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr("erase_ray.checkpoints.os.replace", full)
    with pytest.raises(OSError, match="no space"):
        checkpoint.save(TrainingState({}, [0.5, 0.4], [], {"model/w": torch.ones(2)}))
    state = checkpoint.load()
    assert state is not None
    assert state.losses == [0.5]
    assert [path.name for path in tmp_path.iterdir()] == ["state"]
