"""What the loss of a part of a batch must know of the whole, while a team shares batches out.

A model computes the loss of the examples it is given. Where that hangs on who else is in the batch
(batch norm, a penalty on the batch as a whole) or on draws that are made for the batch at once
(dropout), it asks here; while no batch is shared out the answers are those of its own batch.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor

from erase_ray.models._packing import Packing
from erase_ray.team import Team

Over = Literal["examples", "steps", "packed", "keys", "pairs"]
"""What the entries of a tensor belong to, whose draws are made for the whole batch: to an example
(or one of its heads) each; to a step of a window, window after window or packed; to a key, or to a
query and a key, both steps, of each head of a window."""


@dataclass(frozen=True, eq=False)
class Share:
    """The part of a batch that this process computes.

    Args:
        team: Computes the rest.
        own: Which examples of the batch are here, one or more.
        size: Examples of the whole batch.
        length_B: Length of the history of each of those, on the host; None where there is none.
    """

    team: Team
    own: range
    size: int
    length_B: Tensor | None = None

    def uniform(self, like: Tensor, over: Over) -> Tensor:
        """The part that belongs to ``like`` of the uniform numbers of the whole batch."""
        rest = like.shape[1:]
        if over in ("steps", "packed"):
            drawn = like.new_empty(int(self._lengths.sum()), *rest).uniform_()
            own = self._steps if over == "steps" else self._packed.to(like.device)
            return drawn[own]
        parts = len(like) // len(self.own)
        if over == "pairs":
            rest = (self._longest, self._longest)
        elif over == "keys":
            rest = (rest[0], self._longest)
        drawn = like.new_empty(parts * self.size, *rest).uniform_()
        own = drawn[parts * self.own.start : parts * self.own.stop]
        return own[tuple(slice(size) for size in like.shape)]

    def sum(self, values: Tensor) -> Tensor:
        """The sum of ``values`` over all parts, which can be differentiated."""
        return _Sum.apply(values, self.team)  # type: ignore

    @property
    def _lengths(self) -> Tensor:
        assert self.length_B is not None
        return self.length_B

    @property
    def _longest(self) -> int:
        return int(self._lengths.max())

    @cached_property
    def _steps(self) -> slice:
        start = int(self._lengths[: self.own.start].sum())
        return slice(start, start + int(self._lengths[self.own.start : self.own.stop].sum()))

    @cached_property
    def _packed(self) -> Tensor:
        """Where the packed rows of the own part lie among those of the batch."""
        packing = Packing.of(self._lengths[self.own.start : self.own.stop])
        return Packing.of(self._lengths).place(packing.sequence_N + self.own.start, packing.step_N)


_share: Share | None = None


@contextmanager
def sharing(share: Share | None) -> Iterator[None]:
    """Inside, batches are this part of a whole; None: each is a whole by itself."""
    global _share
    before, _share = _share, share
    try:
        yield
    finally:
        _share = before


def uniform(like: Tensor, over: Over) -> Tensor:
    """Uniform numbers in [0, 1) from the global generator, of the shape of ``like``."""
    return torch.rand_like(like) if _share is None else _share.uniform(like, over)


def batch_sum(values: Tensor) -> Tensor:
    """The sum over the batch from the sum ``values`` over what is here; can be differentiated."""
    return values if _share is None else _share.sum(values)


def batch_count(number: int) -> int:
    """The same for a number on the host, without a gradient."""
    if _share is None:
        return number
    return sum(count for (count,) in _share.team.numbers([number]))


def batch_size(number: int) -> int:
    """Examples of the batch, of which ``number`` are here."""
    return number if _share is None else _share.size


def batch_longest(longest: int) -> int:
    """The longest history of the batch, from the longest that is here."""
    return longest if _share is None else _share._longest


class _Sum(torch.autograd.Function):
    """Every member's loss depends on the sum, so the gradients are summed up as well."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, team: Team) -> Tensor:
        ctx.team = team
        total = values.detach().clone(memory_format=torch.contiguous_format)
        team.add([total])
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return _Sum.apply(grads[0], ctx.team), None  # type: ignore
