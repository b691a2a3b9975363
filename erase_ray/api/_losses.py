"""Mean losses of what is forgotten and of everybody else, before and after."""

import math
from dataclasses import dataclass

import numpy as np
import torch

from erase_ray import seeds
from erase_ray.experiment.chain import ChainRunner
from erase_ray.methods import Request
from erase_ray.methods._mode import in_mode
from erase_ray.methods._unseen import mean_loss, mean_of
from erase_ray.models import Model
from erase_ray.scenarios import Chain
from erase_ray.tasks import Examples

NUM_OTHERS = 2048
"""Examples of people who never ask that are looked at."""
_SIZE = 512


@dataclass(frozen=True)
class Losses:
    """Mean training losses in evaluation mode; NaN where there is nothing to measure.

    Args:
        forgotten: Of the training examples that the requests take away or change, as they were.
        others: Of up to 2,048 examples of people who never ask.
    """

    forgotten: float
    others: float


class Meter:
    """Measures the same examples with the same draws whenever it is asked.

    Args:
        runner: Whose world it is.
        chain: All requests.
    """

    def __init__(self, runner: ChainRunner, chain: Chain) -> None:
        everything, world = chain.merged(len(chain.marks)), runner.world
        asked = torch.as_tensor(everything.users.astype(np.int64), device=world.cut.device)
        seed = seeds.derive(world.seed, "losses")
        nothing = np.zeros(0, np.int64)
        request = Request(everything, nothing, world, asked, len(world.examples), seed)
        self._examples = (request.forget, request.retain(NUM_OTHERS))
        self._seed = seed

    def losses(self, model: Model) -> Losses:
        """What they are now."""
        if not model.learns:
            return Losses(math.nan, math.nan)
        with in_mode(model, training=False):
            return Losses(*(self._mean(model, examples) for examples in self._examples))

    def _mean(self, model: Model, examples: Examples) -> float:
        return mean_loss(model, mean_of(examples, _SIZE, self._seed, 1))
