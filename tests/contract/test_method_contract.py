"""What every method must do, on every model."""

import numpy as np
import pytest
import torch

from erase_ray.data.split import Part
from erase_ray.experiment.chain import attempt
from erase_ray.methods import METHODS, Request
from erase_ray.methods._request import World
from erase_ray.scenarios import RequestSpec
from erase_ray.tasks import TASKS, Cut
from erase_ray.training import train
from tests.conftest import CPU, LEARNING, set_edges, trained_weights

pytestmark = pytest.mark.parametrize("model_name", LEARNING, indirect=True)
LEARNED = [name for name in METHODS.names() if METHODS.get(name).serves_learning]
IN_CHAIN = [name for name in LEARNED if METHODS.get(name).needs_base]
FORGETTING = [name for name in IN_CHAIN if name not in ("none", "finetune")]
"""All but the points of reference that leave forgetting to chance."""
ONE_REQUEST = [name for name in LEARNED if name in IN_CHAIN or METHODS.get(name).per_mark]
"""Methods that can be shown one request; those with models of their own train them first."""


def make_request(model, data, examples, rows) -> Request:
    task = TASKS.get(data.task)()

    def retrain(fresh, left):
        settings = type(fresh).training.model_copy(update={"epochs": 1, "batch_size": 64})
        train(fresh, task, left, data.split, settings, 2, CPU)

    world = World(
        task=task,
        interactions=data.interactions,
        split=data.split,
        cut=Cut(model.max_history, CPU),
        examples=examples,
        num_items=data.interactions.num_items,
        train=retrain,
    )
    user = int(data.interactions.user[rows[0]])
    return Request(
        spec=RequestSpec(0, np.array([user]), rows),
        forgotten=np.zeros(0, np.int64),
        world=world,
        asked=torch.tensor([user]),
        training_size=len(examples),
        seed=7,
    )


@pytest.fixture
def rows(data) -> np.ndarray:
    """The sensitive training rows of the person with most of them."""
    sensitive = data.catalogue.members("sensitive")[data.interactions.item]
    train_rows = data.split.select(data.interactions, Part.TRAIN)
    user = np.bincount(data.interactions.user[sensitive & train_rows]).argmax()
    return data.interactions.row[sensitive & (data.interactions.user == user)]


@pytest.fixture
def request_made(model, data, examples, rows) -> Request:
    return make_request(model, data, examples, rows)


@pytest.mark.parametrize("method_name", ONE_REQUEST)
def test_changes_only_what_it_says(method_name, model, request_made):
    method = METHODS.get(method_name)(METHODS.get(method_name).Settings())
    allowed = set(method.changes(model))
    before = {name: value.clone() for name, value in model.named_parameters()}
    outcome, step_norm = attempt(method, model, request_made)
    assert outcome.status == "applied", outcome.reason
    assert step_norm > 0 or not allowed
    for name, value in model.named_parameters():
        assert torch.isfinite(value).all()
        assert value.requires_grad
        assert name in allowed or torch.equal(value, before[name])


@pytest.mark.parametrize("method_name", ONE_REQUEST)
def test_is_a_function_of_model_request_and_seed(
    method_name, model, model_name, data, examples, rows
):
    method = METHODS.get(method_name)(METHODS.get(method_name).Settings())
    after = []
    for _ in range(2):
        model.load_state_dict(trained_weights(model_name))
        set_edges(model, data)
        torch.rand(3)
        attempt(method, model, make_request(model, data, examples, rows))
        after.append({name: value.clone() for name, value in model.named_parameters()})
    assert all(torch.equal(after[0][name], after[1][name]) for name in after[0])


@pytest.mark.parametrize("method_name", IN_CHAIN)
def test_nothing_to_forget_leaves_the_model_alone(method_name, model, data, examples):
    test_rows = data.interactions.row[data.split.select(data.interactions, Part.TEST)]
    request = make_request(model, data, examples, test_rows[:1])
    before = {name: value.clone() for name, value in model.named_parameters()}
    method = METHODS.get(method_name)(METHODS.get(method_name).Settings())
    outcome, step_norm = attempt(method, model, request)
    assert outcome.status == "empty"
    assert outcome.reason
    assert step_norm == 0
    assert all(torch.equal(before[name], value) for name, value in model.named_parameters())


@pytest.mark.parametrize("method_name", FORGETTING)
def test_forgets_without_ruining_the_rest(method_name, model, request_made):
    """The forgotten examples lose against other people's, whose loss rises by 5 % at most.

    The base model is not converged, so a method that goes on training lowers both.
    """
    forget, others = request_made.forget, request_made.retain(500)
    before = mean_loss(model, forget), mean_loss(model, others)
    method = METHODS.get(method_name)(METHODS.get(method_name).Settings())
    attempt(method, model, request_made)
    if model.has_edges:
        model.drop_edges(*request_made.edges)
    after = mean_loss(model, forget), mean_loss(model, others)
    assert after[0] - before[0] > after[1] - before[1]
    assert after[1] < before[1] * 1.05


def mean_loss(model, examples) -> float:
    """Over 32 draws of negatives, where the examples draw any."""
    model.eval()
    draws = 32 if examples.draws_negatives else 1
    everyone = torch.arange(len(examples))
    with torch.no_grad():
        losses = [
            model.loss(examples.batch(everyone, seed)).mean() for seed in range(99, 99 + draws)
        ]
    return float(torch.stack(losses).mean())
