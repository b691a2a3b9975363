"""Runs whose files are written as a driver would write them, at times that the test chooses."""

import json
from datetime import UTC, datetime

from erase_ray.experiment import progress
from erase_ray.experiment._open import open_blobs
from erase_ray.experiment.cost import Estimate
from erase_ray.experiment.plan import Node, Plan
from erase_ray.experiment.progress import StoredStatus
from erase_ray.experiment.store import Store
from erase_ray.experiment.walk import Walk
from erase_ray.report.status import RunFiles, StatusReader

START = 1_700_000_000.0
RUN = "0123456789ab"


class Clock:
    """Time as the driver and whoever looks see it."""

    def __init__(self, now=START):
        self.now = now

    def __call__(self):
        return self.now


def node(dataset, model, method, *parents, seconds=10.0, done=False, requested=True, gpu=0.0):
    label = f"{dataset}/{model}/{method}/s2" if model else f"data/{dataset}"
    return Node(
        key=key_of(label),
        kind=method,
        label=label,
        payload={},
        parents=tuple(key_of(parent) for parent in parents),
        cost=Estimate(seconds, 100, gpu, 1000),
        requested=requested,
        done=done,
    )


def key_of(label):
    """A key that begins with two letters which its folder is named after."""
    return label.encode().hex()


def plan():
    """Data, a base model and two methods of each of two models."""
    nodes = []
    for dataset, model in (("toy", "bpr"), ("clicks", "gru4rec")):
        data, base = f"data/{dataset}", f"{dataset}/{model}/base/s2"
        nodes += [
            node(dataset, "", "data", seconds=2, requested=False),
            node(dataset, model, "base", data, requested=False, gpu=0.5),
            node(dataset, model, "scif", base, data, gpu=0.25),
            node(dataset, model, "retrain", data, seconds=20, gpu=0.5),
        ]
    return Plan(nodes)


ESTIMATE = {
    "gpu_hours": 0.5,
    "cpu_hours": 0.25,
    "makespan_s": 1800.0,
    "dollars": 6.0,
    "dollars_per_hour": 12.0,
    "slots": 2,
}


class Driver:
    """Walks a plan and writes about it; the test says what happens when."""

    def __init__(self, storage, monkeypatch, clock, graph=None, estimate=None, run=RUN):
        self.clock, self.run = clock, run
        monkeypatch.setattr(progress, "_now", self.iso)
        monkeypatch.setattr(progress, "datetime", _Datetime(clock))
        self.store = Store(storage)
        self.store.put_run(run, "estimate.json", json.dumps(estimate or ESTIMATE))
        self.status = StoredStatus(self.store, run, clock)
        self.walk = Walk(graph or plan(), [self.status])
        self.status.begin(self.walk)

    def iso(self):
        return datetime.fromtimestamp(self.clock.now, UTC).isoformat(timespec="seconds")

    def wait(self, seconds):
        """Time passes, and the driver shows signs of life as often as it should."""
        until = self.clock.now + seconds
        while self.clock.now < until:
            self.clock.now = min(until, self.clock.now + progress.EVERY_S)
            self.status.tick()

    def start(self, label):
        """A worker takes a node, whatever its turn."""
        self.walk._ready = [each for each in self.walk._ready if each[2] != key_of(label)]
        self.walk.handed.add(key_of(label))
        self.walk.start(key_of(label))

    def finish(self, label, seconds, **facts):
        """A node runs so long and ends well."""
        self.start(label)
        self.wait(seconds)
        self.walk.finish(key_of(label), {"seconds": float(seconds)} | facts)


class _Datetime:
    """Stands for the class where writers are named after the time."""

    def __init__(self, clock):
        self.clock = clock

    def now(self, zone):
        return datetime.fromtimestamp(self.clock.now, zone)


def reader(storage, clock):
    return StatusReader(RunFiles(open_blobs(storage, read_only=True)), clock)
