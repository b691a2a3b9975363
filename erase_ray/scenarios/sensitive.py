"""People who want everything of one category forgotten."""

import logging
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from erase_ray import seeds
from erase_ray.data.catalogue import Catalogue
from erase_ray.data.interactions import Interactions
from erase_ray.data.split import Split
from erase_ray.errors import ScenarioError
from erase_ray.scenarios._base import SCENARIOS, Chain, ChainSettings, Scenario
from erase_ray.scenarios._order import served, wishes_by

logger = logging.getLogger(__name__)

_LEAST = ("min_rows_named", "min_rows_left", "min_steps_left")


@SCENARIOS.register
class Sensitive(Scenario):
    """Each request takes all rows of one user with items of the category, in all parts.

    Users are drawn in a random order until the requested share of all rows is reached. The same
    seed with a larger share asks the same users and more (with ``closest`` as with ``reach``).
    The draw decides who asks, ``order`` decides when.
    """

    version: ClassVar[int] = 1

    class Settings(ChainSettings):
        """Settings of `Sensitive`."""

        category: str
        """Category of the catalogue that is to be forgotten."""
        fraction: float = Field(gt=0, lt=1)
        """Share of all rows (rounded down to whole rows) that the requests name together."""
        stop_rule: Literal["closest", "reach"] = "closest"
        """``closest``: the first user who would pass the number of rows asks only if that brings
        the total closer to it. ``reach``: users ask until the number is reached."""
        min_rows_named: int = Field(default=1, ge=1)
        """Only users ask who have at least this many rows of the category."""
        min_rows_left: int = Field(default=0, ge=0)
        """Only users ask who keep at least this many rows."""
        min_steps_left: int = Field(default=0, ge=0)
        """Only users ask who keep at least this many steps (baskets, for next-basket data)."""

    def build(
        self, interactions: Interactions, split: Split, catalogue: Catalogue, seed: int
    ) -> Chain:
        """The chain; the split plays no part in it.

        Raises:
            ScenarioError: The category is unknown or empty, nobody can ask, or the share of rows
                is less than one row or than what the first user would ask for.
        """
        items_I = catalogue.members(self.settings.category)
        named_R = items_I[interactions.item]
        target = self._target(len(interactions))
        users, sizes = self._candidates(interactions, named_R)
        generator = seeds.numpy_generator(seed, "sensitive", self.settings.category)
        order = generator.permutation(len(users))
        chosen = np.sort(users[order[: self._number(sizes[order], target)]]).astype(np.int64)
        mine_R = named_R & _among(chosen, interactions)[interactions.user]
        wishes = wishes_by(interactions.user[mine_R], interactions.row[mine_R])
        requests, _ = served(wishes, interactions, self.settings, seed)
        return Chain(requests=requests, probe=chosen, items=items_I)

    def _target(self, num_rows: int) -> int:
        # the small number keeps 0.29 * 100 (28.999...) from losing a row to rounding
        target = int(self.settings.fraction * num_rows + 1e-9)
        if not target:
            raise ScenarioError(
                f"fraction {self.settings.fraction:g} of {num_rows} rows is less than one row; "
                f"raise the fraction to {1 / max(num_rows, 1):.1e} or more"
            )
        return target

    def _candidates(
        self, interactions: Interactions, named_R: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Users who can ask, ascending, and how many rows each would name."""
        category = self.settings.category
        users, sizes = np.unique(interactions.user[named_R], return_counts=True)
        if not len(users):
            raise ScenarioError(
                f"no user has an item of category '{category}' in {len(interactions)} rows; "
                "choose another category"
            )
        able = self._able(interactions, named_R, users, sizes)
        if not able.any():
            wanted = ", ".join(f"{name} {getattr(self.settings, name)}" for name in _LEAST)
            raise ScenarioError(
                f"none of the {len(users)} users with items of category '{category}' has what "
                f"the settings ask for ({wanted}); lower them"
            )
        return users[able], sizes[able]

    def _able(
        self, interactions: Interactions, named_R: np.ndarray, users: np.ndarray, sizes: np.ndarray
    ) -> np.ndarray:
        """True for those of ``users`` who have, and keep, as much as the settings ask for."""
        settings = self.settings
        able = sizes >= settings.min_rows_named
        if settings.min_rows_left:
            all_sizes = np.bincount(interactions.user, minlength=interactions.num_users)
            able &= all_sizes[users] - sizes >= settings.min_rows_left
        if settings.min_steps_left:
            able &= _steps_left(interactions, named_R, users) >= settings.min_steps_left
        return able

    def _number(self, sizes: np.ndarray, target: int) -> int:
        """How many of the users, in the order of their sizes, ask."""
        totals = np.append(0, sizes.cumsum())
        if totals[-1] < target:
            logger.warning("only %d of the %d rows to forget are there", totals[-1], target)
            return len(sizes)
        if self.settings.stop_rule == "reach":
            return int(np.searchsorted(totals, target))
        within = int(np.searchsorted(totals, target, side="right")) - 1
        over = totals[min(within + 1, len(sizes))] - target
        number = within + int(0 < over < target - totals[within])
        if not number:
            raise ScenarioError(
                f"fraction {self.settings.fraction:g} is {target} rows, but the first user drawn "
                f"has {sizes[0]} of category '{self.settings.category}'; raise the fraction or "
                "take stop_rule 'reach'"
            )
        return number


def _steps_left(interactions: Interactions, named_R: np.ndarray, users: np.ndarray) -> np.ndarray:
    """Steps (distinct pairs of sequence and step) that each of ``users`` keeps."""
    left_R = ~named_R & _among(users, interactions)[interactions.user]
    steps = interactions.sequence[left_R].astype(np.int64) << 32 | interactions.step[left_R]
    first = np.flatnonzero(np.diff(steps, prepend=-1))
    owners = np.searchsorted(users, interactions.user[left_R][first])
    return np.bincount(owners, minlength=len(users))


def _among(users: np.ndarray, interactions: Interactions) -> np.ndarray:
    """bool, shape ``(U,)``: True for ``users``."""
    among_U = np.zeros(interactions.num_users, bool)
    among_U[users] = True
    return among_U
