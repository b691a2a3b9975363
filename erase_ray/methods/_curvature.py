"""Gradients and Hessian-vector products over fixed mini-batches.

Vectors are flat: the parameters one after the other, shape ``(P,)``.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from erase_ray import pulse, seeds
from erase_ray.methods._mode import in_mode
from erase_ray.models import Model
from erase_ray.tasks import Examples

Parameters = Sequence[Tensor]
"""What is differentiated: parameters, or leaves that stand for some of their rows."""


@dataclass(frozen=True, eq=False)
class Weighted:
    """A mini-batch whose losses are summed and multiplied by ``weight``."""

    batch: Any
    weight: float


def weighted_batches(
    examples: Examples, weight: float, size: int, seed: int, num_draws: int = 1
) -> list[Weighted]:
    """Mini-batches that stand for ``weight`` times the sum of the losses of all ``examples``.

    The same seed draws the same negatives for an example wherever it appears.

    Args:
        examples: May be empty; there are no batches then.
        weight: Factor of the loss of each example.
        size: Most examples of a mini-batch.
        seed: Root of the draws.
        num_draws: How many draws of negatives the loss is averaged over; once is enough, and
            done, where the examples draw none.
    """
    draws = num_draws if examples.draws_negatives else 1
    everyone = torch.arange(len(examples), device=examples.rows.device)
    chunks = everyone.split(size) if len(examples) else ()
    batches = []
    for chunk in chunks:
        drawn = [examples.batch(chunk, seeds.derive(seed, "negatives", d)) for d in range(draws)]
        # a call costs much the same for few examples as for many
        together = max(1, size // len(chunk))
        for start in range(0, draws, together):
            some = drawn[start : start + together]
            batch = some[0] if len(some) == 1 else type(some[0]).joined(some)
            batches.append(Weighted(batch, weight / draws))
    return batches


@contextmanager
def smooth(model: Model) -> Iterator[None]:
    """Make the loss one fixed function with second derivatives: no dropout, no cuDNN recurrence.

    cuDNN's recurrent layers have no second derivative, and no first one outside training mode.
    """
    recurrent = any(isinstance(module, nn.RNNBase) for module in model.modules())
    cudnn = torch.backends.cudnn.enabled and not recurrent
    with in_mode(model, training=False), torch.backends.cudnn.flags(enabled=cudnn):
        yield


def gradient_sum(model: Model, parameters: Parameters, batches: list[Weighted]) -> Tensor:
    """The gradient of the sum of the weighted losses, shape ``(P,)``; zero without batches."""
    total = torch.cat([torch.zeros_like(weight).flatten() for weight in parameters])
    for one in batches:
        total += _flat(_gradient(model, parameters, one, create_graph=False))
    return total


class Curvature:
    """The Hessian of the sum of the weighted losses, as a function of a vector.

    The parameters must not change while it is in use. Graphs of the first derivative are built on
    first use and kept for the next vector as long as they fit the budget; the others are built
    anew each time. Both give the same numbers.

    Args:
        model: In the state of :func:`smooth`.
        parameters: Those of the rows and columns of the Hessian.
        batches: Without any the Hessian is zero.
        budget_bytes: Most memory for kept graphs, judged by the first mini-batch.
    """

    def __init__(
        self, model: Model, parameters: Parameters, batches: list[Weighted], budget_bytes: float
    ) -> None:
        self._model = model
        self._parameters = parameters
        self._batches = batches
        self._budget_bytes = budget_bytes
        self._kept: list[list[Tensor]] = []
        self.num_products = 0

    def __call__(self, vector: Tensor) -> Tensor:
        """The Hessian times ``vector``, shape ``(P,)``."""
        if self._batches and not self.num_products:
            self._keep()
        pieces = _pieces(vector, self._parameters)
        total = torch.zeros_like(vector)
        for number in range(len(self._batches)):
            pulse.beat()
            total += self._product(number, pieces)
        self.num_products += len(self._batches)
        return total

    def _keep(self) -> None:
        saved = _SavedBytes()
        with torch.autograd.graph.saved_tensors_hooks(saved.pack, saved.unpack):
            first = self._first_order(0)
        num_kept = int(self._budget_bytes // max(saved.total, 1))
        others = range(1, min(num_kept, len(self._batches)))
        self._kept = [first, *map(self._first_order, others)][:num_kept]

    def _first_order(self, number: int) -> list[Tensor]:
        batch = self._batches[number]
        return _gradient(self._model, self._parameters, batch, create_graph=True)

    def _product(self, number: int, pieces: list[Tensor]) -> Tensor:
        kept = number < len(self._kept)
        gradient = self._kept[number] if kept else self._first_order(number)
        # the gradient of a loss that is linear in a parameter has no graph, and no curvature
        curved = [pair for pair in zip(gradient, pieces, strict=True) if pair[0].requires_grad]
        if not curved:
            return torch.cat([torch.zeros_like(piece).flatten() for piece in pieces])
        outputs, vectors = zip(*curved, strict=True)
        products = torch.autograd.grad(
            outputs,
            self._parameters,
            vectors,
            retain_graph=kept,
            allow_unused=True,
            materialize_grads=True,
        )
        return _flat(products)


class _SavedBytes:
    """Counts what a graph holds on to, each storage once."""

    def __init__(self) -> None:
        self.total = 0
        self._seen: set[int] = set()

    def pack(self, saved: Tensor) -> Tensor:
        storage = saved.untyped_storage()
        if storage.data_ptr() not in self._seen:
            self._seen.add(storage.data_ptr())
            self.total += storage.nbytes()
        return saved

    @staticmethod
    def unpack(saved: Tensor) -> Tensor:
        return saved


def _gradient(
    model: Model, parameters: Parameters, one: Weighted, create_graph: bool
) -> list[Tensor]:
    loss = one.weight * model.loss(one.batch).sum()
    gradient = torch.autograd.grad(
        loss, parameters, create_graph=create_graph, allow_unused=True, materialize_grads=True
    )
    return list(gradient)


def _flat(tensors: tuple[Tensor, ...] | list[Tensor]) -> Tensor:
    return torch.cat([tensor.flatten() for tensor in tensors])


def _pieces(vector: Tensor, parameters: Parameters) -> list[Tensor]:
    parts = vector.split([weight.numel() for weight in parameters])
    return [part.view_as(weight) for part, weight in zip(parts, parameters, strict=True)]
