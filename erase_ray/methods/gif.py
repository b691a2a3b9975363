"""One damped Newton step on all parameters that knows what lost edges do to others."""

import math
from dataclasses import replace
from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor

from erase_ray.methods._base import METHODS
from erase_ray.methods._graph_influence import GraphInfluenceMethod
from erase_ray.methods._graph_term import MAX_NEIGHBOURS, GraphTerm
from erase_ray.methods._influence import InfluenceSettings, Job
from erase_ray.methods._neumann import NUM_STEPS, SOLVER, mixed_start, neumann, spectrum
from erase_ray.methods._solve import Limits, Solve


@METHODS.register
class Gif(GraphInfluenceMethod):
    """Graph influence function.

    θ ← θ + (1/N) (H + λI)⁻¹ [Σ_forget ∇ℓ(G) − Σ_cleaned ∇ℓ(G′) + Σ_stay (∇ℓ(G) − ∇ℓ(G′))] on all
    parameters. G is the graph with the edges to forget, G′ the one without them, and H is the mean
    Hessian of what is left, on G′. The last sum goes over the examples that stay; models without
    edges have no such term. The inverse is a Neumann series, h ← v + (1 − λ/s) h − H h / s with
    the result h / s, whose scale s comes from the spectrum of H.

    Paper: Wu, Yang, Qian, Sui, Wang, He: "GIF: A General Graph Unlearning Strategy via Influence
    Function", WWW 2023, arXiv 2304.02835.
    Differs from it: the scale is found instead of set, and the series stops when its residual is
    small. Where H curves downward by more than the damping the series has no limit; the answer is
    truncated conjugate gradient then, and the outcome says so. The influenced part is all
    examples that stay (a sample if there are more than ``max_neighbours``), since gradients of
    chosen and drawn items nearly cancel and a cut by distance takes one without the other. The
    public reference divides by no scale (its step is 101 times the gradient of the person's whole
    history), never removes an edge, and compares the graph with one of a few sampled people.
    Cost of a request: a gradient of the forgotten and cleaned examples, two of all that stay for
    models with edges, and a Hessian-vector product of the person's examples and ``num_retain``
    others for each term of the series (or iteration of conjugate gradient) and at most eight
    times for the scale.
    """

    version: ClassVar[int] = 1

    class Settings(InfluenceSettings):
        """Settings of `Gif`."""

        solver: Literal["neumann", "cg"] = "neumann"
        """``neumann``: the series of the paper, if it has a limit. ``cg``: conjugate gradient."""
        max_neighbours: int = Field(default=MAX_NEIGHBOURS, ge=0)
        """Most examples of others for what lost edges do to them; 0 leaves them out."""

    def solve_on_rest(self, job: Job, rhs: Tensor) -> tuple[Tensor, Solve]:
        """The solution by the solver that was chosen, and how it ended."""
        if self.settings.solver == "cg":
            return super().solve_on_rest(job, rhs)
        return self._series(job, rhs)

    def graph_term(self, job: Job) -> GraphTerm:
        """The same, noted in the details."""
        term = super().graph_term(job)
        job.details |= {"graph_term": float(term.gradient.norm()), "graph_trust": term.trust}
        return term

    def _series(self, job: Job, rhs: Tensor) -> tuple[Tensor, Solve]:
        """The Neumann series; truncated conjugate gradient where it has no limit."""
        damping, give_up = self.mean_damping(job), job.request.deadline.passed
        if give_up():
            return rhs, Solve("timed_out", 0, 1.0, SOLVER)
        ends = spectrum(job.hessian, mixed_start(rhs, job.request.seed), NUM_STEPS, damping)
        job.details["series_terms"] = 0.0
        if math.isfinite(ends.lowest):
            job.details |= {"scale": ends.scale, "lowest_curvature": ends.lowest - damping}
        if not ends.is_indefinite:
            limits = Limits(self.settings.tolerance, self.settings.max_iterations)
            x, solve, scale = neumann(job.hessian, rhs, limits, ends.scale, damping, give_up)
            job.details |= {"series_terms": float(solve.iterations), "scale": scale}
            if solve.end != "negative_curvature":
                return x, solve
        x, solve = super().solve_on_rest(job, rhs)
        return x, replace(solve, solver=f"{solve.solver}, for {SOLVER} has no limit")
