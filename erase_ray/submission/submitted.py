"""The cells of a submission as a store, whose data are made anew elsewhere."""

from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from erase_ray.data.prepared import Prepared
from erase_ray.errors import EraseError, StoreError
from erase_ray.experiment.cell import Cell
from erase_ray.experiment.run import prepare_data
from erase_ray.experiment.setting import build_chain
from erase_ray.experiment.store import Store
from erase_ray.scenarios import Chain


class Submitted(Store):
    """A submission's folder; read-only.

    A submission has no data, whose owners may not allow it. Data and chains of requests are made
    in another store when they are asked for, from raw files that are found as jobs find them.

    Args:
        folder: Of the submission, unpacked.
        data: Where data are made; without one there are none.
    """

    def __init__(self, folder: Path, data: Store | None = None) -> None:
        super().__init__(str(folder), read_only=True)
        self._data = data
        self._cells: dict[str, Cell] | None = None

    def get_data(self, dataset: str, key: str) -> Prepared:
        """A prepared dataset that a cell of the submission reads.

        Raises:
            StoreError: It cannot be made here, with the reason.
        """
        store = self._made(dataset, key)
        return store.get_data(dataset, key)

    def get_chain(self, dataset: str, key: str, chain: str) -> Chain:
        """A chain of requests that a cell of the submission serves.

        Raises:
            StoreError: It cannot be made here, with the reason.
        """
        store = self._made(dataset, key)
        if not store.has_chain(dataset, key, chain):
            cell = self._asking(lambda cell: cell.scenario and cell.chain_key == chain)
            try:
                made = build_chain(cell.make_scenario(), store.get_data(dataset, key), cell.seed)
            except EraseError as error:
                raise StoreError(f"the requests of {cell.label} cannot be made: {error}") from error
            store.put_chain(dataset, key, chain, made)
        return store.get_chain(dataset, key, chain)

    def _made(self, dataset: str, key: str) -> Store:
        """The store with the data, once they are in it."""
        if self._data is None:
            raise StoreError(f"a submission has no data; it names the dataset '{dataset}'")
        if not self._data.has_data(dataset, key):
            part = self._asking(lambda cell: cell.data_key == key).dataset
            try:
                prepare_data(part, self._data)
            except EraseError as error:
                raise StoreError(f"the dataset '{dataset}' cannot be made here: {error}") from error
        return self._data

    def _asking(self, is_meant: Callable[[Cell], object]) -> Cell:
        for cell in self._known().values():
            if is_meant(cell):
                return cell
        raise StoreError("no cell of the submission asks for this")

    def _known(self) -> dict[str, Cell]:
        """The cells whose settings this version understands."""
        if self._cells is None:
            self._cells = {}
            for key in sorted(self.done_cells()):
                try:
                    self._cells[key] = Cell(**self.settings(key))
                except (EraseError, ValidationError, TypeError):
                    continue
        return self._cells
