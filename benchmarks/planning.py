"""How fast a large grid is planned and resumed, and how well a cluster is filled.

    python benchmarks/planning.py plan      # the full grid with more seeds: seconds and MB
    python benchmarks/planning.py resume    # a store that holds all of it
    python benchmarks/planning.py cluster   # 256 simulated GPUs: makespan over its lower bound
    python benchmarks/planning.py errors --storage STORE --profile matrix  # of a finished run

All seconds but simulated ones are of the processor. The simulated cluster has machines with
borders, workers that take ten seconds to start, and a driver that needs 0.05 s for each node; the
dispatcher and the classes of resources are those of a real run. The lower bound is the largest of
work over capacity for each resource and the longest chain; overheads are in none of them.
``resume`` writes manifests and empty files in the layout of the store (``--storage`` may be an
address such as s3://bucket/path); only manifests are read.
"""

import argparse
import json
import math
import random
import resource
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from erase_ray.experiment._names import cell_folder, data_folder
from erase_ray.experiment._open import open_blobs
from erase_ray.experiment.fit import Fit
from erase_ray.experiment.grid import Grid, load_grid
from erase_ray.experiment.plan import DATA, Node, Plan, build
from erase_ray.experiment.plan_text import estimate, summary
from erase_ray.experiment.simulate import Pace, Simulation
from erase_ray.experiment.store import Store

GRIDS = Path(__file__).parents[1] / "jobs" / "grids"
PER_SEED = 3250
"""Cells of the full grid for each seed, about."""
FILES = ("settings.yaml", "log.jsonl", "ranked.parquet", "requests.parquet", "results.parquet")
NOISE = math.log(1.5)
"""A node takes 1.5 times what was expected, or a 1.5th, at one standard deviation."""
DRIVER_S = 0.05


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("what", choices=["plan", "resume", "cluster", "errors"])
    parser.add_argument("--cells", type=int, default=50_000)
    parser.add_argument("--storage", default="")
    parser.add_argument("--profile", default="full")
    arguments = parser.parse_args()
    globals()[f"_{arguments.what}"](arguments)


def _grid(arguments: argparse.Namespace) -> Grid:
    """The full grid with as many seeds as it takes."""
    number = -(-arguments.cells // PER_SEED)
    return load_grid(GRIDS / "full.yaml", "", [f"seeds={list(range(2, 2 + number))}"])


def _timed(what: str, function: Callable[[], Any]) -> Any:
    wall, processor = time.perf_counter(), time.process_time()
    result = function()
    processor, wall = time.process_time() - processor, time.perf_counter() - wall
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(
        f"{what:<28} {processor:8.2f} s  ({wall:8.2f} s on the clock)  {peak:7.0f} MB", flush=True
    )
    return result


def _plan(arguments: argparse.Namespace) -> None:
    grid = _timed("cells of the grid", lambda: _grid(arguments))
    plan = _timed(f"plan of {len(grid.cells)} cells", lambda: build(grid.cells, None, grid.machine))
    text = _timed("bounds and text", lambda: summary(plan, grid.machine))
    content = _timed("as JSON", plan.to_json)
    print(f"{len(content) / 1e6:.0f} MB of JSON\n{text}")


def _resume(arguments: argparse.Namespace) -> None:
    grid = _timed("cells of the grid", lambda: _grid(arguments))
    if arguments.storage:
        _resume_from(arguments.storage, grid)
        return
    with tempfile.TemporaryDirectory() as folder:
        _resume_from(folder, grid)


def _resume_from(address: str, grid: Grid) -> None:
    plan = build(grid.cells, None, grid.machine)
    nodes = list(plan.nodes.values())
    _timed(f"writing {len(nodes)} nodes", lambda: _write(address, nodes[: -len(nodes) // 100]))
    store = _timed("opening the store", lambda: Store(address))
    plan = _timed("plan", lambda: build(grid.cells, store, grid.machine))
    fit = _timed("asking what was measured", lambda: Fit.of_store(store, plan, grid.machine))
    _timed("estimating anew", lambda: plan.refresh(fit))
    print(_timed("bounds and text", lambda: summary(plan, grid.machine)).splitlines()[0])


def _write(address: str, nodes: list[Node]) -> None:
    blobs = open_blobs(address, False)

    def write(node: Node) -> None:
        if node.kind == DATA:
            folder = data_folder(node.payload["dataset"]["name"], node.key)
        else:
            folder = cell_folder(node.key)
            for name in FILES:
                blobs.write(f"{folder}/{name}", b"")
        facts = {"seconds": 2 * node.cost.seconds, "device": "cuda", "method": node.kind}
        content = {"format": 1, "key": node.key, "files": {}, "facts": facts}
        blobs.write(f"{folder}/manifest.json", json.dumps(content).encode())

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(write, nodes))


def _cluster(arguments: argparse.Namespace) -> None:
    grid = _grid(arguments)
    plan = build(grid.cells, None, grid.machine)
    print(summary(plan, grid.machine))
    print(f"\n{'':<24} {'hours':>8} {'bound':>8} {'ratio':>7} {'GPU':>6} {'tries':>7} {'lost':>6}")
    cases = {
        "as planned": (Pace(offer_s=DRIVER_S), 0.0),
        "times off by 1.5": (Pace(offer_s=DRIVER_S), NOISE),
        "one machine in 20 lost/h": (Pace(offer_s=DRIVER_S, losses_per_hour=0.05), 0.0),
        "both": (Pace(offer_s=DRIVER_S, losses_per_hour=0.05), NOISE),
    }
    for name, (pace, noise) in cases.items():
        found = Simulation(plan, grid.machine, pace, _noisy(noise)).run()
        print(
            f"{name:<24} {found.makespan / 3600:8.1f} {found.bound.seconds / 3600:8.1f} "
            f"{found.ratio:7.4f} {found.busy.get('GPU', 0):6.1%} {found.tries:7} {found.lost:6}"
            f"  bound: {found.bound.cause}",
            flush=True,
        )


def _noisy(sigma: float) -> Callable[[Node], float]:
    """What nodes really take; the same whenever it is asked."""

    def seconds(node: Node) -> float:
        return node.cost.seconds * math.exp(random.Random(node.key).gauss(0, sigma))

    return seconds if sigma else lambda node: node.cost.seconds


def _errors(arguments: argparse.Namespace) -> None:
    store = Store(arguments.storage, read_only=True)
    grid = load_grid(GRIDS / f"{arguments.profile}.yaml")
    plan: Plan = build(grid.cells, store, grid.machine)
    fit = Fit(grid.machine)
    for run in store.runs():
        for event in store.events(run):
            for one in event.get("events", [event]):
                if one.get("event") == "finished" and one["key"] in plan.nodes:
                    fit.observe(plan.nodes[one["key"]], one)
    print("\n".join(fit.report()) or "nothing has finished")
    print(json.dumps(estimate(plan, grid.machine), indent=1))


if __name__ == "__main__":
    main()
