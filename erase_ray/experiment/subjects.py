"""The models of an audit, loaded from the store when they are asked for."""

from dataclasses import dataclass, field

import numpy as np
import torch

from erase_ray import seeds
from erase_ray.experiment import lineage
from erase_ray.experiment.cell import Cell
from erase_ray.experiment.results import ORIGINAL
from erase_ray.experiment.setting import Setting
from erase_ray.experiment.shadows import vanishing
from erase_ray.experiment.store import Store
from erase_ray.models import Model
from erase_ray.models._adam import Adam
from erase_ray.tasks import Examples, Queries
from erase_ray.training import adam_of, training_edges


@dataclass(eq=False)
class StoredSubjects:
    """:class:`erase_ray.audits.Subjects` of an audit cell.

    Args:
        setting: What the cell works on.
        store: Has the cells that the audit reads.
    """

    setting: Setting
    store: Store
    _learners: dict[int, Adam] = field(default_factory=dict)

    @property
    def seed(self) -> int:
        """Root of all draws."""
        return seeds.derive(self.setting.cell.seed, "audit")

    @property
    def marks(self) -> tuple[int, ...]:
        """The marks to look at."""
        return lineage.marks_of(self.setting.cell)

    def original(self) -> Model:
        """The base model."""
        return self.setting.base_model(self.store)

    def retrained(self, mark: int) -> Model:
        """The model trained without the rows of all requests up to ``mark``."""
        return self._loaded(lineage.retrained(self.setting.cell, mark), mark)

    def audited(self, mark: int) -> Model:
        """What the audited method left at ``mark``."""
        if self.setting.cell.method.name == ORIGINAL:
            return self.original()
        return self._loaded(lineage.audited(self.setting.cell, mark), mark)

    def queries(self, mark: int) -> dict[str, Queries]:
        """The ``test`` queries, and the ``probe`` queries of the people who count at ``mark``."""
        setting, model = self.setting, self.setting.fresh_model()
        probe = setting.probe_queries(model)
        counted = np.isin(probe.users, setting.chain.probed_at(mark))
        return {
            "test": setting.test_queries(model),
            "probe": probe.pick(np.flatnonzero(counted)),
        }

    def forgotten(self, mark: int) -> Examples:
        """The training examples that the requests up to ``mark`` make vanish."""
        return vanishing(self.setting, self.setting.fresh_model(), mark)

    def learn(self, model: Model, examples: Examples, step: int) -> float:
        """One optimiser step of training ``model`` on all of some examples; the loss before it."""
        training = self.setting.cell.training
        if step == 0:
            self._learners[id(model)] = adam_of(model, training)
        adam, draw = self._learners[id(model)], seeds.derive(self.seed, "learn", step)
        adam.listen()
        adam.zero_grad()
        model.train()
        model.start_epoch(draw)
        total, order = 0.0, torch.arange(len(examples), device=examples.rows.device)
        for batch in examples.batches(order, training.batch_size, draw):
            with seeds.torch_scope(draw, order.device):
                loss = model.loss(batch).sum() / len(examples)
            loss.backward()
            total += float(loss.detach())
        adam.step()
        return total

    def _loaded(self, cell: Cell, mark: int) -> Model:
        setting, chain = self.setting, self.setting.chain
        weights = self.store.manifest(cell.key)["weights"][str(mark)]
        method = cell.make_method()
        model = setting.fresh_model()
        if not method.needs_base:
            model = setting.built_model(method)
        model.load_state_dict(self.store.get_weights(weights))
        if model.has_edges:
            rows = chain.rows(chain.marks[mark - 1])
            left = setting.interactions.without(rows)
            model.set_edges(*training_edges(left, setting.split, setting.device))
        return model
