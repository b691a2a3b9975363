"""The published Seif: noise on whole tables at every request, then repair."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from erase_ray.methods import METHODS, Deadline, Method, Outcome, Request
from erase_ray.models import Model
from erase_ray.reference._adam import SharedAdam
from erase_ray.reference._view import look
from erase_ray.reference._work import Work, batch_loss, serve
from erase_ray.settings import Frozen

KEYWORDS = r"embedding|linear|mlp|interaction"
ALSO_LINEAR = {
    "srgnn": r"gated_step\.(incoming|outgoing)\.|attend|dense\.",
    "dnntsp": r"convolutions\.",
}
"""Layers that the published models call linear and ours do not."""
LOOK_AT_CLOCK_EVERY = 10


@METHODS.register_reference
class Seif(Method):
    """What the published implementation computes as SEIF.

    W ← W + |W| ⊙ N(0, erase_std²) for every parameter whose published name has "embedding",
    "linear", "mlp" or "interaction" in it; then ``repair_epochs`` passes of Adam over S down
    ℓ_b · mean_i w_i, with w_i = ``forget_class_weight`` where the item of example i is in D_u;
    before the last pass W ← W + |W| ⊙ N(0, erase_std_final²) once more.

    Defects, as published:
        1. At every request and on whole tables: the noise compounds. The root mean square of a
           weight that no example reads grows 1.166 times a request, its median falls to 0.80.
        2. What is to be forgotten plays no part in the erasing.
        3. The weight is one number a mini-batch, which Adam does not see; and it falls on
           examples of S.
        4. ``max_norm`` shortens gradients, where in the other methods it shortens the step.
        5. Items of the whole history count as forgotten.

    The corrected edition is :mod:`erase_ray.methods.seif`. Next-basket examples have no single
    item, so all weigh 1. The published limit of 600 s a request, where the run has none, is
    ``limit_s``. A deadline keeps what was done.
    """

    version: ClassVar[int] = 1

    class Settings(Frozen):
        """Settings of the published `Seif`."""

        edition: Literal["reference"] = "reference"
        """Which edition this is."""
        erase_std: float = Field(default=0.6, ge=0)
        """Standard deviation of the noise that erases, in units of each weight."""
        erase_std_final: float = Field(default=0.005, ge=0)
        """The same before the last of several passes."""
        repair_epochs: int = Field(default=4, ge=0)
        """Passes over S."""
        forget_class_weight: float = Field(default=0.05, ge=0)
        """Weight of an example of S whose item is in the person's history."""
        learning_rate: float = Field(default=7e-4, gt=0)
        """Adam's step size in the repair."""
        max_norm: float = Field(default=float("inf"), gt=0)
        """Longest gradient; longer ones are shortened."""
        limit_s: float = Field(default=600.0, gt=0)
        """Seconds of a request where the chain sets no limit."""

    def forget(self, model: Model, request: Request) -> Outcome:
        """Blur and repair in place."""
        view = look(request, factor=8 * self.settings.repair_epochs, least=32)
        return serve(model, request, view, self.changes(model), self._blur_and_repair)

    def _blur_and_repair(self, work: Work) -> Outcome:
        work.check_time()
        limit = min(work.request.deadline.limit_s, self.settings.limit_s)
        given = work.request.deadline
        deadline = given if given.limit_s < float("inf") else Deadline(limit)
        noise = _Noise(list(blurred(work.model).values()), work.generator("noise"))
        noise.add(self.settings.erase_std)
        work.details["num_blurred"] = float(sum(weight.numel() for weight in noise.weights))
        adam = SharedAdam(work)
        adam.set_rate(self.settings.learning_rate)
        in_time = self._repair(work, adam, noise, deadline)
        adam.keep()
        reason = f"{deadline.limit_s:g} s were over after {adam.num_steps} steps of Adam"
        return work.outcome("applied", "" if in_time else reason)

    def _repair(self, work: Work, adam: SharedAdam, noise: "_Noise", deadline: Deadline) -> bool:
        """All passes; False if the deadline ended them."""
        loader = work.loader(work.view.retain, "repair")
        weight_N = self._weights(work)
        for epoch in range(1, self.settings.repair_epochs + 1):
            if deadline.passed():
                return False
            for number, index in enumerate(loader.walk()):
                if number % LOOK_AT_CLOCK_EVERY == 0 and deadline.passed():
                    return False
                adam.step(self._loss(work, loader.batch(index), weight_N[index]), self._clip(work))
            if epoch == self.settings.repair_epochs - 1:
                noise.add(self.settings.erase_std_final)
        return True

    def _loss(self, work: Work, batch: Any, weight_B: Tensor) -> Tensor:
        return batch_loss(work.model, batch) * weight_B.mean()

    def _clip(self, work: Work) -> Callable[[], None]:
        def clip() -> None:
            if self.settings.max_norm < float("inf"):
                nn.utils.clip_grad_norm_(work.leaves, self.settings.max_norm)

        return clip

    def _weights(self, work: Work) -> Tensor:
        """The weight of each example of S, shape ``(N,)``."""
        retain, own = work.view.retain, work.view.own
        weight_N = torch.ones(len(retain), device=work.request.device)
        if retain.has_one_target:
            known = np.isin(retain.targets().values, own.targets().values)
            weight_N[torch.as_tensor(known, device=weight_N.device)] = (
                self.settings.forget_class_weight
            )
        return weight_N


def blurred(model: Model) -> dict[str, nn.Parameter]:
    """The parameters that get noise, by name."""
    also = ALSO_LINEAR.get(model.name)
    patterns = KEYWORDS if also is None else f"{KEYWORDS}|{also}"
    return {name: w for name, w in model.named_parameters() if re.search(patterns, name)}


@dataclass(eq=False)
class _Noise:
    """Multiplicative noise on some parameters."""

    weights: list[nn.Parameter]
    generator: torch.Generator

    @torch.no_grad()
    def add(self, std: float) -> None:
        for weight in self.weights:
            noise = torch.randn(weight.shape, generator=self.generator, device=weight.device)
            weight += weight.abs() * std * noise
