"""Fake people who promote a few items, and who are to be forgotten again."""

import math
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from erase_ray import seeds
from erase_ray.data.catalogue import Catalogue
from erase_ray.data.interactions import Interactions
from erase_ray.data.split import Split
from erase_ray.errors import ScenarioError
from erase_ray.scenarios._bands import Bands
from erase_ray.scenarios._base import SCENARIOS, Chain, ChainSettings, Scenario
from erase_ray.scenarios._fake_baskets import baskets
from erase_ray.scenarios._fake_runs import profiles, sessions
from erase_ray.scenarios._fakes import Attack
from erase_ray.scenarios._order import served, wishes_by

MAKERS = {"cf": profiles, "session_based": sessions, "next_basket": baskets}
"""What is faked, by the task of the data."""


ROWS_PER_SESSION = 8
"""About, for planning."""


@SCENARIOS.register
class Spam(Scenario):
    """Each request takes all rows of one fake person; the base model was trained on all of them.

    Fakes are made like the real data of their task: sessions (one a fake), people with baskets,
    or, for collaborative filtering, profiles whose lengths and times are drawn as those of
    sessions and in which no item is twice. All their rows are training data, none is a query. Real
    people are probed, the same ones at every mark, for the items that the fakes promote.
    """

    version: ClassVar[int] = 1
    poisons: ClassVar[bool] = True
    chain_only: ClassVar[tuple[str, ...]] = (*Scenario.chain_only, "num_probe")

    class Settings(ChainSettings):
        """Settings of `Spam`."""

        attack: Literal["bandwagon", "average", "random", "push"] = "bandwagon"
        """What surrounds the targets. ``bandwagon``: the most popular 20 % of the items.
        ``average``: ranks 30 % to 70 %. ``random`` and ``push``: all items."""
        targets: Literal["unpopular", "popular", "random"] = "unpopular"
        """What is promoted: items of the least popular 20 %, of the most popular 5 %, or any."""
        ratio: float = Field(default=0.01, gt=0, lt=1)
        """Share of the sequences (people or sessions) of the poisoned data that are fakes."""
        num_targets: int = Field(default=10, ge=1)
        """Items that are promoted."""
        num_probe: int = Field(default=2000, ge=1)
        """Real people who are probed, at most."""

    @property
    def category(self) -> str:
        """The kind of attack."""
        return self.settings.attack

    @property
    def fraction(self) -> float:
        """The share of fakes."""
        return self.settings.ratio

    def rough_requests(self, num_rows: int, num_users: int) -> float:
        """One a fake."""
        sequences = num_rows / ROWS_PER_SESSION if self.task == "session_based" else num_users
        return self.settings.ratio * sequences

    def build(
        self, interactions: Interactions, split: Split, catalogue: Catalogue, seed: int
    ) -> Chain:
        """The chain with its fake rows; split and catalogue play no part in it.

        Raises:
            ScenarioError: The task is not one that fakes can be made for, or there are fewer
                items than are to be promoted.
        """
        if self.task not in MAKERS:
            raise ScenarioError(
                f"no fakes can be made for task '{self.task}'. Known: {', '.join(MAKERS)}"
            )
        bands = Bands.of(interactions)
        targets = self._targets(bands, seed)
        generator = seeds.numpy_generator(seed, "spam", "fakes")
        num_fakes = self._num_fakes(interactions.num_sequences)
        attack = Attack(num_fakes, targets, self._fillers(bands), generator)
        poison = MAKERS[self.task](interactions, attack)
        wishes = wishes_by(poison.user, poison.row)
        items_I = np.zeros(interactions.num_items, bool)
        items_I[targets] = True
        return Chain(
            requests=served(wishes, poison, self.settings, seed)[0],
            probe=self._probe(interactions.num_users, seed),
            items=items_I,
            poison=poison,
            probes_all=True,
        )

    def _num_fakes(self, num_sequences: int) -> int:
        ratio = self.settings.ratio
        # the small number keeps 0.2 * 20 / 0.8 (5.000...1) from becoming 6
        return math.ceil(ratio * num_sequences / (1 - ratio) - 1e-9)

    def _targets(self, bands: Bands, seed: int) -> np.ndarray:
        rule, wanted = self.settings.targets, self.settings.num_targets
        kinds = {"unpopular": bands.unpopular(), "popular": bands.popular(0.05)}
        pool = kinds.get(rule, bands.ranked_I)
        if len(pool) < wanted:
            raise ScenarioError(
                f"num_targets is {wanted}, but only {len(pool)} of {len(bands.ranked_I)} items "
                f"are {rule}; lower it"
            )
        generator = seeds.numpy_generator(seed, "spam", "targets", rule)
        return np.sort(pool[generator.permutation(len(pool))[:wanted]])

    def _fillers(self, bands: Bands) -> np.ndarray:
        kinds = {"bandwagon": bands.popular(), "average": bands.between(0.3, 0.7)}
        return kinds.get(self.settings.attack, bands.ranked_I)

    def _probe(self, num_users: int, seed: int) -> np.ndarray:
        order = seeds.numpy_generator(seed, "spam", "probe").permutation(num_users)
        return np.sort(order[: self.settings.num_probe]).astype(np.int64)
