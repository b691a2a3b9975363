"""A run on planted data that is nearly over: real cells, one that failed, one that goes on."""

import json
from pathlib import Path
from typing import Any

from erase_ray.experiment.grid import load_cells
from erase_ray.experiment.plan import Node, build
from erase_ray.experiment.plan_text import estimate
from erase_ray.experiment.prices import Machine
from erase_ray.experiment.progress import StoredStatus
from erase_ray.experiment.run import run_node
from erase_ray.experiment.store import Store
from erase_ray.experiment.walk import Walk

SMOKE = Path(__file__).parents[2] / "jobs/grids/smoke.yaml"
RUN = "0123456789ab"
ERROR = "TrainingError: the loss of epoch 3 is not finite (nan); lower training.learning_rate"
FAILS, GOES_ON = "planted:session_based/gru4rec/scif/s2", "planted:session_based/gru4rec/seif/s2"


class SmallRun:
    """Walks the plan without Ray, and leaves it as a driver in the middle of its work would.

    Args:
        storage: A local folder.
    """

    def __init__(self, storage: str) -> None:
        self.store = Store(storage)
        cells = load_cells(SMOKE, "task=cf|session_based", ["training.epochs=2"])
        self.plan = build(cells, self.store)
        expected = estimate(self.plan, Machine(slots=2, dollars_per_hour=3.0))
        self.store.put_run(RUN, "estimate.json", json.dumps(expected))
        self._status = StoredStatus(self.store, RUN)
        self._walk = Walk(self.plan, [self._status])
        self._status.begin(self._walk)
        self._go()
        self._status._write("running")

    @property
    def planned(self) -> dict[str, dict[str, Any]]:
        """Settings of the cells that were asked for, by key."""
        return {node.key: node.payload["cell"] for node in self.plan.requested}

    @property
    def failures(self) -> list[dict[str, str]]:
        """What a job would pass to the report."""
        return [{"label": FAILS, "error": ERROR}]

    def _go(self) -> None:
        # the first try of it is lost
        first = self._walk.next()
        assert first
        self._walk.start(first.key)
        self._walk.again(first.key, "node", "its machine is gone")
        while node := self._walk.next():
            self._walk.start(node.key)
            if node.label == GOES_ON:
                self._tell(node)
            elif node.label == FAILS:
                self._walk.fail(node.key, ERROR, "Traceback ...")
            else:
                self._walk.finish(node.key, run_node(node.payload, self.store.uri))

    def _tell(self, node: Node) -> None:
        stream = self.store.stream(node.key)
        stream.tell({"event": "begin", "pid": 1})
        for number in range(5):
            stream.tell({"event": "request", "request": number, "time": 1_700_000_000 + number / 2})
        stream._send()
