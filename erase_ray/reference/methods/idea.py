"""The published IDEA: a step that reinforces, and noise as large as the weights."""

import math
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from erase_ray.methods import METHODS, Method, Outcome, Request
from erase_ray.models import Model
from erase_ray.reference._adam import SharedAdam, cut_short, fine_tune
from erase_ray.reference._cg import Solution, conjugate_gradient, is_nothing
from erase_ray.reference._khop import near_batches
from erase_ray.reference._products import JointHessian, lacks_derivative
from erase_ray.reference._view import look
from erase_ray.reference._work import Work, clipped, serve
from erase_ray.settings import Frozen


@METHODS.register_reference
class Idea(Method):
    """What the published implementation computes as IDEA.

        δ = Σ_b g_b / C (D_u^c) − Σ_b g_b / F (D_u),   (H_K + λI) u = δ,
        θ ← θ + u + N(0, s²),   s = max(σ, λ‖u‖ / (ε √(2 ln(1.25 / δ_p))))

    where H_K is the Hessian of the mean loss of K, at most 1024 examples of S with near people
    first. Then FT(128F) on S. The solver is :func:`erase_ray.reference._cg.conjugate_gradient`. The
    graph is not touched.

    Defects, as published:
        1. The sign: the paper adds H⁻¹(forget − cleaned). This step lowers the loss of what
           should be forgotten and raises that of what is kept.
        2. Gaussian noise of ε wants √(2 ln(1.25 / δ_p)) / ε times ζ; the root is below the
           fraction line, and ζ = λ‖u‖ is no bound of anything.
        3. Noise of standard deviation 0.1 on every weight at every request.
        4. Means are divided by the number of examples again, so the smaller set dominates.
        5. Where any parameter has no entry in the first or second derivative, nothing is done.
        6. Next-basket requests whose first target item is not asked for have δ = 0: skipped.

    The corrected edition is :mod:`erase_ray.methods.idea`.
    """

    version: ClassVar[int] = 1

    class Settings(Frozen):
        """Settings of the published `Idea`."""

        edition: Literal["reference"] = "reference"
        """Which edition this is."""
        damping: float = Field(default=0.01, ge=0)
        """λ."""
        sigma: float = Field(default=0.1, ge=0)
        """Least standard deviation of the noise."""
        epsilon: float = Field(default=0.1, gt=0)
        """ε of the noise."""
        delta: float = Field(default=0.01, gt=0, lt=1)
        """δ_p of the noise."""
        iterations: int = Field(default=100, ge=0)
        """Most iterations of conjugate gradient."""
        hessian_samples: int = Field(default=1024, ge=1)
        """Examples of K."""
        k_hops: int = Field(default=4, ge=0)
        """How far people are near: 2 or 3 share an item, 4 share one with these, 1 nobody."""
        tune_factor: int = Field(default=128, ge=0)
        """Examples of the fine-tuning for each of the person's; 0: no fine-tuning."""
        max_norm: float = Field(default=float("inf"), gt=0)
        """Longest solution; longer ones are shortened."""

    def forget(self, model: Model, request: Request) -> Outcome:
        """Step, blur and fine-tune in place."""
        view = look(request, factor=8, least=1024)
        return serve(model, request, view, self.changes(model), self._step)

    def _step(self, work: Work) -> Outcome:
        delta_P = difference(work)
        if not bool(torch.isfinite(delta_P).all()):
            return work.outcome("non_finite", "the gradients are not finite")
        found = self._solve(work, delta_P)
        work.details |= {"delta_norm": float(delta_P.norm()), "iterations": float(found.iterations)}
        if is_nothing(found.x_P):
            return work.outcome("skipped", f"conjugate gradient ended at once: {found.end}")
        u_P = clipped(found.x_P, self.settings.max_norm)
        spread = self.noise(float(u_P.norm()))
        work.details |= {"solution_norm": float(found.x_P.norm()), "noise_std": spread}
        noise_P = torch.randn(u_P.shape, generator=work.generator("noise"), device=u_P.device)
        work.add(u_P + spread * noise_P.to(u_P.dtype))
        return self._tune(work)

    def _solve(self, work: Work, delta_P: Tensor) -> Solution:
        settings = self.settings
        batches = near_batches(work, settings.k_hops, settings.hessian_samples)
        missing = lacks_derivative(work, batches)
        if missing:
            end = f"no second derivative by {missing}"
            return Solution(torch.zeros_like(delta_P), 0, end)
        hessian = JointHessian(work, batches)

        def operator(vector_P: Tensor) -> Tensor:
            return hessian(vector_P) + settings.damping * vector_P

        return conjugate_gradient(operator, delta_P, settings.iterations)

    def _tune(self, work: Work) -> Outcome:
        if not self.settings.tune_factor:
            return work.outcome("applied")
        adam = SharedAdam(work)
        in_time = fine_tune(work, adam, self.settings.tune_factor * work.view.num_own)
        adam.keep()
        return work.outcome("applied", "" if in_time else cut_short(work, adam))

    def noise(self, norm: float) -> float:
        """Standard deviation of the noise for a step of length ``norm``."""
        settings = self.settings
        root = math.sqrt(2 * math.log(1.25 / settings.delta))
        return max(settings.sigma, settings.damping * norm / (settings.epsilon * root))


def difference(work: Work) -> Tensor:
    """δ, shape ``(P,)``; its first term is 0 without clean examples."""
    view = work.view
    delta_P = work.gradient_sum(view.clean, "clean") / max(view.num_clean, 1)
    return delta_P - work.gradient_sum(view.own, "own") / view.num_own
