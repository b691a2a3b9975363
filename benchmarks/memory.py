"""Peak memory of a training step and of ranking, against the formula, at a catalogue of a million.

    python benchmarks/memory.py
    python benchmarks/memory.py --users 100000 --items 100000 --rows 1000000 --models bpr

Each phase runs in a process of its own and reports the highest resident size of the process while
it trained or ranked, less what it had before there were any data. The formula is written out in
docs/models.md. Needs Linux.
"""

import argparse
import gc
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

from erase_ray.data.interactions import Interactions
from erase_ray.evaluation import default_block, rank
from erase_ray.models import MODELS, Model, Shape
from erase_ray.models._adam import Adam
from erase_ray.selection import Best
from erase_ray.tasks import TASKS, Cut
from erase_ray.training import _Steps

CPU = torch.device("cpu")
NUM_STEPS = 4
NUM_BLOCKS = 3
FLOAT = 4
STEP_FLOATS = {"cf": 16, "session_based": 32}
"""Vectors of the model's width that a step keeps for each example, or for each place of its window;
the loss over the catalogue goes tile by tile and needs none of its own."""
ROW_BYTES = {"cf": 60, "session_based": 85}
"""Table, split and examples of one row."""
COPIES = 5
"""Weights, gradient, Adam's two moments, the best weights so far."""


def made_up(users: int, items: int, rows: int) -> Interactions:
    """Sessions (or users) of ten rows over a skewed catalogue; every item and user has an id."""
    draw = np.random.default_rng(0)
    item = (items * draw.random(rows) ** 2).astype(np.int32)
    sequence = (np.arange(rows) // 10).astype(np.int32)
    step = (np.arange(rows) % 10).astype(np.int32)
    user = sequence * max(users // max(rows // 10, 1), 1)
    item[-1], user[-10:] = items - 1, users - 1
    columns = {"user": user, "sequence": user, "step": step, "item": item}
    return Interactions.prepared(columns | {"time": np.arange(rows)})


def weight_bytes(model: Model) -> int:
    return sum(FLOAT * weight.numel() for weight in model.parameters())


def step_bytes(model: Model, batch_size: int) -> int:
    width = max(weight.shape[-1] for weight in model.parameters())
    places = batch_size * max(model.max_history, 1)
    return places * width * FLOAT * STEP_FLOATS[model.task]


def formula(model: Model, phase: str, rows: int, batch_size: int) -> int:
    """Bytes; see docs/models.md."""
    weights, items = weight_bytes(model), model.shape.num_items
    data = rows * ROW_BYTES[model.task]
    if phase == "rank":
        return data + weights + 3 * FLOAT * default_block(items) * items
    # a table that is read at the input and at the output gets its gradient in two parts
    widest = max(FLOAT * table.numel() for table in model.item_tables().values())
    return data + COPIES * weights + widest + step_bytes(model, batch_size)


def measure(name: str, phase: str, users: int, items: int, rows: int) -> dict[str, int]:
    """Run a phase; bytes it needed at most, and by the formula."""
    kind = MODELS.get(name)
    task = TASKS.get(kind.task)()
    before = peak_bytes()
    table = made_up(users, items, rows)
    model = kind(kind.Settings(), Shape(table.num_users, table.num_items))
    model.reset(torch.Generator().manual_seed(1))
    split = task.split(table)
    cut = Cut(model.max_history, CPU)
    examples = task.examples(table, split, cut)
    asked = np.arange(NUM_BLOCKS * default_block(items)) % (rows // 10)
    queries = task.probe(table, split, table.user[10 * asked], cut)
    forget_peak()
    if phase == "train":
        _train(model, examples, kind.training)
    else:
        rank(model, queries, 20)
    needed = formula(model, phase, rows, kind.training.batch_size)
    return {"peak": peak_bytes() - before, "formula": needed}


def _train(model, examples, settings) -> None:
    few = examples.take(torch.arange(NUM_STEPS * settings.batch_size))
    adam = Adam(model, settings.learning_rate)
    _Steps(model, few, adam, settings, 2).run(0)
    Best(model).offer(0, 1.0, is_last=False)
    _Steps(model, few, adam, settings, 2).run(1)


def forget_peak() -> None:
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")


def peak_bytes() -> int:
    """Highest resident size since the last :func:`forget_peak`."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


def main() -> None:
    """Measure each model in both phases and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["bpr", "gru4rec", "sasrec"])
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--phase", choices=["train", "rank"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    sizes = (arguments.users, arguments.items, arguments.rows)
    if arguments.phase:
        print(json.dumps(measure(arguments.models[0], arguments.phase, *sizes)))
        return
    print(f"{'model':<12}{'phase':<8}{'peak GB':>10}{'formula GB':>12}{'ratio':>8}")
    for name in arguments.models:
        for phase in ("train", "rank"):
            command = [sys.executable, __file__, "--models", name, "--phase", phase]
            for key, size in zip(("--users", "--items", "--rows"), sizes, strict=True):
                command += [key, str(size)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            peak, known = json.loads(done.stdout.splitlines()[-1]).values()
            ratio = peak / known
            print(f"{name:<12}{phase:<8}{peak / 1e9:>10.2f}{known / 1e9:>12.2f}{ratio:>8.2f}")


if __name__ == "__main__":
    main()
