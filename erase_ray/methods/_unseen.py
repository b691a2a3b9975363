"""How much worse a model knows what it never saw: the height to which forgetting should climb."""

from dataclasses import dataclass

import numpy as np
import torch

from erase_ray import seeds
from erase_ray.data.interactions import Interactions
from erase_ray.data.split import Part, Split
from erase_ray.methods._curvature import Weighted, weighted_batches
from erase_ray.methods._request import Request
from erase_ray.models import Model
from erase_ray.tasks import Examples


@dataclass(frozen=True)
class Gap:
    """Mean losses of examples of the same people, other than those who ask.

    Args:
        seen: Of examples that the model was trained on.
        unseen: Of those whose target is held out for validation, which look the same but that no
            weight has ever followed their gradient.
    """

    seen: float
    unseen: float

    @property
    def rise(self) -> float:
        """What never having seen an example costs, 0 or more; 0 too if nobody is left to ask."""
        gap = self.unseen - self.seen
        return max(gap, 0.0) if np.isfinite(gap) else 0.0


def unseen_gap(model: Model, request: Request, num: int, num_draws: int) -> Gap:
    """The gap between training and held-out examples of a few other people.

    A retrained model never saw the examples to forget, but everything else about the person; so
    do other people's held-out examples stand to the model as it is. Time goes with ``num``.

    Args:
        model: In the state of :func:`erase_ray.methods._curvature.smooth`.
        request: Whose other people are asked.
        num: Most examples of each kind, and most people.
        num_draws: Draws of negatives, for tasks that draw any.
    """
    people = torch.unique(request.retain(num).users).cpu().numpy()
    own = request.world.interactions.of_users(people)
    seed = seeds.derive(request.seed, "unseen")
    kinds = [_some(examples, num, seed) for examples in _seen_and_unseen(request, own)]
    seen, unseen = (mean_loss(model, mean_of(one, num, seed, num_draws)) for one in kinds)
    return Gap(seen, unseen)


def mean_of(examples: Examples, size: int, seed: int, num_draws: int) -> list[Weighted]:
    """Mini-batches that stand for the mean of the losses of ``examples``."""
    return weighted_batches(examples, 1 / max(len(examples), 1), size, seed, num_draws)


@torch.no_grad()
def mean_loss(model: Model, batches: list[Weighted]) -> float:
    """The sum of the weighted losses; NaN without batches."""
    if not batches:
        return float("nan")
    return torch.stack([one.weight * model.loss(one.batch).sum() for one in batches]).sum().item()


def gone(request: Request) -> Examples:
    """The forgotten examples whose target has no example afterwards; if all have one, all."""
    forget = request.forget
    is_gone_N = ~torch.isin(forget.rows, request.cleaned.rows)
    return forget.take(torch.nonzero(is_gone_N).flatten()) if bool(is_gone_N.any()) else forget


def _seen_and_unseen(request: Request, own: Interactions) -> tuple[Examples, Examples]:
    world = request.world
    seen = world.task.examples(own, world.split, world.cut)
    joined = world.task.examples(own, _ValidAsTrain(world.split.marks), world.cut)
    is_valid = world.split.marks[joined.rows.cpu().numpy()] == Part.VALID
    places = torch.as_tensor(np.flatnonzero(is_valid), device=joined.rows.device)
    return seen, joined.take(places)


def _some(examples: Examples, num: int, seed: int) -> Examples:
    return examples.take(seeds.order(seed, examples.rows)[:num])


class _ValidAsTrain(Split):
    """The split with what is held out for validation among the training rows."""

    def of(self, interactions: Interactions) -> np.ndarray:
        marks_R = super().of(interactions)
        return np.where(marks_R == Part.VALID, Part.TRAIN, marks_R)
