"""Climb on the loss of what is to be forgotten, in a direction that spares everybody else."""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from erase_ray.methods import Method, Outcome, Request
from erase_ray.models import Model
from erase_ray.settings import Frozen
from erase_ray.tasks import Examples


class Fade(Method):
    """One step up the forgotten loss, without its part along the gradient of other people's loss.

    Paper: none; an example. The projection is that of Chaudhry et al., "Efficient Lifelong
    Learning with A-GEM", ICLR 2019.
    """

    family: ClassVar[str] = "general-purpose"

    class Settings(Frozen):
        """Settings of `Fade`."""

        rise: float = Field(default=0.1, gt=0)
        """How much the loss of the forgotten examples is to rise, as a share of it."""
        num_others: int = Field(default=512, ge=1)
        """Other people's examples whose loss is to stay as it is."""

    def changes(self, model: Model) -> dict[str, nn.Parameter]:
        """The parameters next to the output."""
        return model.head_parameters()

    def forget(self, model: Model, request: Request) -> Outcome:
        """Take the step in place."""
        if not len(request.forget):
            return Outcome("empty", "no training example contains what is to be forgotten")
        weights = list(self.changes(model).values())
        loss, up = slope(model, request.forget, weights, request.seed)
        _, spared = slope(model, request.retain(self.settings.num_others), weights, request.seed)
        up = up - spared * (up @ spared) / spared.square().sum().clamp_min(1e-20)
        if not up.any():
            return Outcome("skipped", "no direction spares other people's examples")
        step = self.settings.rise * loss / float(up.square().sum())
        with torch.no_grad():
            for weight, part in zip(weights, up.split([w.numel() for w in weights]), strict=True):
                weight += step * part.view_as(weight)
        return Outcome("applied", num_gradients=2, details={"step": step})


def slope(
    model: Model, examples: Examples, weights: list[nn.Parameter], seed: int
) -> tuple[float, Tensor]:
    """The mean loss of some examples, and its gradient as one vector."""
    model.eval()
    batch = examples.batch(torch.arange(len(examples), device=examples.rows.device), seed)
    loss = model.loss(batch).mean()
    gradient = torch.autograd.grad(loss, weights)
    return float(loss.detach()), torch.cat([part.flatten() for part in gradient])
