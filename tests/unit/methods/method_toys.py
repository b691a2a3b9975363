"""A tiny world: two tasks, two strongly convex models, and what is needed to train them exactly."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from erase_ray import seeds
from erase_ray.data.interactions import Interactions
from erase_ray.data.split import Split
from erase_ray.methods import Deadline, Request
from erase_ray.methods._curvature import weighted_batches
from erase_ray.methods._request import World
from erase_ray.models import Model, Shape
from erase_ray.scenarios import RequestSpec
from erase_ray.settings import Frozen
from erase_ray.tasks import Cut, Examples, Task
from erase_ray.tasks._batches import PairBatch

CPU = torch.device("cpu")


class PairExamples(Examples):
    """A user, a chosen item, and a drawn one that is another."""

    draws_negatives = True

    def __init__(self, rows, users, items, num_items):
        self.rows, self.users, self.items, self.num_items = rows, users, items, num_items

    def take(self, index):
        return PairExamples(self.rows[index], self.users[index], self.items[index], self.num_items)

    def batch(self, index, seed):
        step = 1 + seeds.below(self.num_items - 1, seed, self.rows[index])
        items = self.items[index]
        return PairBatch(self.users[index], items, (items + step) % self.num_items)

    def inputs(self, index):
        return PairBatch(self.users[index])

    def fingerprints(self):
        return self.rows

    def aims_at(self, items_I):
        return items_I[self.items]


@dataclass(frozen=True, eq=False)
class StepBatch:
    previous_B: torch.Tensor
    target_B: torch.Tensor


class StepExamples(Examples):
    """An item and the one that came before it in the sequence."""

    def __init__(self, rows, users, previous_rows, previous, items):
        self.rows, self.users = rows, users
        self.previous_rows, self.previous, self.items = previous_rows, previous, items

    def take(self, index):
        columns = (self.rows, self.users, self.previous_rows, self.previous, self.items)
        return StepExamples(*(column[index] for column in columns))

    def batch(self, index, seed):
        return StepBatch(self.previous[index], self.items[index])

    def inputs(self, index):
        return StepBatch(self.previous[index], self.items[index])

    def fingerprints(self):
        return self.rows * 1_000_003 + self.previous_rows

    def aims_at(self, items_I):
        return items_I[self.items]


class PairTask(Task):
    name = "toy_pairs"
    split = queries = probe = None

    def examples(self, interactions, split, cut):
        table = interactions
        rows, users, items = (
            torch.as_tensor(c).long() for c in (table.row, table.user, table.item)
        )
        return PairExamples(rows, users, items, table.num_items)


class StepTask(Task):
    name = "toy_steps"
    split = queries = probe = None

    def examples(self, interactions, split, cut):
        table = interactions
        row, user, item = (torch.as_tensor(c).long() for c in (table.row, table.user, table.item))
        at = torch.as_tensor(np.flatnonzero(table.sequence[1:] == table.sequence[:-1]) + 1)
        return StepExamples(row[at], user[at], row[at - 1], item[at - 1], item[at])


class UserModel(Model):
    """Users against fixed items, with an L2 penalty in each example: strongly convex."""

    task = "toy_pairs"

    class Settings(Frozen):
        width: int = 3
        l2: float = 0.05

    def __init__(self, settings, shape):
        super().__init__(settings, shape)
        self.user = nn.Parameter(torch.zeros(shape.num_users, settings.width).double())
        self.item = nn.Parameter(torch.zeros(shape.num_items, settings.width).double())

    def reset(self, generator):
        with torch.no_grad():
            self.user.normal_(generator=generator)
            self.item.normal_(generator=generator)

    def loss(self, batch):
        user_BD = self.user[batch.user_B]
        gap_BD = self.item[batch.item_B] - self.item[batch.negative_B]
        penalty_B = self.settings.l2 / 2 * user_BD.square().sum(1)
        return functional.softplus(-(user_BD * gap_BD).sum(1)) + penalty_B

    forward = loss

    def scores(self, batch):
        return self.user[batch.user_B] @ self.item.T

    def head_parameters(self):
        return self.user_tables()

    def user_tables(self):
        return {"user": self.user}

    def item_tables(self):
        return {"item": self.item}


class StepModel(Model):
    """Softmax regression on fixed vectors of the item before: everybody shares the head."""

    task = "toy_steps"

    class Settings(Frozen):
        width: int = 3
        l2: float = 0.02
        dropout: float = 0.0

    def __init__(self, settings, shape):
        super().__init__(settings, shape)
        self.before = nn.Parameter(torch.zeros(shape.num_items, settings.width).double())
        self.item = nn.Parameter(torch.zeros(shape.num_items, settings.width).double())
        self.bias = nn.Parameter(torch.zeros(shape.num_items).double())
        self.drop = nn.Dropout(settings.dropout)

    def reset(self, generator):
        with torch.no_grad():
            for weight in self.parameters():
                weight.normal_(generator=generator)

    def loss(self, batch):
        logits_BI = self.scores(batch)
        square = self.item.square().sum() + self.bias.square().sum()
        cross_B = functional.cross_entropy(logits_BI, batch.target_B, reduction="none")
        return cross_B + self.settings.l2 / 2 * square

    forward = loss

    def scores(self, batch):
        return self.drop(self.before[batch.previous_B]) @ self.item.T + self.bias

    def head_parameters(self):
        return {"item": self.item, "bias": self.bias}

    def item_tables(self):
        return {"item": self.item}


def toy_table(num_users=12, num_items=14, length=9, seed=0) -> Interactions:
    """Users with a taste: each draws items from a window of the catalogue, none twice."""
    generator = np.random.default_rng(seed)
    taste = np.exp(
        -0.5 * ((np.arange(num_items) - generator.uniform(0, num_items, (num_users, 1))) / 2) ** 2
    )
    keys = np.log(taste) + generator.gumbel(size=taste.shape)
    items = np.argsort(-keys, axis=1)[:, :length]
    size = items.shape[1]
    user = np.repeat(np.arange(num_users), size)
    step = np.tile(np.arange(size), num_users)
    columns = {"user": user, "sequence": user, "step": step, "item": items.ravel(), "time": step}
    return Interactions.prepared(columns)


def toy_world(task: Task, table: Interactions, train=None) -> World:
    split = Split(np.zeros(len(table), np.int8))
    cut = Cut(1, CPU)
    examples = task.examples(table, split, cut)
    return World(task, table, split, cut, examples, table.num_items, train or _no_training)


def toy_request(
    world: World, rows, forgotten=(), asked=(), seed=7, limit_s=float("inf")
) -> Request:
    rows = np.sort(np.asarray(rows, np.int64))
    user = int(world.interactions.user[np.searchsorted(world.interactions.row, rows[0])])
    return Request(
        spec=RequestSpec(0, np.array([user]), rows),
        forgotten=np.asarray(forgotten, np.int64),
        world=world,
        asked=torch.tensor([*asked, user]),
        training_size=len(world.examples) - len(forgotten),
        seed=seed,
        deadline=Deadline(limit_s),
    )


def fresh(kind: type[Model], table: Interactions, seed=1, **settings) -> Model:
    model = kind(kind.Settings(**settings), Shape(table.num_users, table.num_items))
    model.reset(torch.Generator().manual_seed(seed))
    return model


TABLE = toy_table()


def pairs(rows=(12, 15), table: Interactions = TABLE, **options) -> tuple[Model, Request]:
    """A user model with random weights, and somebody's request to forget some pairs."""
    return fresh(UserModel, table), toy_request(toy_world(PairTask(), table), rows, **options)


def fit(model: Model, examples: Examples, seed: int, num_draws: int = 4) -> None:
    """Minimise the mean loss over the head to the last digit, negatives fixed by ``seed``."""
    batches = weighted_batches(examples, 1 / len(examples), len(examples), seed, num_draws)
    head = list(model.head_parameters().values())
    optimiser = torch.optim.LBFGS(
        head,
        max_iter=2000,
        tolerance_grad=1e-12,
        tolerance_change=1e-15,
        history_size=50,
        line_search_fn="strong_wolfe",
    )

    def closure():
        optimiser.zero_grad()
        loss = sum(one.weight * model.loss(one.batch).sum() for one in batches)
        loss.backward()
        return loss

    optimiser.step(closure)
    model.zero_grad()


def dense_hessian(model, batches):
    """All second derivatives of the weighted sum with respect to the head, by torch itself."""
    head = model.head_parameters()
    sizes = [weight.numel() for weight in head.values()]

    def total(flat):
        pieces = zip(head.items(), flat.split(sizes), strict=True)
        values = {name: piece.view_as(weight) for (name, weight), piece in pieces}
        calls = (torch.func.functional_call(model, values, (one.batch,)) for one in batches)
        return sum(one.weight * loss.sum() for one, loss in zip(batches, calls, strict=True))

    start = torch.cat([weight.detach().flatten() for weight in head.values()])
    return torch.autograd.functional.hessian(total, start), start, total


@torch.no_grad()
def mean_loss(model: Model, examples: Examples, seed: int = 7, num_draws: int = 4) -> float:
    batches = weighted_batches(examples, 1 / len(examples), 4096, seed, num_draws)
    return float(sum(one.weight * model.loss(one.batch).sum() for one in batches))


@torch.no_grad()
def flat_head(model: Model) -> torch.Tensor:
    return torch.cat([weight.flatten() for weight in model.head_parameters().values()]).clone()


def weights(model: Model) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in model.named_parameters()}


def _no_training(model: Model, interactions: Interactions) -> None:
    raise AssertionError("this world trains nothing")
