"""What the published trainer does to serve a request, as far as the seven methods share it.

Train mode throughout: dropout is active in all gradients, batch norm moves its statistics, and
SGL draws its views anew. All draws are functions of the seed of the request; the reference goes on
with one global generator, which changes no expectation.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from erase_ray import pulse, seeds
from erase_ray.errors import EraseError
from erase_ray.methods import Outcome, Request
from erase_ray.methods._base import Status
from erase_ray.methods._mode import in_mode
from erase_ray.models import Model
from erase_ray.reference._loader import Loader
from erase_ray.reference._view import View
from erase_ray.tasks import Examples

BATCH_SIZE = 256
SUMMED = ("sgl",)
"""Models whose published loss is the sum over a batch; all others take the mean."""


class TimeOverError(EraseError):
    """The deadline of the request is over, and nothing has been changed yet."""


@dataclass(eq=False)
class Work:
    """One request in the hands of the published trainer.

    Args:
        model: In the state of :func:`published`.
        request: What to serve.
        view: Its data.
        leaves: The parameters θ_S that gradients and products are taken of.
        num_gradients: Gradients of mini-batches so far.
        num_hvps: Hessian-vector products of mini-batches so far.
        skips_bad: Whether gradients that are not finite count as 0.
        details: Further numbers for the outcome.
    """

    model: Model
    request: Request
    view: View
    leaves: list[nn.Parameter]
    num_gradients: int = 0
    num_hvps: int = 0
    skips_bad: bool = False
    details: dict[str, float] = field(default_factory=dict)
    _epochs: int = 0

    def loader(self, examples: Examples, purpose: str, size: int = BATCH_SIZE) -> Loader:
        """Shuffled mini-batches of some of the examples of the view."""
        return Loader(examples, size, seeds.derive(self.request.seed, "reference", purpose))

    def start_epoch(self) -> None:
        """What a call of ``train()`` does in the reference: SGL draws its views."""
        self._epochs += 1
        self.model.start_epoch(seeds.derive(self.request.seed, "reference epoch", self._epochs))

    def generator(self, purpose: str) -> torch.Generator:
        """A generator on the device for what a method draws."""
        return seeds.torch_generator(self.request.seed, purpose, device=self.request.device)

    def check_time(self) -> None:
        """To be called at the boundaries of mini-batches and iterations.

        Raises:
            TimeOverError: The deadline is over.
        """
        pulse.beat()
        if self.request.deadline.passed():
            raise TimeOverError(f"{self.request.deadline.limit_s:g} s were over")

    def gradient(self, batch: Any, model: Model | None = None) -> Tensor:
        """The gradient of the loss of a mini-batch, flat, shape ``(P,)``; 0 where unused."""
        self.check_time()
        self.num_gradients += 1
        loss = batch_loss(model or self.model, batch)
        pieces = torch.autograd.grad(loss, self.leaves, allow_unused=True, materialize_grads=True)
        gradient_P = torch.cat([piece.flatten() for piece in pieces])
        if self.skips_bad and not bool(torch.isfinite(gradient_P).all()):
            return torch.zeros_like(gradient_P)
        return gradient_P

    def gradient_sum(self, examples: Examples, purpose: str, most: int | None = None) -> Tensor:
        """The sum of the gradients of the mini-batches of one pass, whatever their sizes."""
        total_P = self.zeros()
        for batch in self.loader(examples, purpose).batches(most):
            total_P += self.gradient(batch)
        return total_P

    def zeros(self) -> Tensor:
        """A flat vector of zeros, shape ``(P,)``."""
        return torch.cat([torch.zeros_like(leaf).flatten() for leaf in self.leaves]).detach()

    def pieces(self, vector_P: Tensor) -> list[Tensor]:
        """A flat vector in the shapes of the parameters."""
        parts = vector_P.split([leaf.numel() for leaf in self.leaves])
        return [part.view_as(leaf) for part, leaf in zip(parts, self.leaves, strict=True)]

    @torch.no_grad()
    def add(self, step_P: Tensor, factor: float = 1.0) -> None:
        """Move the parameters along a flat vector, in place."""
        for leaf, piece in zip(self.leaves, self.pieces(step_P), strict=True):
            leaf.add_(piece, alpha=factor)

    def outcome(self, status: Status, reason: str = "") -> Outcome:
        """What happened, with the counts so far and F, C and R."""
        view = self.view
        sizes = {"F": view.num_own, "C": view.num_clean, "R": view.num_retain}
        details = {name: float(size) for name, size in sizes.items()} | self.details
        details = {name: value for name, value in details.items() if math.isfinite(value)}
        return Outcome(status, reason, self.num_gradients, self.num_hvps, details)


def serve(
    model: Model,
    request: Request,
    view: View,
    leaves: dict[str, nn.Parameter],
    body: Callable[[Work], Outcome],
) -> Outcome:
    """Let ``body`` serve the request; ``timed_out`` if it says that its time is over."""
    work = Work(model, request, view, list(leaves.values()))
    if not view.num_own:
        return work.outcome("empty", "the person has no training example")
    if not view.num_retain:
        return work.outcome("empty", "there is nobody left to sample")
    with published(model, request):
        work.start_epoch()
        try:
            return body(work)
        except TimeOverError as error:
            return work.outcome("timed_out", f"{error} before anything was changed")


@contextmanager
def published(model: Model, request: Request) -> Iterator[None]:
    """Train mode, dropout that draws from the seed of the request, no cuDNN for recurrence."""
    cudnn = torch.backends.cudnn.enabled and not is_recurrent(model)
    dropout = seeds.derive(request.seed, "reference dropout")
    with (
        in_mode(model, training=True),
        seeds.torch_scope(dropout, request.device),
        torch.backends.cudnn.flags(enabled=cudnn),
    ):
        yield


def batch_loss(model: Model, batch: Any) -> Tensor:
    """ℓ_b, the scalar that the published model returns for a mini-batch."""
    loss_B = model.loss(batch)
    return loss_B.sum() if model.name in SUMMED else loss_B.mean()


def is_recurrent(model: Model) -> bool:
    """Whether the model has one of torch's recurrent layers or cells."""
    kinds = (nn.RNNBase, nn.RNNCellBase)
    return any(isinstance(module, kinds) for module in model.modules())


def clipped(vector_P: Tensor, max_norm: float) -> Tensor:
    """The vector, shortened to ``max_norm`` if it is longer."""
    norm = float(vector_P.norm())
    return vector_P * (max_norm / norm) if norm > max_norm else vector_P
