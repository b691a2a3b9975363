"""Examples whose histories are runs on flat arrays, which all of them share."""

from dataclasses import dataclass, replace
from typing import Self

from torch import Tensor

from erase_ray.tasks._base import Examples


@dataclass(frozen=True, eq=False)
class Runs(Examples):
    """One run an example; what a run counts, subclasses say.

    Args:
        rows: Row id of the target, shape ``(N,)``.
        users: Shape ``(N,)``.
        starts: Position of the oldest part of each history, shape ``(N,)``.
        lengths: Length of each history, 1 or more, shape ``(N,)``.
    """

    rows: Tensor
    users: Tensor
    starts: Tensor
    lengths: Tensor

    def take(self, index: Tensor) -> Self:
        """The examples at the given positions; the flat arrays are shared."""
        return replace(
            self,
            rows=self.rows[index],
            users=self.users[index],
            starts=self.starts[index],
            lengths=self.lengths[index],
        )
