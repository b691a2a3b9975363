"""Run one cell in this process, without Ray: for debugging, profiling, or a box without Ray.

    python jobs/one_cell.py --grid laptop --only dataset=movielens_100k,method=scif

runs the first cell that the filter leaves, and before it what it needs.
"""

import argparse
import sys
from pathlib import Path

import torch

from erase_ray import log
from erase_ray.errors import EraseError
from erase_ray.experiment.grid import load_cells
from erase_ray.experiment.plan import build
from erase_ray.experiment.preparing import check_own_files
from erase_ray.experiment.run import run_node
from erase_ray.experiment.store import Store

GRIDS = Path(__file__).parent / "grids"


def main() -> None:
    """Parse the command line, run the cell, print its results."""
    parser = argparse.ArgumentParser(description="Run one cell without Ray.")
    parser.add_argument("--grid", default="laptop", help="name in jobs/grids, or a YAML file")
    parser.add_argument("--only", default="", help="key=value,... ; keeps the cells that match")
    parser.add_argument("--set", action="append", default=[], help="key=value ; changes the grid")
    parser.add_argument("--storage", default="runs", help="address of the store")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of torch")
    arguments = parser.parse_args()
    log.set_up("INFO")
    torch.set_num_threads(arguments.threads)
    named = GRIDS / f"{arguments.grid}.yaml"
    path = named if named.exists() else Path(arguments.grid)
    store = Store(arguments.storage)
    cell = load_cells(path, arguments.only, arguments.set)[0]
    plan = build([cell], store)
    check_own_files(plan.nodes.values(), store)
    for node in plan.pending():
        run_node(node.payload, arguments.storage)
    print(f"{cell.label}  {cell.key}")
    results = store.table(cell.key, "results")
    print(results[["mark", "metric", "k", "value", "n"]].to_string(index=False))


if __name__ == "__main__":
    try:
        main()
    except EraseError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
