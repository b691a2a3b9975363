"""The data that quality is measured on: a film table, real sessions, real baskets."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from erase_ray.data.interactions import COLUMNS, Interactions
from erase_ray.data.prepare import numbered
from erase_ray.data.split import Split
from erase_ray.datasets import DATASETS
from erase_ray.datasets._scratch import Scratch
from erase_ray.experiment.cell import Part, data_key
from erase_ray.experiment.run import prepare_data
from erase_ray.experiment.store import Store
from erase_ray.tasks import TASKS, Task

NUM_SESSIONS = 6_000
LONGEST_SESSION = 15
NUM_SHOPPERS = 4_000
SESSIONS: dict[str, Any] = {
    "task": "session_based",
    "interactions": "diginetica_sessions.parquet",
    "columns": {"session": "session_id", "item": "item_id", "time": "position"},
    "min_item_count": 100,
    "min_sequence_length": 3,
}
BASKETS: dict[str, Any] = {
    "task": "next_basket",
    "interactions": "tafeng_baskets.parquet",
    "columns": {"user": "user_id", "item": "item_id", "basket": "basket"},
    "min_item_count": 50,
    "min_baskets": 4,
}


@dataclass(frozen=True)
class Data:
    """Rows with their split, and how they are read."""

    title: str
    task: Task
    interactions: Interactions
    split: Split


def films(storage: str) -> Data:
    """MovieLens 100k, all ratings, prepared in the store if it is not there."""
    store, part = Store(storage), Part.resolved(DATASETS, "movielens_100k", {})
    prepare_data(part, store)
    data = store.get_data(part.name, data_key(part))
    return _data("MovieLens 100k", "cf", data.interactions)


def sessions(folder: Path) -> Data:
    """Diginetica, a dense part: items with 100 clicks or more, sessions of 3 to 15 clicks on those
    (RecBole pads all windows to the longest), and of these the latest 6,000 by id.
    """
    table = _read(SESSIONS, folder)
    long = np.flatnonzero(np.bincount(table.sequence) > LONGEST_SESSION)
    table = table.without(table.row[np.isin(table.sequence, long)])
    return _data("Diginetica", "session_based", _latest(table, NUM_SESSIONS))


def baskets(folder: Path) -> Data:
    """Ta-Feng, a dense part: shoppers with 4 baskets or more, items in 50 of their baskets or
    more, then shoppers with 4 baskets or more left, and of these the last 4,000 by id.
    """
    return _data("Ta-Feng", "next_basket", _latest(_read(BASKETS, folder), NUM_SHOPPERS))


def table(title: str, settings: dict[str, Any], folder: Path) -> Data:
    """A table of a folder, read with some settings of the dataset ``table``."""
    return _data(title, settings["task"], _read(settings, folder))


def read(task: str, storage: str, folder: Path | None) -> Data | None:
    """The data of a task; None where it lies in a folder that was not given."""
    if task == "cf":
        return films(storage)
    readers: dict[str, Callable[[Path], Data]] = {
        "session_based": sessions,
        "next_basket": baskets,
    }
    return readers[task](folder) if folder else None


def write_split(data: Data, path: Path) -> None:
    """Rows in order with the part of each, for other programs."""
    table = data.interactions
    owner = "user" if data.task.name == "cf" else "sequence"
    columns = {owner: getattr(table, owner), "item": table.item, "part": data.split.of(table)}
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(columns).to_csv(path, index=False)


def _read(settings: dict[str, Any], folder: Path) -> Interactions:
    kind = DATASETS.get("table")
    dataset = kind(kind.Settings(**settings))
    files = {file.name: folder / file.name for file in dataset.own_files}
    return numbered(dataset.read(files, Scratch.default()))[0]


def _latest(table: Interactions, num_sequences: int) -> Interactions:
    """The last sequences, with users, sequences and items numbered anew in the same order."""
    last = np.unique(table.sequence)[-num_sequences:]
    keep = np.isin(table.sequence, last)
    columns = {name: getattr(table, name)[keep] for name in COLUMNS}
    for name in ("user", "sequence", "item"):
        columns[name] = np.unique(columns[name], return_inverse=True)[1]
    return Interactions.prepared(columns)


def _data(title: str, task_name: str, table: Interactions) -> Data:
    task = TASKS.get(task_name)()
    return Data(title, task, table, task.split(table))
