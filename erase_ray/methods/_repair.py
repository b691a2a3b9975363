"""Training on, for a few steps: what methods share that repair or fine-tune a model.

The whole plan of mini-batches is drawn beforehand, so a subspace can be recorded over it (see
:mod:`erase_ray.methods._subspace`), and Adam neither steps nor allocates rows that no batch reads.
That is exact: Adam without a past and without weight decay never moves an entry whose gradient is
zero in all steps. Tables that a loss reads whole (an output layer) are stepped whole.

    steps = plan(pools, size, seed, num_epochs)
    with (
        subspace(model, changes, batches_of(steps), request.undo) as space,
        learning(model, seed, request.device),
    ):
        in_time = Descent(model, space, learning_rate).run(steps, request.deadline)
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from erase_ray import seeds
from erase_ray.methods._mode import in_mode
from erase_ray.methods._request import Deadline
from erase_ray.methods._subspace import Subspace
from erase_ray.models import Model
from erase_ray.tasks import Examples


class Pool:
    """Examples to learn from, and what each of them weighs.

    Args:
        examples: May be empty.
        weight_N: Weights of the examples, 0 or more, shape ``(N,)``; 1 each by default.
    """

    def __init__(self, examples: Examples, weight_N: Tensor | None = None) -> None:
        self.examples = examples
        if weight_N is None:
            weight_N = torch.ones(len(examples), device=examples.rows.device)
        self.weight_N = weight_N

    @classmethod
    def aiming(cls, examples: Examples, marked_I: Tensor, low: float) -> "Pool":
        """Examples that weigh ``low`` where they aim at a marked item, and 1 elsewhere."""
        aims_N = examples.aims_at(marked_I)
        return cls(examples, torch.where(aims_N, low, torch.ones_like(aims_N, dtype=torch.float)))


@dataclass(frozen=True, eq=False)
class Step:
    """What one step of the optimiser looks at.

    Args:
        epoch: Number of the pass over the pools, from 0.
        parts: Mini-batches and the weights of their examples, float, shape ``(B,)`` each.
    """

    epoch: int
    parts: list[tuple[Any, Tensor]]


def plan(pools: list[Pool], size: int, seed: int, num_epochs: int) -> list[Step]:
    """Passes over all pools in mini-batches that hold the same share of every pool.

    Order and negatives of a pass are functions of the seed, the pass and the row ids.

    Args:
        pools: What to learn from; without any example there are no steps.
        size: Most examples of a step.
        seed: Root of the draws.
        num_epochs: Passes.
    """
    return [step for epoch in range(num_epochs) for step in _pass(pools, size, seed, epoch)]


def batches_of(steps: Iterable[Step]) -> list[Any]:
    """All mini-batches of a plan, as :func:`erase_ray.methods._subspace.subspace` wants them."""
    return [batch for step in steps for batch, _ in step.parts]


@contextmanager
def learning(model: Model, seed: int, device: torch.device) -> Iterator[None]:
    """Training mode inside the block, with what dropout draws fixed by ``seed``.

    Layers that keep running statistics (batch normalisation) use and keep those they have: the
    few examples of a request say little about them, and a chain would drift away with them.
    """
    keeps = [one for one in model.modules() if getattr(one, "track_running_stats", False)]
    before = [(buffer, buffer.clone()) for one in keeps for buffer in one.buffers(recurse=False)]
    dropout = seeds.derive(seed, "dropout")
    with in_mode(model, training=True), seeds.torch_scope(dropout, device):
        for module in keeps:
            module.eval()
        try:
            yield
        finally:
            for buffer, values in before:
                buffer.copy_(values)


class Descent:
    """Adam without a past over the leaves of a subspace.

    Kingma, Ba: "Adam: A Method for Stochastic Optimization", ICLR 2015.

    Args:
        model: In the state of :func:`learning`.
        space: What is moved; all losses must be of batches it was made for.
        learning_rate: Step size.
        factors: By the name of a parameter, factors of the step size for each entry of its leaf
            (of any shape that broadcasts to it, and of its number type); 1 for those that are not
            named. An entry with factor 0 stays as it is.
        max_norm: Longest gradient; longer ones are scaled down to it.
    """

    def __init__(
        self,
        model: Model,
        space: Subspace,
        learning_rate: float,
        factors: Mapping[str, Tensor] | None = None,
        max_norm: float = math.inf,
    ) -> None:
        self.num_steps = 0
        self._model = model
        self._leaves = space.leaves
        self._factors = [(space.named[name], factor) for name, factor in (factors or {}).items()]
        self._max_norm = max_norm
        self._adam = torch.optim.Adam(self._leaves, lr=learning_rate, fused=True)

    def run(self, steps: Iterable[Step], deadline: Deadline) -> bool:
        """Take the steps in order; False if the deadline was over before the last."""
        for step in steps:
            if deadline.passed():
                return False
            self.step(step)
        return True

    def step(self, step: Step) -> None:
        """Lower the weighted mean loss of the examples of a step."""
        losses = [(weight_B * self._model.loss(batch)).sum() for batch, weight_B in step.parts]
        self.follow(torch.stack(losses).sum() / sum(len(weight_B) for _, weight_B in step.parts))

    def follow(self, loss: Tensor) -> None:
        """One step down any scalar that was computed from the batches of the subspace."""
        gradients = torch.autograd.grad(
            loss, self._leaves, allow_unused=True, materialize_grads=True
        )
        if self._max_norm < math.inf:
            norm = torch.nn.utils.get_total_norm(gradients)
            scale = (self._max_norm / norm).clamp(max=1.0)
            gradients = [gradient * scale for gradient in gradients]
        before = [leaf.detach().clone() for leaf, _ in self._factors]
        for leaf, gradient in zip(self._leaves, gradients, strict=True):
            leaf.grad = gradient
        self._adam.step()
        self._adam.zero_grad()
        for (leaf, factor), old in zip(self._factors, before, strict=True):
            leaf.data.copy_(torch.lerp(old, leaf.detach(), factor))
        self.num_steps += 1


def _pass(pools: list[Pool], size: int, seed: int, epoch: int) -> list[Step]:
    num_steps = math.ceil(sum(len(pool.examples) for pool in pools) / size)
    if not num_steps:
        return []
    root = seeds.derive(seed, "repair", epoch)
    orders = [seeds.order(root, pool.examples.rows) for pool in pools]
    return [
        Step(
            epoch,
            [
                (pool.examples.batch(chunk, root), pool.weight_N[chunk])
                for pool, chunk in zip(pools, chunks, strict=True)
                if len(chunk)
            ],
        )
        for chunks in zip(*(order.tensor_split(num_steps) for order in orders), strict=True)
    ]
