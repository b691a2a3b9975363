"""How much each shard is believed."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from erase_ray import seeds
from erase_ray.data.split import Part
from erase_ray.evaluation import MOST_HISTORIES, default_block
from erase_ray.methods._mode import in_mode
from erase_ray.methods._request import World
from erase_ray.methods._sisa_model import Ensemble, log_shares
from erase_ray.tasks import Queries

NUM_STEPS = 100
"""Steps of expectation and maximisation."""
PRIOR = 1.0
"""Answers that are taken as seen beforehand, spread evenly over the shards."""


def even(ensemble: Ensemble, trained_S: Tensor) -> Tensor:
    """The same weight for every shard that has learned anything, float32, shape ``(A, S)``."""
    believed_S = trained_S.float() if trained_S.any() else torch.ones(len(trained_S))
    return (believed_S / believed_S.sum()).expand(ensemble.weight_AS.shape).clone()


def by_owner(ensemble: Ensemble, trained_S: Tensor) -> Tensor:
    """All weight to the shard of the user; even ones where that has learned nothing."""
    weight_AS = even(ensemble, trained_S)
    weight_AS[trained_S] = torch.eye(len(trained_S))[trained_S]
    return weight_AS


def learned(ensemble: Ensemble, queries: Queries, trained_S: Tensor) -> Tensor:
    """The mixture of shards under which what people chose next is most likely, ``(A, S)``.

    Weights are not negative and sum to 1 in each row; there is a row for the people of each shard
    where batches say who asks. The likelihood is concave in the weights, and expectation and
    maximisation goes up it. A row that no query belongs to has even weights.

    Args:
        ensemble: With all weights and edges as they are to be.
        queries: Questions whose answers no shard was trained on.
        trained_S: bool, shape ``(S,)``: shards that have learned anything; others get weight 0.
    """
    weight_AS = even(ensemble, trained_S)
    if not trained_S.any():
        return weight_AS
    seen = _answers(ensemble, queries)
    for group in range(len(weight_AS)):
        own = seen.of(group)
        weight_AS[group, trained_S] = mixture(own.share_PS[:, trained_S], own.mass_P).float()
    return weight_AS


def held_out(world: World, gone: np.ndarray, num: int, seed: int) -> Queries:
    """Queries about validation rows that are left, of ``num`` drawn people.

    Who is drawn depends on the seed and the number of people alone.
    """
    order_U = seeds.order(seed, torch.arange(world.interactions.num_users)).numpy()
    table = world.interactions.of_users(np.sort(order_U[:num])).without(gone)
    return world.task.queries(table, world.split, Part.VALID, world.cut)


def mixture(log_share_PS: Tensor, mass_P: Tensor) -> Tensor:
    """Weights of a mixture of given distributions that make some answers most likely, ``(S,)``.

    Args:
        log_share_PS: Log-probability of each answer by each distribution, float64.
        mass_P: How much each answer counts.
    """
    size = log_share_PS.shape[1]
    weight_S = torch.full((size,), 1 / size, dtype=torch.float64)
    for _ in range(NUM_STEPS):
        blame_PS = torch.softmax(log_share_PS + weight_S.log(), dim=1)
        weight_S = (mass_P @ blame_PS + PRIOR / size) / (mass_P.sum() + PRIOR)
    return weight_S


@dataclass(frozen=True, eq=False)
class _Answers:
    """Right items P of all queries: by how much each shard expected it, whose, how much it counts.

    All on the CPU; a query counts 1 in total.
    """

    share_PS: Tensor
    owner_P: Tensor
    mass_P: Tensor

    def of(self, group: int) -> "_Answers":
        own_P = self.owner_P == group
        return _Answers(self.share_PS[own_P], self.owner_P[own_P], self.mass_P[own_P])


@torch.no_grad()
def _answers(ensemble: Ensemble, queries: Queries) -> _Answers:
    blocks = [torch.zeros(0, len(ensemble.shards), dtype=torch.float64)]
    owners = [torch.zeros(0, dtype=torch.int64)]
    index_Q = torch.arange(len(queries), device=queries.inputs.rows.device)
    size = default_block(ensemble.shape.num_items, MOST_HISTORIES)
    with in_mode(ensemble, training=False), ensemble.scoring():
        for index_B in index_Q.split(size) if len(queries) else ():
            right = queries.relevant.take(int(index_B[0]), int(index_B[-1]) + 1)
            batch, asker_P = queries.inputs.inputs(index_B), torch.from_numpy(right.owners)
            blocks.append(_expected(ensemble, batch, asker_P, torch.from_numpy(right.values)))
            owners.append(ensemble.owners(batch).cpu()[asker_P])
    mass_P = torch.from_numpy(np.repeat(1 / queries.relevant.lengths, queries.relevant.lengths))
    return _Answers(torch.cat(blocks), torch.cat(owners), mass_P)


def _expected(ensemble: Ensemble, batch: Any, asker_P: Tensor, item_P: Tensor) -> Tensor:
    """Log-probability of an item for a query of a batch by each shard, float64, ``(P, S)``."""
    device = ensemble.weight_AS.device
    place = (asker_P.to(device), item_P.long().to(device))
    columns = [log_shares(member, batch)[place].double().cpu() for member in ensemble.shards]
    return torch.stack(columns, dim=1)
