"""Items that are withdrawn and have to disappear for everybody."""

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
from erase_ray.scenarios._order import marks_of, served, wishes_by


@SCENARIOS.register
class Item(Scenario):
    """Each request takes all rows of one item, of everybody and in all parts.

    People who had one of the items are probed for them; person and item count from the mark on at
    which the item is gone. The same seed with more items withdraws the same ones and more.
    """

    version: ClassVar[int] = 1

    class Settings(ChainSettings):
        """Settings of `Item`."""

        num_items: int = Field(default=10, ge=1)
        """Items that are withdrawn."""
        choose: Literal["random", "popular", "unpopular"] = "random"
        """Which may be drawn: all, the most or the least popular 20 %."""
        category: str = ""
        """Only items of this category are withdrawn; empty: of any or none."""
        num_probe: int = Field(default=2000, ge=1)
        """People who are probed, at most."""

    def rough_requests(self, num_rows: int, num_users: int) -> float:
        """One an item."""
        return self.settings.num_items

    def build(
        self, interactions: Interactions, split: Split, catalogue: Catalogue, seed: int
    ) -> Chain:
        """The chain; the split plays no part in it.

        Raises:
            ScenarioError: The category is unknown or empty, there are fewer items to draw from
                than wanted, or no row would be left.
        """
        chosen = self._chosen(interactions, catalogue, seed)
        items_I = np.zeros(interactions.num_items, bool)
        items_I[chosen] = True
        gone_R = items_I[interactions.item]
        if gone_R.all():
            raise ScenarioError(f"all rows are of the {len(chosen)} items; lower num_items")
        item_N, row_N = interactions.item[gone_R], interactions.row[gone_R]
        rows = [rows for _, rows in wishes_by(item_N, row_N)]
        owners = [interactions.user[np.searchsorted(interactions.row, part)] for part in rows]
        users = [np.unique(part).astype(np.int64) for part in owners]
        wishes = list(zip(users, rows, strict=True))
        requests, order = served(wishes, interactions, self.settings, seed)
        item_marks = np.ones(interactions.num_items, np.int8)
        item_marks[chosen] = marks_of(order)
        return Chain(
            requests=requests,
            probe=self._probe(np.unique(np.concatenate(users)), seed),
            items=items_I,
            item_marks=item_marks,
        )

    def _chosen(self, interactions: Interactions, catalogue: Catalogue, seed: int) -> np.ndarray:
        """Withdrawn items, ascending; none without a row."""
        settings = self.settings
        bands = Bands.of(interactions)
        kinds = {"popular": bands.popular(), "unpopular": bands.unpopular()}
        allowed_I = np.zeros(interactions.num_items, bool)
        allowed_I[kinds.get(settings.choose, bands.ranked_I)] = True
        if settings.category:
            allowed_I &= catalogue.members(settings.category)
        allowed_I &= np.bincount(interactions.item, minlength=len(allowed_I)) > 0
        pool = np.flatnonzero(allowed_I)
        if len(pool) < settings.num_items:
            kind = f" of category '{settings.category}'" if settings.category else ""
            raise ScenarioError(
                f"num_items is {settings.num_items}, but only {len(pool)} {settings.choose} items"
                f"{kind} can be withdrawn; lower it"
            )
        generator = seeds.numpy_generator(seed, "item", settings.choose, settings.category)
        return np.sort(pool[generator.permutation(len(pool))[: settings.num_items]])

    def _probe(self, users: np.ndarray, seed: int) -> np.ndarray:
        order = seeds.numpy_generator(seed, "item", "probe").permutation(len(users))
        return np.sort(users[order[: self.settings.num_probe]])
