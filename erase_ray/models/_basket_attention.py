"""Causal attention of each node over its steps, and their sum, from the rows that differ.

Between two visits a node looks the same at every step, so of the keys that a step sees there are
its visits so far and n times the idle one, and all queries of a gap between two visits differ in n
alone. Per head the answer of a step is

    y(n) = (sum_s e^(q k_s) v_s  +  n e^(q k_0) v_0) / (sum_s e^(q k_s)  +  n e^(q k_0))

with s over the visits so far. What is left for each step of a node is a quotient per head instead
of a vector and a row of the attention matrix. This is exact.
"""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from erase_ray.models._basket_graphs import Visits
from erase_ray.tasks._arrays import ragged

CHUNK = 1 << 18
"""Pairs and steps up to which all nodes are read at once, about 300 bytes each. Above that nodes
are read in chunks, which are computed again for the gradient instead of being kept."""


def read(visits: Visits, query_RD: Tensor, key_RD: Tensor, value_RX: Tensor) -> Tensor:
    """The sum over the steps of each node of the product of both its answers, shape ``(N,)``.

    Args:
        visits: Visits of N nodes; the idle row of node n is row ``V + n``.
        query_RD: Queries by row, head by head, already divided by the root of a head's width.
        key_RD: Keys.
        value_RX: Two numbers by row and head (X = 2H), the first of all heads, then the second;
            an answer is the sum over the heads.
    """
    rows, idle = (query_RD, key_RD, value_RX), len(visits.row_V)
    assert visits.num_pairs is not None
    assert visits.num_gaps is not None
    if 2 * visits.num_pairs + visits.num_gaps <= CHUNK:
        return _read(visits, idle, *rows)
    read_some = _read_again if torch.is_grad_enabled() else _read
    return torch.cat([read_some(chunk, idle + at, *rows) for chunk, at in _chunks(visits)])


def _chunks(visits: Visits) -> Iterator[tuple[Visits, int]]:
    """Visits of successive nodes, with the number of the first of them; asks the device once."""
    cost_V = 2 * (visits.rank_V + 1) + visits.gap_V
    chunk_N = (cost_V.cumsum(0) - cost_V)[visits.first_N] // CHUNK
    node_C = torch.searchsorted(chunk_N, torch.unique_consecutive(chunk_N))
    starts = torch.stack([node_C, visits.first_N[node_C]]).tolist()
    ends = ([*starts[0][1:], len(visits.first_N)], [*starts[1][1:], len(visits.row_V)])
    for node, visit, last_node, last_visit in zip(*starts, *ends, strict=True):
        inside = slice(visit, last_visit)
        yield (
            Visits(
                row_V=visits.row_V[inside],
                node_V=visits.node_V[inside] - node,
                rank_V=visits.rank_V[inside],
                step_V=visits.step_V[inside],
                gap_V=visits.gap_V[inside],
                first_N=visits.first_N[node:last_node] - visit,
                num_pairs=None,
                num_gaps=None,
            ),
            node,
        )


def _read_again(*arguments: object) -> Tensor:
    return checkpoint(_read, *arguments, use_reentrant=False, preserve_rng_state=False)  # type: ignore


def _read(visits: Visits, idle: int, query_RD: Tensor, key_RD: Tensor, value_RX: Tensor) -> Tensor:
    """All at once. Queries (C) come in two kinds, at the visits and in the gaps behind them."""
    heads = value_RX.shape[1] // 2
    by_head_DH = _by_group(query_RD, query_RD.shape[1], heads)
    row_V, idle_V = visits.row_V, visits.node_V + idle
    query_VD, key_VD = query_RD.index_select(0, row_V), key_RD.index_select(0, row_V)
    still_VD, still_key_VD = query_RD.index_select(0, idle_V), key_RD.index_select(0, idle_V)
    before_V = visits.step_V - visits.rank_V
    at_idle_VH = (query_VD * still_key_VD) @ by_head_DH
    at_idle_VH = at_idle_VH.masked_fill((before_V == 0)[:, None], float("-inf"))
    idle_CH = torch.cat([at_idle_VH, (still_VD * still_key_VD) @ by_head_DH])

    key_P, query_P = ragged(visits.first_N[visits.node_V], visits.rank_V + 1, visits.num_pairs)
    pairs_PD = query_VD.index_select(0, query_P) * key_VD.index_select(0, key_P)
    in_gap_VH = (still_VD * key_VD) @ by_head_DH
    energy_QH = torch.cat([pairs_PD @ by_head_DH, in_gap_VH.index_select(0, key_P)])
    query_Q = torch.cat([query_P, query_P + len(idle_V)])
    top_CH = _highest(energy_QH, idle_CH, query_Q)

    # sums of weights and of weighted values, side by side (Y = 3H)
    ones_RH = torch.ones_like(value_RX[:, :heads])
    value_RY = torch.cat([ones_RH, value_RX], 1)
    value_PY = value_RY.index_select(0, row_V.index_select(0, key_P))
    share_QH = (energy_QH - top_CH.index_select(0, query_Q)).exp()
    sums_QY = share_QH.repeat(1, 3) * value_PY.repeat(2, 1)
    sums_CY = sums_QY.new_zeros(len(idle_CH), 3 * heads).index_add(0, query_Q, sums_QY)
    still_VY = value_RY.index_select(0, idle_V)
    idle_CY = (idle_CH - top_CH).exp().repeat(1, 3) * still_VY.repeat(2, 1)

    steps_S, query_S = ragged(before_V + 1, visits.gap_V, visits.num_gaps)
    steps_S = torch.cat([before_V, steps_S]).to(value_RX.dtype)
    query_S = torch.cat([torch.arange(len(idle_V), device=idle_V.device), query_S + len(idle_V)])
    all_SY = torch.addcmul(
        sums_CY.index_select(0, query_S), steps_S[:, None], idle_CY.index_select(0, query_S)
    )
    by_answer_X2 = _by_group(value_RX, 2 * heads, 2)
    answer_S2 = (all_SY[:, heads:] / all_SY[:, :heads].repeat(1, 2)) @ by_answer_X2
    still_N2 = value_RX[idle : idle + len(visits.first_N)] @ by_answer_X2
    early_N = visits.step_V[visits.first_N] * still_N2[:, 0] * still_N2[:, 1]
    node_S = visits.node_V.repeat(2).index_select(0, query_S)
    return early_N.index_add(0, node_S, answer_S2[:, 0] * answer_S2[:, 1])


def _by_group(like: Tensor, num: int, num_groups: int) -> Tensor:
    """A matrix that sums up each of some equal groups of columns, shape ``(num, num_groups)``."""
    eye = torch.eye(num_groups, dtype=like.dtype, device=like.device)
    return eye.repeat_interleave(num // num_groups, 0)


def _highest(energy_QH: Tensor, idle_CH: Tensor, query_Q: Tensor) -> Tensor:
    """The highest energy of each query, without a gradient; no quotient depends on it."""
    energy_QH, top_CH = energy_QH.detach(), idle_CH.detach()
    place_QH = query_Q[:, None].expand_as(energy_QH)
    return top_CH.scatter_reduce(0, place_QH, energy_QH, "amax")
