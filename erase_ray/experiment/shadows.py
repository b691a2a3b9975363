"""What a shadow model says of the examples that the chain makes vanish."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from erase_ray import seeds
from erase_ray.audits._observe import observe_examples, observe_queries
from erase_ray.data.interactions import Interactions
from erase_ray.experiment.measure import Measurements
from erase_ray.experiment.setting import Setting
from erase_ray.experiment.tables import SCHEMAS
from erase_ray.models import Model
from erase_ray.scenarios._base import NUM_MARKS
from erase_ray.tasks import Examples, Queries

POPULATION = 5000
"""Test queries that are observed besides; all where there are fewer."""
NOBODY = -1
"""The request of an example that belongs to none."""


class Unmeasured(Measurements):
    """Of a shadow model nothing is measured at the marks."""

    def __post_init__(self) -> None:
        """Ask nothing."""


@dataclass(frozen=True, eq=False)
class Targets:
    """Training examples of the full table that a chain makes vanish.

    Args:
        examples: The examples.
        request_N: Place in the chain of the request that each belongs to, int64, shape ``(N,)``.
            What two requests would each make vanish belongs to neither and is left out.
    """

    examples: Examples
    request_N: np.ndarray

    @classmethod
    def of(cls, setting: Setting, model: Model) -> "Targets":
        """Those of the full chain of a cell."""
        gone = _Vanishing(setting, model)
        found = [gone.of(request.users, request.rows) for request in setting.full_chain.requests]
        print_N = np.concatenate([prints for prints, _ in found])
        request_N = np.repeat(np.arange(len(found)), [len(prints) for prints, _ in found])
        _, first, counts = np.unique(print_N, return_index=True, return_counts=True)
        kept = np.sort(first[counts == 1])
        users = [request.users for request in setting.full_chain.requests]
        every = gone.examples(setting.everything.of_users(np.unique(np.concatenate(users))))
        place = {int(value): at for at, value in enumerate(every.fingerprints().tolist())}
        index = torch.tensor([place[int(value)] for value in print_N[kept]], dtype=torch.int64)
        return cls(every.take(index.to(setting.device)), request_N[kept])


@dataclass(frozen=True, eq=False)
class _Vanishing:
    setting: Setting
    model: Model

    def examples(self, interactions: Interactions) -> Examples:
        setting = self.setting
        return setting.task.examples(interactions, setting.split, setting.cut(self.model))

    def of(self, users: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, Examples]:
        """Fingerprints of the examples of ``users`` that vanish with ``rows``, and the examples."""
        own = self.setting.everything.of_users(users)
        before, after = self.examples(own), self.examples(own.without(rows))
        is_gone = ~torch.isin(before.fingerprints(), after.fingerprints())
        gone = before.take(torch.nonzero(is_gone).flatten())
        return gone.fingerprints().cpu().numpy(), gone


def vanishing(setting: Setting, model: Model, mark: int) -> Examples:
    """The training examples that the requests up to ``mark`` make vanish together."""
    merged = setting.full_chain.merged(mark)
    return _Vanishing(setting, model).of(merged.users, merged.rows)[1]


@dataclass(eq=False)
class Observer:
    """Observes the model of a shadow cell.

    Args:
        setting: What the cell works on.
        model: In the hands of the cell.
    """

    setting: Setting
    model: Model

    def frame(self) -> pd.DataFrame:
        """The model as it is now; columns of the stored table ``observed``.

        Raises:
            ScenarioError: The chain has too few requests.
        """
        targets = Targets.of(self.setting, self.model)
        population = self._population()
        value_N = observe_examples(self.model, targets.examples)
        member_R = self.setting.shadow.member_R
        known = {
            "row": targets.examples.rows.cpu().numpy(),
            "user": targets.examples.users.cpu().numpy(),
            "request": targets.request_N,
            "member": member_R[targets.request_N],
            "value": value_N,
        }
        others = {
            "row": population.inputs.rows.cpu().numpy(),
            "user": population.users,
            "request": np.full(len(population), NOBODY),
            "member": np.zeros(len(population), bool),
            "value": observe_queries(self.model, population),
        }
        both = pd.concat([pd.DataFrame(known), pd.DataFrame(others)], ignore_index=True)
        both.insert(0, "mark", NUM_MARKS)
        both.insert(1, "example", np.arange(len(both)))
        return both.reindex(columns=SCHEMAS["observed"].names)

    def _population(self) -> Queries:
        queries = self.setting.test_queries(self.model)
        draws = seeds.numpy_generator(self.setting.cell.seed, "shadow", "population")
        chosen = draws.permutation(len(queries))[:POPULATION]
        return queries.pick(np.sort(chosen))
