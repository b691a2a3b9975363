"""A small store with a base model and two cells that begin with it."""

import os

import pandas as pd
import torch

from erase_ray.experiment.results import RESULTS
from erase_ray.experiment.store import CellRecord, Store

BASE, SCIF, SEIF = "ba" * 32, "5c" * 32, "5e" * 32
HOUR_S = 3600.0


def table(change=0.0):
    weights = torch.arange(8000, dtype=torch.float32).reshape(2000, 4)
    weights[3] += change
    return {"w": weights}


def put(store, key, method, weights, **facts):
    row = dict.fromkeys(RESULTS, "x") | {"fraction": 0.5, "value": 1 / 3}
    results = pd.DataFrame([row | {"seed": 1, "mark": 1, "k": 10, "n": 3}])
    known = {"dataset": "toy", "data_key": "d1", "model": "bpr", "method": method, "seed": 2}
    record = CellRecord(
        {"seed": 2}, results=results, log=[{"event": "end"}], weights=weights, facts=known | facts
    )
    return store.put_cell(key, record)


def filled(uri):
    """The store; the weights of its base, and of two marks of SCIF; SEIF left the base as it is."""
    store = Store(uri)
    base = store.put_weights(table())
    first = store.put_weights(table(1.0), base)
    second = store.put_weights(table(2.0), first)
    put(store, BASE, "base", {"0": base})
    put(store, SCIF, "scif", {"1": first, "2": second})
    put(store, SEIF, "seif", {"1": base})
    store.put_run("r1", "plan.json", "{}")
    return store, base, first, second


def cell(key):
    return f"cells/{key[:2]}/{key}"


def age(blobs, hours, start=""):
    """Make all files below a folder of a local store older."""
    for entry in blobs.entries(start):
        path, time = blobs._folder / entry.name, entry.modified - hours * HOUR_S
        os.utime(path, (time, time))
