"""The worker's side: execute one node after the other."""

import importlib
import json
import os
from typing import Any

from ray import tune

from erase_ray.experiment.walk import Execute, attempt


def named(path: str) -> Execute:
    """The function that ``package.module:function`` names."""
    module, _, function = path.partition(":")
    return getattr(importlib.import_module(module), function)


class NodeRunner(tune.Trainable):
    """Executes a node; afterwards the same process is given another."""

    def setup(self, config: dict[str, Any]) -> None:
        """Load torch once; its threads are the CPUs of the node."""
        import torch

        torch.set_num_threads(int(config["resources"]["CPU"]))
        self.config = config

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next node."""
        self.config = new_config
        return True

    def step(self) -> dict[str, Any]:
        """Execute the node; an exception of its is a result like any other."""
        config = self.config
        facts = attempt(named(config["execute"]), config["payload"], config["storage"])
        text = json.dumps(facts | {"worker": os.getpid()})  # Tune would flatten a dict
        return {"facts": text, "done": True}
