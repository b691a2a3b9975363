"""One Ray Tune run that walks a plan."""

import json
import logging
import os
import shutil
import tempfile
from collections import deque
from collections.abc import Sequence
from typing import Any

from erase_ray.distributed.cluster import Cluster, connected

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

from erase_ray.distributed.resources import ResourceClasses
from erase_ray.distributed.runner import NodeRunner
from erase_ray.errors import StoreError
from erase_ray.experiment.plan import Node, Plan
from erase_ray.experiment.walk import Walk, Watcher, settle, watched

logger = logging.getLogger(__name__)

EXECUTE = "erase_ray.experiment.run:run_node"
AHEAD = 1
"""Nodes handed out beyond what can run, so that a worker that gets free finds the next one."""
SHORT_S = 10.0
SHORT_AHEAD = 8
"""Nodes expected to take less than ``SHORT_S`` are handed out in larger numbers, see
:class:`_Line`; their order matters little."""
LOST_WORKERS = 3
"""How often a node is tried again after its worker died (pre-emption, out of memory)."""
NOISY = ("ray.tune.tune", "ray.tune.analysis.experiment_analysis", "ray.tune.execution")
"""What they say about failed nodes is said by our own watchers."""


def sweep(
    plan: Plan,
    storage: str,
    watchers: Sequence[Watcher] = (),
    execute: str = EXECUTE,
    cpus: int | None = None,
) -> Walk:
    """Run what is pending on Ray, each node as soon as what it needs is in the store.

    A node that raises does not stop the others; what needs it is blocked. Nothing of Tune's own
    state outlives the call: to resume, build a new plan from the store. With nothing pending, Ray
    is left alone.

    Args:
        plan: What to run.
        storage: Address of the store, one that every worker can reach.
        watchers: Hear of every step in this process.
        execute: ``module:function`` that runs a payload where it lands.
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
            _fit(walk, cluster, {"path": execute, "storage": storage}, scratch)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return walk


def _fit(walk: Walk, cluster: Cluster, parameters: dict[str, str], scratch: str) -> None:
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(cluster.cpus + SHORT_AHEAD)
    searcher = PlanSearcher(walk, cluster)
    trainable = tune.with_resources(
        tune.with_parameters(NodeRunner, **parameters),
        lambda config: PlacementGroupFactory([config["resources"]]),
    )
    Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            scheduler=_Line(searcher),
            num_samples=-1,
            reuse_actors=True,
            trial_dirname_creator=lambda trial: trial.trial_id,
        ),
        run_config=RunConfig(
            name="sweep",
            storage_path=scratch,
            verbose=0,
            callbacks=[_Ticks(walk, searcher)],
            failure_config=FailureConfig(max_failures=LOST_WORKERS),
            checkpoint_config=CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
        ),
    ).fit()


class PlanSearcher(Searcher):
    """Hands out the nodes of a walk as Tune's trials.

    Args:
        walk: Decides what is next.
        cluster: What there is to run on.
    """

    def __init__(self, walk: Walk, cluster: Cluster) -> None:
        super().__init__(metric="done", mode="max")
        self._walk = walk
        self._classes = ResourceClasses(walk.plan.pending(), cluster)
        self._keys: dict[str, str] = {}

    def suggest(self, trial_id: str) -> Any:
        """The configuration of the next node; None to wait, ``FINISHED`` after the last."""
        if self._walk.over:
            return Searcher.FINISHED
        waiting = len(self._walk.handed) - self._classes.slots
        following = self._walk.peek()
        if not following or waiting >= (SHORT_AHEAD if _is_short(following) else AHEAD):
            return None
        node = self._walk.next()
        assert node is not None
        self._keys[trial_id] = node.key
        return {"payload": node.payload, "resources": self._classes.of(node)}

    def node(self, trial_id: str) -> Node:
        """The node of a trial that is not over."""
        return self._walk.plan.nodes[self._keys[trial_id]]

    def started(self, trial_id: str) -> None:
        """A worker begins with a node."""
        self._walk.start(self._keys[trial_id])

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Nothing: a node has one result."""

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tell the walk how a node ended."""
        key = self._keys.pop(trial_id)
        if error or not result:
            self._walk.fail(key, f"its worker died {LOST_WORKERS + 1} times")
        else:
            settle(self._walk, key, json.loads(result["facts"]))

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

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Remember the order."""
        self._waiting.append(trial)

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """The one that is next to get a worker."""
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
    def __init__(self, walk: Walk, searcher: PlanSearcher) -> None:
        self._walk, self._searcher = walk, searcher

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Trial, **info: Any) -> None:
        """Called by Tune when a worker takes a node."""
        self._searcher.started(trial.trial_id)

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Called by Tune about ten times a second."""
        for watcher in self._walk.watchers:
            watcher.tick()
