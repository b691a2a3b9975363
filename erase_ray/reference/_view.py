"""The data of one request as the published runner cuts them.

Everything is split anew: a person's rows as if they were a dataset, the same rows without those to
forget as another, and the rows of a few other people as a third. Of each only the training part is
used. So a boundary moves where rows go, and former validation and test rows can come in.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from erase_ray import seeds
from erase_ray.data.interactions import Interactions
from erase_ray.data.split import Split
from erase_ray.methods import Request
from erase_ray.tasks import Examples
from erase_ray.tasks.cf import PairExamples

MOST_SHARE = 10
"""The retain sample is at most one row of this many."""
BASKET_ROWS = 3
"""Rows of a person in the published next-basket tables: one for each part of the split."""
ORDER, LAP, PLACE = "retain/order", "retain/lap", "retain/place"


@dataclass(frozen=True, eq=False)
class View:
    """What a published method is given.

    Args:
        own: D_u, training examples of all the person's rows, those to forget among them.
        clean: The same without the rows to forget; may be empty.
        retain: S, training examples of whole other people; those whose turn comes later and
            fakes that were not asked for yet are among them.
    """

    own: Examples
    clean: Examples
    retain: Examples

    @property
    def num_own(self) -> int:
        """F."""
        return len(self.own)

    @property
    def num_clean(self) -> int:
        """C."""
        return len(self.clean)

    @property
    def num_retain(self) -> int:
        """R."""
        return len(self.retain)


def look(request: Request, factor: int, least: int) -> View:
    """The data of ``request``; moves the place in the pool of people (in ``request.state``).

    Args:
        request: Rows that earlier requests removed are in none of its parts.
        factor: Rows of other people for each example of the person ...
        least: ... and this many at least; a tenth of the table at most.
    """
    table = request.world.interactions
    rows = table.of_users(request.users.cpu().numpy()).without(request.forgotten)
    own = _examples(request, rows)
    num_rows = len(table) if own.has_one_target else BASKET_ROWS * table.num_users
    budget = min(max(factor * len(own), least), num_rows // MOST_SHARE)
    others = _walk(request, budget, own.has_one_target) if len(own) else np.zeros(0, np.int64)
    return View(own, _clean(request, rows, own), _examples(request, table.of_users(others)))


def _examples(request: Request, table: Interactions) -> Examples:
    """Training examples of a table that is split by itself."""
    world = request.world
    marks = np.zeros(len(world.split.marks), np.int8)
    marks[table.row] = world.task.split(table).marks
    examples = world.task.examples(table, Split(marks), world.cut)
    if isinstance(examples, PairExamples) and isinstance(world.examples, PairExamples):
        # negatives come from the sampler of the full training set, forgotten items included
        return replace(examples, taken=world.examples.taken)
    return examples


def _clean(request: Request, rows: Interactions, own: Examples) -> Examples:
    """What is left of ``own``; a next-basket example goes by the first item of its target."""
    table = request.world.interactions
    asked = np.unique(_keys(table.only(request.spec.rows)))
    if own.has_one_target:
        return _examples(request, rows.without(rows.row[np.isin(_keys(rows), asked)]))
    targets = own.targets()
    first_N = targets.values[targets.offsets[:-1]].astype(np.int64)
    key_N = own.users.cpu().numpy() * table.num_items + first_N
    stays = np.flatnonzero(~np.isin(key_N, asked))
    return own.take(torch.as_tensor(stays, device=own.rows.device))


def _keys(table: Interactions) -> np.ndarray:
    return table.user.astype(np.int64) * table.num_items + table.item


def _walk(request: Request, budget: int, counts_rows: bool) -> np.ndarray:
    """The next people of the pool, until they have as many rows as the budget, ascending."""
    table, state = request.world.interactions, request.state
    lap, place = (int(state[name]) if name in state else 0 for name in (LAP, PLACE))
    order = state[ORDER] if ORDER in state else _order(request, lap)
    asked, chosen, rows = set(request.asked.tolist()), set(), 0
    for _ in range(table.num_users):
        if rows >= budget:
            break
        if place == len(order):
            lap, place = lap + 1, 0
            order = _order(request, lap)
        user, place = int(order[place]), place + 1
        if user not in asked and user not in chosen:
            chosen.add(user)
            rows += len(table.of_users(np.array([user]))) if counts_rows else BASKET_ROWS
    state |= {ORDER: order, LAP: torch.tensor(lap), PLACE: torch.tensor(place)}
    return np.array(sorted(chosen), np.int64)


def _order(request: Request, lap: int) -> Tensor:
    """All users in the random order of a lap, int32."""
    users = torch.arange(request.world.interactions.num_users)
    return seeds.order(seeds.derive(request.world.seed, "retain pool", lap), users).int()
