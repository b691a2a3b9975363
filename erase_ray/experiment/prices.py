"""What a grid is meant to run on: machines, what each has, and what it costs an hour."""

import os
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from erase_ray.experiment._hints import hint
from erase_ray.settings import Frozen, read_yaml

TABLE = Path(__file__).with_name("prices.yaml")


class Instance(Frozen):
    """One machine of a kind that can be rented."""

    cpus: int = Field(ge=1)
    """Cores as Ray counts them."""
    memory_gb: float = Field(default=0, ge=0)
    """Main memory; 0 if it is not known, and then it is no limit."""
    gpus: int = Field(default=0, ge=0)
    """GPUs."""
    gpu_gb: float = Field(default=16, gt=0)
    """Memory of one GPU."""
    gpu_speed: float = Field(default=500, gt=0)
    """Dense work of one GPU, relative to one CPU core."""
    on_demand: float = Field(default=0, ge=0)
    """Dollars an hour."""
    spot: float = Field(default=0, ge=0)
    """Dollars an hour of one that may be taken away; 0 if there are none."""


@cache
def known_instances() -> dict[str, Instance]:
    """The machines of the table that comes with the code, by name."""
    return {name: Instance(**values) for name, values in read_yaml(TABLE).items()}


class Machine(Frozen):
    """What the grid is meant to run on; for the estimates of the plan, and what follows from them.

    Either ``instance`` and ``count``, or what the whole machine or cluster has.
    """

    instance: str = ""
    """A kind of machine in the table of prices; its numbers stand for the ones below."""
    count: int = Field(default=1, ge=1)
    """How many machines there are, at most if their number follows the work."""
    spot: bool = True
    """Whether they are paid at the price of machines that may be taken away, where there is one."""
    prices: dict[str, Instance] = {}
    """More kinds of machines, or other numbers for known ones."""
    slots: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1)
    """CPUs of all machines; as many cells run at the same time, at most."""
    gpus: int = Field(default=0, ge=0)
    """GPUs of all machines."""
    memory_gb: float = Field(default=0, ge=0)
    """Main memory of all machines; 0 if it is no limit."""
    gpu_gb: float = Field(default=16, gt=0)
    """Memory of one GPU."""
    gpu_speed: float = Field(default=500, gt=0)
    """Dense work of one GPU, relative to one CPU core."""
    dollars_per_hour: float = Field(default=0.1, ge=0)
    """Price of all machines together."""
    cells_per_gpu: int = Field(default=8, ge=1)
    """Cells that share a GPU, at most; powers of two."""
    train_workers: int = Field(default=0, ge=0)
    """Processes that train a large base model together; 0 for none of that."""
    train_workers_above_gb: float = Field(default=8, ge=0)
    """A base model is large if its training takes more memory; 0: all of them are."""
    shard_workers: bool = False
    """Whether the shards of SISA are trained side by side."""

    @model_validator(mode="before")
    @classmethod
    def _of_instance(cls, values: Any) -> Any:
        if not isinstance(values, dict) or not values.get("instance"):
            return values
        kind = _instance(values)
        count, spot = values.get("count", 1), values.get("spot", True)
        price = kind.spot if spot and kind.spot else kind.on_demand
        found = {
            "slots": kind.cpus * count,
            "gpus": kind.gpus * count,
            "memory_gb": kind.memory_gb * count,
            "gpu_gb": kind.gpu_gb,
            "gpu_speed": kind.gpu_speed,
            "dollars_per_hour": price * count,
        }
        return found | values

    @property
    def memory(self) -> int:
        """Bytes of all machines; 0 if it is no limit."""
        return int(self.memory_gb * 1e9)

    @property
    def largest(self) -> int:
        """Bytes of one machine; 0 if it is no limit."""
        return self.memory // self.count

    @property
    def cpus(self) -> int:
        """CPUs of all machines."""
        return self.slots

    @property
    def gpu_mb(self) -> float:
        """Memory of one GPU in MB."""
        return self.gpu_gb * 1000


def _instance(values: dict[str, Any]) -> Instance:
    name, own = values["instance"], values.get("prices") or {}
    if name in own:
        return own[name] if isinstance(own[name], Instance) else Instance(**own[name])
    known = known_instances()
    if name not in known:
        names = ", ".join(sorted([*known, *own]))
        raise ValueError(f"no price of '{name}' is known{hint(name, known)}. Known: {names}")
    return known[name]
