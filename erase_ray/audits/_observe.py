"""What a model says of an example: the logarithm of the probability of what came next."""

import numpy as np
import torch
from torch import Tensor

from erase_ray import seeds
from erase_ray.audits._tiles import fitting, look_at
from erase_ray.data.csr import Csr
from erase_ray.models import Model
from erase_ray.tasks import Examples, Queries

_ONE = seeds.derive(0, "audits", "population")


def observe_examples(model: Model, examples: Examples, block_size: int = 0) -> np.ndarray:
    """Log-probability of the target of each training example.

    The probability of an item is the softmax of the scores over the whole catalogue, nothing
    masked. Where an example has several targets (a basket), it is the mean of theirs.

    Args:
        model: In any mode; it is in that mode again afterwards.
        examples: May be none.
        block_size: Examples that are scored at once; 0 takes what fits the usual bound of memory.

    Returns:
        float64, shape ``(N,)``; minus infinity where the model rules a target out.

    Raises:
        TrainingError: A score is not a number.
    """
    return _observe(model, examples, examples.targets(), block_size)


def observe_queries(model: Model, queries: Queries, block_size: int = 0) -> np.ndarray:
    """Log-probability of what is right for each query, as for a training example.

    Of tasks whose examples have one target, one of the right items is asked about: a fixed one,
    drawn by the row of the query. What must not be ranked plays no part.

    Returns:
        float64, shape ``(Q,)``; NaN where nothing is right.
    """
    wanted = queries.relevant
    if queries.inputs.has_one_target:
        wanted = _one_each(wanted, queries.inputs.rows)
    return _observe(model, queries.inputs, wanted, block_size)


def _one_each(lists: Csr, rows: Tensor) -> Csr:
    filled = np.flatnonzero(lists.lengths)
    drawn = seeds.hash_ids(_ONE, rows).cpu().numpy().view(np.uint64)[filled]
    place = lists.offsets[filled] + (drawn % lists.lengths[filled].astype(np.uint64)).astype(int)
    return Csr.of_pairs(filled, lists.values[place], len(lists))


def _observe(model: Model, inputs: Examples, wanted: Csr, block_size: int) -> np.ndarray:
    nothing = Csr.empty(len(inputs))
    asked = Queries(inputs, nothing, nothing)

    def look(start: int, stop: int, scores: list[Tensor]) -> np.ndarray:
        return _log_means(scores[0], wanted.take(start, stop))

    found = look_at([model], asked, look, block_size or fitting(model, asked, 2))
    return np.concatenate([np.zeros(0), *found])


def _log_means(scores_BI: Tensor, wanted: Csr) -> np.ndarray:
    """Logarithm of the mean probability of the wanted items, float64, shape ``(B,)``."""
    scores_BI = scores_BI.double()
    owner_T, item_T = (
        torch.from_numpy(ids.astype(np.int64)).to(scores_BI.device)
        for ids in (wanted.owners, wanted.values)
    )
    log_p_T = (scores_BI[owner_T, item_T] - scores_BI.logsumexp(dim=1)[owner_T]).cpu().numpy()
    means_B = np.full(len(wanted), np.nan)
    filled_B = wanted.lengths > 0
    if len(log_p_T):
        sums = np.logaddexp.reduceat(log_p_T, wanted.offsets[:-1][filled_B])
        means_B[filled_B] = sums - np.log(wanted.lengths[filled_B])
    return means_B
