"""Rank the whole catalogue for each query, and judge the ranked lists."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager

import numpy as np
import torch
from torch import Tensor

from erase_ray import pulse, tiles
from erase_ray.data.csr import Csr
from erase_ray.errors import TrainingError
from erase_ray.metrics import (
    Aggregate,
    Answers,
    Exposure,
    Measured,
    Metric,
    Population,
    Tally,
    exposures,
)
from erase_ray.models import Model
from erase_ray.tasks import Queries

NOTHING = float("-inf")
"""The score of what must not be ranked."""
BLOCK_BYTES = 1 << 28
"""Scores of one block of queries; ranking takes about three times that."""
FEWEST, MOST = 16, 4096
"""Bounds of the queries of a block."""
TILE = 1 << 16
"""Answers that are judged at once."""
MOST_HISTORIES = 256
"""The upper one on the CPU for models that read histories: their layers should fit the cache."""


def rank(model: Model, queries: Queries, k: int, block_size: int = 0) -> np.ndarray:
    """The k best items for each query, best first; of equal scores the lower item id is better.

    Masked items, and items whose score is minus infinity, are not ranked.

    Args:
        model: In any mode; it is in that mode again afterwards.
        queries: May be none.
        k: Length of the lists.
        block_size: Queries that are scored at once; 0 takes what fits :data:`BLOCK_BYTES`. No
            influence on the order of equal scores, but products of other sizes may be added up in
            another order, which can move a score by its last bits.

    Returns:
        Item ids, int32, shape ``(Q, k)``; -1 where fewer than k items can be ranked.

    Raises:
        TrainingError: A score is not a number.
    """
    return rank_all(model, queries, k, (), block_size)[0]


def rank_all(
    model: Model,
    queries: Queries,
    k: int,
    exposed: Sequence[np.ndarray],
    block_size: int = 0,
) -> tuple[np.ndarray, list[Exposure]]:
    """The lists of :func:`rank`, and where some items stand in the whole ranking of each query.

    Args:
        model: As for :func:`rank`, like what follows.
        queries: May be none.
        k: Length of the lists.
        exposed: Sets of items, bool, shape ``(I,)`` each.
        block_size: Queries that are scored at once.

    Returns:
        The lists, and one exposure a set: see :func:`erase_ray.metrics.exposures`.

    Raises:
        TrainingError: A score is not a number.
    """
    ranked_QK = np.full((len(queries), k), -1, np.int32)
    found = [np.full((2, len(queries)), np.nan, np.float32) for _ in exposed]
    size = block_size or usual_block(model, queries)
    # closed at once after an error too, so that the model is in its mode again
    with closing(_scored(model, queries, size)) as blocks:
        for part, scores_BI in blocks:
            ranked_QK[part] = top(scores_BI, k).cpu().numpy()
            for exposure_2Q, items_I in zip(found, exposed, strict=True):
                exposure_2Q[:, part] = exposures(scores_BI, items_I)
    return ranked_QK, [Exposure(*exposure_2Q) for exposure_2Q in found]


def _scored(
    model: Model, queries: Queries, block_size: int
) -> Generator[tuple[slice, Tensor], None, None]:
    """Which queries, and their scores; what must not be ranked has minus infinity."""
    with evaluating(model), torch.inference_mode(), model.scoring():
        for start in range(0, len(queries), block_size):
            pulse.beat()
            stop = min(start + block_size, len(queries))
            index = torch.arange(start, stop, device=queries.inputs.rows.device)
            scores_BI = model.scores(queries.inputs.inputs(index))
            check_scores(scores_BI, model, start)
            yield slice(start, stop), without_masked(scores_BI, queries.masked.take(start, stop))


def usual_block(model: Model, queries: Queries) -> int:
    """Queries that are scored at once unless the caller says otherwise."""
    is_narrow = model.max_history and queries.inputs.rows.device.type == "cpu"
    return default_block(model.shape.num_items, MOST_HISTORIES if is_narrow else MOST)


def default_block(num_items: int, most: int = MOST) -> int:
    """Queries of a block; ``most`` bounds them from above."""
    num_bytes = int(tiles.scaled(BLOCK_BYTES))
    return min(max(num_bytes // (4 * max(num_items, 1)), FEWEST), int(tiles.scaled(most)))


def top(scores_BI: Tensor, k: int) -> Tensor:
    """Ids of the k highest scores of each row, int64, shape ``(B, k)``; -1 behind the last.

    Scores of minus infinity are left out. Equal scores are in the order of their ids, exactly.
    """
    num_items = scores_BI.shape[1]
    value_BK, item_BK = scores_BI.topk(min(k + 1, num_items), dim=1)
    # one item more than wanted shows whether there are ties at the end; -inf ties with itself
    unsure_B = (value_BK[:, 1:] == value_BK[:, :-1]).any(1) | (value_BK[:, -1] == NOTHING)
    best_BK = torch.nn.functional.pad(item_BK[:, :k], (0, k - min(k, num_items)), value=-1)
    if unsure_B.any():
        best_BK[unsure_B] = _top_with_ties(
            scores_BI[unsure_B], value_BK[unsure_B], item_BK[unsure_B], k
        )
    return best_BK


def _top_with_ties(scores_BI: Tensor, value_BK: Tensor, item_BK: Tensor, k: int) -> Tensor:
    num_items = scores_BI.shape[1]
    k_there = min(k, num_items)
    last_B = value_BK[:, k_there - 1]
    item_BK = item_BK[:, :k_there]
    # topk may pick any of the items that tie at its end
    tied_B = (value_BK[:, -1] == last_B) & (last_B > NOTHING)
    if num_items > k and tied_B.any():
        item_BK[tied_B] = _lowest_ids(scores_BI[tied_B], last_B[tied_B], k)
    ordered_BK = _in_order(scores_BI, item_BK)
    return torch.nn.functional.pad(ordered_BK, (0, k - k_there), value=-1)


def _lowest_ids(scores_BI: Tensor, last_B: Tensor, k: int) -> Tensor:
    """Everything above the k-th score, filled up to k with the lowest ids that have just it."""
    above_BI = scores_BI > last_B[:, None]
    equal_BI = scores_BI == last_B[:, None]
    room_B = k - above_BI.sum(1)
    chosen_BI = above_BI | (equal_BI & (equal_BI.cumsum(1) <= room_B[:, None]))
    return chosen_BI.nonzero()[:, 1].view(-1, k)


def _in_order(scores_BI: Tensor, item_BK: Tensor) -> Tensor:
    item_BK = item_BK.sort(dim=1).values
    value_BK, order_BK = scores_BI.gather(1, item_BK).sort(dim=1, descending=True, stable=True)
    return item_BK.gather(1, order_BK).masked_fill(value_BK == NOTHING, -1)


def without_masked(scores_BI: Tensor, masked: Csr) -> Tensor:
    """The scores, with minus infinity for what must not be ranked, on the same device."""
    if not len(masked.values):
        return scores_BI
    place_M = torch.from_numpy(masked.owners * scores_BI.shape[1] + masked.values)
    # out of place: a model may hand out scores that it keeps
    filled = scores_BI.reshape(-1).index_fill(0, place_M.to(scores_BI.device), NOTHING)
    return filled.view_as(scores_BI)


def check_scores(scores_BI: Tensor, model: Model, start: int) -> None:
    """Refuse scores that are not numbers, of the queries from number ``start`` on.

    Raises:
        TrainingError: A score is not a number.
    """
    if not scores_BI.sum().isnan():
        return
    is_nan_B = scores_BI.isnan().any(1)
    if is_nan_B.any():
        first = start + int(is_nan_B.nonzero()[0])
        raise TrainingError(
            f"model '{model.name}' gave scores that are not numbers (NaN), first for query "
            f"{first}; its weights are not usable"
        )


@contextmanager
def evaluating(model: Model) -> Iterator[None]:
    """Inside, ``model`` is in evaluation mode; afterwards it is in the mode it was in."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


def measure(
    answers: Answers,
    metrics: Sequence[Metric | Aggregate],
    ks: Sequence[int],
    population: Population | None = None,
) -> list[Measured]:
    """Each metric at each cut-off: the mean over the queries that count, or an aggregate.

    Sums are exact before they are rounded, so the order of the queries has no influence.

    Args:
        answers: Lists at least as long as the largest cut-off.
        metrics: Judged in this order.
        ks: Cut-offs.
        population: What groups are made from; None reports none.

    Raises:
        EraseError: A metric is infinite, or not one number for each query.
    """
    tally = Tally(metrics, ks, population)
    for start in range(0, len(answers), TILE):
        tally.add(answers.take(start, start + TILE))
    return tally.measured()
