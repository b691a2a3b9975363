"""What `exact` takes out, and what it refuses. That it is exact is in the contract tests."""

import numpy as np
import pytest
import torch

from erase_ray.data.interactions import Interactions
from erase_ray.data.split import Part, Split
from erase_ray.experiment.chain import attempt
from erase_ray.methods import METHODS, Deadline, Request
from erase_ray.methods._request import World
from erase_ray.methods.exact import training_rows
from erase_ray.models import MODELS, Shape
from erase_ray.scenarios import RequestSpec
from erase_ray.tasks import TASKS, Cut
from erase_ray.training import train
from tests.conftest import CPU

COLUMNS = {
    "user": [0, 0, 0, 0, 1, 1, 2],
    "sequence": [0, 0, 0, 0, 1, 1, 2],
    "step": [0, 1, 2, 3, 0, 1, 0],
    "item": [4, 1, 4, 2, 1, 3, 1],
    "time": [10, 11, 12, 13, 20, 21, 30],
}
TABLE = Interactions.prepared({name: np.array(values) for name, values in COLUMNS.items()})
SPLIT = Split(np.array([0, 0, 0, Part.TEST, 0, Part.VALID, 0], np.int8))


@pytest.fixture
def method():
    kind = METHODS.get("exact")
    return kind(kind.Settings())


def request_of(users, rows, forgotten=(), deadline=None) -> Request:
    task, cut = TASKS.get("cf")(), Cut(0, CPU)
    examples = task.examples(TABLE, SPLIT, cut)
    world = World(task, TABLE, SPLIT, cut, examples, TABLE.num_items, lambda *_: None)
    spec = RequestSpec(0, np.array(users), np.array(rows, np.int64))
    gone = np.array(forgotten, np.int64)
    deadline = deadline or Deadline()
    return Request(spec, gone, world, torch.tensor(users), len(examples), 3, deadline)


def counted():
    kind = MODELS.get("pop")
    model = kind(kind.Settings(), Shape(TABLE.num_users, TABLE.num_items))
    train(model, TASKS.get("cf")(), TABLE, SPLIT, kind.training, 2, CPU)
    return model


@pytest.mark.parametrize(
    ("users", "rows", "forgotten", "gone", "left"),
    [
        ([0], [0, 3], [], [0], [1, 2]),
        ([0], [0, 3], [2], [0], [1]),
        ([0], [0, 1, 2, 3], [], [0, 1, 2], []),
        ([0, 1], [1, 4], [0, 6], [1, 4], [2]),
        ([1], [5], [], [], [4]),
    ],
)
def test_training_rows_of_the_people_who_ask(users, rows, forgotten, gone, left):
    found = training_rows(request_of(users, rows, forgotten))
    for part, expected in zip(found, (gone, left), strict=True):
        for name, values in COLUMNS.items():
            column = vars(part)[f"{name}_N"]
            assert column.dtype == torch.int64
            assert column.tolist() == [values[row] for row in expected]


def test_counts_go_down_and_the_record_says_by_how_much(method):
    model = counted()
    assert model.count_I.tolist() == [0, 3, 0, 0, 2]
    outcome, _ = attempt(method, model, request_of([0], [0, 2, 3]))
    assert model.count_I.tolist() == [0, 3, 0, 0, 0]
    assert outcome.status == "applied"
    assert outcome.details == {"num_training_rows": 2.0, "step_norm": 2.0}


def test_nothing_to_take_out(method):
    model = counted()
    outcome, _ = attempt(method, model, request_of([1], [5]))
    assert (outcome.status, outcome.reason) == ("empty", "no training row is to be forgotten")
    assert model.count_I.tolist() == [0, 3, 0, 0, 2]


def test_after_the_deadline_nothing_is_touched(method):
    model = counted()
    outcome, _ = attempt(method, model, request_of([0], [0], deadline=Deadline(0.0)))
    assert (outcome.status, outcome.reason) == ("timed_out", "0 s were over at the start")
    assert model.count_I.tolist() == [0, 3, 0, 0, 2]


def test_models_that_learn_are_refused(method):
    kind = MODELS.get("bpr")
    model = kind(kind.Settings(embedding_size=2), Shape(TABLE.num_users, TABLE.num_items))
    outcome, norm = attempt(method, model, request_of([0], [0]))
    assert (outcome.status, norm) == ("skipped", 0.0)
    assert outcome.reason == "model 'bpr' learns by gradients: no row leaves it"
    assert method.changes(model) == {}
