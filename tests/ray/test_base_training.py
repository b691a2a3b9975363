"""Base models that several workers train: lost workers, lost callers, and what comes out."""

from collections import Counter

import numpy as np
import pytest
import ray
import torch
import train_toys
from local_ray import local_ray
from ray.exceptions import ActorDiedError
from ray.train.v2.api.exceptions import ControllerError, WorkerGroupError
from ray.util.placement_group import placement_group, placement_group_table, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy
from train_toys import EPOCHS, base_cell, prepared

from erase_ray.distributed import base_training
from erase_ray.distributed.base_training import RayTrainer
from erase_ray.distributed.cluster import ClusterError
from erase_ray.errors import TrainingError
from erase_ray.experiment.chain_cells import train_model
from erase_ray.experiment.epochs import EVERY_EPOCH
from erase_ray.experiment.walk import ERROR, MEMORY

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module", autouse=True)
def cluster():
    """Four CPUs in name."""
    with local_ray(4):
        yield


def groups() -> int:
    """Placement groups that still hold something."""
    return sum(group["state"] != "REMOVED" for group in placement_group_table().values())


def test_one_of_two_workers_dies_and_one_goes_on(tmp_path):
    setting = prepared(base_cell(), tmp_path / "team")
    group = placement_group([{"CPU": 1}])
    strategy = PlacementGroupSchedulingStrategy(group, 0, placement_group_capture_child_tasks=True)
    trial = ray.remote(train_toys.Trial).options(scheduling_strategy=strategy).remote()
    cell = setting.cell.model_dump(mode="json")
    record, weights, told, starts, place = ray.get(trial.run.remote(cell, setting.store.uri))
    remove_placement_group(group)
    assert (starts, place) == (2, group.id.hex())
    assert groups() == 0

    alone = prepared(base_cell(), tmp_path / "alone")
    model = alone.fresh_model()
    expected = train_model(alone, model, alone.interactions, [])
    assert (record.workers, record.epochs) == (2, EPOCHS)
    assert [epoch for epoch, _, _ in told] == list(range(EPOCHS))
    assert [loss for _, loss, _ in told] == record.losses
    np.testing.assert_allclose(record.losses, expected.losses, rtol=1e-5)
    np.testing.assert_allclose(record.valid_curve, expected.valid_curve, rtol=1e-5)
    assert record.best_epoch == expected.best_epoch
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(weights[name], tensor, rtol=1e-4, atol=1e-5)


def test_a_training_that_cannot_succeed_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setitem(base_training.LIMITS, ERROR, 0)
    setting = prepared(base_cell(learning_rate=1e30), tmp_path)
    with pytest.raises(TrainingError, match=r"the loss of model 'bpr' is|weights of model 'bpr'"):
        RayTrainer(1)(setting, setting.fresh_model(), lambda *epoch: None)


def test_what_is_finished_is_taken_from_the_store(tmp_path, monkeypatch):
    setting = prepared(base_cell(), tmp_path)
    one, other, logs = setting.fresh_model(), setting.fresh_model(), ([], [])
    train_model(setting, one, setting.interactions, logs[0], EVERY_EPOCH)
    monkeypatch.setattr(RayTrainer, "_start", None)
    trained = train_model(setting, other, setting.interactions, logs[1], trainer=RayTrainer(2))
    assert logs[0] == logs[1]
    assert len(logs[1]) == trained.epochs == EPOCHS
    weights = other.state_dict()
    assert all(torch.equal(weights[name], tensor) for name, tensor in one.state_dict().items())


def test_as_many_workers_as_there_is_room_for(monkeypatch):
    assert RayTrainer(3)._room() == 3
    monkeypatch.setattr(base_training, "GRACE_S", 0.0)
    assert RayTrainer(99)._room() == 4
    assert RayTrainer(99, {"CPU": 2.0})._room() == 2
    monkeypatch.setattr(base_training, "WAIT_S", 0.0)
    with pytest.raises(ClusterError, match=r"no room for a worker with {'CPU': 5.0} in 0 s"):
        RayTrainer(1, {"CPU": 5.0})._room()


BROKEN = RuntimeError("gloo: Connection closed by peer")
DEAD = ActorDiedError()
POOR = RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (WorkerGroupError("", {0: BROKEN, 1: DEAD}), "worker"),
        (WorkerGroupError("", {0: BROKEN}), "worker"),
        (WorkerGroupError("", {0: BROKEN, 1: POOR}), MEMORY),
        (WorkerGroupError("", {0: BROKEN, 1: TrainingError("nan")}), ERROR),
        (WorkerGroupError("", {0: KeyError("x")}), ERROR),
        (ControllerError(RuntimeError("no room")), "node"),
        (ValueError("x"), ERROR),
    ],
)
def test_why_training_broke_off(error, kind):
    assert base_training._cause(error)[0] == kind


def test_how_often_training_begins_anew(tmp_path):
    setting, trainer, losses = prepared(base_cell(), tmp_path), RayTrainer(1), Counter()
    lost = WorkerGroupError("", {0: DEAD})
    for _ in range(3):
        trainer._judge(setting, lost, losses)
    with pytest.raises(ClusterError, match=r"training broke off 4 times in a row: The actor died"):
        trainer._judge(setting, lost, losses)
    for _ in range(50):
        trainer._judge(setting, ControllerError(RuntimeError("no room")), losses)
    with pytest.raises(MemoryError, match="CUDA out of memory"):
        trainer._judge(setting, WorkerGroupError("", {0: POOR}), losses)
