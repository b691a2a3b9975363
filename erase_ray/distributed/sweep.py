"""One Ray Tune run that walks a plan."""

import json
import logging
import os
import shutil
import tempfile
import time
import uuid
from collections import deque
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from erase_ray.distributed.cluster import connected, measured

# isort: split
from ray import tune
from ray.tune import (
    Callback,
    CheckpointConfig,
    FailureConfig,
    PlacementGroupFactory,
    RunConfig,
    Tuner,
)
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from erase_ray.distributed.frozen import Frozen
from erase_ray.distributed.loss import kind_of
from erase_ray.distributed.resources import ResourceClasses
from erase_ray.distributed.runner import NodeRunner
from erase_ray.errors import StoreError
from erase_ray.experiment.dispatch import Dispatcher
from erase_ray.experiment.plan import Node, Plan
from erase_ray.experiment.prices import Machine
from erase_ray.experiment.walk import HUNG, Walk, Watcher, watched

logger = logging.getLogger(__name__)

EXECUTE = "erase_ray.distributed.runner:run_node"
SHORT_S = 10.0
AHEAD, SHORT_AHEAD = 1, 8
"""Nodes handed out beyond what can run; more of those that take less than ``SHORT_S``, see
:class:`_Line`: their order matters little."""
MOST_PENDING = 10_000
"""Tune starts as many trials as it is given; the dispatcher is who bounds them."""
KEPT_TRIALS = 64
MEASURE_S = 10.0
"""From one look at the size of the cluster to the next."""
NOISY = ("ray.tune.tune", "ray.tune.analysis.experiment_analysis", "ray.tune.execution")
"""What they say about failed nodes is said by our own watchers."""


def sweep(
    plan: Plan,
    storage: str,
    watchers: Sequence[Watcher] = (),
    execute: str = EXECUTE,
    machine: Machine | None = None,
    cpus: int | None = None,
) -> Walk:
    """Run what is pending on Ray, each node as soon as what it needs is in the store.

    A node that fails does not stop the others; what needs it is blocked. One whose machine is lost
    is tried again for ever, for other reasons a few times (see
    :data:`erase_ray.experiment.dispatch.LIMITS`); each try is a trial of Tune's. Nothing of Tune's
    own state outlives the call: to resume, build a new plan from the store. With nothing pending,
    Ray is left alone.

    Args:
        plan: What to run.
        storage: Address of the store, one that every worker can reach.
        watchers: Hear of every step in this process.
        execute: ``module:function`` that runs a payload where it lands.
        machine: What the grid is meant to run on; an autoscaler is asked for as much.
        cpus: CPUs of a Ray that has to be started here; all by default.

    Raises:
        StoreError: The storage is in the memory of this process.
        ClusterError: There is no Ray to run on.
    """
    if storage.startswith("memory:"):
        raise StoreError(f"workers cannot reach {storage}; use a folder or an object store")
    walk = Walk(plan, watchers)
    if walk.over:
        return walk
    with watched(walk), connected(cpus) as cluster:
        scratch = tempfile.mkdtemp(prefix="erase_ray_")
        try:
            searcher = PlanSearcher(walk, ResourceClasses(plan.pending(), cluster, machine))
            _fit(walk, searcher, {"path": execute, "storage": storage}, scratch)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return walk


def _fit(walk: Walk, searcher: "PlanSearcher", parameters: dict[str, str], scratch: str) -> None:
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(MOST_PENDING)
    parameters["driver"] = f"driver-{uuid.uuid4().hex}"
    trainable = tune.with_resources(
        tune.with_parameters(NodeRunner, **parameters),
        lambda config: _factory(json.dumps(config["bundles"])),
    )
    line = _Line(searcher)
    Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            scheduler=line,
            num_samples=-1,
            reuse_actors=True,
            trial_dirname_creator=lambda trial: trial.trial_id,
        ),
        run_config=RunConfig(
            name="sweep",
            storage_path=scratch,
            verbose=0,
            callbacks=[_Ticks(walk, searcher, line)],
            failure_config=FailureConfig(max_failures=0),
            checkpoint_config=CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
        ),
    ).fit()


@cache
def _factory(bundles: str) -> PlacementGroupFactory:
    """One object for all trials that need the same: each is large, and Tune keeps all trials."""
    return PlacementGroupFactory(json.loads(bundles))


class PlanSearcher(Searcher):
    """Hands out the nodes of a walk as Tune's trials.

    Args:
        walk: Where the plan stands.
        room: What nodes need and what there is.
    """

    def __init__(self, walk: Walk, room: ResourceClasses) -> None:
        super().__init__(metric="done", mode="max")
        self._dispatcher = Dispatcher(walk, room)
        self._walk, self._room = walk, room
        self._keys: dict[str, str] = {}
        self._losses: dict[str, tuple[str, str]] = {}
        self.frozen = Frozen()

    def suggest(self, trial_id: str) -> Any:
        """The configuration of the next node; None to wait, ``FINISHED`` after the last."""
        if self._dispatcher.over:
            return Searcher.FINISHED
        following = self._walk.peek()
        is_short = following is not None and _is_short(following)
        self._dispatcher.ahead = SHORT_AHEAD if is_short else AHEAD
        offer = self._dispatcher.offer()
        if offer is None:
            return None
        node, payload, bundles = offer
        self._keys[trial_id] = node.key
        return {"payload": payload | self._helpers(node), "bundles": bundles}

    def _helpers(self, node: Node) -> dict[str, Any]:
        """What the node may use besides its own process; see ``tools.py``."""
        if workers := self._room.workers(node):
            return {"workers": workers, "worker": self._room.worker(node)}
        return {"shards": shards} if (shards := self._room.shards(node)) else {}

    def node(self, trial_id: str) -> Node:
        """The node of a trial that is not over."""
        return self._walk.plan.nodes[self._keys[trial_id]]

    def may_keep_worker(self, trial_id: str) -> bool:
        """Whether the worker of a trial that ends may wait for the next one.

        Not if it holds places for helpers, which only nodes of its kind can use; nor while Ray
        Train may need the place, of whose workers Tune does not know.
        """
        running = (self._walk.plan.nodes[key] for key in self._walk.handed)
        return not self._room.shards(self.node(trial_id)) and not any(
            self._room.workers(node) for node in running
        )

    def started(self, trial_id: str) -> None:
        """A worker begins with a node."""
        self._dispatcher.started(self._keys[trial_id])
        self.frozen.heard(trial_id)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """A sign of life."""
        self.frozen.heard(trial_id, result["pid"], result["node_id"])

    def lost(self, trial_id: str, kind: str, reason: str) -> None:
        """Take note why a trial is about to end without a result."""
        self._losses[trial_id] = (kind, reason)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tell the walk how a node ended."""
        key = self._keys.pop(trial_id)
        was_frozen = self.frozen.forget(trial_id)
        if error or not result:
            kind, reason = self._losses.pop(trial_id, kind_of(""))
            if was_frozen:
                kind, reason = HUNG, "its worker did not answer and was ended"
            self._dispatcher.lost(key, kind, reason)
        else:
            self._dispatcher.ended(key, json.loads(result["facts"]))

    def ended_silently(self, trial_id: str) -> None:
        """A trial is over; its node is lost if nothing was heard of it."""
        if trial_id in self._keys:
            self.on_trial_complete(trial_id, error=True)

    def measure(self) -> None:
        """Look at how large the cluster is now."""
        self._room.resize(measured())

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune's copy is never read."""
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the store is the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the store is the state."""


class _Line(FIFOScheduler):
    """Decides which waiting node a free worker gets: the first, or the last if nodes are short.

    Tune starts a worker for each waiting node, and drops it if a free worker takes that node. If
    the first in the line were taken, the worker dropped would be the one about to be ready, and
    where nodes take less time than a worker needs to start, only one would ever work.
    """

    def __init__(self, searcher: PlanSearcher) -> None:
        super().__init__()
        self._searcher = searcher
        self._waiting: deque[Trial] = deque()
        self._known: set[Trial] = set()

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Remember the order."""
        self._waiting.append(trial)
        self._known.add(trial)

    def settle_ended(self) -> None:
        """Settle trials that Tune has ended without a word, as it does where a reset fails."""
        for trial in [trial for trial in self._known if trial.is_finished()]:
            self._known.remove(trial)
            self._searcher.ended_silently(trial.trial_id)

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """Find out why, before the searcher hears of it."""
        self._searcher.lost(trial.trial_id, *kind_of(_error_of(trial)))

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """Let Tune end the worker rather than keep it, where others need its resources."""
        tune_controller._reuse_actors = self._searcher.may_keep_worker(trial.trial_id)

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """The one that is next to get a worker."""
        tune_controller._reuse_actors = True
        waiting = self._waiting
        while waiting and waiting[0].status != Trial.PENDING:
            waiting.popleft()
        if not waiting or not _is_short(self._searcher.node(waiting[0].trial_id)):
            return waiting[0] if waiting else None
        while waiting[-1].status != Trial.PENDING:
            waiting.pop()
        return waiting[-1]

    def __getstate__(self) -> dict[str, Any]:
        return {}


def _is_short(node: Node) -> bool:
    return node.cost.seconds < SHORT_S


class _Ticks(Callback):
    def __init__(self, walk: Walk, searcher: PlanSearcher, line: _Line) -> None:
        self._walk, self._searcher, self._line = walk, searcher, line
        self._measured = time.monotonic()
        self._ended: deque[Trial] = deque()

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Trial, **info: Any) -> None:
        """Called by Tune when a worker takes a node."""
        self._searcher.started(trial.trial_id)

    def on_trial_complete(
        self, iteration: int, trials: list[Any], trial: Trial, **info: Any
    ) -> None:
        """Called by Tune after a result."""
        self._slim(trial)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Trial, **info: Any) -> None:
        """Called by Tune when a trial ended without a result."""
        self._slim(trial)

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Called by Tune about ten times a second."""
        for watcher in self._walk.watchers:
            watcher.tick()
        if time.monotonic() - self._measured > MEASURE_S:
            self._measured = time.monotonic()
            self._searcher.measure()
            self._searcher.frozen.end_silent()
            self._line.settle_ended()

    def _slim(self, trial: Trial) -> None:
        """Empty trials that ended a while ago: Tune keeps them all, and looks at the last ones."""
        self._ended.append(trial)
        if len(self._ended) > KEPT_TRIALS:
            old = self._ended.popleft()
            old.config, old.evaluated_params, old.experiment_tag = {}, {}, ""
            old.run_metadata.metric_analysis = {}
            old.run_metadata.metric_n_steps = {}
            old.run_metadata.last_result = {}
            old.run_metadata.invalidate_cache()


def _error_of(trial: Trial) -> str:
    """What Tune has written down about the end of a trial, on this machine."""
    try:
        return Path(trial.error_file or "").read_text()
    except OSError:
        return ""
