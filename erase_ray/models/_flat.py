"""The items of a batch of windows one behind the other, without padding."""

from dataclasses import dataclass

import torch
from torch import Tensor

from erase_ray.tasks._arrays import ragged
from erase_ray.tasks._batches import WindowBatch


@dataclass(frozen=True, eq=False)
class Flat:
    """N rows, one an item: those of the first window from its oldest on, then of the second ...

    Where the batch knows its sizes nothing is asked of the device.

    Args:
        item_N: Item of each row.
        window_N: Which window each row belongs to, ascending.
        step_N: Which step of it the row is, from 0.
        first_B: Row of the oldest item of each window.
        last_B: Row of its latest item.
        longest: Length of the longest window, on the host.
    """

    item_N: Tensor
    window_N: Tensor
    step_N: Tensor
    first_B: Tensor
    last_B: Tensor
    longest: int

    @classmethod
    def of(cls, batch: WindowBatch) -> "Flat":
        """The rows of the windows."""
        length_B = batch.length_B
        if batch.sizes is None:
            num_rows, longest = int(length_B.sum()), int(length_B.max())
        else:
            num_rows, longest = sum(batch.sizes), len(batch.sizes)
        end_B = length_B.cumsum(0)
        first_B = end_B - length_B
        step_N, window_N = ragged(torch.zeros_like(length_B), length_B, num_rows)
        item_N = batch.items_BL[window_N, step_N]
        return cls(item_N, window_N, step_N, first_B, end_B - 1, longest)

    def __len__(self) -> int:
        return len(self.item_N)

    def padded(self) -> Tensor:
        """The row at each step of each window, shape ``(B, longest)``.

        Behind the end of a window stands its last row again.
        """
        step_L = torch.arange(self.longest, device=self.step_N.device)
        return torch.minimum(self.first_B[:, None] + step_L, self.last_B[:, None])

    def followers(self) -> Tensor:
        """The rows that have an earlier row in their window, directly before them; ``(N - B,)``."""
        num_windows, num_rows = len(self.first_B), len(self)
        length_B = self.last_B - self.first_B
        return ragged(self.first_B + 1, length_B, num_rows - num_windows)[0]
