"""A store of a small run, made without Ray: ``python small_store.py FOLDER``.

Planted data for collaborative filtering, `bpr`, and four methods, as
``python jobs/full_grid.py --profile smoke --only task=cf`` leaves them, with fewer epochs.
"""

import json
import sys
from pathlib import Path

from erase_ray.experiment.grid import load_cells
from erase_ray.experiment.plan import build
from erase_ray.experiment.plan_text import estimate
from erase_ray.experiment.prices import Machine
from erase_ray.experiment.progress import StoredStatus
from erase_ray.experiment.run import run_node
from erase_ray.experiment.store import Store
from erase_ray.experiment.walk import Walk

SMOKE = Path(__file__).parents[2] / "jobs/grids/smoke.yaml"


def main() -> None:
    store = Store(sys.argv[1])
    plan = build(load_cells(SMOKE, "task=cf", ["training.epochs=2", "seeds=[2, 3]"]), store)
    run = "0123456789ab"
    store.put_run(run, "estimate.json", json.dumps(estimate(plan, Machine(slots=2))))
    status = StoredStatus(store, run)
    walk = Walk(plan, [status])
    status.begin(walk)
    while node := walk.next():
        walk.start(node.key)
        walk.finish(node.key, run_node(node.payload, store.uri))
    status.end()


if __name__ == "__main__":
    main()
