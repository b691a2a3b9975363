"""What the published GIF, CEU and IDEA take for the neighbourhood and for the graph without edges.

Both are made from the few sampled people and the person who asks, not from the training data.
"""

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from erase_ray import seeds
from erase_ray.models import Model
from erase_ray.models._graph import Graph
from erase_ray.models._graph_model import GraphModel
from erase_ray.reference._loader import Loader
from erase_ray.reference._work import Work
from erase_ray.tasks import Examples
from erase_ray.tasks.cf import PairExamples

MOST_USERS, USERS_FACTOR = 10_000, 10


def near_batches(work: Work, hops: int, target: int) -> list[Any]:
    """Mini-batches of S, those of people near the person first, until there are ``target``.

    Whole mini-batches, split by who is near and so of unequal size: there can be more examples
    than the target, or fewer.
    """
    near = near_users(work, hops, target)
    loader = work.loader(work.view.retain, "near")
    if not len(near):
        return _until(loader, target, [None])
    is_near_N = torch.isin(work.view.retain.users, near)
    return _until(loader, target, [is_near_N, ~is_near_N])


def near_users(work: Work, hops: int, target: int) -> Tensor:
    """People in S within ``hops`` of the person, over the items of S and D_u alone, int64.

    With 2 or 3 hops those who share an item with the person; with 4 or more also those who share
    one with these; with fewer nobody. Of too many a random part.
    """
    view = work.view
    users, items = (
        np.concatenate(columns)
        for columns in zip(_pairs(view.retain), _pairs(view.own), strict=True)
    )
    askers = np.unique(view.own.users.cpu().numpy())
    found = askers
    for _ in range(min(hops // 2, 2)):
        found = np.unique(users[np.isin(items, items[np.isin(users, found)])])
    found = found[~np.isin(found, askers)]
    near = torch.as_tensor(found, device=work.request.device)
    most = min(MOST_USERS, USERS_FACTOR * target)
    if len(near) > most:
        near = near[seeds.order(seeds.derive(work.request.seed, "near"), near)[:most]]
    return near


def leading_batches(work: Work, purpose: str, target: int) -> list[Any]:
    """Whole mini-batches of a shuffled S until there are ``target`` examples."""
    return _until(work.loader(work.view.retain, purpose), target, [None])


def modified(work: Work, added: Sequence[Examples], removed: Sequence[Any]) -> Model:
    """The model on what the reference takes for the graph without the edges to forget.

    It shares all weights with the model. Its graph has the edges of the ``added`` examples alone,
    none of those in ``removed`` (mini-batches), and an edge between user j and item j for every j
    that is both, which were meant to be loops. Views of the graph (SGL) stay those of the model.
    Models without a graph that the reference knows are returned as they are.
    """
    model = work.model
    if not isinstance(model, GraphModel):
        return model
    shape, device = model.shape, work.request.device
    keys = [_keys(one.users, one.items, shape.num_items) for one in _with_items(added)]
    gone = [_keys(batch.user_B, batch.item_B, shape.num_items) for batch in removed]
    key_E = torch.cat(keys)
    key_E = key_E[~torch.isin(key_E, torch.cat(gone))] if gone else key_E
    fake_J = torch.arange(min(shape.num_users, shape.num_items), device=device)
    key_E = torch.unique(torch.cat([key_E, _keys(fake_J, fake_J, shape.num_items)]))
    users, items = key_E // shape.num_items, key_E % shape.num_items
    twin = copy.copy(model)
    twin._graph = Graph.of(users, items, (shape.num_users, shape.num_items), model.collapses)
    return twin


def _until(loader: Loader, target: int, parts: Sequence[Tensor | None]) -> list[Any]:
    """A pass over the loader for each part (bool, shape ``(N,)``; None is everybody)."""
    batches, num = [], 0
    for part_N in parts:
        for index in loader.walk():
            if num >= target:
                break
            index = index if part_N is None else index[part_N[index]]
            if len(index):
                batches.append(loader.batch(index))
                num += len(index)
    return batches


def _pairs(examples: Examples) -> tuple[np.ndarray, np.ndarray]:
    """User and item of every target."""
    targets = examples.targets()
    owners = examples.users.cpu().numpy()[targets.owners]
    return owners, targets.values


def _with_items(parts: Sequence[Examples]) -> list[Any]:
    return [part for part in parts if isinstance(part, PairExamples)]


def _keys(user_E: Tensor, item_E: Tensor, num_items: int) -> Tensor:
    return user_E * num_items + item_E
