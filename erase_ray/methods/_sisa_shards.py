"""What the shards of an ensemble hold, and the jobs that train them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from erase_ray import seeds
from erase_ray.data.interactions import Interactions
from erase_ray.methods._request import World
from erase_ray.methods._shard_pool import ShardJob, ShardResult, Weights
from erase_ray.methods._sisa_model import Ensemble
from erase_ray.methods._sisa_plan import slice_epochs, slices_of, visits_of


@dataclass(frozen=True, eq=False)
class Shards:
    """The shards of an ensemble on the data of a chain.

    Args:
        ensemble: Says who belongs to which shard.
        world: The data before the first request.
        num_slices: Most slices of a shard.
        epochs: Passes over its data that the training of a shard may cost.
        seed: Root of all draws.
    """

    ensemble: Ensemble
    world: World
    num_slices: int
    epochs: int
    seed: int

    def __len__(self) -> int:
        return len(self.ensemble.shards)

    def passes(self, shard: int) -> tuple[int, ...]:
        """Passes over slices 0 to r, for each slice r of the shard."""
        slices = self._slice_U[self.people(shard)]
        return slice_epochs(self.epochs, int(slices.max(initial=0)) + 1)

    def people(self, shard: int) -> np.ndarray:
        """Users of the shard, ascending."""
        return np.flatnonzero(self._shard_U == shard)

    def of(self, users: Tensor) -> list[int]:
        """The shards of some people, ascending."""
        return np.unique(self._shard_U[users.cpu().numpy()]).tolist()

    def contents(self, shard: int, gone: np.ndarray) -> tuple[Tensor, Tensor]:
        """Hash and number of the examples of each slice, int64, shape ``(R,)`` each.

        Args:
            shard: Number of the shard.
            gone: Row ids that are forgotten.
        """
        world = self.world
        examples = world.task.examples(self._left(shard, gone), world.split, world.cut)
        slice_N = torch.from_numpy(self._slice_U[examples.users.cpu().numpy()])
        hash_N = seeds.hash_ids(self.seed, examples.fingerprints()).cpu()
        digest_R = torch.zeros(self.num_slices, dtype=torch.int64).index_add_(0, slice_N, hash_N)
        return digest_R, torch.bincount(slice_N, minlength=self.num_slices)

    def job(
        self, shard: int, gone: np.ndarray, first: int = 0, start: Weights | None = None
    ) -> ShardJob:
        """Training of a shard from slice ``first`` on, on what is left without ``gone``."""
        world, ensemble = self.world, self.ensemble
        left = self._left(shard, gone)
        return ShardJob(
            shard=shard,
            model=ensemble.name,
            settings=ensemble.settings.model_dump(),
            shape=ensemble.shape,
            task=world.task.name,
            training=world.training,
            passes=self.passes(shard),
            first_slice=first,
            start=start,
            interactions=left,
            marks=world.split.of(left),
            slices=self._slice_U[np.unique(left.user)],
            seed=seeds.derive(self.seed, "shard", shard),
            device=str(world.cut.device),
        )

    def visits(self, shard: int, count_R: Tensor, first: int = 0) -> int:
        """Visits of examples in the training of a shard from slice ``first`` on."""
        passes = self.passes(shard)
        return visits_of(count_R.numpy()[: len(passes)], passes, first)

    def _left(self, shard: int, gone: np.ndarray) -> Interactions:
        return self.world.interactions.of_users(self.people(shard)).without(gone)

    @cached_property
    def _shard_U(self) -> np.ndarray:
        return self.ensemble.shard_U.cpu().numpy()

    @cached_property
    def _slice_U(self) -> np.ndarray:
        return slices_of(self._shard_U, self.num_slices, seeds.derive(self.seed, "slices"))


def checkpoints(result: ShardResult) -> dict[str, Tensor]:
    """Weights after each slice that was trained, but the last of the shard, by name in a state."""
    return {
        f"shard{result.shard}/slice{number}/{name}": tensor
        for number, weights in enumerate(result.weights[:-1], result.first_slice)
        for name, tensor in weights.items()
    }


def checkpoint(state: dict[str, Tensor], shard: int, first: int) -> Weights | None:
    """Weights of a shard before slice ``first``; None before slice 0."""
    begin = f"shard{shard}/slice{first - 1}/"
    found = {name[len(begin) :]: t for name, t in state.items() if name.startswith(begin)}
    assert found or not first, f"the state lacks the weights of shard {shard} before slice {first}"
    return found or None
