"""What one request costs: by method and model on real data, and as things grow.

    python benchmarks/methods.py --data FOLDER                 a table of methods and models
    python benchmarks/methods.py --growth users rows chain     how cost grows; no data needed
    python benchmarks/methods.py --growth users --plot docs/figures/cost.png

FOLDER is that of benchmarks/chains.py. Seconds are those of the processor, with one thread. The
table has the median of a request (data and algorithm, after a first one that does not count) and,
in brackets, how many times less than retraining that is: than the training that made the base
model, with early stopping. SISA is trained on the same number of epochs, and asked four times.

Growth is measured on pairs that are made up, with a model of the same shape whose weights are
random (so solvers take more steps than on a trained one, the same for every size): the number of
users at ten rows a person; the rows that one person has, of which a tenth is forgotten; and the
place in a chain.
"""

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _study import READERS, Served, Study, make, requests, serve, start
from quality_data import Data

from erase_ray import seeds
from erase_ray.data.interactions import Interactions
from erase_ray.data.split import Split
from erase_ray.methods import METHODS
from erase_ray.models import MODELS
from erase_ray.scenarios import RequestSpec
from erase_ray.tasks import TASKS

NUM_ITEMS = 20_000
USERS = (10_000, 30_000, 100_000, 300_000, 1_000_000)
ROWS = (10, 30, 100, 300, 1_000, 3_000)
CHAIN = 4_000
GROWING = ("scif", "gif")
FEW = 4
"""Requests of methods that train."""


def main() -> None:
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    if arguments.growth:
        made = {what: GROWTHS[what](arguments) for what in arguments.growth}
        if arguments.plot:
            plot(made, arguments.plot)
        return
    found = []
    for name in arguments.models:
        data = READERS[MODELS.get(name).task](arguments.data)
        study = Study.of(name, data, arguments.cache)
        found += [cost(study, method, arguments.num) for method in arguments.methods]
        print(_row(study, [one for one in found if one["model"] == name]), flush=True)
        if arguments.out:
            arguments.out.write_text(json.dumps(found, indent=1) + "\n")


def _arguments() -> argparse.Namespace:
    methods = [
        name
        for name in METHODS.names()
        if not METHODS.get(name).per_mark and METHODS.get(name).serves_learning
    ]
    models = [name for name in MODELS.names() if MODELS.get(name).learns]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of the parquet files")
    parser.add_argument("--models", nargs="+", default=models)
    parser.add_argument("--methods", nargs="+", default=methods)
    parser.add_argument("--growth", nargs="+", choices=list(GROWTHS))
    parser.add_argument("--growing", nargs="+", default=GROWING, help="methods whose growth to see")
    parser.add_argument("--num", type=int, default=12, help="requests")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--cache", type=Path, default=Path("runs/studies"), help="trained models")
    parser.add_argument("--plot", type=Path)
    return parser.parse_args()


def cost(study: Study, method_name: str, num: int) -> dict[str, Any]:
    """Median seconds of a request, and retraining as a multiple of it."""
    num = num if METHODS.get(method_name).needs_base else min(num, FEW)
    served = _served(study, method_name, requests(study.data, num + 1))[1:]
    seconds = statistics.median(one.seconds for one in served)
    return {
        "model": study.name,
        "data": study.data.title,
        "method": method_name,
        "seconds": seconds,
        "retraining": study.seconds,
        "ratio": study.seconds / seconds,
        "applied": sum(one.outcome.status == "applied" for one in served) / len(served),
    }


def _served(study: Study, method_name: str, specs: list[RequestSpec]) -> list[Served]:
    world, method = study.world(), make(method_name)
    model, state = start(study, method, world)
    return list(serve(method, model, world, specs, state))


def _row(study: Study, found: list[dict[str, Any]]) -> str:
    cells = [f"{one['method']} {one['seconds']:.3f} ({one['ratio']:.0f}x)" for one in found]
    return f"{study.name:<10} {study.data.title}, retraining {study.seconds:.1f} s: " + ", ".join(
        cells
    )


def pairs(num_users: int, num_rows: int) -> Data:
    """Made-up pairs for collaborative filtering, popular items first."""
    draw = seeds.numpy_generator(2, "pairs", num_users)
    user = np.repeat(np.arange(num_users, dtype=np.int32), num_rows)
    item = (NUM_ITEMS * draw.random(len(user)) ** 2).astype(np.int32)
    step = np.tile(np.arange(num_rows, dtype=np.int32), num_users)
    columns = {"user": user, "sequence": user, "step": step, "item": item, "time": step}
    table = Interactions.prepared(columns)
    task = TASKS.get("cf")()
    return Data("made-up pairs", task, table, Split(np.zeros(len(table), np.int8)))


def random_study(data: Data) -> Study:
    """BPR with random weights, of the size that a trained one has."""
    study = Study("bpr", data, {}, 0.0, MODELS.get("bpr").training)
    model = study.fresh()
    model.reset(seeds.torch_generator(2, "init"))
    study.weights = {name: 10 * weight for name, weight in model.state_dict().items()}
    return study


def growth_with_users(arguments: argparse.Namespace) -> dict[str, Any]:
    """Seconds of a request by the number of users."""
    found: dict[str, Any] = {"unit": "users", "sizes": list(USERS), "seconds": {}}
    for num_users in USERS:
        study = random_study(pairs(num_users, 10))
        specs = _first_rows(study.data, np.arange(0, num_users, num_users // 40)[:40], 1)
        _measure(found, study, specs, arguments.growing)
    return _shown(found)


def growth_with_rows(arguments: argparse.Namespace) -> dict[str, Any]:
    """Seconds of a request by the number of rows that the person has."""
    found: dict[str, Any] = {"unit": "rows of a person", "sizes": list(ROWS), "seconds": {}}
    for num_rows in ROWS:
        study = random_study(pairs(max(200, 200_000 // num_rows), num_rows))
        specs = _first_rows(study.data, np.arange(20), max(1, num_rows // 10))
        _measure(found, study, specs, arguments.growing)
    return _shown(found)


def growth_with_chain(arguments: argparse.Namespace) -> dict[str, Any]:
    """Seconds of a request by its place in the chain, in tenths of it."""
    study = random_study(pairs(20_000, 20))
    specs = _first_rows(study.data, np.arange(CHAIN), 2)
    places = [CHAIN * tenth // 10 for tenth in range(1, 11)]
    found: dict[str, Any] = {"unit": "requests served", "sizes": places, "seconds": {}}
    for name in arguments.growing:
        seconds = [one.seconds for one in _served(study, name, specs)]
        parts = np.array_split(np.array(seconds), 10)
        found["seconds"][name] = [float(np.median(part)) for part in parts]
    return _shown(found)


def _first_rows(data: Data, users: np.ndarray, num: int) -> list[RequestSpec]:
    table = data.interactions
    rows = [np.sort(table.of_users(np.array([user])).row[:num]) for user in users]
    return [RequestSpec(n, np.array([user]), rows[n]) for n, user in enumerate(users)]


def _measure(
    found: dict[str, Any], study: Study, specs: list[RequestSpec], methods: list[str]
) -> None:
    for name in methods:
        started = time.perf_counter()
        seconds = [one.seconds for one in _served(study, name, specs)]
        found["seconds"].setdefault(name, []).append(statistics.median(seconds[2:]))
        print(f"  {name}: {time.perf_counter() - started:.1f} s in all", flush=True)


def _shown(found: dict[str, Any]) -> dict[str, Any]:
    for name, seconds in found["seconds"].items():
        pieces = zip(found["sizes"], seconds, strict=True)
        cells = ", ".join(f"{size}: {1000 * value:.1f}" for size, value in pieces)
        ratio = seconds[-1] / seconds[0]
        print(f"{name}, ms a request by {found['unit']}: {cells}; last to first {ratio:.2f}")
    return found


GROWTHS = {"users": growth_with_users, "rows": growth_with_rows, "chain": growth_with_chain}


def plot(made: dict[str, dict[str, Any]], path: Path) -> None:
    """Seconds by size, a panel a growth."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2 * len(made), 3.3), layout="constrained")
    axes = figure.subplots(1, len(made), squeeze=False)[0]
    for axis, found in zip(axes, made.values(), strict=True):
        for name, seconds in found["seconds"].items():
            axis.plot(found["sizes"], [1000 * value for value in seconds], marker="o", label=name)
        axis.set_xscale("linear" if found["unit"] == "requests served" else "log")
        axis.set_xlabel(found["unit"])
        axis.set_ylim(bottom=0)
    axes[0].set_ylabel("ms a request, median")
    axes[0].legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90)


if __name__ == "__main__":
    main()
