"""How a team shares out the batches of an epoch, and makes sure that it stays together."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from erase_ray.errors import TrainingError
from erase_ray.models import Model, TrainingSettings
from erase_ray.models._sharded import Shard, shard_of
from erase_ray.models._share import Share
from erase_ray.tasks import Examples
from erase_ray.team import Team

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Portion:
    """What one process computes of one batch.

    Args:
        batch: Its examples.
        weight: What the sum of their losses is multiplied by, so that the sum over the members is
            the mean over the whole batch.
        share: Which part of the batch it is; None where it is the whole.
    """

    batch: Any
    weight: float
    share: Share | None


def portions(
    examples: Examples, order: Tensor, size: int, seed: int, team: Team
) -> Iterator[Portion]:
    """The own portion of each batch of ``size`` successive examples of ``order``.

    Parts of a batch are contiguous. A batch with fewer examples than the team has members is
    computed by all of them, and each counts for its fraction: so all take part in whatever the
    members have to tell each other, and nobody needs a loss of nothing.
    """
    if size < team.size:
        yield from _whole(examples, order, size, seed, team)
        return
    num_full = len(order) // size
    full, rest = order[: num_full * size], order[num_full * size :]
    own = team.part(size)
    index = full.view(num_full, size)[:, own.start : own.stop].reshape(-1)
    lengths = _lengths(examples, order)
    batches = examples.batches(index, len(own), seed) if num_full else ()
    for step, batch in enumerate(batches):
        inside = slice(step * size, (step + 1) * size)
        yield Portion(batch, 1 / size, Share(team, own, size, _taken(lengths, inside)))
    if 0 < len(rest) < team.size:
        yield from _whole(examples, rest, size, seed, team)
    elif len(rest):
        own = team.part(len(rest))
        share = Share(team, own, len(rest), _taken(lengths, slice(len(full), None)))
        yield Portion(examples.batch(rest[own.start : own.stop], seed), 1 / len(rest), share)


def _whole(
    examples: Examples, order: Tensor, size: int, seed: int, team: Team
) -> Iterator[Portion]:
    for batch, index in zip(examples.batches(order, size, seed), order.split(size), strict=True):
        yield Portion(batch, 1 / (len(index) * team.size), None)


def _lengths(examples: Examples, order: Tensor) -> Tensor | None:
    """Length of each history on the host, in order; None where examples have none."""
    lengths_N = getattr(examples, "lengths", None)
    return None if lengths_N is None else lengths_N[order].cpu()


def _taken(lengths: Tensor | None, inside: slice) -> Tensor | None:
    return None if lengths is None else lengths[inside]


def check_team(model: Model, settings: TrainingSettings, shard_tables: bool) -> None:
    """Refuse what a team cannot do.

    Raises:
        TrainingError: The loss is to be compiled, or tables are to be shared out that the model
            reads as a whole.
    """
    if settings.compile:
        raise TrainingError(
            "a loss that several workers share out cannot be compiled, because torch.compile would "
            "draw other dropout masks; set compile to false, or train with one process"
        )
    if shard_tables and not model.row_tables():
        raise TrainingError(
            f"model '{model.name}' reads its tables as a whole, so their rows cannot be shared "
            "out among workers; leave shard_tables off"
        )


def shard(model: Model, team: Team) -> dict[str, Shard]:
    """Leave on each member only its rows of the tables that allow it; shards by parameter."""
    return {name: Shard(weight, team) for name, weight in model.row_tables().items()}


def gathered(model: Model, parts: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors named after parameters, those of shared-out tables whole on member 0.

    Args:
        model: Whose parameters.
        parts: By the name of a parameter, alone or before a ``/``, as in the state of an optimiser.
    """
    return {name: _gathered(model, name, tensor) for name, tensor in parts.items()}


def scattered(model: Model, wholes: dict[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of :func:`gathered` where all members have the whole."""
    found = dict(wholes)
    for name, tensor in wholes.items():
        own = _shard_of(model, name)
        if own is not None and tensor.dim():
            found[name] = own.part(tensor)
    return found


def _gathered(model: Model, name: str, tensor: Tensor) -> Tensor:
    own = _shard_of(model, name)
    return own.whole(tensor) if own is not None and tensor.dim() else tensor


def _shard_of(model: Model, name: str) -> Shard | None:
    weights = dict(model.named_parameters())
    weight = weights.get(name.split("/")[0])
    return None if weight is None else shard_of(weight)


def keep_together(model: Model, moments: list[Tensor], team: Team, epoch: int) -> None:
    """Make sure that all members have the same weights, bit by bit.

    On machines of one kind they have. Others may round differently; then all take what member 0
    has, so that they cannot drift apart.

    Args:
        model: As it is after the epoch.
        moments: Of its optimiser, but for those of tables that are shared out.
        team: All must call this.
        epoch: For the log.
    """
    state = [t for name, t in model.state_dict().items() if _shard_of(model, name) is None]
    sums = team.numbers([_fingerprint(state)])
    if all(row == sums[0] for row in sums):
        return
    logger.warning("workers round differently: after epoch %d all go on from worker 0", epoch)
    team.follow([*state, *moments])


def _fingerprint(tensors: list[Tensor]) -> int:
    """A number that hangs on every bit."""
    total = 0
    for number, tensor in enumerate(tensors):
        words = tensor.detach().contiguous().view(-1)
        kind = {2: torch.int16, 4: torch.int32, 8: torch.int64}[tensor.element_size()]
        total += (number + 1) * int(words.view(kind).sum())
    return total % 2**63
