"""Outer ids to 0..n-1, made once from the full data; nothing is ever mapped again."""

from dataclasses import dataclass

from erase_ray.data.names import Names
from erase_ray.errors import DataError


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """The outer id (text) of each user, item and sequence; any sequence of texts is taken.

    Args:
        users: Outer ids of users, position = inner id.
        items: Outer ids of items, position = inner id.
        sequences: Outer ids of sequences, position = inner id.
    """

    users: Names
    items: Names
    sequences: Names

    def __post_init__(self) -> None:
        for name in ("users", "items", "sequences"):
            object.__setattr__(self, name, Names.of(getattr(self, name)))

    def item(self, outer: str) -> int:
        """The inner id of an item.

        Raises:
            DataError: The full data has no such item.
        """
        inner = int(self.items.positions([outer])[0])
        if inner < 0:
            raise DataError(f"item '{outer}' is not in the vocabulary of {len(self.items)} items")
        return inner
