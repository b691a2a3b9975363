"""Items by how often they occur."""

from dataclasses import dataclass

import numpy as np

from erase_ray.data.interactions import Interactions

TAIL_SHARE = 0.2
"""Share of the items that counts as popular, and share that counts as unpopular."""
_ROUNDING = 1e-9  # keeps 0.2 * 15 (3.0000000000000004 or 2.999...) at 3


@dataclass(frozen=True, eq=False)
class Bands:
    """Bands of the ranking of all items.

    Args:
        ranked_I: Item ids by number of rows, most first; ties by lower id.
    """

    ranked_I: np.ndarray

    @classmethod
    def of(cls, interactions: Interactions) -> "Bands":
        """The ranking of the items of a table."""
        counts_I = np.bincount(interactions.item, minlength=interactions.num_items)
        return cls(np.argsort(-counts_I, kind="stable"))

    def between(self, low: float, high: float) -> np.ndarray:
        """Ids from rank share ``low`` to ``high`` (0 to 1), most popular first; at least one."""
        first = min(int(low * len(self.ranked_I) + _ROUNDING), len(self.ranked_I) - 1)
        last = max(int(high * len(self.ranked_I) + _ROUNDING), first + 1)
        return self.ranked_I[first:last]

    def popular(self, share: float = TAIL_SHARE) -> np.ndarray:
        """The most frequent items, rounded down to whole ones, at least one."""
        return self.between(0.0, share)

    def unpopular(self) -> np.ndarray:
        """The least frequent 20 %, rounded down to whole ones, at least one."""
        number = max(1, int(TAIL_SHARE * len(self.ranked_I) + _ROUNDING))
        return self.ranked_I[-number:]
