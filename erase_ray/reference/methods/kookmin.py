"""The published Kookmin: fresh values for weights that no example reads, then repair."""

import math
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from erase_ray.methods import METHODS, Method, Outcome, Request
from erase_ray.models import Model
from erase_ray.reference._adam import SharedAdam, cut_short, fine_tune
from erase_ray.reference._view import look
from erase_ray.reference._work import Work, serve
from erase_ray.settings import Frozen

EPOCHS = "kookmin/epochs"


@METHODS.register_reference
class Kookmin(Method):
    """What the published implementation computes as Kookmin.

    s = Σ_b g_b (D_u^c) + Σ_b g_b (S) − Σ_b g_b (D_u), over mini-batches and over all parameters. In
    each tensor the max(1, ⌊ρ·size⌋) entries with the smallest |s| get fresh values: U(±1/√width) in
    matrices and tables, N(0, 0.02²) elsewhere (four dimensions: Kaiming normal). Then FT(16F) on S
    with Adam at a tenth of the learning rate, without a past, gradients of fresh entries times 10.

    Defects, as published:
        1. Gradients of tables are exactly 0 outside the mini-batches, so the smallest are ties at
           0: rows of unrelated people and items with low numbers, nearly the same at every
           request. Nothing that is to be forgotten is reset.
        2. The factor 10 does nothing: Adam without a past does not see the scale of a gradient.
        3. Mini-batches of S are each cut to 128F − C instead of all of them together.
        4. A share of every tensor at every request, whoever asks: utility erodes.
        5. SRGNN's decay of the learning rate (``decay_every`` of the training) goes on from
           request to request and kills the repair while resets go on.

    The corrected edition is :mod:`erase_ray.methods.kookmin`. Ties go to the lowest position on
    every device, where the reference leaves them to the device; it has a padding row at position
    0, which is always among them, and our tables have none. Fresh values are drawn for the chosen
    entries alone, from the same distributions.
    """

    version: ClassVar[int] = 1

    class Settings(Frozen):
        """Settings of the published `Kookmin`."""

        edition: Literal["reference"] = "reference"
        """Which edition this is."""
        init_rate: float = Field(default=0.01, ge=0, le=1)
        """Share of each tensor that is reset."""
        boost: float = Field(default=10.0, gt=0)
        """Factor of the gradients of fresh entries in the repair."""
        rate_factor: float = Field(default=0.1, gt=0)
        """Factor of the learning rate in the repair."""

    def forget(self, model: Model, request: Request) -> Outcome:
        """Score, reset and repair in place."""
        view = look(request, factor=8, least=32)
        return serve(model, request, view, self.changes(model), self._reset_and_repair)

    def _reset_and_repair(self, work: Work) -> Outcome:
        score_P = score(work)
        if not bool(torch.isfinite(score_P).all()):
            return work.outcome("non_finite", "the gradients are not finite")
        work.check_time()
        chosen = [smallest(piece, self.settings.init_rate) for piece in work.pieces(score_P)]
        put_fresh(work, chosen)
        work.details["num_reset"] = float(sum(map(len, chosen)))
        adam = SharedAdam(work, self.settings.rate_factor, forgets=True)

        def boost() -> None:
            for leaf, entry_K in zip(work.leaves, chosen, strict=True):
                if leaf.grad is not None:
                    leaf.grad = leaf.grad.contiguous()
                    leaf.grad.view(-1)[entry_K] *= self.settings.boost

        clock = _Decay(work, adam)
        in_time = fine_tune(work, adam, 16 * work.view.num_own, boost, clock.begin)
        return work.outcome("applied", "" if in_time else cut_short(work, adam))


def score(work: Work) -> Tensor:
    """The score without its constant factor, shape ``(P,)``."""
    view = work.view
    most = max(0, 128 * view.num_own - view.num_clean)
    forget_P = work.gradient_sum(view.own, "own")
    score_P = work.gradient_sum(view.clean, "clean") - forget_P
    loader = work.loader(view.retain, "retain")
    for index in loader.walk():
        if len(index[:most]):
            score_P += work.gradient(loader.batch(index[:most]))
    return score_P


def smallest(score: Tensor, rate: float) -> Tensor:
    """Flat positions of the entries with the smallest size, the first of equal ones, int64."""
    size = score.abs().flatten()
    num = max(1, math.floor(rate * len(size)))
    bound = size.kthvalue(num).values
    below = torch.nonzero(size < bound).flatten()
    ties = torch.nonzero(size == bound).flatten()[: num - len(below)]
    return torch.cat([below, ties])


@torch.no_grad()
def put_fresh(work: Work, chosen: list[Tensor]) -> None:
    """Draw the chosen entries of each parameter anew."""
    generator = work.generator("fresh")
    for leaf, entry_K in zip(work.leaves, chosen, strict=True):
        values_K = torch.empty(len(entry_K), dtype=leaf.dtype, device=leaf.device)
        if leaf.dim() == 2:
            bound = leaf.shape[1] ** -0.5
            values_K.uniform_(-bound, bound, generator=generator)
        else:
            values_K.normal_(0, _spread(leaf), generator=generator)
        leaf.view(-1)[entry_K] = values_K


def _spread(leaf: nn.Parameter) -> float:
    """Standard deviation of fresh values in tensors that are no matrices."""
    if leaf.dim() != 4:
        return 0.02
    return math.sqrt(2 / (leaf.shape[0] * leaf[0][0].numel()))


class _Decay:
    """The decay of the learning rate, which counts epochs over all requests."""

    def __init__(self, work: Work, adam: SharedAdam) -> None:
        self._state, self._training = work.request.state, work.request.world.training
        self._adam = adam

    def begin(self) -> None:
        """Set the rate of the next epoch and count it."""
        every = self._training.decay_every
        if not every:
            return
        done = int(self._state[EPOCHS]) if EPOCHS in self._state else 0
        self._adam.set_rate(self._adam.rate * self._training.decay_factor ** (done // every))
        self._state[EPOCHS] = torch.tensor(done + 1)
