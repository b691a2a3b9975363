"""People who want everything about them forgotten."""

import math
from typing import ClassVar

import numpy as np
from pydantic import Field

from erase_ray import seeds
from erase_ray.data.catalogue import Catalogue
from erase_ray.data.interactions import Interactions
from erase_ray.data.split import Split
from erase_ray.errors import ScenarioError
from erase_ray.scenarios._base import SCENARIOS, Chain, ChainSettings, Scenario
from erase_ray.scenarios._order import served, wishes_by


@SCENARIOS.register
class Account(Scenario):
    """Each request takes all rows of one user, in all parts: the right to be forgotten.

    Nobody is left to ask, so there are no items whose exposure could be measured. The same seed
    with more users asks the same ones and more.
    """

    version: ClassVar[int] = 1

    class Settings(ChainSettings):
        """Settings of `Account`."""

        fraction: float = Field(default=0.01, gt=0, lt=1)
        """Share of the users (rounded down to whole ones) who ask."""
        num_users: int = Field(default=0, ge=0)
        """How many users ask; 0 leaves it to ``fraction``."""

    @property
    def fraction(self) -> float:
        """The share of users; NaN where their number was given."""
        return math.nan if self.settings.num_users else self.settings.fraction

    def rough_requests(self, num_rows: int, num_users: int) -> float:
        """One a person."""
        return self.settings.num_users or self.settings.fraction * num_users

    def build(
        self, interactions: Interactions, split: Split, catalogue: Catalogue, seed: int
    ) -> Chain:
        """The chain; split and catalogue play no part in it.

        Raises:
            ScenarioError: Nobody would ask, or nobody would be left.
        """
        known = np.unique(interactions.user)
        order = seeds.numpy_generator(seed, "account").permutation(len(known))
        chosen = np.sort(known[order[: self._number(len(known))]]).astype(np.int64)
        asks_U = np.zeros(interactions.num_users, bool)
        asks_U[chosen] = True
        mine_R = asks_U[interactions.user]
        wishes = wishes_by(interactions.user[mine_R], interactions.row[mine_R])
        requests, _ = served(wishes, interactions, self.settings, seed)
        nothing_I = np.zeros(interactions.num_items, bool)
        return Chain(requests=requests, probe=chosen, items=nothing_I)

    def _number(self, num_known: int) -> int:
        # the small number keeps 0.29 * 100 (28.999...) from losing a user to rounding
        share = int(self.settings.fraction * num_known + 1e-9)
        number = self.settings.num_users or share
        if not number:
            raise ScenarioError(
                f"fraction {self.settings.fraction:g} of {num_known} users is less than one; "
                f"raise the fraction to {1 / max(num_known, 1):.1e} or more, or set num_users"
            )
        if number >= num_known:
            raise ScenarioError(
                f"num_users is {number}, and there are {num_known} users, so nobody would be "
                "left; lower it"
            )
        return number
