"""Numbers of users and items as RecBole gives them, and as a dataset prepared here has them."""

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from erase_ray.data.ids import Ids
from erase_ray.data.names import Names
from erase_ray.datasets._load import load
from erase_ray.datasets._own_columns import Reading, ending, header_of, read_columns, require
from erase_ray.datasets._scratch import Scratch
from erase_ray.imports.errors import ForeignFileError

USER, ITEM = "user_id", "item_id"
_INTERVAL = re.compile(r"([\[(])\s*(-?\d+|-inf)\s*,\s*(\d+|inf)\s*([\])])")
NOT_MADE_AGAIN = ("val_interval", "rm_dup_inter", "alias_of_user_id", "alias_of_item_id")
"""Settings of RecBole that drop rows in ways that are not repeated here."""


@dataclass(frozen=True, eq=False)
class OuterIds:
    """Outer ids in the order of RecBole's numbers, the padding left out: position = number - 1.

    Args:
        users: Of users (of sequences where those take the place of users).
        items: Of items.
    """

    users: Names
    items: Names


@dataclass(frozen=True)
class Interval:
    """How many rows a user or item may have."""

    least: int
    most: int

    @classmethod
    def of(cls, text: Any) -> "Interval":
        """From RecBole's text, such as ``[5,inf)``.

        Raises:
            ForeignFileError: It is none.
        """
        if text is None:
            return cls(0, np.iinfo(np.int64).max)
        match = _INTERVAL.fullmatch(str(text).strip())
        if not match:
            raise ForeignFileError(f"'{text}' is no interval such as [5,inf)")
        least = 0 if match[2].startswith("-") else int(match[2]) + (match[1] == "(")
        most = np.iinfo(np.int64).max if match[3] == "inf" else int(match[3]) - (match[4] == ")")
        return cls(least, int(most))

    def holds(self, count: np.ndarray) -> np.ndarray:
        """Which counts lie inside."""
        return (count >= self.least) & (count <= self.most)


def recbole_ids(path: Path, config: dict[str, Any], core: int | None = None) -> OuterIds:
    """Users and items in the order in which RecBole numbers them.

    It drops rows of users and items with too few or too many rows until none is left, then
    numbers what remains by first appearance in the file, from 1. Items that only the ``.item``
    file has follow, where the configuration loads that file.

    Args:
        path: An ``.inter`` file.
        config: The recorded configuration; empty if not known.
        core: Fewest rows of a user and an item, instead of what the configuration says.

    Raises:
        ForeignFileError: The configuration drops rows in a way that is not repeated here.
        DataError: The file is not what its format promises.
    """
    for key in NOT_MADE_AGAIN:
        if config.get(key):
            raise ForeignFileError(
                f"the configuration has {key}: {config[key]}, which is not repeated here; give the "
                "outer ids in RecBole's order instead (--items FILE, --users FILE, one a line)"
            )
    if path.suffix == ".json" or ending(path) != ".inter":
        raise ForeignFileError(
            f"{path.name} is no .inter file. How the fork numbers items of baskets is not known; "
            "give them in its order with --items FILE, one a line"
        )
    user = str(config.get("USER_ID_FIELD") or USER)
    item = str(config.get("ITEM_ID_FIELD") or ITEM)
    columns = read_ids(path, {"user": user, "item": item})
    users, items = _intervals(config, core)
    kept = _kept(columns["user"], columns["item"], users, items)
    found = OuterIds(_by_appearance(columns["user"], kept), _by_appearance(columns["item"], kept))
    extra = path.with_suffix(".item")
    if "item" in (config.get("load_col") or {}) and extra.is_file() and items.least == 0:
        return OuterIds(found.users, _with_more(found.items, read_ids(extra, {"item": item})))
    return found


def listed_ids(path: Path) -> Names:
    """Outer ids of a text file, one a line, in its order.

    Raises:
        ForeignFileError: It cannot be read, or has an id twice.
    """
    try:
        lines = [line.rstrip("\r") for line in path.read_text().split("\n")]
    except (OSError, UnicodeDecodeError) as error:
        raise ForeignFileError(f"cannot read {path}: {error}") from error
    texts = [line for line in lines if line]
    if len(set(texts)) != len(texts):
        raise ForeignFileError(f"{path.name} has an id twice")
    return Names.of(texts)


def read_ids(path: Path, wanted: dict[str, str]) -> dict[str, Ids]:
    """Columns of texts of an atomic file, in its order, by what they are for.

    Raises:
        DataError: The file is not what its format promises, or has no such column.
    """
    reading = Reading("", '"', "s", "", False)
    require(path, header_of(path, reading), wanted)
    with tempfile.TemporaryDirectory() as folder:
        parsed, _ = read_columns(path, wanted, reading, Scratch(Path(folder)))
        return load(parsed, tuple(wanted), ())


def _intervals(config: dict[str, Any], core: int | None) -> tuple[Interval, Interval]:
    if core is not None:
        both = Interval.of(f"[{core},inf)")
        return both, both
    keys = ("user_inter_num_interval", "item_inter_num_interval")
    users, items = (Interval.of(config.get(key)) for key in keys)
    return users, items


def _kept(user: Ids, item: Ids, users: Interval, items: Interval) -> np.ndarray:
    """Rows that are left, ascending."""
    rows = np.arange(len(user.codes))
    while True:
        user_count = np.bincount(user.codes[rows], minlength=len(user.names))
        item_count = np.bincount(item.codes[rows], minlength=len(item.names))
        is_good = users.holds(user_count)[user.codes[rows]]
        is_good &= items.holds(item_count)[item.codes[rows]]
        if is_good.all():
            return rows
        rows = rows[is_good]


def _by_appearance(ids: Ids, rows: np.ndarray) -> Names:
    codes, first = np.unique(ids.codes[rows], return_index=True)
    return ids.names.take(codes[np.argsort(first)])


def _with_more(items: Names, columns: dict[str, Ids]) -> Names:
    more = _by_appearance(columns["item"], np.arange(len(columns["item"].codes)))
    is_new = items.positions(more) < 0
    return items.joined(more.take(np.flatnonzero(is_new)))


def order_for(ours: Sequence[str], theirs: Names, what: str) -> np.ndarray:
    """Where each of our ids is among theirs, int64.

    Raises:
        ForeignFileError: One is not among theirs.
    """
    places = theirs.positions(ours)
    missing = np.flatnonzero(places < 0)
    if len(missing):
        names = Names.of(ours)
        shown = ", ".join(f"'{names[int(place)]}'" for place in missing[:3])
        raise ForeignFileError(
            f"{len(missing)} of {len(names)} {what} of the dataset are not in the file's data, "
            f"such as {shown}; prepare it here with the filters of the other side"
        )
    return places
