"""The published SCIF: a step that hardly moves, or explodes."""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from erase_ray.methods import METHODS, Method, Outcome, Request
from erase_ray.models import Model
from erase_ray.reference._cg import is_nothing
from erase_ray.reference._stale_cg import SIZE, StaleCg
from erase_ray.reference._view import look
from erase_ray.reference._work import Work, clipped, serve
from erase_ray.settings import Frozen


@METHODS.register_reference
class Scif(Method):
    """What the published implementation computes as SCIF.

    θ_S ← θ_S − x / R with (H + λI) x = v "solved" by :mod:`erase_ray.reference._stale_cg` and

        v = −Σ_b g_b / K₀ + Σ_b g_b / K₀ + Σ_j g_j / K_j

    over mini-batches of D_u, of D_u^c, and of S (16 examples each, until K_j ≤ 0), where
    K₀ = max(1, 8F·max(1, F − C) − C), K_{j+1} = K_j − |b_j|, and g_b is the gradient of a mean.
    θ_S is the whole user table, or what :meth:`changes` says.

    Defects, as published:
        1. Stale steps: C of 17 or more repeats a step ⌈C/16⌉ times with the old length; for
           17 ≤ C ≤ 32 the next direction is nearly 0 and the step after it astronomically long.
           So without ``max_norm`` the step is either tiny or explodes.
        2. Means are averaged again, in v and in the Hessian (H_b / |b|), so x ≈ v / λ.
        3. Every iteration solves another system.
        4. All rows of the user table move; later mini-batches of S weigh more than earlier ones.
        5. The bound on curvature (1e-10) is absolute: with ‖p‖ below 1e-4 nothing is done.

    The corrected edition is :mod:`erase_ray.methods.scif`. Here a user mask on S is left out: S
    holds nobody who has asked.
    """

    version: ClassVar[int] = 1

    class Settings(Frozen):
        """Settings of the published `Scif`."""

        edition: Literal["reference"] = "reference"
        """Which edition this is."""
        damping: float = Field(default=0.01, ge=0)
        """λ."""
        max_norm: float = Field(default=float("inf"), gt=0)
        """Longest step; longer ones are shortened."""

    def changes(self, model: Model) -> dict[str, nn.Parameter]:
        """The user table, or the item table and the layers behind it; all of a basket model."""
        return dict(model.named_parameters()) if _is_whole(model) else model.head_parameters()

    def forget(self, model: Model, request: Request) -> Outcome:
        """Take the step in place."""
        view = look(request, factor=8, least=32)
        return serve(model, request, view, self.changes(model), self._step)

    def _step(self, work: Work) -> Outcome:
        v_P = right_hand_side(work)
        if not bool(torch.isfinite(v_P).all()):
            return work.outcome("non_finite", "the gradients are not finite")
        solver = StaleCg(work, v_P, self.settings.damping)
        x_P = solver.run()
        work.details |= {"steps": float(solver.num_steps), "rhs_norm": float(v_P.norm())}
        if not bool(torch.isfinite(x_P).all()):
            return work.outcome("non_finite", "the solution is not finite")
        if is_nothing(x_P):
            return work.outcome("skipped", "no direction had a curvature of 1e-10 or more")
        work.add(clipped(x_P / work.view.num_retain, self.settings.max_norm), -1.0)
        return work.outcome("applied")


def right_hand_side(work: Work) -> Tensor:
    """v, shape ``(P,)``."""
    F, C = work.view.num_own, work.view.num_clean
    left = max(1, 8 * F * max(1, F - C) - C)
    v_P = work.gradient_sum(work.view.clean, "clean") - work.gradient_sum(work.view.own, "own")
    v_P /= left
    loader = work.loader(work.view.retain, "retain", SIZE)
    for index in loader.walk():
        index = index[:left]
        v_P += work.gradient(loader.batch(index)) / left
        left -= len(index)
        if left <= 0:
            break
    return v_P


def _is_whole(model: Model) -> bool:
    return model.task == "next_basket"
