"""The published CEU: a step that reinforces what should be forgotten, and a random walk."""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from erase_ray.methods import METHODS, Method, Outcome, Request
from erase_ray.models import Model
from erase_ray.reference._cg import conjugate_gradient, is_nothing
from erase_ray.reference._khop import leading_batches, modified
from erase_ray.reference._products import MeanHessian
from erase_ray.reference._view import look
from erase_ray.reference._work import Work, clipped, serve
from erase_ray.settings import Frozen


@METHODS.register_reference
class Ceu(Method):
    """What the published implementation computes as CEU.

        Δ = Σ_b g_b / F − mean_K g_b(G′),   (H̄ + 2λI) x = Δ,   θ ← θ − (x + N(0, σ²)) / (F + C)

    over mini-batches of D_u and of K, the first 1024 examples of S; H̄ is the mean over mini-batches
    of at most ``hessian_samples`` examples of S, and G′ what
    :func:`erase_ray.reference._khop.modified` makes of S and D_u^c. The solver is
    :func:`erase_ray.reference._cg.conjugate_gradient`. No fine-tuning. Gradients and products that
    are not finite count as 0.

    Defects, as published:
        1. The sign: removing data moves the optimum by +H⁻¹Δ. This step lowers the loss of what
           should be forgotten and raises that of S.
        2. The first term is a mean divided by F once more, so that of S dominates.
        3. λ counts twice, once in the loss and once in the operator.
        4. Noise on all weights at every request without a repair: a random walk that grows with
           the root of the number of requests; short histories get most.
        5. Divides by the length of the person's history instead of the number of all examples.
        6. The people near enough are looked for among the person's own examples, so there are
           none and K is all of S. ε is printed and nothing comes of it.

    The corrected edition is :mod:`erase_ray.methods.ceu`.
    """

    version: ClassVar[int] = 1

    class Settings(Frozen):
        """Settings of the published `Ceu`."""

        edition: Literal["reference"] = "reference"
        """Which edition this is."""
        penalty: float = Field(default=0.01, ge=0)
        """λ, called ``lambda`` there."""
        sigma: float = Field(default=0.1, ge=0)
        """Standard deviation of the noise before the division."""
        cg_iterations: int = Field(default=100, ge=0)
        """Most iterations of conjugate gradient."""
        hessian_samples: int = Field(default=1024, ge=1)
        """Most examples of the Hessian and of K."""
        max_norm: float = Field(default=float("inf"), gt=0)
        """Longest solution; longer ones are shortened."""

    def forget(self, model: Model, request: Request) -> Outcome:
        """Take the step in place."""
        view = look(request, factor=8, least=1024)
        return serve(model, request, view, self.changes(model), self._step)

    def _step(self, work: Work) -> Outcome:
        settings = self.settings
        work.skips_bad = True
        delta_P = difference(work, settings.hessian_samples)
        most = min(work.view.num_retain, settings.hessian_samples)
        batches = list(work.loader(work.view.retain, "hessian").batches(most))
        hessian = MeanHessian(work, batches)

        def operator(vector_P: Tensor) -> Tensor:
            return hessian(vector_P) + 2 * settings.penalty * vector_P

        found = conjugate_gradient(operator, delta_P, settings.cg_iterations)
        norms = {"delta_norm": delta_P, "solution_norm": found.x_P}
        work.details |= {name: float(vector_P.norm()) for name, vector_P in norms.items()}
        work.details["iterations"] = float(found.iterations)
        if not bool(torch.isfinite(delta_P).all()):
            return work.outcome("non_finite", "the gradients are not finite")
        if is_nothing(found.x_P):
            return work.outcome("skipped", f"conjugate gradient ended at once: {found.end}")
        noise_P = torch.randn(
            delta_P.shape, generator=work.generator("noise"), device=delta_P.device
        ).to(delta_P.dtype)
        step_P = clipped(found.x_P, settings.max_norm) + settings.sigma * noise_P
        work.add(step_P, -1 / (work.view.num_own + work.view.num_clean))
        return work.outcome("applied")


def difference(work: Work, target: int) -> Tensor:
    """Δ, shape ``(P,)``."""
    view = work.view
    delta_P = work.gradient_sum(view.own, "own") / view.num_own
    near = leading_batches(work, "near", target)
    removed = list(work.loader(view.own, "removed").batches())
    # without clean examples only the first mini-batch to forget is left out of the graph
    removed = removed if view.num_clean else removed[:1]
    twin = modified(work, [view.retain, view.clean], removed)
    for batch in near:
        delta_P -= work.gradient(batch, twin) / len(near)
    return delta_P
