"""Small stores to submit, and submissions in which something is wrong."""

import hashlib
import json
from pathlib import Path

import pandas as pd

from erase_ray.experiment.grid import expand
from erase_ray.experiment.grid_file import Block
from erase_ray.experiment.plan import build
from erase_ray.experiment.run import run_node
from erase_ray.experiment.store import Store
from erase_ray.experiment.tables import from_parquet, to_parquet
from erase_ray.experiment.walk import run_serial

RUN = "r1"
BLOCK = {
    "datasets": {"planted": {"task": "cf", "num_users": 60, "num_items": 72}},
    "models": {"bpr": {"embedding_size": 8}},
    "training": {"epochs": 1, "batch_size": 64},
    "scenarios": {"sensitive": {"category": "sensitive", "fraction": 0.05}},
    "methods": {"none": {}, "original": {}, "retrain": {}},
    "seeds": [2],
}
NOT_DONE = 3
"""The retrained models at the marks from this one on are planned and not run."""


def filled(folder: Path) -> Store:
    """A store with a run: a base model and all cells but two, one of which has failed."""
    cells = expand([Block(**BLOCK)])
    plan = build(cells)
    late = [cell for cell in cells if (cell.mark or 0) >= NOT_DONE]
    walk = run_serial(build([cell for cell in cells if cell not in late]), str(folder), run_node)
    assert not walk.failures
    store = Store(str(folder))
    store.put_run(RUN, "plan.json", plan.to_json())
    failed = {"key": late[0].key, "label": late[0].label, "error": "OSError: no /home/ann/disk"}
    store.put_run(RUN, "status.json", json.dumps({"failed": [failed]}))
    return store


def tables(folder: Path, key: str, name: str) -> pd.DataFrame:
    """A table of a cell in the folder of a submission."""
    return from_parquet((cell_folder(folder, key) / f"{name}.parquet").read_bytes())


def cell_folder(folder: Path, key: str) -> Path:
    """Where the files of a cell are."""
    return folder / "cells" / key[:2] / key


def forge(folder: Path, key: str, **frames: pd.DataFrame) -> None:
    """Put other tables in the place of those of a cell, with all checksums made to fit."""
    own = cell_folder(folder, key)
    manifest = json.loads((own / "manifest.json").read_text())
    for name, frame in frames.items():
        (own / f"{name}.parquet").write_bytes(to_parquet(name, frame))
        manifest["files"][f"{name}.parquet"] = described(own / f"{name}.parquet")
    (own / "manifest.json").write_text(json.dumps(manifest))
    whole = folder / "manifest.json"
    if whole.exists():
        said = json.loads(whole.read_text())
        for path in own.iterdir():
            said["files"][path.relative_to(folder).as_posix()] = described(path)
        whole.write_text(json.dumps(said))


def described(path: Path) -> dict[str, object]:
    """As manifests describe files."""
    data = path.read_bytes()
    return {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
