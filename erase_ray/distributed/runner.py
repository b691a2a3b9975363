"""The worker's side: execute one node after the other, and show signs of life meanwhile."""

import faulthandler
import importlib
import json
import os
import resource
import tempfile
import threading
from functools import partial
from typing import Any

import ray
from ray import tune

from erase_ray import pulse
from erase_ray.experiment.walk import HUNG, Execute, Facts, attempt

REPORT_S = 30.0
"""From one sign of life to the next."""
HUNG_S = float(os.environ.get("ERASE_RAY_HUNG_S", "3600"))
"""A node whose work does not beat for so long is given up, and its process ends."""
HUNG_CODE, EXIT_S = 86, 2.0
"""Exit status of such a process, and the time it has to report."""


def execute(path: str, payload: dict[str, Any], storage: str) -> Facts:
    """Call the function that ``package.module:function`` names."""
    module, _, function = path.partition(":")
    return getattr(importlib.import_module(module), function)(payload, storage)


def run_node(payload: dict[str, Any], storage: str) -> Facts:
    """Run a node of a grid, with the help that the resources of this worker allow."""
    # both load torch, which the driver does without
    from erase_ray.distributed.tools import tools_for
    from erase_ray.experiment import run

    with tools_for(payload) as tools:
        return run.run_node(payload, storage, tools)


class NodeRunner(tune.Trainable):
    """Executes a node; afterwards the same process is given another.

    The node runs in a thread of its own, so that the process can report while it does.
    """

    def setup(
        self, config: dict[str, Any], path: str = "", storage: str = "", driver: str = ""
    ) -> None:
        """Load torch once; its threads are the CPUs of the node.

        Args:
            config: ``payload`` of the first node and its ``bundles``.
            path: What executes nodes, ``package.module:function``.
            storage: Address of the store; not in the configuration, which Tune writes into names.
            driver: Name of whoever hands out the nodes.
        """
        import torch

        torch.set_num_threads(max(1, int(config["bundles"][0]["CPU"])))
        # names that Tune's own attributes do not have
        self.place = {"pid": os.getpid(), "node_id": ray.get_runtime_context().get_node_id()}
        self.new_work = partial(_Work, partial(execute, path), storage=storage, driver=driver)
        self.is_ending = False
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next node; a process that is about to end does so at once."""
        if self.is_ending:
            os._exit(HUNG_CODE)
        self.config = new_config
        self.work: _Work | None = None
        return True

    def step(self) -> dict[str, Any]:
        """Go on with the node; an exception of its is a result like any other.

        The first step only tells where this process is, so that it can be ended if it freezes.
        """
        if self.work is None:
            self.work = self.new_work(self.config["payload"])
            return self.place | {"done": False}
        if self.work.ident is None:
            self.work.start()
        self.work.join(min(REPORT_S, HUNG_S))
        if self.work.is_alive():
            if pulse.silence() <= HUNG_S:
                return self.place | {"done": False}
            self.is_ending = True
            self.work.give_up()
        # Tune would flatten a dict
        return self.place | {"facts": json.dumps(self.work.facts), "done": True}


class _Work(threading.Thread):
    """A node that is being executed."""

    def __init__(
        self, execute: Execute, payload: dict[str, Any], storage: str, driver: str
    ) -> None:
        super().__init__(name="node")
        self.facts: Facts = {}
        self._execute, self._storage = execute, storage
        self._payload = payload | {"driver": driver}
        pulse.beat()

    def run(self) -> None:
        """Execute it; called in the thread."""
        _forget_peaks()
        facts = attempt(self._execute, self._payload, self._storage)
        self.facts = facts | {"worker": os.getpid()} | _peaks()

    def give_up(self) -> None:
        """Tell where it hangs, and end this process soon: a thread cannot be ended."""
        with tempfile.TemporaryFile("w+") as file:
            faulthandler.dump_traceback(file)
            file.seek(0)
            trace = file.read()
        self.facts = {"error": f"no sign of life for {HUNG_S:g} s", "kind": HUNG, "trace": trace}
        threading.Timer(EXIT_S, os._exit, (HUNG_CODE,)).start()


def _forget_peaks() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def _peaks() -> dict[str, Any]:
    """The most memory that this process has had, and of its GPU since it was last asked."""
    import torch

    host = {"peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}
    if not torch.cuda.is_available():
        return host | {"device": "cpu"}
    reserved = torch.cuda.max_memory_reserved() // 2**20
    return host | {"device": "cuda", "gpu_memory_mb": reserved}
