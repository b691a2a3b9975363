"""Small cells with chains, methods that remember, and ways to stop in the middle."""

import functools
import json
import math
import shutil
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pytest
import torch

from erase_ray.experiment.cell import Cell
from erase_ray.experiment.chain import ChainRunner
from erase_ray.experiment.chain_journal import Pace
from erase_ray.experiment.grid import expand
from erase_ray.experiment.grid_file import Block
from erase_ray.experiment.plan import build
from erase_ray.experiment.run import run_cell, run_node
from erase_ray.experiment.store import Store
from erase_ray.methods import Method, Outcome
from tests.conftest import CPU

ALWAYS = Pace(every_s=0.0, mark_s=0.0, share=math.inf)
"""A snapshot after every request."""
AT_MARKS = Pace(every_s=math.inf, mark_s=0.0, share=math.inf)
NEVER = Pace(every_s=math.inf, mark_s=math.inf)
TASKS = {
    "bpr": "cf",
    "lightgcn": "cf",
    "sgl": "cf",
    "pop": "cf",
    "ease": "cf",
    "itemknn": "cf",
    "sknn": "session_based",
    "gru4rec": "session_based",
    "sets2sets": "next_basket",
}
SIZES = {
    "bpr": {"embedding_size": 8},
    "lightgcn": {"embedding_size": 8},
    "sgl": {"embedding_size": 8},
    "gru4rec": {"embedding_size": 8, "hidden_size": 12, "max_length": 8},
    "sets2sets": {"embedding_size": 8},
}


class Killed(BaseException):
    """Stands for SIGKILL: not an Exception, so nothing may handle it."""


class Shelf(Method):
    """Trains a model of its own, and moves it by what it remembers; skips every third request."""

    name = "shelf"
    needs_base = False

    def build(self, make):
        return make()

    def begin(self, model, world):
        world.train(model, world.interactions)
        shards = {f"shard/{i}": torch.full((50, 4), float(i)) for i in range(20)}
        return shards | {"served": torch.tensor(0), "sum": torch.zeros((), dtype=torch.float64)}

    def forget(self, model, request):
        number = int(request.state["served"])
        drawn = torch.rand((), generator=request.generator, dtype=torch.float64)
        request.state["sum"] = request.state["sum"] + drawn
        request.state["served"] = torch.tensor(number + 1)
        request.state[f"shard/{number % 20}"] = torch.rand(50, 4, generator=request.generator)
        with torch.no_grad():
            for weight in self.changes(model).values():
                weight.mul_(1 - 1e-3 * float(request.state["sum"]))
        if request.spec.id % 3 == 1:
            return Outcome("skipped", "every third one is")
        details = {"served": float(number), "sum": float(request.state["sum"])}
        return Outcome("applied", details=details)


def chain_cell(model: str, method: str | dict, **more) -> Cell:
    """A cell of eight requests on planted data, or so."""
    block = {
        "datasets": {"planted": {"task": TASKS[model], "num_users": 60, "num_items": 72}},
        "models": {model: SIZES.get(model, {})},
        "training": {"epochs": 1, "batch_size": 64},
        "scenarios": {"account": {"num_users": 9}},
        "methods": method,
        "seeds": [2],
    }
    return expand([Block(**(block | more))])[0]


def prepared(cell: Cell, folder: Path) -> Store:
    """A store of its own with all that ``cell`` needs."""
    nodes = build([cell]).pending()
    needed = [node.payload for node in nodes if node.key != cell.key]
    shutil.copytree(_made(json.dumps(needed)).name, folder, dirs_exist_ok=True)
    return Store(str(folder))


@functools.cache
def _made(payloads: str) -> TemporaryDirectory:
    """A store in which these nodes were run, in their order; it lasts as long as the process."""
    folder = TemporaryDirectory(prefix="erase_ray_prepared_")
    for payload in json.loads(payloads):
        run_node(payload, folder.name)
    return folder


def journal_files(store: Store, cell: Cell) -> list[str]:
    """Names of the files of the cell's journal."""
    folder = Path(store.uri, "cells", cell.key[:2], cell.key, "journal")
    return sorted(path.name for path in folder.glob("*") if path.is_file())


def without_seconds(table: pd.DataFrame) -> pd.DataFrame:
    """The columns of ``requests`` that are the same wherever it runs."""
    return table.drop(columns=[name for name in table.columns if name.startswith("seconds")])


class Interrupted:
    """Runs a cell that is killed before some requests, until it is through."""

    def __init__(self, cell, folder):
        self.cell, self.store = cell, prepared(cell, folder)
        self.served: list[int] = []

    def run(self, kills, pace) -> None:
        for kill in kills:
            self.kill(kill, pace)
        with self._watched(-1):
            assert run_cell(self.cell, self.store, CPU, pace)

    def kill(self, at, pace) -> None:
        """Run until request ``at`` is next."""
        with self._watched(at), pytest.raises(Killed):
            run_cell(self.cell, self.store, CPU, pace)
        assert not self.store.has_cell(self.cell.key)

    @contextmanager
    def _watched(self, kill):
        original = ChainRunner._serve_one

        def serve(runner, spec, *rest):
            if spec.id == kill:
                raise Killed
            self.served.append(spec.id)
            return original(runner, spec, *rest)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ChainRunner, "_serve_one", serve)
            yield


def assert_same(cell, one: Store, two: Store) -> None:
    """The same bytes, but for seconds."""
    left, right = one.manifest(cell.key), two.manifest(cell.key)
    assert left["weights"] == right["weights"]
    for name in ("results.parquet", "ranked.parquet", "settings.yaml"):
        assert left["files"][name] == right["files"][name]
    requests = [without_seconds(store.table(cell.key, "requests")) for store in (one, two)]
    pd.testing.assert_frame_equal(*requests, check_exact=True)
    logs = [[e for e in store.log(cell.key) if e["event"] == "mark"] for store in (one, two)]
    assert logs[0] == logs[1]
    facts = [{k: v for k, v in m["facts"].items() if "seconds" not in k} for m in (left, right)]
    assert facts[0] == facts[1]
