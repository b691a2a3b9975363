"""The worker's side: execute one node after the other."""

import importlib
import json
import os
from functools import partial
from typing import Any

from ray import tune

from erase_ray.experiment.walk import Execute, Facts, attempt


def execute(path: str, payload: dict[str, Any], storage: str) -> Facts:
    """Call the function that ``package.module:function`` names."""
    module, _, function = path.partition(":")
    return getattr(importlib.import_module(module), function)(payload, storage)


class NodeRunner(tune.Trainable):
    """Executes a node; afterwards the same process is given another."""

    def setup(self, config: dict[str, Any], path: str = "", storage: str = "") -> None:
        """Load torch once; its threads are the CPUs of the node.

        Args:
            config: ``payload`` of the first node and its ``resources``.
            path: What executes nodes, ``package.module:function``.
            storage: Address of the store; not in the configuration, which Tune writes into names.
        """
        import torch

        torch.set_num_threads(int(config["resources"]["CPU"]))
        self.config = config
        self.execute: Execute = partial(execute, path)
        self.storage = storage

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next node."""
        self.config = new_config
        return True

    def step(self) -> dict[str, Any]:
        """Execute the node; an exception of its is a result like any other."""
        facts = attempt(self.execute, self.config["payload"], self.storage)
        text = json.dumps(facts | {"worker": os.getpid()})  # Tune would flatten a dict
        return {"facts": text, "done": True}
