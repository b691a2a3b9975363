"""Blocks of causal self-attention over flat rows."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from erase_ray.models import _init
from erase_ray.models._dropout import Dropout
from erase_ray.models._flat import Flat
from erase_ray.models._share import Over

STD = 0.02
EPS = 1e-12


class Block(nn.Module):
    """Multi-head attention to earlier rows, then two dense layers; LayerNorm behind each residual.

    Everything but the attention itself runs on flat rows.

    Args:
        width: Length D of a row, a multiple of ``heads``.
        heads: Number of heads.
        inner: Length of the row between the two dense layers.
        dropout: Share that training drops of what enters a residual.
        attention_dropout: Share that training drops of the attention weights.
    """

    def __init__(
        self, width: int, heads: int, inner: int, dropout: float, attention_dropout: float
    ) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)
        self.output_norm = nn.LayerNorm(width, EPS)
        self.inner = nn.Linear(width, inner)
        self.outer = nn.Linear(inner, width)
        self.outer_norm = nn.LayerNorm(width, EPS)
        self.dropout = Dropout(dropout)
        self.attention_dropout = Dropout(attention_dropout)

    def reset(self, generator: torch.Generator) -> None:
        """Weights N(0, 0.02^2), biases 0, norms the identity."""
        for layer in (self.query, self.key, self.value, self.output, self.inner, self.outer):
            _init.normal(layer.weight, STD, generator)
            nn.init.zeros_(layer.bias)
        self.output_norm.reset_parameters()
        self.outer_norm.reset_parameters()

    def forward(self, rows_ND: Tensor, flat: Flat, row_BL: Tensor) -> Tensor:
        """All rows after the block, shape ``(N, D)``; ``row_BL`` is ``flat.padded()``."""
        layers = (self.query, self.key, self.value)
        query, key, value = self._padded(rows_ND, layers, row_BL)
        later_LL = rows_ND.new_full((flat.longest, flat.longest), -torch.inf).triu(1)
        seen_BLD = _by_step(self._attend(query, key, value, later_LL, "pairs"), self.heads)
        place_N = flat.window_N * flat.longest + flat.step_N
        return self._rest(rows_ND, seen_BLD.flatten(0, 1).index_select(0, place_N), "steps")

    def last(self, rows_ND: Tensor, flat: Flat, row_BL: Tensor) -> Tensor:
        """The last row of each window after the block, shape ``(B, D)``."""
        last_BD = rows_ND.index_select(0, flat.last_B)
        query = _by_head(self.query(last_BD)[:, None], self.heads)
        key, value = self._padded(rows_ND, (self.key, self.value), row_BL)
        step_L = torch.arange(flat.longest, device=row_BL.device)
        is_behind_BL = step_L > (flat.last_B - flat.first_B)[:, None]
        behind_BL = rows_ND.new_zeros(row_BL.shape).masked_fill_(is_behind_BL, -torch.inf)
        mask = behind_BL.repeat_interleave(self.heads, dim=0)[:, None]
        seen_B1D = _by_step(self._attend(query, key, value, mask, "keys"), self.heads)
        return self._rest(last_BD, seen_B1D[:, 0], "examples")

    def _padded(
        self, rows_ND: Tensor, layers: tuple[nn.Linear, ...], row_BL: Tensor
    ) -> list[Tensor]:
        """What the layers make of the rows, by window, head and step."""
        weight = torch.cat([layer.weight for layer in layers])
        made_NK = functional.linear(rows_ND, weight, torch.cat([layer.bias for layer in layers]))
        made_BLK = made_NK.index_select(0, row_BL.flatten()).view(*row_BL.shape, -1)
        return [_by_head(part_BLD, self.heads) for part_BLD in made_BLK.chunk(len(layers), dim=-1)]

    def _attend(
        self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor, over: Over
    ) -> Tensor:
        """Sums of values, weighted by the softmax of ``query @ key`` where the mask is not -inf.

        Written out: on the CPU torch's fused attention is no faster at these lengths, several
        times slower with dropout, and its gradient cannot be differentiated.
        """
        scale = query.shape[-1] ** -0.5
        logits = torch.baddbmm(mask, query, key.transpose(1, 2), alpha=scale)
        return self.attention_dropout(logits.softmax(-1), over) @ value

    def _rest(self, rows_KD: Tensor, seen_KD: Tensor, over: Over) -> Tensor:
        """What follows the attention, for each row by itself."""
        rows_KD = self.output_norm(rows_KD + self.dropout(self.output(seen_KD), over))
        inner_KD = self.outer(functional.gelu(self.inner(rows_KD)))
        return self.outer_norm(rows_KD + self.dropout(inner_KD, over))


def _by_head(rows_BLD: Tensor, heads: int) -> Tensor:
    """Shape ``(B * heads, L, D / heads)``."""
    return rows_BLD.unflatten(-1, (heads, -1)).transpose(1, 2).flatten(0, 1)


def _by_step(rows: Tensor, heads: int) -> Tensor:
    """The inverse of :func:`_by_head`."""
    return rows.unflatten(0, (-1, heads)).transpose(1, 2).flatten(2)
