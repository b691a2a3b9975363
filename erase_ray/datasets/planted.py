"""Made-up data whose right answer is known by construction."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, Self

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from erase_ray import seeds
from erase_ray.datasets import _planting
from erase_ray.datasets._base import DATASETS, Dataset
from erase_ray.datasets._raw import RawData
from erase_ray.datasets._scratch import Scratch
from erase_ray.settings import Frozen

MAKERS = {
    "cf": _planting.choices,
    "session_based": _planting.sessions,
    "next_basket": _planting.baskets,
}


@DATASETS.register
class Planted(Dataset):
    """Groups of people who like their own group of items, and nearly nothing else.

    Each ordinary item belongs to one group of people. Each sensitive item belongs to two
    neighbouring groups, of which ``inclined_share`` of the people take it; so who has a sensitive
    item has things in common with people who do not, and a trained model keeps recommending
    sensitive items to somebody who asked to forget them. The category ``nothing`` is empty.

    A model that has learnt the groups (cf), the fixed order in which people of a group go through
    its items (session_based), or each person's favourites (next_basket) is far better than
    popularity.
    """

    rough_size: ClassVar[tuple[int, int, int]] = (9_000, 300, 120)

    class Settings(Frozen):
        """Settings of `Planted`."""

        task: Literal["cf", "session_based", "next_basket"] = "cf"
        """The task that the data is made for."""

        num_users: int = Field(default=300, ge=12)
        """People."""

        num_items: int = Field(default=120, ge=40)
        """Items, the sensitive ones included."""

        num_sensitive: int = Field(default=12, ge=1)
        """Sensitive items."""

        num_groups: int = Field(default=6, ge=2, multiple_of=2)
        """Groups of people."""

        inclined_share: float = Field(default=0.5, gt=0, le=1)
        """Share of people who take the sensitive items of their group (0 to 1)."""

        seed: int = Field(default=0, ge=0)
        """Root of all draws."""

        @model_validator(mode="after")
        def _every_group_has_items(self) -> Self:
            ordinary = self.num_items - self.num_sensitive
            if ordinary < 10 * self.num_groups:
                raise ValueError(
                    f"{ordinary} ordinary items are too few for {self.num_groups} groups; "
                    f"num_items - num_sensitive must be {10 * self.num_groups} or more"
                )
            return self

    @property
    def title(self) -> str:
        """With the task."""
        return f"{self.name}:{self.task}"

    @property
    def task(self) -> str:
        """What the setting says."""
        return self.settings.task

    def read(self, files: dict[str, Path], scratch: Scratch) -> RawData:
        """Draw the interactions; no files are needed."""
        answer = truth(self.settings)
        rng = seeds.numpy_generator(self.settings.seed, "planted", self.task)
        rows = MAKERS[self.task](answer.world, rng)
        users, items = np.array(answer.users), np.array(answer.items)
        number = rows.pop("sequence")
        user = users[rows["user"]]
        sequence = user if self.task != "session_based" else [f"s{n}" for n in number]
        table = pd.DataFrame({**rows, "user": user, "sequence": sequence})
        table["item"] = items[rows["item"]]
        sensitive = set(answer.sensitive)
        return RawData.of_frame(table, answer.labels, {"sensitive": sensitive, "nothing": set()})


@dataclass(frozen=True, eq=False)
class Truth:
    """How planted data was made.

    Args:
        world: Groups of people and items, by number.
        users: Outer id of each person.
        items: Outer id of each item.
    """

    world: _planting.World
    users: tuple[str, ...]
    items: tuple[str, ...]

    @property
    def user_groups(self) -> dict[str, int]:
        """Group of each person."""
        return dict(zip(self.users, self.world.group_U.tolist(), strict=True))

    @property
    def item_groups(self) -> dict[str, tuple[int, ...]]:
        """Group of each ordinary item, the two groups of each sensitive one."""
        owners = [tuple(np.flatnonzero(row).tolist()) for row in self.world.likes_GI.T]
        return dict(zip(self.items, owners, strict=True))

    @property
    def sensitive(self) -> tuple[str, ...]:
        """The sensitive items."""
        return tuple(self.items[i] for i in np.flatnonzero(self.world.sensitive_I))

    @property
    def inclined(self) -> tuple[str, ...]:
        """The people who take sensitive items as they take others of their group."""
        return tuple(self.users[u] for u in np.flatnonzero(self.world.inclined_U))

    @property
    def labels(self) -> dict[str, str]:
        """A description of each item."""
        kinds = np.where(self.world.sensitive_I, "sensitive item", "item")
        groups = self.item_groups
        return {
            item: f"{kind} of group {' and '.join(map(str, groups[item]))}"
            for item, kind in zip(self.items, kinds, strict=True)
        }


def truth(settings: Planted.Settings) -> Truth:
    """The right answer of the data that ``settings`` make."""
    world = _planting.World.drawn(
        (settings.num_users, settings.num_items, settings.num_groups),
        settings.num_sensitive,
        settings.inclined_share,
        seeds.numpy_generator(settings.seed, "planted", "world"),
    )
    users = tuple(f"u{number:04d}" for number in range(settings.num_users))
    items = tuple(f"i{number:04d}" for number in range(settings.num_items))
    return Truth(world, users, items)
