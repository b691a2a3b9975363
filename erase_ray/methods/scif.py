"""One damped Newton step on the parameters next to the output."""

import math
from dataclasses import replace
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from erase_ray.methods._base import METHODS, Method, Outcome
from erase_ray.methods._curvature import (
    Curvature,
    Weighted,
    add_flat,
    gradient_sum,
    smooth,
    weighted_batches,
)
from erase_ray.methods._request import Request
from erase_ray.methods._solve import Limits, Solve, conjugate_gradient
from erase_ray.models import Model
from erase_ray.settings import Frozen
from erase_ray.tasks import Examples

MEGABYTE = 2**20


@METHODS.register
class Scif(Method):
    """Selective and collaborative influence function.

    θ ← θ + (1/N) (H + λI)⁻¹ (Σ_forget ∇ℓ − Σ_cleaned ∇ℓ) on the head of the model alone, N being
    the number of training examples. H is the mean Hessian of what is left, on one fixed sample:
    the person's own examples count once each, a random sample of other people's stands for all
    others. Where the head is a user table, the person's rows are a block of their own, so their H
    is exact and nobody else moves.

    Paper: Li, Chen, Zheng, Zhang, Gong, Wang: "Selective and Collaborative Influence Function for
    Efficient Recommendation Unlearning", arXiv 2304.10199.
    Differs from it: "selective" is the model's head where the paper takes the user embedding (the
    same for models with a user table); other people enter through H, not through terms of their
    own on the right-hand side, which would bend the step away from the retrained model. The
    public reference divides gradients by their number twice, solves with another Hessian in each
    iteration, repeats stale steps (steps of 1e6 were seen) and divides by the size of its sample
    instead of N.
    Cost of a request: a gradient of the forgotten and cleaned examples, and one Hessian-vector
    product of the person's examples and ``num_retain`` others in each iteration.
    """

    version: ClassVar[int] = 1

    class Settings(Frozen):
        """Settings of `Scif`."""

        damping: float = Field(default=1.0, gt=0)
        """N·λ: curvature added to the sum over all examples, so it means the same for any N."""
        num_retain: int = Field(default=512, ge=0)
        """Other people's examples in the Hessian sample."""
        num_negatives: int = Field(default=16, ge=1)
        """Draws of negatives that losses are averaged over, for tasks that draw any."""
        tolerance: float = Field(default=1e-4, gt=0, lt=1)
        """Relative residual at which conjugate gradient stops."""
        max_iterations: int = Field(default=100, ge=1)
        """Most iterations of conjugate gradient."""
        max_norm: float = Field(default=float("inf"), gt=0)
        """Longest step, as a Euclidean norm; longer ones are shortened."""
        batch_size: int = Field(default=512, ge=1)
        """Examples of a mini-batch."""
        graph_budget_mb: float = Field(default=512.0, ge=0)
        """Most memory for the graphs kept from iteration to iteration; no influence on numbers."""

    def changes(self, model: Model) -> dict[str, nn.Parameter]:
        """The parameters next to the output."""
        return model.head_parameters()

    def forget(self, model: Model, request: Request) -> Outcome:
        """Take the step in place."""
        if not len(request.forget):
            return Outcome("empty", "no training example contains what is to be forgotten")
        with smooth(model):
            return self._step(model, request)

    def _step(self, model: Model, request: Request) -> Outcome:
        parameters = list(self.changes(model).values())
        removed = self._batches(request, request.forget, 1.0)
        removed += self._batches(request, request.cleaned, -1.0)
        rhs = gradient_sum(model, parameters, removed)
        sample, num_retain = self._sample(request)
        budget = self.settings.graph_budget_mb * MEGABYTE
        hessian = Curvature(model, parameters, sample, budget)
        solution, solve = self._solve(hessian, rhs, request)
        outcome = self._judge(solution, solve, request)
        step = solution / request.training_size
        step_norm = step.norm().item()
        if outcome.status == "applied":
            add_flat(parameters, step * min(1.0, self.settings.max_norm / step_norm))
        return replace(
            outcome,
            num_gradients=len(removed),
            num_hvps=hessian.num_products,
            details=_details(solve, step_norm, num_retain),
        )

    def _solve(self, hessian: Curvature, rhs: Tensor, request: Request) -> tuple[Tensor, Solve]:
        limits = Limits(self.settings.tolerance, self.settings.max_iterations)
        damping = self.settings.damping / request.training_size
        return conjugate_gradient(hessian, rhs, limits, damping, request.deadline.passed)

    def _sample(self, request: Request) -> tuple[list[Weighted], int]:
        """Batches whose weighted sum stands for the mean over all that is left, and R."""
        retain = request.retain(self.settings.num_retain)
        num_own = len(request.kept) - len(request.cleaned) + len(request.forget)
        num_others = request.training_size - num_own
        share = num_others / len(retain) if len(retain) else 0.0
        batches = self._batches(request, request.kept, 1 / request.training_size)
        # a further example says more than a further draw for the same one
        others = share / request.training_size
        batches += weighted_batches(retain, others, self.settings.batch_size, request.seed)
        return batches, len(retain)

    def _batches(self, request: Request, examples: Examples, weight: float) -> list[Weighted]:
        settings = self.settings
        size, draws = settings.batch_size, settings.num_negatives
        return weighted_batches(examples, weight, size, request.seed, draws)

    def _judge(self, solution: Tensor, solve: Solve, request: Request) -> Outcome:
        done = f"after {solve.iterations} iterations of conjugate gradient"
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
        "cg_iterations": solve.iterations,
        "residual": solve.residual,
        "negative_curvature": float(solve.end == "negative_curvature"),
        "step_norm": step_norm,
        "num_retain": num_retain,
    }
    return {name: value for name, value in details.items() if math.isfinite(value)}
