"""Small worlds for the published methods, and what they compute written out plainly."""

from dataclasses import replace

import numpy as np
import torch
from torch.nn.functional import softplus

from erase_ray.data.interactions import Interactions
from erase_ray.data.split import Split
from erase_ray.methods import METHODS, Deadline, Method, Request
from erase_ray.methods._request import World
from erase_ray.models import MODELS, Model, Shape, TrainingSettings
from erase_ray.reference._view import View, look
from erase_ray.reference._work import Work, published
from erase_ray.scenarios import RequestSpec
from erase_ray.tasks import TASKS, Cut, Task
from erase_ray.tasks.cf import Cf
from erase_ray.tasks.session_based import SessionBased
from erase_ray.training import training_edges

CPU = torch.device("cpu")
STILL = TrainingSettings(learning_rate=1e-12)
"""Steps of Adam that move nothing."""
NAMES = ("scif", "kookmin", "fanchuan", "gif", "ceu", "idea", "seif")
SMALL = {
    "bpr": {"embedding_size": 4},
    "lightgcn": {"embedding_size": 4},
    "sgl": {"embedding_size": 4},
    "gru4rec": {"embedding_size": 4, "hidden_size": 5},
    "narm": {"embedding_size": 4, "hidden_size": 5},
    "sasrec": {"embedding_size": 4, "num_heads": 1},
    "srgnn": {"embedding_size": 4},
    "sets2sets": {"embedding_size": 4},
    "dnntsp": {"embedding_size": 4},
}


class WholeCf(Cf):
    """All rows are for training."""

    name = "cf"

    def split(self, interactions):
        return Split(np.zeros(len(interactions), np.int8))


class WholeSessions(SessionBased):
    """All rows are for training."""

    name = "session_based"

    def split(self, interactions):
        return Split(np.zeros(len(interactions), np.int8))


def reference(name: str, **settings) -> Method:
    kind = METHODS.get(name, "reference")
    return kind(kind.Settings(**settings))


def corrected(name: str, **settings) -> Method:
    kind = METHODS.get(name)
    return kind(kind.Settings(**settings))


def lists(items: list[list[int]]) -> Interactions:
    """One sequence of single items for each user."""
    user = np.repeat(np.arange(len(items)), [len(one) for one in items])
    step = np.concatenate([np.arange(len(one)) for one in items])
    columns = {"user": user, "sequence": user, "step": step, "item": np.concatenate(items)}
    return Interactions.prepared(columns | {"time": step})


def drawn(num_users=40, num_items=30, length=12, seed=0) -> Interactions:
    """Every user has ``length`` items, none twice."""
    generator = np.random.default_rng(seed)
    return lists([generator.permutation(num_items)[:length] for _ in range(num_users)])


def forced(num_users=20, num_items=7) -> Interactions:
    """Every user has all items but one, so that no negative is left to chance."""
    own = [[i for i in range(num_items) if i != u % num_items] for u in range(num_users)]
    return lists(own)


def baskets(num_users=40, num_items=30, num_baskets=6, size=3, seed=0) -> Interactions:
    """Every user has some baskets of ``size`` items."""
    generator = np.random.default_rng(seed)
    count = num_users * num_baskets
    item = np.concatenate([np.sort(generator.permutation(num_items)[:size]) for _ in range(count)])
    user = np.repeat(np.arange(num_users), num_baskets * size)
    step = np.tile(np.repeat(np.arange(num_baskets), size), num_users)
    columns = {"user": user, "sequence": user, "step": step, "item": item, "time": step}
    return Interactions.prepared(columns)


def table_for(model_name: str) -> Interactions:
    return baskets() if MODELS.get(model_name).task == "next_basket" else drawn()


def build(name: str, table: Interactions, seed=1, **settings) -> Model:
    kind = MODELS.get(name)
    shape = Shape(table.num_users, table.num_items)
    model = kind(kind.Settings(**SMALL[name] | settings), shape)
    model.reset(torch.Generator().manual_seed(seed))
    if model.has_edges:
        split = TASKS.get(model.task)().split(table)
        model.set_edges(*training_edges(table, split, CPU))
    return model


def world_of(model: Model, table: Interactions, task: Task | None = None, training=STILL) -> World:
    task = task or TASKS.get(model.task)()
    cut, split = Cut(model.max_history, CPU), task.split(table)
    examples = task.examples(table, split, cut)
    return World(task, table, split, cut, examples, table.num_items, _never, training, seed=3)


def ask(world: World, rows, forgotten=(), asked=(), seed=7, limit_s=float("inf")) -> Request:
    rows = np.sort(np.asarray(rows, np.int64))
    users = np.unique(world.interactions.user[rows])
    return Request(
        spec=RequestSpec(0, users, rows),
        forgotten=np.asarray(forgotten, np.int64),
        world=world,
        asked=torch.tensor([*asked, *users.tolist()]),
        training_size=len(world.examples),
        seed=seed,
        deadline=Deadline(limit_s),
    )


def small_case(
    name: str, limit_s=float("inf"), training=STILL, **settings
) -> tuple[Model, Request]:
    """A small random model, and user 5 who wants two items forgotten."""
    table = table_for(name)
    model = build(name, table, **settings)
    rows = table.row[table.user == 5]
    return model, ask(world_of(model, table, training=training), rows[3:5], limit_s=limit_s)


def forced_case(num_forget=2, **options) -> tuple[Model, Request]:
    """BPR in double precision without chance: user 5 wants some items forgotten."""
    table = forced()
    model = build("bpr", table).double()
    rows = table.row[table.user == 5][:num_forget]
    return model, ask(world_of(model, table, WholeCf()), rows, **options)


def seen(request: Request, factor: int, least: int) -> View:
    """What :func:`look` gives a method, leaving the pool where it is."""
    return look(replace(request, state={}), factor, least)


def work_of(model: Model, request: Request, view: View, leaves=None) -> Work:
    leaves = list(model.parameters()) if leaves is None else leaves
    return Work(model, request, view, leaves)


def bpr_loss(flat: torch.Tensor, examples, table: Interactions) -> torch.Tensor:
    """The mean loss of a BPR model without chance as a plain formula of all its weights."""
    width = len(flat) // (table.num_users + table.num_items)
    user_UD, item_ID = flat.view(-1, width).split([table.num_users, table.num_items])
    total = 0
    for user, item in zip(examples.users.tolist(), examples.items.tolist(), strict=True):
        gap = item_ID[item] - item_ID[user % table.num_items]
        total = total + softplus(-(user_UD[user] @ gap))
    return total / len(examples)


def slope(flat: torch.Tensor, examples, table: Interactions) -> torch.Tensor:
    """The gradient of :func:`bpr_loss`."""
    flat = flat.clone().requires_grad_()
    return torch.autograd.grad(bpr_loss(flat, examples, table), flat)[0]


def curvature(flat: torch.Tensor, examples, table: Interactions) -> torch.Tensor:
    """The dense Hessian of :func:`bpr_loss`."""
    return torch.autograd.functional.hessian(lambda x: bpr_loss(x, examples, table), flat)


def flat(model: Model) -> torch.Tensor:
    return torch.cat([weight.detach().flatten() for weight in model.parameters()])


def in_train_mode(model: Model, request: Request):
    return published(model, request)


def error(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


def _never(model, interactions):
    raise AssertionError("nothing is trained here")
