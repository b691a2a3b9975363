"""What the sweep costs besides the work: cells that sleep, against the sum of their naps.

    python benchmarks/overhead.py --cells 500 --seconds 1 --slots 2

Prints the time from the first import of Ray to the end over the ideal (sum of the naps / slots),
processor time of the driver a cell, and what the driver's memory grows by in the second half.
"""

import argparse
import os
import resource
import tempfile
import time
from pathlib import Path
from typing import Any


def nap(payload: dict[str, Any], storage: str) -> dict[str, Any]:
    """A cell that does nothing for a while; run by workers."""
    time.sleep(payload["seconds"])
    return {"label": payload["key"], "seconds": payload["seconds"], "status": "done"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--slots", type=int, default=2)
    arguments = parser.parse_args()
    here = str(Path(__file__).parent)
    os.environ["PYTHONPATH"] = os.pathsep.join([here, os.environ.get("PYTHONPATH", "")])
    os.environ["RAY_ADDRESS"] = "local"
    started, busy = time.perf_counter(), time.process_time()
    memory = _sweep(arguments)
    took, used = time.perf_counter() - started, time.process_time() - busy
    ideal = arguments.cells * arguments.seconds / arguments.slots
    middle, last = memory[len(memory) // 2], memory[-1]
    print(f"{arguments.cells} cells of {arguments.seconds:g} s in {arguments.slots} places")
    print(f"time / ideal: {took:.1f} s / {ideal:.1f} s = {took / ideal:.3f}")
    print(f"processor time of the driver: {1000 * used / arguments.cells:.1f} ms a cell")
    print(f"memory of the driver: {last:.0f} MB, {last / middle:.3f} of that at half time")


def _sweep(arguments: argparse.Namespace) -> list[float]:
    """Memory of this process in MB after each cell."""
    from erase_ray.distributed.sweep import sweep
    from erase_ray.experiment.cost import Estimate
    from erase_ray.experiment.plan import Node, Plan
    from erase_ray.experiment.walk import Watcher

    class Memory(Watcher):
        found: list[float] = []

        def finished(self, node: Node, facts: dict[str, Any]) -> None:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            self.found.append(pages * resource.getpagesize() / 1e6)

    cost = Estimate(arguments.seconds, 100, 0.0, 0)
    names = [f"cell-{number}" for number in range(arguments.cells)]
    nodes = [
        Node(name, "nap", name, {"key": name, "seconds": arguments.seconds}, (), cost, True, False)
        for name in names
    ]
    memory = Memory()
    with tempfile.TemporaryDirectory() as folder:
        walk = sweep(Plan(nodes), folder, [memory], "overhead:nap", cpus=arguments.slots)
    assert len(walk.done) == arguments.cells, walk.failures
    return memory.found


if __name__ == "__main__":
    main()
