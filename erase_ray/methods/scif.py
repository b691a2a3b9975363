"""One damped Newton step on the parameters next to the output."""

from typing import ClassVar

from torch import nn

from erase_ray.methods._base import METHODS
from erase_ray.methods._influence import InfluenceMethod, InfluenceSettings
from erase_ray.models import Model


@METHODS.register
class Scif(InfluenceMethod):
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

    version: ClassVar[int] = 2

    class Settings(InfluenceSettings):
        """Settings of `Scif`."""

    def changes(self, model: Model) -> dict[str, nn.Parameter]:
        """The parameters next to the output."""
        return model.head_parameters()
