"""Training with several processes against one: seconds of a step, bytes that each has to hold.

    python benchmarks/training_workers.py --folder /data
    python benchmarks/training_workers.py --folder /data --steps 40 --models gru4rec sasrec
    python benchmarks/training_workers.py --rows 1000000 --only memory

`speed` trains on real sessions (Diginetica, all items with five clicks or more) in one process, in
two that share out every batch, and in two by torch's own DistributedDataParallel with the same
parts. Ratios are of processor seconds of the busiest process to those of one process alone, which
hang little on what else the machine does, and of wall-clock seconds beside it. `late` is the share
of what DDP sends that belongs to the item table, whose gradient is the last to be ready.

`memory` takes steps with made-up tables (users and items of --rows rows each) in one process, and
in some that share out the rows; ratios of the bytes of weights, gradients, moments and best weights
and of the highest resident size above what a process has without a model. Needs Linux.
"""

import argparse
import gc
import os
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from memory import forget_peak, made_up, peak_bytes
from quality_data import SESSIONS, table
from torch import Tensor, nn

from erase_ray import portions, seeds
from erase_ray.data.interactions import Interactions
from erase_ray.models import MODELS, Model, Shape
from erase_ray.models._adam import Adam
from erase_ray.models._share import sharing
from erase_ray.selection import Best
from erase_ray.tasks import TASKS, Cut, Examples
from erase_ray.team import Team
from erase_ray.training import _Steps

CPU = torch.device("cpu")
SEED = 2
WARM_STEPS = 3
BATCHES = {"gru4rec": 512, "narm": 512, "sasrec": 512, "srgnn": 512, "bpr": 2048, "sets2sets": 8}


class Loss(nn.Module):
    """The loss as the forward pass that DDP wants."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Any) -> Tensor:
        """The loss of each example, shape ``(B,)``."""
        return self.model.loss(batch)


def setting(name: str, interactions: Interactions) -> tuple[Model, Examples]:
    """A model with new weights and its examples."""
    kind = MODELS.get(name)
    task = TASKS.get(kind.task)()
    model = kind(kind.Settings(), Shape(interactions.num_users, interactions.num_items))
    model.reset(seeds.torch_generator(SEED, "init"))
    cut = Cut(model.max_history, CPU)
    return model, task.examples(interactions, task.split(interactions), cut)


def some(examples: Examples, batch_size: int, steps: int) -> Examples:
    """So many that an epoch has that many steps."""
    chosen = seeds.numpy_generator(SEED, "steps").permutation(len(examples))
    return examples.take(torch.from_numpy(np.sort(chosen[: steps * batch_size])))


def speed(team: Team | None, name: str, folder: str, steps: int, kind: str) -> dict[str, float]:
    """Seconds of a step, on the wall and of this process's processor."""
    filters = {**SESSIONS, "min_item_count": 5}
    model, examples = setting(name, table("Diginetica", filters, Path(folder)).interactions)
    settings = MODELS.get(name).training.model_copy(update={"batch_size": BATCHES[name]})
    run = by_ddp if kind == "ddp" else by_us
    run(team, model, some(examples, settings.batch_size, WARM_STEPS), settings)
    examples = some(examples, settings.batch_size, steps)
    if team is not None:
        dist.barrier()
    start = time.perf_counter(), time.process_time()
    run(team, model, examples, settings)
    wall, processor = time.perf_counter() - start[0], time.process_time() - start[1]
    every = sum(weight.numel() for weight in model.parameters())
    late = sum(weight.numel() for weight in model.item_tables().values())
    found = {"wall": wall / steps, "processor": processor / steps, "late": late / every}
    return found | {"items": model.shape.num_items}


def by_us(team: Team | None, model: Model, examples: Examples, settings: Any) -> None:
    """An epoch as the package runs it."""
    adam = Adam(model, settings.learning_rate, team=team)
    _Steps(model, examples, adam, settings, SEED, team=team).run(0)
    adam.close()


def by_ddp(team: Team | None, model: Model, examples: Examples, settings: Any) -> None:
    """The same with DDP, which needs every gradient on every member in every step."""
    assert team is not None
    wrapped = nn.parallel.DistributedDataParallel(Loss(model))
    adam = torch.optim.Adam(model.parameters(), settings.learning_rate, fused=True)
    order = seeds.order(SEED, examples.rows)
    model.train()
    for part in portions.portions(examples, order, settings.batch_size, SEED, team):
        with sharing(part.share), seeds.torch_scope(SEED, CPU):
            loss = wrapped(part.batch).sum() * (part.weight * team.size)
        adam.zero_grad()
        loss.backward()
        adam.step()


def memory(team: Team | None, name: str, rows: int, shards: bool) -> dict[str, float]:
    """Bytes of all that has the shape of a weight, and of the process at most, while it trains."""
    interactions = made_up(rows, rows, 40 * BATCHES[name] * 10)
    model, examples = setting(name, interactions)
    sharers = team if shards else None
    size = BATCHES[name]
    weights = list(model.parameters())
    bare = peak_now() - sum(weight.numel() * weight.element_size() for weight in weights)
    if sharers is not None:
        portions.shard(model, sharers)
    forget_peak()
    settings = MODELS.get(name).training.model_copy(update={"batch_size": size})
    adam = Adam(model, settings.learning_rate, team=team)
    best = Best(model)
    steps = _Steps(model, some(examples, size, 3), adam, settings, SEED, team=team)
    steps.run(0)
    best.offer(0, 1.0, False)
    steps.run(1)
    held = [*weights, *(w.grad for w in weights if w.grad is not None), *best.kept.values()]
    held += [value for value in adam.state().values() if value.dim()]
    num_bytes = sum(value.numel() * value.element_size() for value in held)
    return {"held": num_bytes, "peak": peak_bytes() - bare}


def peak_now() -> int:
    """Resident size of this process."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def in_processes(number: int, work: Callable[..., Any], *arguments: Any) -> list[Any]:
    """What each of some processes found; one alone is in no team."""
    with socket.socket() as probe, tempfile.TemporaryDirectory() as folder:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        mp.spawn(_process, (number, port, folder, work, arguments), nprocs=number)
        return [torch.load(Path(folder) / f"{rank}.pt") for rank in range(number)]


def _process(rank: int, number: int, port: int, folder: str, work: Any, arguments: Any) -> None:
    torch.set_num_threads(1)
    team = None
    if number > 1:
        address, limit = f"tcp://127.0.0.1:{port}", timedelta(seconds=900)
        dist.init_process_group("gloo", address, limit, world_size=number, rank=rank)
        team = Team.current()
    torch.save(work(team, *arguments), Path(folder) / f"{rank}.pt")
    if number > 1:
        dist.destroy_process_group()


def speeds(names: list[str], folder: str, steps: int) -> Iterator[str]:
    """Lines of the first table."""
    head = f"{'model':<12}{'items':>8}  {'how':<10}{'s/step':>10}"
    yield head + f"{'processor':>11}{'wall':>8}{'late':>8}"
    for name in names:
        (alone,) = in_processes(1, speed, name, folder, steps, "ours")
        for kind, number in (("one", 1), ("ours", 2), ("ddp", 2)):
            found = [alone] if number == 1 else in_processes(2, speed, name, folder, steps, kind)
            most = {key: max(each[key] for each in found) for key in alone}
            processor, wall = (most[key] / alone[key] for key in ("processor", "wall"))
            text = f"{processor:>11.2f}{wall:>8.2f}"
            items = f"{int(alone['items']):>8}  {f'{kind} x{number}':<10}"
            yield f"{name:<12}{items}{most['processor']:>10.3f}{text}{most['late']:>8.3f}"


def memories(names: list[str], rows: int, numbers: list[int]) -> Iterator[str]:
    """Lines of the second table."""
    yield f"{'model':<12}{'workers':>8}{'held GB':>10}{'ratio':>8}{'peak GB':>10}{'ratio':>8}"
    for name in names:
        (alone,) = in_processes(1, memory, name, rows, False)
        for number in (1, *numbers):
            found = [alone] if number == 1 else in_processes(number, memory, name, rows, True)
            held, peak = (max(each[key] for each in found) for key in ("held", "peak"))
            ratios = held / alone["held"], peak / alone["peak"]
            yield (
                f"{name:<12}{number:>8}{held / 1e9:>10.3f}{ratios[0]:>8.2f}"
                f"{peak / 1e9:>10.3f}{ratios[1]:>8.2f}"
            )


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", default="", help="where diginetica_sessions.parquet lies")
    parser.add_argument("--models", nargs="+", default=["gru4rec"])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--tables", nargs="+", default=["bpr", "gru4rec"])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--only", choices=["speed", "memory"], default="")
    chosen = parser.parse_args()
    if chosen.only != "memory":
        for line in speeds(chosen.models, chosen.folder, chosen.steps):
            print(line, flush=True)
    if chosen.only != "speed":
        for line in memories(chosen.tables, chosen.rows, chosen.workers):
            print(line, flush=True)


if __name__ == "__main__":
    main()
