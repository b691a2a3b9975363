"""Outer ids to 0..n-1, made once from the full data; nothing is ever mapped again."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from erase_ray.errors import DataError


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """The outer id (text) of each user, item and sequence.

    Args:
        users: Outer ids of users, position = inner id.
        items: Outer ids of items, position = inner id.
        sequences: Outer ids of sequences, position = inner id.
    """

    users: tuple[str, ...]
    items: tuple[str, ...]
    sequences: tuple[str, ...]

    def item(self, outer: str) -> int:
        """The inner id of an item.

        Raises:
            DataError: The full data has no such item.
        """
        if outer not in self._item_ids:
            raise DataError(f"item '{outer}' is not in the vocabulary of {len(self.items)} items")
        return self._item_ids[outer]

    @cached_property
    def _item_ids(self) -> dict[str, int]:
        return {outer: inner for inner, outer in enumerate(self.items)}


def number(outer: Any) -> tuple[np.ndarray, tuple[str, ...]]:
    """Inner ids by first appearance (int32) and the outer ids in that order, as text.

    Args:
        outer: Array or column without nulls, shape ``(R,)``.
    """
    codes, uniques = pd.factorize(outer)
    return codes.astype(np.int32), tuple(map(str, uniques))
