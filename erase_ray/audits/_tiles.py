"""Scores of several models for the same queries, block by block."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TypeVar

import torch
from torch import Tensor

from erase_ray import pulse
from erase_ray.evaluation import check_scores, evaluating, usual_block
from erase_ray.models import Model
from erase_ray.tasks import Queries

T = TypeVar("T")
Look = Callable[[int, int, list[Tensor]], T]
"""Is given the first query of a block, the one behind its last, and scores ``(B, I)`` of each
model, which it must not change."""


def fitting(model: Model, queries: Queries, copies: int) -> int:
    """Queries of a block, for as much memory as ranking takes, where ``look`` holds its scores,
    in float64 and in part, about ``copies`` times as often as ranking does.
    """
    return max(usual_block(model, queries) // copies, 1)


def look_at(models: Sequence[Model], queries: Queries, look: Look[T], block_size: int) -> list[T]:
    """What ``look`` makes of each block of queries, in their order.

    Args:
        models: In any mode; they are in that mode again afterwards.
        queries: May be none.
        look: Called under ``torch.inference_mode``.
        block_size: Queries that are scored at once; see :func:`fitting`.

    Raises:
        TrainingError: A score is not a number.
    """
    found = []
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode())
        for model in models:
            stack.enter_context(evaluating(model))
            stack.enter_context(model.scoring())
        for start in range(0, len(queries), block_size):
            pulse.beat()
            stop = min(start + block_size, len(queries))
            index = torch.arange(start, stop, device=queries.inputs.rows.device)
            inputs = queries.inputs.inputs(index)
            scores = [model.scores(inputs) for model in models]
            for model, scores_BI in zip(models, scores, strict=True):
                check_scores(scores_BI, model, start)
            found.append(look(start, stop, scores))
    return found
