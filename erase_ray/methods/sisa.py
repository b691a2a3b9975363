"""Sharded, isolated, sliced and aggregated training: exact unlearning at a part of the cost."""

from collections.abc import Callable
from typing import ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from erase_ray import seeds
from erase_ray.errors import TrainingError
from erase_ray.methods import _sisa_weights
from erase_ray.methods._base import METHODS, Method, Outcome
from erase_ray.methods._request import Request, World
from erase_ray.methods._shard_pool import SerialPool, ShardPool, ShardResult
from erase_ray.methods._sisa_model import Ensemble, ensemble_of
from erase_ray.methods._sisa_partition import balanced_shards, random_shards, user_vectors
from erase_ray.methods._sisa_shards import Shards, checkpoint, checkpoints
from erase_ray.models import Model
from erase_ray.settings import Frozen
from erase_ray.training import training_edges

DIGEST, COUNT, SERVED = "digest", "count", "served"
"""In the state: a hash of the examples that each slice of each shard was trained on and their
number, int64, shape ``(S, R)``, and how many requests had been served when that was so."""


@METHODS.register
class Sisa(Method):
    """Train one model on each shard of the people, and only that one anew when one of them asks.

    Training of a shard adds one slice of its people after the other, and weights are kept after
    each. A request goes back to the weights before the first slice that holds an example that it
    changes, and trains from there. All draws depend on the shard, the epoch and the row alone, so
    the ensemble is, bit for bit, what training without the forgotten rows gives. A request that
    ran out of time leaves its shards as they were; the next one that is served makes up for it.

    Paper: Bourtoule et al., "Machine Unlearning", IEEE S&P 2021; ``balanced`` and ``learned`` are
    after Chen et al., "Recommendation Unlearning" (RecEraser), WWW 2022.
    Differs from it: shards and slices are made of people, not of examples. Passes over slices 1 to
    r are whole numbers, 1 or more. The optimiser begins anew with each slice, as its moments are
    not kept. Answers are averaged as probabilities, not counted as votes. RecEraser's vectors come
    from a model that is trained beforehand, here from a decomposition of the table of counts; its
    attention network is a mixture fitted to held-out answers here. Neither partition is made anew
    when rows are forgotten, so ``balanced`` ones remain a trace of them, which ``random`` ones
    never were.
    Cost of a request: about ``1 / shards`` of a training run for a person in the first slice, down
    to ``2 / (slices + 1) / shards`` for one in the last; memory for ``slices`` times ``shards``
    models. Each answer asks all shards.
    """

    version: ClassVar[int] = 1
    needs_base: ClassVar[bool] = False
    keeps_track: ClassVar[bool] = True

    class Settings(Frozen):
        """Settings of `Sisa`."""

        shards: int = Field(default=4, ge=1)
        """Models, each of which sees the people of its shard alone."""
        slices: int = Field(default=4, ge=1)
        """Parts of a shard that training adds one after the other."""
        partition: Literal["random", "balanced"] = "random"
        """How people are sharded: by lot, or like-minded ones together."""
        aggregation: Literal["mean", "learned", "owner"] = "mean"
        """How much the shards count: all the same, as fitted to held-out answers after each
        change, or the one that a user belongs to alone (only where models know users)."""
        epochs: int = Field(default=0, ge=0)
        """Passes over the data that training may cost; 0: the most that the cell allows. Nothing is
        validated, so all of them are run."""
        sample: int = Field(default=1000, ge=1)
        """People whose validation rows ``learned`` is fitted to."""
        vector_size: int = Field(default=32, ge=1)
        """Length of the vectors by which ``balanced`` compares people."""

    pool: ShardPool = SerialPool()
    """Who trains the shards; whoever serves the chain may put another in its place."""

    def build(self, make: Callable[[], Model]) -> Model:
        """An ensemble of as many models as there are shards.

        Raises:
            TrainingError: ``owner`` is asked of a model that does not know users.
        """
        ensemble = ensemble_of([make() for _ in range(self.settings.shards)])
        if self.settings.aggregation == "owner" and not ensemble.knows_users:
            raise TrainingError(
                f"aggregation 'owner' needs a model that is told who asks, which '{ensemble.name}' "
                "is not; take 'mean' or 'learned'"
            )
        return ensemble

    def begin(self, model: Model, world: World) -> dict[str, Tensor]:
        """Shard the people and train all shards.

        Raises:
            TrainingError: There are no training examples, or the training of a shard failed.
        """
        assert isinstance(model, Ensemble)
        model.shard_U.copy_(torch.from_numpy(self._partition(world)))
        shards, gone = self._shards(model, world), np.zeros(0, np.int64)
        everything = range(len(shards))
        contents = [shards.contents(shard, gone) for shard in everything]
        digest_SR, count_SR = (torch.stack(column) for column in zip(*contents, strict=True))
        if not count_SR.any():
            raise TrainingError(f"model '{model.name}' has no training examples to learn from")
        state = {DIGEST: digest_SR, COUNT: count_SR, SERVED: torch.tensor(0)}
        results = self.pool.run([shards.job(shard, gone) for shard in everything], _never)
        _check(results)
        for result in results:
            state |= _take(model, result)
        if model.has_edges:
            edges = training_edges(world.interactions, world.split, world.cut.device)
            model.set_edges(*edges)
        model.weight_AS.copy_(self._weights(model, world, gone, count_SR))
        return state

    def forget(self, model: Model, request: Request) -> Outcome:
        """Train the shards anew whose people have other examples than they were trained on."""
        assert isinstance(model, Ensemble)
        if not len(request.forget):
            return Outcome("empty", "none of the rows is part of a training example")
        shards, state = self._shards(model, request.world), request.state
        gone = np.concatenate([request.forgotten, request.spec.rows])
        now, first = _changed(shards, request, gone)
        jobs = [
            shards.job(shard, gone, number, checkpoint(state, shard, number))
            for shard, number in first.items()
        ]
        results = self.pool.run(jobs, request.deadline.passed)
        if not all(result.is_complete for result in results):
            done = sum(len(result.weights) for result in results)
            return Outcome("timed_out", f"{done} slices were trained in time")
        if errors := [result.error for result in results if result.error]:
            return Outcome("non_finite", errors[0])
        for result in results:
            for weight in model.shards[result.shard].parameters():
                request.undo.keep(weight)
            state |= _take(model, result)
        state |= now | {SERVED: torch.tensor(request.spec.id + 1)}
        self._weigh(model, request, gone)
        return Outcome(
            "applied",
            num_gradients=sum(result.num_steps for result in results),
            details=_details(shards, results, now[COUNT]),
        )

    def _partition(self, world: World) -> np.ndarray:
        settings, table = self.settings, world.interactions
        seed = seeds.derive(world.seed, "sisa", "partition")
        if settings.partition == "random":
            return random_shards(table.num_users, settings.shards, seed)
        vector_UD = user_vectors(table, world.split, settings.vector_size, seed)
        return balanced_shards(vector_UD, settings.shards, seed)

    def _shards(self, model: Ensemble, world: World) -> Shards:
        epochs = self.settings.epochs or world.training.epochs
        seed = seeds.derive(world.seed, "sisa")
        return Shards(model, world, self.settings.slices, epochs, seed)

    def _weigh(self, model: Ensemble, request: Request, gone: np.ndarray) -> None:
        """Believe the shards as is right without the forgotten rows."""
        if model.has_edges:
            model.drop_edges(*request.edges)
        try:
            weight_AS = self._weights(model, request.world, gone, request.state[COUNT])
        finally:
            if model.has_edges:
                model.restore_edges(*request.edges)
        model.weight_AS.copy_(weight_AS)

    def _weights(self, model: Ensemble, world: World, gone: np.ndarray, count_SR: Tensor) -> Tensor:
        trained_S = count_SR.sum(1) > 0
        if self.settings.aggregation == "mean":
            return _sisa_weights.even(model, trained_S)
        if self.settings.aggregation == "owner":
            return _sisa_weights.by_owner(model, trained_S)
        seed = seeds.derive(world.seed, "sisa", "held out")
        queries = _sisa_weights.held_out(world, gone, self.settings.sample, seed)
        return _sisa_weights.learned(model, queries, trained_S)


def _changed(
    shards: Shards, request: Request, gone: np.ndarray
) -> tuple[dict[str, Tensor], dict[int, int]]:
    """Digest and count as they are now, and the first slice that is another than it was trained
    on, for each shard that has one.

    Where a request since the last one that was applied was not, its people may be in any shard.
    """
    state = request.state
    digest_SR, count_SR = state[DIGEST].clone(), state[COUNT].clone()
    is_next = int(state[SERVED]) == request.spec.id
    first = {}
    for shard in shards.of(request.users) if is_next else range(len(shards)):
        digest_SR[shard], count_SR[shard] = shards.contents(shard, gone)
        same_R = (digest_SR[shard] == state[DIGEST][shard]) & (
            count_SR[shard] == state[COUNT][shard]
        )
        if not same_R.all():
            first[shard] = int((~same_R).nonzero()[0])
    return {DIGEST: digest_SR, COUNT: count_SR}, first


def _take(model: Ensemble, result: ShardResult) -> dict[str, Tensor]:
    """Put the last weights into the model; the earlier ones, for the state."""
    model.shards[result.shard].load_state_dict(result.weights[-1])
    return checkpoints(result)


def _check(results: list[ShardResult]) -> None:
    for result in results:
        if result.error:
            raise TrainingError(f"shard {result.shard}: {result.error}")


def _details(shards: Shards, results: list[ShardResult], count_SR: Tensor) -> dict[str, float]:
    total = sum(shards.visits(shard, count_SR[shard]) for shard in range(len(shards)))
    again = sum(
        shards.visits(result.shard, count_SR[result.shard], result.first_slice)
        for result in results
    )
    num_skipped = sum(result.num_skipped for result in results)
    return {
        "num_shards_retrained": float(len(results)),
        "num_slices_retrained": float(sum(len(r.weights) for r in results) - num_skipped),
        "num_slices_empty": float(num_skipped),
        "share_revisited": again / total if total else 0.0,
    }


def _never() -> bool:
    return False
