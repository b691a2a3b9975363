"""The published GIF: 101 times the gradient of the person's whole history."""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from erase_ray.methods import METHODS, Method, Outcome, Request
from erase_ray.models import Model
from erase_ray.reference._adam import SharedAdam, cut_short, fine_tune
from erase_ray.reference._cg import is_nothing
from erase_ray.reference._khop import modified, near_batches
from erase_ray.reference._products import MeanHessian
from erase_ray.reference._view import look
from erase_ray.reference._work import Work, clipped, is_recurrent, serve
from erase_ray.settings import Frozen

HESSIAN_EXAMPLES = 1024
CHECK_EVERY = 10


@METHODS.register_reference
class Gif(Method):
    """What the published implementation computes as GIF.

        δ = Σ_b g_b / F + mean_K g_b(G) − mean_K g_b(G′)
        h_0 = δ,   h_{t+1} = δ + h_t − (damping / scale) H̄ h_t,   θ ← θ + h_T

    over mini-batches of D_u and of K, the examples of S with near people first; H̄ is the mean over
    mini-batches of at most 1024 examples of S. Then FT(16F) on S. G is the graph of the model, and
    G′ what :func:`erase_ray.reference._khop.modified` makes of S and D_u; models without one of
    the known graphs take both gradients on the same. Gradients and products that are not finite
    count as 0.

    Defects, as published:
        1. Damping / scale is a step size of 1e-5 and the division by the scale is missing, so
           h_T = (T + 1) δ: one ascent of 101 times the mean gradient.
        2. The series stops early only if ‖δ‖ is below 1e-6; the factor is 12 then.
        3. Recurrent models: the Hessian's part is computed and thrown away (here not computed).
        4. D_u is the whole history; what the person keeps is unlearned as well.
        5. G′ is nearly empty and has fake edges between user j and item j, so on graph models the
           difference is that between two other things. The model's graph keeps its edges.
        6. With dropout the two means over K differ at random, times 101.

    The corrected edition is :mod:`erase_ray.methods.gif`.
    """

    version: ClassVar[int] = 1

    class Settings(Frozen):
        """Settings of the published `Gif`."""

        edition: Literal["reference"] = "reference"
        """Which edition this is."""
        damping: float = Field(default=0.01, ge=0)
        """Numerator of the step size of the series."""
        scale_factor: float = Field(default=1000.0, gt=0)
        """Its denominator."""
        iterations: int = Field(default=100, ge=0)
        """T."""
        k_hops: int = Field(default=2, ge=0)
        """How far people are near: 2 or 3 share an item, 4 share one with these, 1 nobody."""
        retain_rows: int = Field(default=128, ge=1)
        """Rows of other people in S, where one wish is served at a time."""
        retain_samples: int = Field(default=0, ge=0)
        """Examples of the fine-tuning; 0: 16 for each of the person's."""
        max_norm: float = Field(default=float("inf"), gt=0)
        """Longest step; longer ones are shortened."""

    def forget(self, model: Model, request: Request) -> Outcome:
        """Ascend and fine-tune in place."""
        least = 1024 if request.spec.num_wishes > 1 else 32
        view = look(request, factor=0, least=max(self.settings.retain_rows, least))
        return serve(model, request, view, self.changes(model), self._step)

    def _step(self, work: Work) -> Outcome:
        work.skips_bad = True
        num_tuned = self.settings.retain_samples or 16 * work.view.num_own
        delta_P = difference(work, self.settings.k_hops, num_tuned)
        h_P = self._series(work, delta_P)
        work.details |= {"delta_norm": float(delta_P.norm()), "solution_norm": float(h_P.norm())}
        if not bool(torch.isfinite(h_P).all()):
            return work.outcome("non_finite", "the gradients are not finite")
        if is_nothing(h_P):
            return work.outcome("skipped", "the step is shorter than 1e-15")
        work.add(clipped(h_P, self.settings.max_norm))
        adam = SharedAdam(work)
        in_time = fine_tune(work, adam, num_tuned)
        adam.keep()
        return work.outcome("applied", "" if in_time else cut_short(work, adam))

    def _series(self, work: Work, delta_P: Tensor) -> Tensor:
        settings = self.settings
        rate = settings.damping / settings.scale_factor
        most = min(work.view.num_retain, HESSIAN_EXAMPLES)
        batches = list(work.loader(work.view.retain, "hessian").batches(most))
        hessian = None if is_recurrent(work.model) else MeanHessian(work, batches)
        h_P, last = delta_P, 0.0
        for number in range(settings.iterations):
            work.check_time()
            next_P = delta_P + h_P if hessian is None else delta_P + h_P - rate * hessian(h_P)
            if not bool(torch.isfinite(next_P).all()):
                break
            if number and number % CHECK_EVERY == 0:
                moved = sum(float(piece.norm()) for piece in work.pieces(next_P - h_P))
                if moved > 1e10 or (moved > 1e6 and moved > 100 * last):
                    break
                if moved < 1e-6:
                    h_P = next_P
                    break
                last = moved
            h_P = next_P
            work.details["series_terms"] = float(number + 1)
        return h_P


def difference(work: Work, hops: int, target: int) -> Tensor:
    """δ, shape ``(P,)``."""
    view = work.view
    delta_P = work.gradient_sum(view.own, "own") / view.num_own
    near = near_batches(work, hops, target)
    removed = list(work.loader(view.own, "removed").batches())
    twin = modified(work, [view.retain, view.own], removed)
    before_P, after_P = work.zeros(), work.zeros()
    for batch in near:
        before_P += work.gradient(batch) / len(near)
    for batch in near:
        after_P += work.gradient(batch, twin) / len(near)
    return delta_P + (before_P - after_P)
