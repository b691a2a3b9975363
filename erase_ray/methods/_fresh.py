"""Setting weights back to fresh values: how many, which, and to what."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from erase_ray import seeds
from erase_ray.data.interactions import Interactions
from erase_ray.methods._request import Request
from erase_ray.methods._subspace import Subspace
from erase_ray.models import Model

MOST_FRESH = 4096
STEPS = 2**30


@dataclass(frozen=True, eq=False)
class Scope:
    """The part of a tensor that a request is about.

    Args:
        weight: The whole tensor.
        rows: Rows of a table, by the number of a user or item, int64; None for a tensor that
            everybody shares, which a request is about as a whole.
        share: Share (0 to 1) of the data behind that part that the request forgets, by rows of
            the interactions.
    """

    weight: nn.Parameter
    rows: Tensor | None
    share: float

    def entries(self, space: Subspace, name: str) -> Tensor:
        """Flat positions, in the leaf that stands for the tensor, of all entries of the part."""
        leaf = space.named[name]
        places = space.places.get(name)
        if self.rows is None:
            return torch.arange(leaf.numel(), device=leaf.device)
        width = leaf[0].numel()
        if places is None:
            places = torch.arange(len(leaf), device=leaf.device)
        # a place of a table of blocks is one entry, of other tables it is a row
        inside = torch.isin(places * width // self.weight[0].numel(), self.rows)
        index_M1 = torch.nonzero(inside)
        return (index_M1 * width + torch.arange(width, device=leaf.device)).flatten()


def scopes(model: Model, request: Request, item_rows_I: Tensor) -> dict[str, Scope]:
    """What a request is about, for each parameter of the model.

    Of user tables the rows of those who ask, of item tables the rows of the items to forget, of
    all else everything. Where people have rows of their own, item rows stand for all data.

    Args:
        model: Any model.
        request: The request.
        item_rows_I: How often each item occurs in the interactions, shape ``(I,)``.
    """
    table, num = request.world.interactions, len(request.spec.rows)
    num_own = len(table.of_users(request.users.cpu().numpy()))
    num_theirs = int(item_rows_I[request.items.cpu()].sum())
    users, items = model.user_tables(), model.item_tables()

    def scope(name: str, weight: nn.Parameter) -> Scope:
        if name in users:
            return Scope(weight, request.users, num / num_own)
        if name in items:
            return Scope(weight, request.items, num / (len(table) if users else num_theirs))
        return Scope(weight, None, num / len(table))

    return {name: scope(name, weight) for name, weight in model.named_parameters()}


def item_rows(interactions: Interactions) -> Tensor:
    """How often each item occurs, int64, shape ``(I,)``."""
    return torch.as_tensor(np.bincount(interactions.item, minlength=interactions.num_items))


def smallest(
    space: Subspace, score_P: Tensor, about: dict[str, Scope], rate: float, seed: int
) -> dict[str, Tensor]:
    """The entries with the smallest score of what a request is about, by tensor.

    Entries whose score is zero are passed over, as nothing that was looked at reads them. Of equal
    scores the earlier entry comes first. A fraction of an entry counts with that probability.

    Args:
        space: Where the entries lie.
        score_P: Scores, of any sign, shape ``(P,)``.
        about: What may be chosen.
        rate: Entries to choose are this times the forgotten share of the data, and at most all.
        seed: Root of the draws.

    Returns:
        Flat positions in the leaves, int64.
    """
    chosen = {}
    for name, score in space.split(score_P).items():
        entry_N = about[name].entries(space, name)
        size_N = score.flatten()[entry_N].abs()
        entry_N, size_N = entry_N[size_N > 0], size_N[size_N > 0]
        amount = min(1.0, rate * about[name].share) * len(entry_N)
        number = _rounded(amount, seeds.derive(seed, "reset", name))
        chosen[name] = entry_N[size_N.sort(stable=True).indices[:number]]
    return chosen


@torch.no_grad()
def put_fresh(
    space: Subspace, chosen: dict[str, Tensor], fresh: dict[str, Tensor], seed: int
) -> None:
    """Put fresh values at the chosen entries, each drawn by its place in the whole tensor."""
    for name, entry_N in chosen.items():
        leaf = space.named[name]
        root = seeds.derive(seed, "fresh", name)
        pick_N = seeds.below(len(fresh[name]), root, _positions(space, name, entry_N))
        leaf.view(-1)[entry_N] = fresh[name].to(leaf)[pick_N]


def fresh_values(model: Model, seed: int) -> dict[str, Tensor]:
    """Values of a fresh model of the same kind and size, `MOST_FRESH` or fewer of each tensor.

    They are taken at even distances, so they have the distribution that ``reset`` draws from,
    whatever it is. The fresh model is built on the CPU and dropped.
    """
    fresh = type(model)(model.settings, model.shape)
    fresh.reset(seeds.torch_generator(seed, "fresh"))
    return {name: _thinned(weight.detach()) for name, weight in fresh.named_parameters()}


def _thinned(weight: Tensor) -> Tensor:
    flat = weight.flatten()
    number = min(len(flat), MOST_FRESH)
    return flat[torch.arange(number) * len(flat) // max(number, 1)].clone()


def _positions(space: Subspace, name: str, entry_N: Tensor) -> Tensor:
    """Flat positions in a whole tensor of entries of the leaf that stands for it, int64."""
    places = space.places.get(name)
    if places is None:
        return entry_N
    width = space.named[name].numel() // max(len(places), 1)
    return places[entry_N // width] * width + entry_N % width


def _rounded(amount: float, seed: int) -> int:
    """A whole number, up or down at random such that its mean is ``amount``."""
    share = seeds.below(STEPS, seed, torch.zeros(1, dtype=torch.int64)).item() / STEPS
    return math.floor(amount + share)
