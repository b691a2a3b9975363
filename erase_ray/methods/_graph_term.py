"""What becomes of the examples that stay when the edges of a request leave the graph.

In a graph model every example is computed from edges as well, so to take edges away changes the
losses of examples that stay. What this does to their gradient is all that a method has to add for
such a model.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor

from erase_ray import seeds
from erase_ray.methods._curvature import Weighted, gradient_sum, weighted_batches
from erase_ray.methods._request import Request
from erase_ray.models import Model
from erase_ray.tasks import Examples

BATCH_SIZE = 32768
"""Examples of a mini-batch: each one costs a propagation over the graph, whatever its size."""
MAX_NEIGHBOURS = 131072


@dataclass(frozen=True, eq=False)
class GraphBatches:
    """Mini-batches of the examples that stay.

    Args:
        own: Those of the people who ask.
        others: Those of all others; empty, one list that holds them all, or two samples of equal
            size that each stand for them all.
    """

    own: list[Weighted] = field(default_factory=list)
    others: list[list[Weighted]] = field(default_factory=list)

    def __iter__(self) -> Iterator[Weighted]:
        yield from self.own
        for part in self.others:
            yield from part


@dataclass(frozen=True, eq=False)
class GraphTerm:
    """The change of the gradient of what stays.

    Args:
        gradient: Σ (∇ℓ(G) − ∇ℓ(G′)), shape ``(P,)``.
        num_gradients: Gradients of mini-batches that were computed.
        trust: Factor (0 to 1) of the part of the others; 1 unless it comes from samples.
    """

    gradient: Tensor
    num_gradients: int = 0
    trust: float = 1.0


@contextmanager
def without_edges(model: Model, request: Request) -> Iterator[None]:
    """Inside, a model with edges has none of those of the request; afterwards they are back."""
    if not model.has_edges:
        yield
        return
    model.drop_edges(*request.edges)
    try:
        yield
    finally:
        model.restore_edges(*request.edges)


def graph_batches(
    model: Model, request: Request, max_neighbours: int = MAX_NEIGHBOURS, num_draws: int = 1
) -> GraphBatches:
    """Mini-batches for :func:`graph_term`; none for models without edges.

    All examples that stay belong to it, and not the people with the same items alone: a drawn item
    that the asker has as well changes as much as a chosen one, and the gradients of the two nearly
    cancel.

    Args:
        model: Asked whether it has edges.
        request: Whose edges go.
        max_neighbours: Most examples of other people; where there are more, a random sample.
        num_draws: Draws of negatives for the asker's own examples, for tasks that draw any, and
            for those of others as far as ``max_neighbours`` allows, each draw counting.
    """
    if not model.has_edges:
        return GraphBatches()
    world = request.world
    stay = world.task.examples(request.after, world.split, world.cut)
    is_own = torch.isin(stay.users, request.users)
    is_new = torch.isin(stay.fingerprints(), request.cleaned.fingerprints())
    own = stay.take(torch.nonzero(is_own & ~is_new).flatten())
    return GraphBatches(
        own=weighted_batches(own, 1.0, BATCH_SIZE, request.seed, num_draws),
        others=_others(
            stay.take(torch.nonzero(~is_own).flatten()), request.seed, max_neighbours, num_draws
        ),
    )


def graph_term(
    model: Model, leaves: Sequence[Tensor], request: Request, batches: GraphBatches
) -> GraphTerm:
    """Σ (∇ℓ(G) − ∇ℓ(G′)) over the examples that stay; G′ lacks the request's edges.

    Exactly zero, and nothing is computed, for models without edges. Where others are sampled, a
    few of the drawn ones can outweigh the rest, so the mean of the two samples is shrunk by the
    factor that would bring it nearest to the truth, as far as their agreement tells:
    ``<a, b> / |(a + b) / 2|^2``, kept within 0 and 1.

    Args:
        model: In the state of :func:`erase_ray.methods._curvature.smooth`, with the edges.
        leaves: What to differentiate with respect to.
        request: Whose edges go.
        batches: Of :func:`graph_batches`.
    """
    gradient = _change(model, leaves, request, batches.own)
    parts = [_change(model, leaves, request, part) for part in batches.others]
    trust = 1.0
    if len(parts) == 2:
        mean = (parts[0] + parts[1]) / 2
        agreement = torch.dot(parts[0], parts[1]) / torch.dot(mean, mean)
        trust = float(agreement.nan_to_num().clamp(0, 1))
        gradient += trust * mean
    elif parts:
        gradient += parts[0]
    return GraphTerm(gradient, 2 * len(list(batches)), trust)


def _change(
    model: Model, leaves: Sequence[Tensor], request: Request, batches: list[Weighted]
) -> Tensor:
    gradient = gradient_sum(model, leaves, batches)
    if batches:
        with without_edges(model, request):
            gradient -= gradient_sum(model, leaves, batches)
    return gradient


def _others(examples: Examples, seed: int, most: int, num_draws: int) -> list[list[Weighted]]:
    size = len(examples)
    if not (most and size):
        return []
    if size <= most:
        draws = min(num_draws, most // size)
        return [weighted_batches(examples, 1.0, BATCH_SIZE, seed, draws)]
    half = max(most // 2, 1)
    order = seeds.order(seeds.derive(seed, "neighbours"), examples.rows)
    samples = (examples.take(order[:half]), examples.take(order[half : 2 * half]))
    return [weighted_batches(one, size / len(one), BATCH_SIZE, seed) for one in samples]
