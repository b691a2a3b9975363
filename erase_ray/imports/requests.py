"""ERASE's forget sets as requests on a dataset prepared here."""

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from erase_ray.data.names import Names
from erase_ray.data.prepared import Prepared
from erase_ray.imports.errors import ForeignFileError
from erase_ray.imports.ids import ITEM, USER, read_ids
from erase_ray.imports.names import Artefact
from erase_ray.imports.unpickle import read


@dataclass(frozen=True, eq=False)
class Requests:
    """Who asks, and for which rows.

    Args:
        table: One row a row to forget: request (from 0, in the order of serving), user and item
            (outer ids), row (row id of the prepared dataset).
        num_requests: How many people ask.
        unknown: How many rows (users, for baskets) of the file the prepared data has not.
    """

    table: Any
    num_requests: int
    unknown: int

    def parquet(self) -> bytes:
        """The table as a file."""
        buffer = io.BytesIO()
        pq.write_table(self.table, buffer, compression="zstd", store_schema=False)
        return buffer.getvalue()


def read_requests(path: Path, artefact: Artefact, data: Prepared) -> Requests:
    """The requests of a forget set.

    As ERASE serves them: a request asks for every row of a person with one of the listed items
    (with any item of the category, for baskets), repeated and test rows included. People come in
    the natural order of their outer ids.

    Args:
        path: The forget set.
        artefact: What its name says.
        data: The dataset, prepared here.

    Raises:
        ForeignFileError: The file is not what its name says, or nobody in it is in the data.
    """
    if artefact.ending == "inter":
        wanted, unknown = _of_pairs(path, data)
    else:
        wanted, unknown = _of_users(path, artefact, data)
    table = data.interactions
    rows = np.flatnonzero(wanted)
    if not len(rows):
        raise ForeignFileError(
            f"{path.name}: none of its {unknown} rows or users is in the prepared "
            f"{data.dataset}; are the ids the same?"
        )
    names = data.vocabulary.users
    user = table.user[rows]
    order = np.lexsort((table.row[rows], names.natural_ranks[user]))
    rows, user = rows[order], user[order]
    request = np.cumsum(np.diff(user, prepend=user[0]) != 0)
    columns = {
        "request": pa.array(request.astype(np.int64)),
        "user": names.take(user).array,
        "item": data.vocabulary.items.take(table.item[rows]).array,
        "row": pa.array(table.row[rows]),
    }
    return Requests(pa.table(columns), int(request[-1]) + 1, unknown)


def _of_pairs(path: Path, data: Prepared) -> tuple[np.ndarray, int]:
    """Which rows a list of users with items means, and how many of its lines mean none."""
    columns = read_ids(path, {"user": USER, "item": ITEM})
    users = data.vocabulary.users.positions(columns["user"].names)[columns["user"].codes]
    items = data.vocabulary.items.positions(columns["item"].names)[columns["item"].codes]
    is_known = (users >= 0) & (items >= 0)
    num_items = data.interactions.num_items
    pairs = np.unique(users[is_known] * num_items + items[is_known])
    ours = data.interactions.user.astype(np.int64) * num_items + data.interactions.item
    wanted = np.isin(ours, pairs)
    is_there = np.isin(users * num_items + items, ours[wanted])
    return wanted, int((~(is_known & is_there)).sum())


def _of_users(path: Path, artefact: Artefact, data: Prepared) -> tuple[np.ndarray, int]:
    """The same for a list of users, who ask for all items of the category."""
    category = data.catalogue.categories.get(artefact.category)
    if category is None:
        known = ", ".join(data.catalogue.categories) or "none"
        raise ForeignFileError(
            f"{path.name}: the prepared {data.dataset} has no category '{artefact.category}'; it "
            f"has {known}"
        )
    found = data.vocabulary.users.positions(Names.of(_users(path)))
    is_asking = np.zeros(len(data.vocabulary.users), bool)
    is_asking[found[found >= 0]] = True
    table = data.interactions
    return is_asking[table.user] & category[table.item], int((found < 0).sum())


def _users(path: Path) -> list[str]:
    content = _json(path) if path.suffix == ".json" else read(path)
    if not isinstance(content, list) or not all(
        isinstance(user, str | int | np.integer) and not isinstance(user, bool) for user in content
    ):
        raise ForeignFileError(f"{path.name} is no list of user ids")
    return [str(user) for user in content]


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ForeignFileError(f"{path.name} is not JSON: {error}") from error
