"""All that a cell works on: data, task, model and chain, loaded from the store."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from erase_ray.data.interactions import Interactions
from erase_ray.data.prepared import Prepared
from erase_ray.data.split import Split
from erase_ray.errors import ScenarioError, StoreError
from erase_ray.experiment.cell import Cell
from erase_ray.experiment.journal import Journal
from erase_ray.experiment.results import BASE
from erase_ray.experiment.shadow_view import ShadowView
from erase_ray.experiment.store import Store
from erase_ray.methods import Method
from erase_ray.models import Model, Shape
from erase_ray.registry import EDITION
from erase_ray.scenarios import Chain, ChainView, Scenario
from erase_ray.scenarios._base import NUM_MARKS
from erase_ray.scenarios._view import UNLEARNED, Moment
from erase_ray.tasks import Cut, Queries, Task
from erase_ray.training import training_edges


@dataclass(frozen=True, eq=False)
class Setting:
    """A cell with everything it needs, on a device."""

    cell: Cell
    data: Prepared
    device: torch.device
    store: Store

    @classmethod
    def load(cls, cell: Cell, store: Store, device: torch.device) -> "Setting":
        """The setting of ``cell``, with the dataset read from the store.

        Raises:
            StoreError: The store does not hold the prepared dataset.
            ScenarioError: The cell audits a scenario of another edition.
        """
        _check_audit(cell)
        name, key = cell.dataset.name, cell.data_key
        if not store.has_data(name, key):
            raise StoreError(
                f"the store has no prepared dataset '{name}' ({key[:12]}); prepare it first"
            )
        return cls(cell, store.get_data(name, key), device, store)

    @property
    def task(self) -> Task:
        """How the base model, and methods, read rows."""
        return self.view.task

    @property
    def interactions(self) -> Interactions:
        """All that the base model is trained on: the full table, and behind it the fakes.

        A shadow model has never seen the rows of the requests that are out.
        """
        if self.cell.shadow is not None:
            return self.shadow.seen(self.view.interactions)
        return self.view.interactions

    @property
    def split(self) -> Split:
        """The mark of every row of :attr:`interactions`; fakes are train."""
        return self.view.split

    @cached_property
    def scenario(self) -> Scenario:
        """The cell's scenario."""
        return self.cell.make_scenario()

    @property
    def chain(self) -> Chain:
        """The requests to serve; for a shadow model those that are in."""
        return self.full_chain if self.cell.shadow is None else self.shadow.chain

    @cached_property
    def shadow(self) -> ShadowView:
        """What a shadow model sees; the cell must be one of a shadow model."""
        assert self.cell.shadow is not None
        return ShadowView(self.full_chain, self.cell.shadow, self.cell.seed)

    @property
    def full_chain(self) -> Chain:
        """The requests of the scenario, from the store; made and stored if they are not there."""
        return self.view.chain

    @cached_property
    def _stored_chain(self) -> Chain:
        where = (self.cell.dataset.name, self.cell.data_key, self.cell.chain_key)
        if not self.store.has_chain(*where):
            chain = build_chain(self.scenario, self.data, self.cell.seed)
            self.store.put_chain(*where, chain)
            return chain
        return self.store.get_chain(*where)

    @cached_property
    def view(self) -> ChainView:
        """The protocol: what is trained on, and what is asked at each mark."""
        if self.cell.scenario is None:
            return ChainView(self.data, self._nobody)
        chain = self._stored_chain if self._needs_chain else self._nobody
        return self.scenario.view(self.data, chain)

    @property
    def _needs_chain(self) -> bool:
        """Whether there are requests; a base model has none unless there are fakes."""
        cell = self.cell
        return cell.method.name != BASE or cell.shadow is not None or self.scenario.poisons

    @property
    def _nobody(self) -> Chain:
        return Chain.of_nobody(self.data.interactions.num_items)

    @property
    def everything(self) -> Interactions:
        """The full table, and behind it the fakes, whatever a shadow model has seen of it."""
        return self.view.interactions

    def fresh_model(self) -> Model:
        """A model with tables of the full size; its weights are still to be set."""
        shape = Shape(self.interactions.num_users, self.interactions.num_items)
        return self.cell.make_model(shape).to(self.device)

    def base_model(self, store: Store) -> Model:
        """The trained base model of the cell, from the store."""
        base = store.manifest(self.cell.base.key)
        model = self.fresh_model()
        model.load_state_dict(store.get_weights(base["weights"]["0"]))
        return self._with_edges(model, self.leaks_edges)

    @property
    def leaks_edges(self) -> bool:
        """Whether the cell's model reads the edges of all rows, and keeps those forgotten."""
        return self.view.leaks_edges and self.cell.subject == UNLEARNED

    def built_model(self, method: Method) -> Model:
        """What ``method`` makes of fresh models, for methods that train their own."""
        return self._with_edges(method.build(self.fresh_model).to(self.device))

    def _with_edges(self, model: Model, leaks: bool = False) -> Model:
        if model.has_edges:
            split = Split(np.zeros_like(self.split.marks)) if leaks else self.split
            model.set_edges(*training_edges(self.interactions, split, self.device))
        return model

    def journal(self, store: Store) -> Journal:
        """Where a chain leaves its snapshots, for a successor on the same kind of device."""
        identity = {"chain": self.chain.hash, "device": self.device.type}
        return store.journal(self.cell.key, identity)

    def cut(self, model: Model) -> Cut:
        """How histories are cut for ``model``."""
        return Cut(model.max_history, self.device)

    @property
    def cleaned(self) -> Interactions:
        """The table without the rows of any request: what all models are scored on."""
        return self.view.cleaned

    def moment(self, mark: int) -> Moment:
        """The cell's model at a mark, as far as that plays a part in what is asked."""
        return self.view.moment(self.cell.subject, mark)

    def test_queries(self, model: Model, mark: int = NUM_MARKS) -> Queries:
        """Test rows that no request names, with histories that show nothing forgotten or fake."""
        return self.view.test_queries(self.cut(model), self.moment(mark))

    def probe_queries(self, model: Model, mark: int = NUM_MARKS) -> Queries:
        """One query for each person to probe, over his or her cleaned history."""
        return self.view.probe_queries(self.cut(model), self.moment(mark))


def _check_audit(cell: Cell) -> None:
    audits = cell.audit is not None or cell.shadow is not None
    if audits and cell.scenario is not None and EDITION in cell.scenario.settings:
        raise ScenarioError(
            f"audits compare models under the corrected protocol; leave '{EDITION}' of scenario "
            f"'{cell.scenario.name}' out, or the audits"
        )


def build_chain(scenario: Scenario, data: Prepared, seed: int) -> Chain:
    """The chain of a scenario on prepared data.

    Raises:
        ScenarioError: No request can be made, with the reason.
    """
    return scenario.build(data.interactions, data.split, data.catalogue, seed)


def queries_hash(queries: Queries) -> str:
    """SHA-256 over who asks, for which rows, what would be right and what is masked."""
    digest = hashlib.sha256()
    rows = queries.inputs.rows.cpu().numpy()
    lists = (queries.relevant, queries.masked)
    arrays = [rows, queries.users, *(part for csr in lists for part in (csr.offsets, csr.values))]
    for array in arrays:
        digest.update(np.ascontiguousarray(array, np.int64).tobytes())
    return digest.hexdigest()
