"""Which rows of their tables are ours."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from erase_ray.data.names import Names
from erase_ray.data.vocabulary import Vocabulary
from erase_ray.imports._mapping import Form, Found, Shapes, Take
from erase_ray.imports.errors import ForeignFileError
from erase_ray.imports.ids import OuterIds, order_for
from erase_ray.models import Shape

PADDING = 1
"""Rows of their tables before that of the first id."""
WHOLE: tuple[Form, ...] = ("same", "first rows")
"""Forms of tensors without a row an id."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Positions in their tables, the padding not counted.

    Args:
        users: Of each of our users.
        items: Of each of our items.
        shape: Sizes of our tables.
        vocabulary: Outer ids of our rows by kind; None if not known.
        is_ordered: Whether the order is that of a dataset prepared here.
        their_users: Rows of their tables of users, the padding counted; 1 without such a table.
        their_items: The same for items.
    """

    users: np.ndarray
    items: np.ndarray
    shape: Shape
    vocabulary: dict[str, Names] | None
    is_ordered: bool
    their_users: int
    their_items: int

    @classmethod
    def of(
        cls,
        shapes: Shapes,
        found: Found,
        ids: OuterIds | None,
        onto: Vocabulary | None,
        notes: list[str],
    ) -> "Rows":
        """From their tables, their ids and our vocabulary, as far as these are known.

        Raises:
            ForeignFileError: They do not fit together.
        """
        tables = {take.form: take.theirs for take in reversed(found.tensors)}
        sizes = {form: shapes[name][0] for form, name in tables.items() if name in shapes}
        if "items" not in sizes:
            raise ForeignFileError("there is no table of items")
        their_items, their_users = sizes["items"], sizes.get("users", PADDING)
        num_items, num_users = their_items - PADDING, their_users - PADDING
        every = np.arange(num_users), np.arange(num_items)
        if ids is None:
            if onto is not None:
                raise ForeignFileError(
                    "rows are put in order by outer ids; give --inter or --items"
                )
            notes.append("no outer ids: rows keep the order of the file, number i is i - 1 here")
            shape = Shape(num_users, num_items)
            return cls(*every, shape, None, False, their_users, their_items)
        _check_count("items", len(ids.items), num_items)
        if num_users:
            _check_count("users", len(ids.users), num_users)
        if onto is None:
            outer = {"user": ids.users} if len(ids.users) else {}
            shape = Shape(len(ids.users), num_items)
            outer["item"] = ids.items
            return cls(*every, shape, outer, False, their_users, their_items)
        items = order_for(onto.items, ids.items, "items")
        users = order_for(onto.users, ids.users, "users") if num_users else every[0]
        for what, kept, count in (("items", items, num_items), ("users", users, num_users)):
            if len(kept) < count:
                notes.append(
                    f"{count - len(kept)} of {count} {what} are not in the dataset: left out"
                )
        outer = {"user": onto.users, "item": onto.items}
        shape = Shape(len(onto.users), len(onto.items))
        return cls(users, items, shape, outer, True, their_users, their_items)

    def check(self, take: Take, theirs: Tensor) -> None:
        """Raise ForeignFileError unless a table of theirs has a row for each id."""
        expected = self.their_users if take.form == "users" else self.their_items
        if take.form not in WHOLE and (not theirs.ndim or len(theirs) != expected):
            raise ForeignFileError(
                f"{take.theirs} has the shape {list(theirs.shape)}, the other tables have "
                f"{expected} rows"
            )


def _check_count(what: str, found: int, expected: int) -> None:
    if found != expected:
        raise ForeignFileError(
            f"the outer ids are {found} {what}, the tables have {expected} without the padding; "
            "were the same rows filtered (--core), and is it the file that the model was trained "
            "on?"
        )
