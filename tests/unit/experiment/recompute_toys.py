"""Small stores whose results are computed again, and copies in which something is wrong."""

from pathlib import Path

import pandas as pd

from erase_ray.experiment.cell import Cell
from erase_ray.experiment.run import run_cell
from erase_ray.experiment.store import CellRecord, Store
from tests.conftest import CPU
from tests.unit.experiment.chain_toys import chain_cell, prepared

SCENARIOS = {
    "account": {"num_users": 9},
    "sensitive": {"category": "sensitive", "fraction": 0.05},
    "spam": {"ratio": 0.05},
    "item": {"num_items": 6},
}


def finished(scenario: str, folder: Path, model: str = "bpr") -> tuple[Store, Cell]:
    """A store with one cell that has passed its four marks."""
    cell = chain_cell(model, {"none": {}}, scenarios={scenario: SCENARIOS[scenario]})
    store = prepared(cell, folder)
    run_cell(cell, store, CPU)
    return store, cell


def copied(store: Store, cell: Cell, folder: Path, **tables: pd.DataFrame) -> Store:
    """Another store with the same cell, data and chain, but other ``tables``."""
    other = Store(str(folder))
    where = (cell.dataset.name, cell.data_key)
    other.put_data(store.get_data(*where), cell.data_key)
    other.put_chain(*where, cell.chain_key, store.get_chain(*where, cell.chain_key))
    stored = {name: store.table(cell.key, name) for name in ("results", "ranked")} | tables
    other.put_cell(cell.key, CellRecord(store.settings(cell.key), **stored))
    return other
