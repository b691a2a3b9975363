"""Session-based recommendation: the next item after the latest ones of a session."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from erase_ray import seeds
from erase_ray.data.csr import Csr
from erase_ray.data.interactions import Interactions
from erase_ray.data.runs import run_sizes, run_starts
from erase_ray.data.split import Part, Split, ratio_marks
from erase_ray.tasks._arrays import find, on_device, running_hash
from erase_ray.tasks._base import TASKS, Cut, Queries, Task
from erase_ray.tasks._batches import WindowBatch
from erase_ray.tasks._runs import Runs

_TARGET = seeds.derive(0, "fingerprint", "target")


@dataclass(frozen=True, eq=False)
class WindowExamples(Runs):
    """Windows on one flat array of items; the item behind a window is its target.

    Args:
        rows: Row id of the target, shape ``(N,)``.
        users: Shape ``(N,)``.
        starts: Position of the oldest item of each window, shape ``(N,)``.
        lengths: Items in each window, 1 or more, shape ``(N,)``.
        item_R: Items of all rows, in the order of the table.
        row_R: Row ids of the same.
        sequence_R: Sequences of the same.
        has_targets: False for probes, which ask about the future.
    """

    item_R: Tensor
    row_R: Tensor
    sequence_R: Tensor
    has_targets: bool = True

    def batch(self, index: Tensor, seed: int) -> WindowBatch:
        """Windows and the items behind them; nothing is drawn."""
        return self._with_targets(self.inputs(index), index)

    def batches(self, order: Tensor, size: int, seed: int) -> Iterator[WindowBatch]:
        """Batches of an epoch, whose lengths come from the device all at once."""
        lengths = self.lengths[order].cpu().split(size)
        for index, length_B in zip(order.split(size), lengths, strict=True):
            yield self._with_targets(self._windows(index, _reached(length_B)), index)

    def inputs(self, index: Tensor) -> WindowBatch:
        """Windows, as wide as the longest of them."""
        return self._windows(index, _reached(self.lengths[index].cpu()))

    def _windows(self, index: Tensor, sizes: tuple[int, ...]) -> WindowBatch:
        start_B, length_B = self.starts[index], self.lengths[index]
        column_L = torch.arange(len(sizes), device=length_B.device)
        inside_BL = column_L < length_B[:, None]
        position_BL = (start_B[:, None] + column_L) * inside_BL
        items_BL = self.item_R[position_BL] * inside_BL
        return WindowBatch(items_BL, length_B, sequence_B=self.sequence_R[start_B], sizes=sizes)

    def _with_targets(self, windows: WindowBatch, index: Tensor) -> WindowBatch:
        assert self.has_targets
        target_B = self.item_R[self.starts[index] + windows.length_B]
        return replace(windows, target_B=target_B)

    def fingerprints(self) -> Tensor:
        """Hash of the target row and of the rows in the window."""
        sums = running_hash(self.row_R)
        window_N = sums[self.starts + self.lengths] - sums[self.starts]
        return window_N + seeds.hash_ids(_TARGET, self.rows)

    def targets(self) -> Csr:
        """One item each."""
        assert self.has_targets
        item_N = self.item_R[self.starts + self.lengths]
        return Csr(np.arange(len(self) + 1), item_N.cpu().numpy().astype(np.int32))

    def aims_at(self, items_I: Tensor) -> Tensor:
        """True where the target is marked."""
        if not self.has_targets:
            return torch.zeros_like(self.rows, dtype=torch.bool)
        return items_I[self.item_R[self.starts + self.lengths]]


@TASKS.register
class SessionBased(Task):
    """Recommend the next item of a session after its latest items."""

    def split(self, interactions: Interactions) -> Split:
        """Each session's targets (all rows but the first): 80 % train, 10 % valid, 10 % test.

        The first row of a session is no target; it counts as training data.
        """
        marks = np.zeros(len(interactions), np.int8)
        is_target = np.ones(len(interactions), bool)
        is_target[run_starts(interactions.sequence)] = False
        marks[is_target] = ratio_marks(interactions.sequence[is_target])
        return Split(marks)

    def examples(self, interactions: Interactions, split: Split, cut: Cut) -> WindowExamples:
        """One example a training row that has an earlier row left in its session."""
        return _before(interactions, split.select(interactions, Part.TRAIN), cut)

    def queries(self, interactions: Interactions, split: Split, part: Part, cut: Cut) -> Queries:
        """One query a row of ``part`` that has an earlier row left; nothing is masked.

        The history is the true one: it shows earlier rows of all parts.
        """
        inputs = _before(interactions, split.select(interactions, part), cut)
        target_Q = inputs.item_R[inputs.starts + inputs.lengths].cpu().numpy()
        relevant = Csr(np.arange(len(target_Q) + 1), target_Q.astype(np.int32))
        return Queries(inputs, relevant, Csr.empty(len(target_Q)))

    def probe(
        self, interactions: Interactions, split: Split, users: np.ndarray, cut: Cut
    ) -> Queries:
        """One query for each user with rows left: what comes after the latest session.

        The latest session is the one whose last row left is latest; of two, the higher number.
        """
        own = interactions.of_users(np.unique(users))
        first_S, last_S = _ends(own)
        latest_first = np.lexsort((own.sequence[last_S], own.time[last_S]))[::-1]
        known, latest = np.unique(own.user[last_S][latest_first], return_index=True)
        chosen = latest_first[latest[find(users, known)[1]]]
        last_Q = last_S[chosen]
        inputs = _windows(own, first_S[chosen], last_Q + 1, own.row[last_Q], cut)
        inputs = replace(inputs, has_targets=False)
        return Queries(inputs, Csr.empty(len(inputs)), Csr.empty(len(inputs)))


def _reached(length_B: Tensor) -> tuple[int, ...]:
    """How many windows reach each step; lengths on the host."""
    longest = int(length_B.max()) if len(length_B) else 0
    ended_L = torch.bincount(length_B, minlength=longest + 1).cumsum(0)[:longest]
    return tuple((len(length_B) - ended_L).tolist())


def _ends(interactions: Interactions) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the first and the last row of each sequence."""
    first_S = run_starts(interactions.sequence)
    return first_S, first_S + run_sizes(first_S, len(interactions)) - 1


def _before(interactions: Interactions, is_target_R: np.ndarray, cut: Cut) -> WindowExamples:
    """The targets that have something before them, with their windows."""
    first_S = run_starts(interactions.sequence)
    first_R = np.repeat(first_S, run_sizes(first_S, len(interactions)))
    target_N = np.flatnonzero(is_target_R & (first_R < np.arange(len(first_R))))
    row_N = interactions.row[target_N]
    return _windows(interactions, first_R[target_N], target_N, row_N, cut)


def _windows(
    interactions: Interactions,
    first_N: np.ndarray,
    end_N: np.ndarray,
    row_N: np.ndarray,
    cut: Cut,
) -> WindowExamples:
    """Windows that end before position ``end_N`` and reach back to ``first_N`` at most."""
    assert cut.max_history >= 1
    start_N = np.maximum(first_N, end_N - cut.max_history)
    return WindowExamples(
        rows=on_device(row_N, cut.device),
        users=on_device(interactions.user[first_N], cut.device),
        starts=on_device(start_N, cut.device),
        lengths=on_device(end_N - start_N, cut.device),
        item_R=on_device(interactions.item, cut.device),
        row_R=on_device(interactions.row, cut.device),
        sequence_R=on_device(interactions.sequence, cut.device),
    )
