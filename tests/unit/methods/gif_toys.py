"""Toys whose every parameter is that of a strongly convex loss, with and without a graph."""

import torch
from method_toys import (
    PairTask,
    StepModel,
    StepTask,
    UserModel,
    fresh,
    toy_request,
    toy_table,
    toy_world,
)

from erase_ray.methods.gif import Gif
from erase_ray.models import Shape
from erase_ray.models.lightgcn import LightGcn

TABLE = toy_table()
SOLVERS = ["neumann", "cg"]


class ConvexPairs(UserModel):
    """With the items no parameter, all parameters are those of a strongly convex loss."""

    def __init__(self, settings, shape):
        super().__init__(settings, shape)
        item = self.item.data
        del self.item
        self.register_buffer("item", item)

    def item_tables(self):
        return {}


class ConvexSteps(StepModel):
    def __init__(self, settings, shape):
        super().__init__(settings, shape)
        before = self.before.data
        del self.before
        self.register_buffer("before", before)

    def reset(self, generator):
        with torch.no_grad():
            self.before.normal_(generator=generator)
        super().reset(generator)


class ConvexGraph(ConvexPairs):
    """A person's vector is the own one and a share of all those with the same items."""

    has_edges = True

    def set_edges(self, user_E, item_E):
        self.edges_UI = torch.zeros(self.shape.num_users, self.shape.num_items).double()
        self.edges_UI[user_E, item_E] = 1.0

    def drop_edges(self, user_E, item_E):
        self.edges_UI[user_E, item_E] -= 1.0

    def restore_edges(self, user_E, item_E):
        self.edges_UI[user_E, item_E] += 1.0

    def loss(self, batch):
        shared_UU = self.edges_UI @ self.edges_UI.T
        user_BD = (self.user + shared_UU @ self.user / 20)[batch.user_B]
        gap_BD = self.item[batch.item_B] - self.item[batch.negative_B]
        penalty_B = self.settings.l2 / 2 * self.user.square().sum()
        return torch.nn.functional.softplus(-(user_BD * gap_BD).sum(1)) + penalty_B

    forward = loss


def gif(**settings) -> Gif:
    free = {"num_negatives": 4, "max_rise": float("inf")}
    return Gif(Gif.Settings(**free | settings))


def pairs(rows=(12, 15), kind=ConvexPairs, table=TABLE, **options):
    return fresh(kind, table), toy_request(toy_world(PairTask(), table), rows, **options)


def steps(rows=(12, 15), kind=ConvexSteps, **options):
    return fresh(kind, TABLE), toy_request(toy_world(StepTask(), TABLE), rows, **options)


def with_edges(model, table):
    model.set_edges(torch.as_tensor(table.user).long(), torch.as_tensor(table.item).long())
    return model


def graph(rows=(12, 15), kind=LightGcn, **options):
    model = kind(kind.Settings(embedding_size=2), Shape(TABLE.num_users, TABLE.num_items))
    model.reset(torch.Generator().manual_seed(5))
    model.forward = model.loss
    request = toy_request(toy_world(PairTask(), TABLE), rows, **options)
    return with_edges(model, TABLE).double(), request


def toy_graph(rows=(12,), table=TABLE, **options):
    model, request = pairs(rows, ConvexGraph, table, **options)
    return with_edges(model, table), request


def left_of(request):
    world = request.world
    return world.task.examples(request.after, world.split, world.cut)


def flat(model) -> torch.Tensor:
    return torch.cat([weight.detach().flatten() for weight in model.parameters()])
