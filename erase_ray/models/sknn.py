"""What was in the sessions that are most like the present one."""

from dataclasses import dataclass, fields
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from erase_ray.models._base import MODELS, Shape, TrainingSettings
from erase_ray.models._baseline import Baseline, TrainingRows
from erase_ray.models._pieces import pieces
from erase_ray.models._session_index import SessionIndex
from erase_ray.models._strongest import strongest
from erase_ray.settings import Frozen
from erase_ray.tasks._arrays import ragged
from erase_ray.tasks._batches import WindowBatch

MOST_CANDIDATES = 1 << 20
"""Candidates (a session once for each shared item), or items of neighbours, taken at once."""

FIELDS = tuple(field.name for field in fields(SessionIndex))


@MODELS.register
class Sknn(Baseline):
    """The score of an item is the sum of the similarities of the neighbours it occurs in.

    Candidates are the latest ``num_recent`` training sessions, the present one left out, that
    share an item with the window; neighbours the ``num_neighbours`` most similar of them.
    Sessions and windows are sets of items. The time of a session is that of its last training
    row; of two at the same time the one with the higher number is later, and of two equally
    similar ones the later is nearer. Only training rows are ever neighbours.

    Paper: Jannach, Ludewig, "When Recurrent Neural Networks meet the Neighborhood for
    Session-Based Recommendation", RecSys 2017; Ludewig, Jannach, "Evaluation of Session-based
    Recommendation Algorithms", UMUAI 2018.
    Differs from them: Jaccard similarity by default, as in the benchmark.
    On a CPU sums are taken in a fixed order; on a GPU their last bits may differ between runs.
    """

    task = "session_based"
    training: ClassVar[TrainingSettings] = TrainingSettings(
        epochs=1, select_metric="mrr", select_k=10
    )

    class Settings(Frozen):
        """Settings of `Sknn`."""

        num_recent: int = Field(default=1000, ge=1)
        """Candidates: the latest sessions that share an item."""
        num_neighbours: int = Field(default=100, ge=1)
        """Most similar candidates that score."""
        similarity: Literal["jaccard", "cosine"] = "jaccard"
        """Shared items by those of both, or by the root of the product of the sizes."""
        max_length: int = Field(default=50, ge=1)
        """Longest window, in items."""

    number_S: Tensor
    time_S: Tensor
    rank_S: Tensor
    session_offset: Tensor
    session_item_V: Tensor
    item_offset: Tensor
    item_session_V: Tensor

    def __init__(self, settings: Settings, shape: Shape) -> None:
        super().__init__(settings, shape)
        for name in FIELDS:
            size = {"session_offset": 1, "item_offset": shape.num_items + 1}.get(name, 0)
            self.register_buffer(name, torch.zeros(size, dtype=torch.int64))

    @property
    def max_history(self) -> int:
        """Longest window, in items."""
        return self.settings.max_length

    def fit(self, rows: TrainingRows) -> None:
        """List the items of each session, and the sessions of each item, latest first."""
        self._take(SessionIndex.of(rows, self.shape.num_items))

    def remove(self, rows: TrainingRows, left: TrainingRows) -> dict[str, float]:
        """Take the sessions of the rows out of both lists, and put in what is left of them.

        Returns:
            ``num_sessions``, how many sessions changed.
        """
        number_A = torch.unique(rows.sequence_N)
        index = SessionIndex(*(getattr(self, name) for name in FIELDS))
        self._take(index.changed(number_A, left.of(torch.isin(left.sequence_N, number_A))))
        return {"num_sessions": float(len(number_A))}

    def _take(self, index: SessionIndex) -> None:
        for name in FIELDS:
            setattr(self, name, getattr(index, name))

    def scores(self, batch: WindowBatch) -> Tensor:
        """Sums of similarities, the most similar neighbour first, shape ``(B, I)``."""
        num_items = self.shape.num_items
        scores_BI = torch.zeros(len(batch), num_items, device=batch.length_B.device)
        inside_BL = _columns(batch.items_BL) < batch.length_B[:, None]
        most_I = (self.item_offset.diff()).clamp(max=self.settings.num_recent + 1)
        cost_B = (most_I[batch.items_BL] * inside_BL).sum(1)
        own_B = self._own_ranks(batch)
        for piece in pieces(cost_B, MOST_CANDIDATES):
            windows = _Sets.of(batch.items_BL[piece], inside_BL[piece], num_items)
            window_C, rank_C, shared_C = self._candidates(windows, own_B[piece])
            if len(rank_C):
                similarity_C = self._similarity(windows.size_B[window_C], rank_C, shared_C)
                length_B = torch.bincount(window_C, minlength=len(windows.size_B))
                value_BK, place_BK = strongest(similarity_C, length_B, self.settings.num_neighbours)
                self._add(scores_BI[piece], value_BK, rank_C[place_BK])
        return scores_BI

    def _own_ranks(self, batch: WindowBatch) -> Tensor:
        """The rank of the session that each window is of; -1 if it has no training rows."""
        if batch.sequence_B is None or not len(self.number_S):
            return torch.full_like(batch.length_B, -1)
        place_B = torch.searchsorted(self.number_S, batch.sequence_B)
        place_B = place_B.clamp_(max=len(self.number_S) - 1)
        is_known_B = self.number_S[place_B] == batch.sequence_B
        return self.rank_S[place_B].masked_fill(~is_known_B, -1)

    def _candidates(self, windows: "_Sets", own_B: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The latest sessions that share items with each window.

        Returns:
            Window, rank of the session and number of shared items, sorted by window, then rank.
        """
        num_sessions = max(1, len(self.rank_S))
        start_W = self.item_offset[windows.item_W]
        # of one item's sessions those behind the latest ``num_recent`` others are never wanted
        length_W = self.item_offset[windows.item_W + 1] - start_W
        length_W = length_W.clamp_(max=self.settings.num_recent + 1)
        place_M, word_M = ragged(start_W, length_W)
        rank_M, window_M = self.item_session_V[place_M], windows.owner_W[word_M]
        key_M = (window_M * num_sessions + rank_M)[rank_M != own_B[window_M]]
        key_C, shared_C = torch.unique_consecutive(key_M.sort().values, return_counts=True)
        window_C = key_C // num_sessions
        count_B = torch.bincount(window_C, minlength=len(own_B))
        before_B = count_B.cumsum(0) - count_B
        is_late_C = _columns(key_C) - before_B[window_C] < self.settings.num_recent
        rank_C = key_C - window_C * num_sessions
        return window_C[is_late_C], rank_C[is_late_C], shared_C[is_late_C]

    def _similarity(self, size_C: Tensor, rank_C: Tensor, shared_C: Tensor) -> Tensor:
        """Similarity of windows of the given sizes to sessions, float32, shape ``(C,)``."""
        other_C = self.session_offset[rank_C + 1] - self.session_offset[rank_C]
        if self.settings.similarity == "jaccard":
            return shared_C / (size_C + other_C - shared_C)
        return (shared_C / (size_C * other_C).double().sqrt()).float()

    def _add(self, scores_BI: Tensor, value_BK: Tensor, rank_BK: Tensor) -> None:
        """Add the similarities of the neighbours to the scores of their items, in place."""
        row_N = torch.arange(len(value_BK), device=value_BK.device)[:, None] * scores_BI.shape[1]
        row_N = row_N.expand_as(value_BK).flatten()
        value_N, rank_N = value_BK.flatten(), rank_BK.flatten()
        start_N = self.session_offset[rank_N]
        length_N = (self.session_offset[rank_N + 1] - start_N) * (value_N > 0)
        flat = scores_BI.view(-1)
        for piece in pieces(length_N, MOST_CANDIDATES):
            place_T, owner_T = ragged(start_N[piece], length_N[piece])
            cell_T = row_N[piece][owner_T] + self.session_item_V[place_T]
            flat.index_add_(0, cell_T, value_N[piece][owner_T])


@dataclass(frozen=True, eq=False)
class _Sets:
    """The distinct items of some windows.

    Args:
        owner_W: Number of the window, ascending.
        item_W: Item, ascending within a window.
        size_B: Items of each window.
    """

    owner_W: Tensor
    item_W: Tensor
    size_B: Tensor

    @classmethod
    def of(cls, items_BL: Tensor, inside_BL: Tensor, num_items: int) -> "_Sets":
        """The sets of what is inside the windows."""
        window_B1 = torch.arange(len(items_BL), device=items_BL.device)[:, None]
        key_W = torch.unique((window_B1 * num_items + items_BL)[inside_BL])
        owner_W = key_W // num_items
        size_B = torch.bincount(owner_W, minlength=len(items_BL))
        return cls(owner_W, key_W - owner_W * num_items, size_B)


def _columns(tensor: Tensor) -> Tensor:
    """0, 1, ... along the last dimension."""
    return torch.arange(tensor.shape[-1], device=tensor.device)
