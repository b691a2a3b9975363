"""Chains of requests on planted data, served by an ensemble, and the ensemble without them."""

import functools
from dataclasses import dataclass, field

import numpy as np
import torch

from erase_ray.data.split import Part
from erase_ray.evaluation import rank
from erase_ray.experiment.chain import attempt
from erase_ray.methods import Deadline, Request
from erase_ray.methods._request import World
from erase_ray.methods.sisa import Sisa
from erase_ray.models import MODELS
from erase_ray.scenarios import RequestSpec
from erase_ray.tasks import TASKS, Cut
from tests.conftest import CPU, make_model, planted


def world_of(name, table=None, **changes):
    """The world of a model on planted data, or on what is left of it."""
    data = planted(MODELS.get(name).task)
    table = data.interactions if table is None else table
    task, cut = TASKS.get(data.task)(), Cut(make_model(name, data).max_history, CPU)
    values = {"epochs": 2, "batch_size": 64, "learning_rate": 5e-3} | changes
    training = MODELS.get(name).training.model_copy(update=values)
    examples = task.examples(table, data.split, cut)
    return World(
        task, table, data.split, cut, examples, table.num_items, not_called, training, seed=5
    )


def not_called(model, interactions):
    raise AssertionError("sisa trains shards, never a whole model")


def sisa(**settings):
    return Sisa(Sisa.Settings(**{"shards": 3, "slices": 3, **settings}))


@functools.cache
def sensitive(name):
    """The sensitive rows of each person who has a training row among them, by user."""
    data = planted(MODELS.get(name).task)
    table = data.interactions
    is_wanted = data.catalogue.members("sensitive")[table.item]
    is_train = data.split.select(table, Part.TRAIN)
    users = np.unique(table.user[is_wanted & is_train]).tolist()
    return {user: table.row[is_wanted & (table.user == user)] for user in users}


@dataclass
class Served:
    """An ensemble and the requests it has served."""

    name: str
    method: Sisa
    world: World
    forgotten: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    asked: list[int] = field(default_factory=list)
    num_served: int = 0

    def __post_init__(self):
        data = planted(MODELS.get(self.name).task)
        self.model = self.method.build(lambda: make_model(self.name, data))
        self.state = self.method.begin(self.model, self.world)

    def request(self, user, rows, limit_s=float("inf")):
        return Request(
            spec=RequestSpec(self.num_served, np.array([user]), np.sort(rows)),
            forgotten=self.forgotten,
            world=self.world,
            asked=torch.tensor([*self.asked, user]),
            training_size=0,
            seed=7,
            deadline=Deadline(limit_s),
            state=self.state,
        )

    def serve(self, user, rows, limit_s=float("inf")):
        """As the chain runner does; outcome and length of the step."""
        request = self.request(user, rows, limit_s)
        served = attempt(self.method, self.model, request)
        if self.model.has_edges:
            self.model.drop_edges(*request.edges)
        self.num_served += 1
        self.forgotten, self.state = np.append(self.forgotten, rows), request.state
        self.asked.append(user)
        return served

    def scratch(self):
        """The same ensemble on what is left."""
        left = self.world.interactions.without(self.forgotten)
        changes = self.world.training.model_dump()
        return Served(self.name, self.method, world_of(self.name, left, **changes))


def serve(name, **settings):
    return Served(name, sisa(**settings), world_of(name))


def weights_of(model):
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def differing(one, other):
    """Names of tensors that are not the same, bit by bit."""
    names = [name for name in one.keys() & other.keys() if not torch.equal(one[name], other[name])]
    return sorted([*names, *(one.keys() ^ other.keys())])


def ranked(served, part=Part.TEST):
    world = served.world
    left = world.interactions.without(served.forgotten)
    return rank(served.model, world.task.queries(left, world.split, part, world.cut), 10)
