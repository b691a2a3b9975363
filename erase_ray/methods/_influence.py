"""What methods share that take one damped Newton step away from the examples to forget."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from erase_ray import tiles
from erase_ray.methods._base import Method, Outcome
from erase_ray.methods._curvature import (
    Curvature,
    Weighted,
    gradient_sum,
    smooth,
    weighted_batches,
)
from erase_ray.methods._request import Request
from erase_ray.methods._rise import FLOOR, spend, unspent
from erase_ray.methods._solve import Limits, Solve, conjugate_gradient
from erase_ray.methods._subspace import Subspace, subspace
from erase_ray.methods._unseen import gone, mean_loss, mean_of, unseen_gap
from erase_ray.models import Model
from erase_ray.settings import Frozen
from erase_ray.tasks import Examples

MEGABYTE = 2**20
MOST_HALVINGS = 10
MIN_GAP = 0.05
"""Least gap between seen and unseen examples, as a share of the loss."""


class InfluenceSettings(Frozen):
    """Settings that these methods share."""

    damping: float = Field(default=1.0, gt=0)
    """N·λ: curvature added to the sum over all examples, so it means the same for any N."""
    num_retain: int = Field(default=512, ge=0)
    """Other people's examples in the Hessian sample."""
    num_negatives: int = Field(default=16, ge=1)
    """Draws of negatives that losses are averaged over, for tasks that draw any."""
    tolerance: float = Field(default=1e-4, gt=0, lt=1)
    """Relative residual at which the solver stops."""
    max_iterations: int = Field(default=100, ge=1)
    """Most iterations of the solver."""
    max_norm: float = Field(default=float("inf"), gt=0)
    """Longest step, as a Euclidean norm; longer ones are shortened."""
    max_rise: float = Field(default=0.01, gt=0)
    """Share by which the loss of ``num_check`` examples of others, which the Hessian sample does
    not hold, may rise; the step is halved until it does not. Infinite: the step is taken as it is,
    and the next two settings do not count either."""
    max_chain_rise: float = Field(default=0.1, ge=0)
    """The same for all requests of the chain together; falls make room for rises."""
    max_forgetting: float = Field(default=2.0, gt=0)
    """How far the loss of the forgotten examples may rise, in units of what separates examples of
    others that the model was trained on from those it never saw, at least a twentieth of the loss
    itself. Not for people of whom no training example is left."""
    num_check: int = Field(default=256, ge=1)
    """See ``max_rise``."""
    batch_size: int = Field(default=512, ge=1)
    """Examples of a mini-batch."""
    graph_budget_mb: float = Field(default=512.0, ge=0)
    """Most memory for the graphs kept from iteration to iteration; no influence on numbers."""


@dataclass(frozen=True, eq=False)
class Bound:
    """A mean loss that must stay below a limit.

    Args:
        name: Of the loss, for details and messages.
        batches: Whose weighted sum it is.
        before: The loss at the beginning.
        limit: The highest loss.
    """

    name: str
    batches: list[Weighted]
    before: float
    limit: float


@dataclass(eq=False)
class Job:
    """One request on its way through an influence method.

    Args:
        model: In the state of :func:`smooth`, narrowed to ``space``.
        request: What to forget.
        space: What the step moves.
        removed: Forgotten examples with weight 1 and cleaned ones with weight -1.
        sample: Batches whose weighted sum stands for the mean loss of all that is left.
        hessian: The Hessian of that sum.
        bounds: Losses that the step must keep below a limit.
        num_retain: Other people's examples in ``sample``.
        num_gradients: Gradients of mini-batches so far.
        num_hvps: Hessian-vector products other than those of ``hessian`` so far.
        details: Numbers for the outcome.
    """

    model: Model
    request: Request
    space: Subspace
    removed: list[Weighted]
    sample: list[Weighted]
    hessian: Curvature
    bounds: list[Bound]
    num_retain: int
    num_gradients: int = 0
    num_hvps: int = 0
    details: dict[str, float] = field(default_factory=dict)


class InfluenceMethod(Method):
    """θ ← θ + (1/N) (H + λI)⁻¹ (Σ_forget ∇ℓ − Σ_cleaned ∇ℓ).

    N is the number of training examples and H the mean Hessian of what is left, on one fixed
    sample: the person's own examples count once each, a random sample of other people's stands
    for all others. Where only a few rows of a table are read, the system is solved in those rows:
    elsewhere its right-hand side and H are zero, and so is the step.
    """

    keeps_track: ClassVar[bool] = True

    class Settings(InfluenceSettings):
        """Settings of the method."""

    def right_hand_side(self, job: Job) -> Tensor:
        """What the inverse Hessian is applied to, shape ``(P,)``."""
        job.num_gradients += len(job.removed)
        return gradient_sum(job.model, job.space.leaves, job.removed)

    def more_batches(self, model: Model, request: Request) -> list[Any]:
        """What else the other hooks will evaluate inside the subspace."""
        return []

    def more_places(self, model: Model, request: Request) -> Mapping[str, Tensor]:
        """What else of the tables the hooks will change, by parameter."""
        return {}

    def solve(self, job: Job, rhs: Tensor) -> tuple[Tensor, Solve]:
        """The solution of ``(H + λI) x = rhs``, and how the solver ended."""
        limits = Limits(self.settings.tolerance, self.settings.max_iterations)
        give_up = job.request.deadline.passed
        return conjugate_gradient(job.hessian, rhs, limits, self.mean_damping(job), give_up)

    def finish(self, job: Job, step: Tensor) -> None:
        """What comes after the step was taken; ``step``, shape ``(P,)``, is what was added."""

    def mean_damping(self, job: Job) -> float:
        """λ, in units of the mean loss."""
        return self.settings.damping / job.request.training_size

    def forget(self, model: Model, request: Request) -> Outcome:
        """Take the step in place."""
        if not len(request.forget):
            return Outcome("empty", "no training example contains what is to be forgotten")
        removed = self._batches(request, request.forget, 1.0)
        removed += self._batches(request, request.cleaned, -1.0)
        sample, check, num_retain = self._samples(request)
        with smooth(model):
            bounds = self._bounds(model, request, check)
            known = [one.batch for one in (*removed, *sample)]
            known += [one.batch for bound in bounds for one in bound.batches]
            known += self.more_batches(model, request)
            more = self.more_places(model, request)
            with subspace(model, self.changes(model), known, request.undo, more) as space:
                budget = tiles.scaled(self.settings.graph_budget_mb * MEGABYTE)
                hessian = Curvature(model, space.leaves, sample, budget)
                job = Job(model, request, space, removed, sample, hessian, bounds, num_retain)
                return self._step(job)

    def _step(self, job: Job) -> Outcome:
        rhs = self.right_hand_side(job)
        solution, solve = self.solve(job, rhs)
        outcome = judged(solution, solve, job.request)
        step = solution / job.request.training_size
        norm = float(step.norm())
        if outcome.status == "applied":
            factor = self.settings.max_norm / norm if norm > self.settings.max_norm else 1.0
            outcome = self._take(job, step * factor, outcome)
        return replace(
            outcome,
            num_gradients=job.num_gradients,
            num_hvps=job.hessian.num_products + job.num_hvps,
            details=_details(solve, norm, job.num_retain) | job.details,
        )

    def _take(self, job: Job, step: Tensor, outcome: Outcome) -> Outcome:
        halvings, name = self._descend(job, step)
        job.details["halvings"] = float(halvings)
        if halvings > MOST_HALVINGS:
            reason = f"{name} is too high even after {MOST_HALVINGS} halvings of the step"
            return Outcome("skipped", reason)
        self.finish(job, step * 0.5**halvings)
        if halvings:
            reason = f"{outcome.reason}; " if outcome.reason else ""
            return replace(outcome, reason=f"{reason}halved {halvings} times for {name}")
        return outcome

    def _descend(self, job: Job, step: Tensor) -> tuple[int, str]:
        """Add the step and halve it as often as need be.

        Returns:
            How often, ``MOST_HALVINGS`` + 1 if it was taken back, and the bound that it was for.
        """
        factor, name = 1.0, ""
        job.space.add(step)
        for halvings in range(MOST_HALVINGS + 1):
            broken = _broken(job)
            if not broken:
                if job.bounds:
                    first = job.bounds[0]
                    spend(job.request, _rise(first.before, job.details[f"{first.name}_after"]))
                return halvings, name.replace("_", " ")
            name = broken
            target = factor / 2 if halvings < MOST_HALVINGS else 0.0
            job.space.add(step, target - factor)
            factor = target
        return MOST_HALVINGS + 1, name.replace("_", " ")

    def _bounds(self, model: Model, request: Request, check: list[Weighted]) -> list[Bound]:
        """What the step must not do, measured before it; nothing where there are no others."""
        settings = self.settings
        if not check:
            return []
        before = mean_loss(model, check)
        room = min(settings.max_rise, unspent(request, settings.max_chain_rise))
        bounds = [Bound("loss_of_others", check, before, before + room * max(before, FLOOR))]
        gap = unseen_gap(model, request, settings.num_check, 1)
        if len(request.kept) and math.isfinite(gap.unseen):
            batches = mean_of(
                gone(request), settings.batch_size, request.seed, settings.num_negatives
            )
            loss = mean_loss(model, batches)
            highest = loss + settings.max_forgetting * max(gap.rise, MIN_GAP * loss)
            bounds.append(Bound("forgotten_loss", batches, loss, highest))
        return bounds

    def _samples(self, request: Request) -> tuple[list[Weighted], list[Weighted], int]:
        """Batches for the mean over all that is left, batches to check, and how many others."""
        num, size = self.settings.num_retain, self.settings.batch_size
        checks = math.isfinite(self.settings.max_rise)
        drawn = request.retain(num + (self.settings.num_check if checks else 0))
        places = torch.arange(len(drawn), device=request.device)
        # where there are too few for both, the check gets its share of them
        num_first = num if len(drawn) >= num or not checks else len(drawn) // 2
        retain, rest = drawn.take(places[:num_first]), drawn.take(places[num_first:])
        num_own = len(request.kept) - len(request.cleaned) + len(request.forget)
        num_others = request.training_size - num_own
        share = num_others / len(retain) if len(retain) else 0.0
        batches = self._batches(request, request.kept, 1 / request.training_size)
        # a further example says more than a further draw for the same one
        others = share / request.training_size
        batches += weighted_batches(retain, others, size, request.seed)
        check = weighted_batches(rest, 1 / max(len(rest), 1), size, request.seed)
        return batches, check, len(retain)

    def _batches(self, request: Request, examples: Examples, weight: float) -> list[Weighted]:
        settings = self.settings
        size, draws = settings.batch_size, settings.num_negatives
        return weighted_batches(examples, weight, size, request.seed, draws)


def _broken(job: Job) -> str:
    """Name of a bound that does not hold, empty if all do; notes the losses."""
    found = ""
    for bound in job.bounds:
        after = mean_loss(job.model, bound.batches)
        job.details |= {f"{bound.name}_before": bound.before, f"{bound.name}_after": after}
        if not after <= bound.limit:
            found = bound.name
    return found


def _rise(before: float, after: float) -> float:
    return (after - before) / max(before, FLOOR)


def judged(solution: Tensor, solve: Solve, request: Request) -> Outcome:
    """What the end of a solver means for the request."""
    done = f"after {solve.iterations} iterations of {solve.solver}"
    if solve.end == "timed_out":
        return Outcome("timed_out", f"{request.deadline.limit_s:g} s were over {done}")
    if solve.end == "non_finite" and not solve.iterations:
        return Outcome("non_finite", "the gradient of the examples to forget is not finite")
    if solve.end == "non_finite" or not bool(torch.isfinite(solution).all()):
        return Outcome("non_finite", f"the solution is not finite {done}")
    if not bool(solution.any()):
        return Outcome("skipped", "forgotten and cleaned examples have the same gradient")
    left = f"the residual was {solve.residual:.1e}"
    if solve.end == "negative_curvature":
        return Outcome("applied", f"cut short by negative curvature {done}; {left}")
    if solve.end == "max_iterations":
        return Outcome("applied", f"cut short {done}; {left}")
    return Outcome("applied")


def _details(solve: Solve, step_norm: float, num_retain: int) -> dict[str, float]:
    details = {
        "iterations": solve.iterations,
        "residual": solve.residual,
        "negative_curvature": float(solve.end == "negative_curvature"),
        "step_norm": step_norm,
        "num_retain": num_retain,
    }
    return {name: float(value) for name, value in details.items() if math.isfinite(value)}
