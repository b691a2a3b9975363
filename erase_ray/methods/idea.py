"""A Newton step under noise whose size follows from what was removed."""

from typing import ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from erase_ray.methods._base import METHODS
from erase_ray.methods._certified import Bound, CertifiedMethod, CertifiedSettings, norm_on_all
from erase_ray.methods._request import Request, World
from erase_ray.models import Model
from erase_ray.scenarios import RequestSpec


@METHODS.register
class Idea(CertifiedMethod):
    """Flexible framework of certified unlearning.

    θ ← θ + (1/N) (H + λI)⁻¹ (Σ_forget ∇ℓ − Σ_cleaned ∇ℓ) on all weights, then noise N(0, σ²) on all
    of them; the same step as CEU's, neighbours in a graph included.

    The bound asks for no pass over the data: ζ = α₁ + α₂, how far the optimum moves plus how far
    the weights move. With k = forgotten + cleaned examples, losses that are L-Lipschitz and an
    objective that is M-strongly convex, the gradient of the new objective at the old optimum is at
    most kL, so α₁ = kL/M; α₂ = ‖Δθ‖. Over a chain both add to the ζ of before, which begins with
    the distance of the base model from its optimum, ‖gradient over all examples‖ / M, measured
    once if ``convex`` is declared. Requests that were not served add their kL/M too, since the
    optimum moves without the weights.

    ``certified`` is 1 if ``convex`` is declared, examples draw no negatives (the objective would
    change from request to request) and the model has no edges (k would have to count everybody
    near). Which assumptions fail: those of CEU, and the losses have no known L; ``lipschitz`` is
    taken at its word. By default nothing is certified, the noise is small and always the same, and
    ``epsilon`` grows along the chain: ζ only adds up.

    Paper: Dong, Zhang, Lei, Zou, Li: "IDEA: A Flexible Framework of Certified Unlearning for Graph
    Neural Networks", KDD 2024, arXiv 2407.19398.
    Differs from it: an example that changes counts as one removed and one added, where the paper
    bounds its change by the largest loss C, α₁ = (mL + sqrt(m²L² + 4λNtC)) / (λN) with m removed
    and t changed; for t = 0 that is 2mL/(λN), twice as much as is needed (the authors' code
    has m² + L² for m²L²). The system is solved by
    conjugate gradient, not by a Neumann series. The paper's code draws its noise with a hand-picked
    standard deviation (0.001 to 0.6). The public reference has the opposite sign, noise of standard
    deviation 0.1 on every weight at every request, and an inverted formula for it.
    Cost of a request: a gradient of the forgotten and cleaned examples, a Hessian-vector product of
    the sample in each iteration, and the noise: twice as many normal draws as there are weights,
    and a copy of them.
    """

    version: ClassVar[int] = 1

    class Settings(CertifiedSettings):
        """Settings of `Idea`."""

        lipschitz: float = Field(default=1.0, gt=0)
        """L: most that the gradient of one example's loss can be."""

    def begin(self, model: Model, world: World) -> dict[str, Tensor]:
        """How far the base model is from its optimum, if that can be known."""
        if not self.settings.convex:
            return {}
        parameters, examples = self.changes(model), world.examples
        measured = norm_on_all(model, parameters, examples, self.settings, world.seed)
        assert measured
        distance = measured[0] / self.convexity(len(examples))
        return {
            "distance": torch.tensor(distance, dtype=torch.float64),
            "measured": torch.tensor(True),
        }

    def bound(self, model: Model, request: Request, details: dict[str, float]) -> Bound:
        """ζ of before, and α₁ + α₂ of this request and of those that were missed."""
        state = request.state
        removed, cleaned = len(request.forget), len(request.cleaned)
        num = removed + cleaned + _num_missed(request, int(state.get("num_gone", 0)))
        convexity = self.convexity(request.training_size - removed + cleaned)
        zeta = float(state.get("distance", 0.0)) + details["moved"]
        zeta += num * self.settings.lipschitz / convexity
        known = "measured" in state and not model.has_edges
        num_gone = len(request.forgotten) + len(request.spec.rows)
        memory = {
            "distance": torch.tensor(zeta, dtype=torch.float64),
            "num_gone": torch.tensor(num_gone),
        }
        return Bound(zeta, known and not request.forget.draws_negatives, memory=memory)


def _num_missed(request: Request, num_gone: int) -> int:
    """Examples that requests removed or changed which were not served, ``num_gone`` rows ago."""
    rows = np.sort(request.forgotten[num_gone:])
    if not len(rows):
        return 0
    world = request.world
    users = np.unique(world.interactions.user[np.searchsorted(world.interactions.row, rows)])
    missed = Request(
        spec=RequestSpec(request.spec.id, users, rows),
        forgotten=request.forgotten[:num_gone],
        world=world,
        asked=request.asked,
        training_size=request.training_size,
        seed=request.seed,
    )
    return len(missed.forget) + len(missed.cleaned)
