"""Which rows of a frame somebody means, and the chain of requests that forgets them."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from erase_ray.api._table import OwnTable
from erase_ray.errors import DataError, ScenarioError
from erase_ray.scenarios import Chain, ChainSettings, RequestSpec
from erase_ray.scenarios._order import served, wishes_by

Rows = Any
"""A mask of bools, labels of the index, positions, or a part of the frame itself."""
Order = Literal["id", "time", "seed"]
"""When each person is served: by inner id, by his or her latest row to forget, or drawn."""
ORDERS = ("id", "time", "seed")


def positions_of(frame: pd.DataFrame, rows: Rows) -> np.ndarray:
    """Positions of the rows that are meant, ascending, int64.

    Args:
        frame: The whole.
        rows: A mask as long as the frame; labels of its index; positions, where the index has no
            integers; or some of the rows as a frame of their own.

    Raises:
        DataError: Rows that are not in the frame, a mask of another length, labels where the index
            is not unique, or no row at all.
    """
    if isinstance(rows, pd.DataFrame):
        rows = rows.index
    if isinstance(rows, str | bytes) or not hasattr(rows, "__len__"):
        raise DataError(
            f"rows must be a mask, labels or positions of the frame, got {type(rows).__name__}"
        )
    if isinstance(rows, pd.Series) and rows.dtype == bool and not rows.index.equals(frame.index):
        raise DataError("the mask of rows has another index than the frame")
    values = rows if isinstance(rows, pd.Index) else pd.Index(np.asarray(rows))
    if not len(values):
        raise DataError("rows is empty: there is nothing to forget")
    if pd.api.types.is_bool_dtype(values):
        return _masked(frame, np.asarray(values, bool))
    if pd.api.types.is_integer_dtype(values) and not _has_integers(frame.index):
        return _placed(frame, values.to_numpy(np.int64))
    return _labelled(frame, values)


def chain_of(table: OwnTable, wishes: Sequence[np.ndarray] | np.ndarray, order: Order, seed: int):
    """The requests as a chain.

    Args:
        table: The frame with inner ids.
        wishes: Positions in the frame of each request, or of all rows that are to be forgotten:
            then one request a person.
        order: For the latter, when each person is served.
        seed: Root of a drawn order.

    Raises:
        DataError: A row is in two requests.
        ScenarioError: There is no such order.
    """
    if order not in ORDERS:
        raise ScenarioError(f"order must be one of {', '.join(ORDERS)}, got '{order}'")
    interactions = table.interactions
    if isinstance(wishes, np.ndarray):
        rows = np.unique(table.row_F[wishes])
        mine = wishes_by(interactions.user[rows], rows)
        requests, _ = served(mine, interactions, ChainSettings(order=order), seed)
    else:
        requests = tuple(_request(table, number, one) for number, one in enumerate(wishes))
        _check_apart(requests)
    users = np.unique(np.concatenate([request.users for request in requests]))
    return Chain(requests, users, np.zeros(interactions.num_items, bool))


def _request(table: OwnTable, number: int, positions: np.ndarray) -> RequestSpec:
    rows = np.unique(table.row_F[positions])
    return RequestSpec(number, np.unique(table.interactions.user[rows]).astype(np.int64), rows)


def _check_apart(requests: Sequence[RequestSpec]) -> None:
    if not requests:
        raise DataError("requests is empty: there is nothing to forget")
    owner: dict[int, int] = {}
    for request in requests:
        for row in request.rows.tolist():
            if row in owner:
                raise DataError(
                    f"requests {owner[row]} and {request.id} name the same row; it can be "
                    "forgotten once"
                )
            owner[row] = request.id


def _has_integers(index: pd.Index) -> bool:
    return pd.api.types.is_integer_dtype(index)


def _masked(frame: pd.DataFrame, mask: np.ndarray) -> np.ndarray:
    if len(mask) != len(frame):
        raise DataError(f"the mask of rows has {len(mask)} entries, the frame has {len(frame)}")
    if not mask.any():
        raise DataError("the mask of rows is False everywhere: there is nothing to forget")
    return np.flatnonzero(mask)


def _placed(frame: pd.DataFrame, places: np.ndarray) -> np.ndarray:
    outside = places[(places < 0) | (places >= len(frame))]
    if len(outside):
        raise DataError(f"row {outside[0]} is not in the frame, which has {len(frame)} rows")
    return np.unique(places)


def _labelled(frame: pd.DataFrame, labels: pd.Index) -> np.ndarray:
    if not frame.index.is_unique:
        again = frame.index[frame.index.duplicated()][0]
        raise DataError(
            f"the index of the frame is not unique (such as {_shown(again)}), so labels name no "
            "rows; give a mask, or frame.reset_index(drop=True)"
        )
    places = frame.index.get_indexer(labels)
    if (places < 0).any():
        missing = labels[places < 0]
        raise DataError(
            f"{len(missing)} of {len(labels)} rows are not in the index of the frame, such as "
            f"{_shown(missing[0])}"
        )
    return np.unique(places.astype(np.int64))


def _shown(label: Any) -> str:
    return repr(label.item() if isinstance(label, np.generic) else label)
