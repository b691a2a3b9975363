"""Set the entries that pull least back to fresh values, then repair."""

from dataclasses import replace
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from erase_ray.methods._base import METHODS, Method, Outcome
from erase_ray.methods._curvature import Weighted, gradient_sum, smooth, weighted_batches
from erase_ray.methods._fresh import (
    Scope,
    fresh_values,
    item_rows,
    put_fresh,
    scopes,
    smallest,
)
from erase_ray.methods._graph_term import without_edges
from erase_ray.methods._repair import Descent, Pool, Step, batches_of, learning, plan
from erase_ray.methods._request import Request, World
from erase_ray.methods._subspace import Subspace, subspace
from erase_ray.models import Model
from erase_ray.settings import Frozen

FRESH = "fresh/"
ITEM_ROWS = "item_rows"


@METHODS.register
class Kookmin(Method):
    """Reset the weights on which forgotten and remaining examples pull least, then fine-tune.

    The score of a weight is the gradient of the mean loss of what remains (the person's other
    examples and a sample of other people's) minus that of what is forgotten. Weights with the
    smallest score get fresh values, as the model's own ``reset`` draws them; then comes a pass of
    Adam over what remains, with a large step size for them and a small one for the others.

    Paper: none; the entry of a team of Kookmin University, second of the NeurIPS 2023 Machine
    Unlearning Challenge, which resets weights of the convolutions of an image classifier, once.
    Differs from it: a chain asks for little again and again, so how many weights are reset goes
    with the share of the data that is forgotten: in the person's rows of user tables with the
    share of the person's data; in the forgotten items' rows of item tables with the share of the
    items' data, or of all data where people have rows of their own; in all other tensors with the
    share of all data. Rows of other people and items stay as they are, in the repair as well: a
    pass of Adam without a past would wear them out in a chain. The public reference takes a fixed
    share of each tensor at every request, whose smallest scores are the zeros of unrelated rows;
    weighs mini-batches equally, whatever their size; and multiplies gradients of reset weights by
    ten, which Adam cancels. Here zeros are passed over, ties go to the earlier weight, examples
    are weighed, and each weight has its step size.
    Cost of a request: a gradient and ``repair_epochs`` steps for each mini-batch of what remains,
    and a gradient for each mini-batch of what is forgotten. Before the first request of a chain a
    fresh model is drawn once.
    """

    version: ClassVar[int] = 1
    keeps_track: ClassVar[bool] = True

    class Settings(Frozen):
        """Settings of `Kookmin`."""

        init_rate: float = Field(default=0.3, ge=0, le=1)
        """Share of the weights in question that is reset where ``typical_share`` of the data they
        stand for is forgotten; more and less in proportion."""
        typical_share: float = Field(default=0.02, gt=0, le=1)
        """See ``init_rate``."""
        learning_rate: float = Field(default=0.03, gt=0)
        """Adam's step size in the repair for weights that were reset, which have a way to go."""
        low_rate: float = Field(default=1e-4, ge=0)
        """Adam's step size for weights that were not, in rows of the request and outside tables."""
        repair_epochs: int = Field(default=1, ge=0)
        """Passes of the repair."""
        batch_size: int = Field(default=256, ge=1)
        """Examples of a mini-batch."""
        retain_factor: int = Field(default=16, ge=0)
        """Other people's examples in score and repair, for each example to forget."""
        min_retain: int = Field(default=768, ge=0)
        """Other people's examples in score and repair, at least."""
        max_norm: float = Field(default=float("inf"), gt=0)
        """Longest gradient in the repair; longer ones are shortened."""

    def begin(self, model: Model, world: World) -> dict[str, Tensor]:
        """Some values of each tensor of a fresh model, and how often each item occurs."""
        fresh = fresh_values(model, world.seed)
        named = {f"{FRESH}{name}": values for name, values in fresh.items()}
        return named | {ITEM_ROWS: item_rows(world.interactions)}

    def forget(self, model: Model, request: Request) -> Outcome:
        """Score, reset and repair in place."""
        if not len(request.forget):
            return Outcome("empty", "no training example contains what is to be forgotten")
        settings = self.settings
        num_retain = max(settings.min_retain, settings.retain_factor * len(request.forget))
        pools = [Pool(request.kept), Pool(request.retain(num_retain))]
        steps = plan(pools, settings.batch_size, request.seed, settings.repair_epochs)
        forgotten, remaining = self._scored(request, pools)
        read = [one.batch for one in (*forgotten, *remaining)] + batches_of(steps)
        with subspace(model, self.changes(model), read, request.undo) as space:
            score_P = score(model, request, space, forgotten, remaining)
            if not bool(torch.isfinite(score_P).all()):
                return Outcome(
                    "non_finite", "the gradient that weights are scored by is not finite"
                )
            outcome = self._served(model, request, space, score_P, steps)
        num_scored = len(forgotten) + len(remaining)
        sizes = {"num_kept": len(pools[0].examples), "num_retain": len(pools[1].examples)}
        return replace(
            outcome,
            num_gradients=outcome.num_gradients + num_scored,
            details=outcome.details | {name: float(size) for name, size in sizes.items()},
        )

    def _scored(self, request: Request, pools: list[Pool]) -> tuple[list[Weighted], list[Weighted]]:
        """Batches of the mean loss of what is forgotten, and of what remains."""
        size, seed = self.settings.batch_size, request.seed
        num_remaining = sum(len(pool.examples) for pool in pools)
        forgotten = weighted_batches(request.forget, 1 / len(request.forget), size, seed)
        remaining = [
            batch
            for pool in pools
            for batch in weighted_batches(pool.examples, 1 / max(num_remaining, 1), size, seed)
        ]
        return forgotten, remaining

    def _served(
        self, model: Model, request: Request, space: Subspace, score_P: Tensor, steps: list[Step]
    ) -> Outcome:
        settings = self.settings
        state = request.state or self.begin(model, request.world)
        about = scopes(model, request, state[ITEM_ROWS])
        rate = settings.init_rate / settings.typical_share
        chosen = smallest(space, score_P, about, rate, request.seed)
        put_fresh(space, chosen, {n: state[f"{FRESH}{n}"] for n in chosen}, request.seed)
        with without_edges(model, request), learning(model, request.seed, request.device):
            factors = step_factors(space, about, chosen, settings.low_rate / settings.learning_rate)
            descent = Descent(model, space, settings.learning_rate, factors, settings.max_norm)
            in_time = descent.run(steps, request.deadline)
        if not in_time:
            limit, done = request.deadline.limit_s, descent.num_steps
            return Outcome("timed_out", f"{limit:g} s were over after {done} repair steps", done)
        num_reset = float(sum(len(entry_N) for entry_N in chosen.values()))
        details = {"num_reset": num_reset}
        return Outcome("applied", num_gradients=descent.num_steps, details=details)


def score(
    model: Model,
    request: Request,
    space: Subspace,
    forgotten: list[Weighted],
    remaining: list[Weighted],
) -> Tensor:
    """The gradient of what remains, without the edges to forget, minus that of what is forgotten.

    Returns:
        Shape ``(P,)``.
    """
    with smooth(model):
        minus_P = gradient_sum(model, space.leaves, forgotten)
        with without_edges(model, request):
            return gradient_sum(model, space.leaves, remaining) - minus_P


def step_factors(
    space: Subspace, about: dict[str, Scope], chosen: dict[str, Tensor], low: float
) -> dict[str, Tensor]:
    """Factors of the step size, by tensor, in the shapes of the leaves.

    Args:
        space: What is repaired.
        about: What the request is about; rows of other people and items get 0.
        chosen: Flat positions of the weights that were reset; they get 1.
        low: Factor for the others that the request is about.
    """
    factors = {name: torch.zeros_like(leaf) for name, leaf in space.named.items()}
    for name, factor in factors.items():
        factor.view(-1)[about[name].entries(space, name)] = low
        factor.view(-1)[chosen[name]] = 1
    return factors
