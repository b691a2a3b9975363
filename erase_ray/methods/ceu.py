"""A Newton step whose leftover is measured and hidden under noise."""

from dataclasses import replace
from typing import ClassVar, Literal

from erase_ray.methods._base import METHODS
from erase_ray.methods._certified import (
    Bound,
    CertifiedMethod,
    CertifiedSettings,
    norm_on_all,
    norm_on_sample,
)
from erase_ray.methods._graph_term import without_edges
from erase_ray.methods._request import Request
from erase_ray.models import Model


@METHODS.register
class Ceu(CertifiedMethod):
    """Certified edge unlearning.

    θ ← θ + (1/N) (H + λI)⁻¹ (Σ_forget ∇ℓ − Σ_cleaned ∇ℓ) on all weights by conjugate gradient,
    where H + λI is the Hessian of the L2-regularised objective, then noise N(0, σ²) on all of
    them. In graph models the bracket also has the change of the gradients of neighbours, Σ ∇ℓ with
    the forgotten edges minus Σ ∇ℓ without.

    The bound: an M-strongly convex objective has its optimum within ζ = ‖its gradient‖ / M of
    wherever one is, so the gradient over what is left is taken at the new weights. It covers
    whatever went wrong before: a base model that is no optimum, a sampled Hessian, an unfinished
    solution, a halved step, a request that was not served. Over all that is left
    (``measure="all"``, or a sample that is everybody where examples draw no negatives) ζ is a
    bound, and with ``convex`` declared ``certified`` is 1; on the sample of the Hessian it is an
    estimate and ``certified`` is 0. Drawn negatives are those of the request: the optimum meant is
    the one with the same draws.

    Which assumptions fail: the losses of the nine models are not convex in their weights, a
    retrained model is no optimum of the objective (early stopping, no (Λ/2)‖θ‖²), and with Λ alone
    for M the bound is loose. So nothing is certified by default: the noise is small and always the
    same, and ``epsilon``, often in the thousands and beyond, says how far it would be from a
    guarantee even if the losses were convex. ``noise="certified"`` is meant for convex models.

    Paper: Wu, Shen, Ning, Wang, Wang: "Certified Edge Unlearning for Graph Neural Networks", KDD
    2023; the form of the bound is that of Guo, Goldstein, Hannun, van der Maaten: "Certified Data
    Removal from Machine Learning Models", ICML 2020.
    Differs from it: examples are forgotten together with edges; the noise is added to the weights
    where the paper perturbs the training objective; the gradient that such papers bound by
    (γ/2)‖Δθ‖² with a Lipschitz constant γ nobody knows is measured. The public reference has the
    opposite sign, so that it reinforces what it should forget, counts λ twice, divides by the
    length of the person's history, adds noise of a fixed size, a random walk over a chain, and
    only prints ε.
    Cost of a request: a gradient of the forgotten and cleaned examples, a Hessian-vector product of
    the sample in each iteration, one gradient of the sample or of all that is left, and the noise:
    twice as many normal draws as there are weights, and a copy of them.
    """

    version: ClassVar[int] = 1

    class Settings(CertifiedSettings):
        """Settings of `Ceu`."""

        measure: Literal["sample", "all"] = "sample"
        """Where the gradient is taken that ζ comes from."""

    def bound(self, model: Model, request: Request, details: dict[str, float]) -> Bound | None:
        """‖gradient of the objective over what is left‖ / M."""
        num_left = request.training_size - len(request.forget) + len(request.cleaned)
        convexity = self.convexity(num_left)
        with without_edges(model, request):
            if self.settings.measure == "all":
                return self._on_all(model, request, convexity)
            return self._on_sample(model, request, convexity)

    def _on_all(self, model: Model, request: Request, convexity: float) -> Bound | None:
        world, settings = request.world, self.settings
        left = world.task.examples(request.after, world.split, world.cut)
        give_up = request.deadline.passed
        parameters, seed = self.changes(model), request.seed
        measured = norm_on_all(model, parameters, left, settings, seed, give_up)
        return Bound(measured[0] / convexity, True, measured[1]) if measured else None

    def _on_sample(self, model: Model, request: Request, convexity: float) -> Bound:
        batches, _, num_retain = self._samples(request)
        size = request.training_size
        batches = [replace(one, weight=one.weight * size) for one in batches]
        norm = norm_on_sample(model, self.changes(model), batches, self.settings.damping)
        num_own = len(request.kept) - len(request.cleaned) + len(request.forget)
        # the sample draws negatives less often than the objective does
        is_all = num_retain >= size - num_own and not request.kept.draws_negatives
        return Bound(norm / convexity, is_all, len(batches))
