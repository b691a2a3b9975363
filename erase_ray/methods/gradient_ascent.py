"""Climb on the loss of the examples to forget, as high as that of examples never seen."""

import math
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from erase_ray.methods._base import METHODS, Method, Outcome
from erase_ray.methods._climb import Check, Climbed, Limits, Way, climb
from erase_ray.methods._curvature import Weighted, gradient_sum, smooth
from erase_ray.methods._graph_term import without_edges
from erase_ray.methods._request import Request
from erase_ray.methods._rise import spend, unspent
from erase_ray.methods._subspace import Subspace, subspace
from erase_ray.methods._unseen import gone, mean_loss, mean_of, unseen_gap
from erase_ray.models import Model
from erase_ray.settings import Frozen
from erase_ray.tasks import Examples

FLAT = "the loss of what is to be forgotten has no slope that spares the rest"


@METHODS.register
class GradientAscent(Method):
    """Ascend on Σ_forget ℓ − Σ_cleaned ℓ until the forgotten examples are as good as never seen.

    The height to climb to is the loss of the examples before the request plus what never having
    seen an example costs: the mean loss of other people's held-out (valid) examples less that of
    their training examples, under the model as it is (or ``min_rise`` of the loss, if that is
    more). Height is measured on the examples that are gone for good, not on those that merely
    changed (a history without the item), unless there are only such. The length of a step is
    Polyak's, (height − loss) / slope. A step is halved while it ends above the height, or while
    the loss of other people's examples, or of those that the person keeps, has risen by more than
    ``max_rise``.

    Paper: Golatkar, Achille, Soatto: "Eternal Sunshine of the Spotless Net", CVPR 2020, and
    Graves, Nagisetty, Ganesh: "Amnesiac Machine Learning", AAAI 2021, have it as a baseline;
    length of a step: Polyak, "Introduction to Optimization", 1987.
    Differs from it: a loss has no upper bound, so plain ascent ends only because somebody counts
    its epochs. Here it has a height, so neither a learning rate nor a number of epochs has to be
    tuned to a model, and it descends on the cleaned examples.
    Cost of a request: for each step one or two gradients of the forgotten and cleaned examples
    and a pass forward over the checked ones; the held-out examples once.
    """

    version: ClassVar[int] = 1
    keeps_track: ClassVar[bool] = True

    class Settings(Frozen):
        """Settings of `GradientAscent`."""

        max_steps: int = Field(default=10, ge=1)
        """Most steps."""
        min_rise: float = Field(default=0.05, ge=0)
        """Least rise of the loss of the forgotten examples to aim at, as a share of that loss."""
        max_norm: float = Field(default=1.0, gt=0)
        """Longest step, as a Euclidean norm; longer ones are shortened."""
        max_rise: float = Field(default=0.01, gt=0)
        """Share by which the loss of other people's examples, and of those that the person
        keeps, may rise in a request."""
        max_chain_rise: float = Field(default=0.1, ge=0)
        """The same for that of other people's in the whole chain, summed over its requests; once
        it is used up no step may raise it."""
        num_check: int = Field(default=128, ge=1)
        """Other people's examples whose loss is checked, and as many more that steps must not go
        against; also held-out ones for the height."""
        num_negatives: int = Field(default=8, ge=1)
        """Draws of negatives that losses are averaged over, for tasks that draw any."""
        batch_size: int = Field(default=512, ge=1)
        """Examples of a mini-batch."""

    def forget(self, model: Model, request: Request) -> Outcome:
        """Climb in place."""
        if not len(request.forget):
            return Outcome("empty", "no training example contains what is to be forgotten")
        with smooth(model):
            return self._climb(model, request)

    def _climb(self, model: Model, request: Request) -> Outcome:
        settings = self.settings
        up, watched = self._up(request), self._mean(gone(request), request)
        guarded, checks = self._left(request)
        gap = unseen_gap(model, request, settings.num_check, settings.num_negatives)
        loss = mean_loss(model, watched)
        height = loss + max(gap.rise, settings.min_rise * abs(loss))
        limits = Limits(height, settings.max_steps, settings.max_norm, request.deadline.passed)
        way = Way(lambda: _direction(model, space, up, watched), watched, guarded, checks)
        known = [*(one.batch for one in up), *way.batches()]
        with (
            without_edges(model, request),
            subspace(model, self.changes(model), known, request.undo) as space,
        ):
            climbed = climb(model, space, way, limits)
        if checks:
            spend(request, climbed.rises[0])
        details = {"loss_trained": loss, "gap": gap.rise, "height": height}
        return _outcome(climbed, len(up) + len(watched), details, request)

    def _left(self, request: Request) -> tuple[list[list[Weighted]], list[Check]]:
        """What steps must not go against, and what is checked after them; others first."""
        settings = self.settings
        others = request.retain(2 * settings.num_check)
        halves = torch.arange(len(others), device=request.device).tensor_split(2)
        kept = self._mean(request.kept, request)
        guard, check = (self._mean(others.take(half), request) for half in halves)
        left = unspent(request, settings.max_chain_rise)
        checks = [(check, min(settings.max_rise, left)), (kept, settings.max_rise)]
        return [each for each in (guard, kept) if each], [Check(*one) for one in checks if one[0]]

    def _up(self, request: Request) -> list[Weighted]:
        """Σ_forget ℓ − Σ_cleaned ℓ, over the number of the former."""
        share = len(request.cleaned) / len(request.forget)
        cleaned = self._mean(request.cleaned, request)
        down = [Weighted(one.batch, -share * one.weight) for one in cleaned]
        return self._mean(request.forget, request) + down

    def _mean(self, examples: Examples, request: Request) -> list[Weighted]:
        settings = self.settings
        return mean_of(examples, settings.batch_size, request.seed, settings.num_negatives)


def _direction(
    model: Model, space: Subspace, up: list[Weighted], watched: list[Weighted]
) -> Tensor:
    """The gradient of ``up``, or of ``watched`` where what changed outweighs what is gone."""
    gradient = gradient_sum(model, space.leaves, up)
    steepest = gradient_sum(model, space.leaves, watched)
    return gradient if float(torch.dot(gradient, steepest)) > 0 else steepest


def _outcome(climbed: Climbed, num_up: int, details: dict[str, float], request: Request) -> Outcome:
    details = details | {
        "loss_before": climbed.before,
        "loss_after": climbed.after,
        "num_steps": float(climbed.num_steps),
        "num_halvings": float(climbed.num_halvings),
    }
    details = {name: value for name, value in details.items() if math.isfinite(value)}
    done = f"after {climbed.num_steps} steps"
    reason = {
        "height": "",
        "checks": f"stopped {done}: a further one would raise the loss of what is left",
        "flat": f"stopped {done}: {FLAT}",
        "max_steps": f"the height was not reached {done}",
        "timed_out": f"{request.deadline.limit_s:g} s were over {done}",
    }[climbed.end]
    status = "applied"
    if climbed.end == "timed_out":
        status = "timed_out"
    elif not math.isfinite(climbed.before):
        status, reason = "non_finite", "the loss of the examples to forget is not finite"
    elif not climbed.num_steps:
        status = "skipped"
        reason = reason or "what is to be forgotten is as little known as what was never seen"
    num_gradients = climbed.num_gradients + num_up * climbed.num_tries
    return Outcome(status, reason, num_gradients, details=details)
