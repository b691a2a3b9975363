"""Reviews of Amazon Reviews 2023, cleaned: ten million people, few of whom stay."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from erase_ray.data.clean import distinct, k_core, order_by
from erase_ray.data.ids import Ids
from erase_ray.datasets._load import load
from erase_ray.datasets._parse import Column, Parsed, quoted
from erase_ray.datasets._scratch import Connection, Scratch

REVIEW_COLUMNS = (
    Column("user_id", "text", "user", required=False),
    Column("asin", "text", "item", required=False),
    Column("parent_asin", "text", "parent", required=False),
    Column("rating", "number", required=False),
    Column("timestamp", "integer", "time_ms", required=False),
)
COMPLETE = "\"user\" <> '' AND item <> '' AND parent <> '' AND rating + time_ms IS NOT NULL"
"""DuckDB condition: the review lacks nothing."""


@dataclass(frozen=True, eq=False)
class Reviews:
    """The reviews that stay, by person and time; ties: natural order of the product ids.

    Args:
        user: Who.
        item: What.
        time_ms: Unix milliseconds, int64.
        counts: Rows after each step of cleaning.
    """

    user: Ids
    item: Ids
    time_ms: np.ndarray
    counts: dict[str, int]


def cleaned(raw: Parsed, scratch: Scratch, min_rating: float, core: int) -> Reviews:
    """Complete reviews with enough stars, each once, of people and products with enough of them.

    Args:
        raw: ``REVIEW_COLUMNS`` of all reviews.
        scratch: For what does not fit in memory.
        min_rating: Fewest stars.
        core: Fewest reviews of a person and of a product; 0 keeps all.
    """
    counts = {"read": raw.num_rows}
    with scratch.duckdb() as db:
        _view_rated(db, raw, min_rating, counts)
        counts["distinct"] = counts["rated"] - _num_repeats(db)
        columns = _loaded(db, raw.path.with_suffix(f".{os.getpid()}.rated"), core)
    user, item, time_ms = columns["user"], columns["item"], columns["time_ms"]
    stays = _distinct(user.codes, item.codes, columns.pop("rating"), time_ms)
    user, item, time_ms = user.take(stays), item.take(stays), time_ms[stays]
    stays = k_core(user.codes, item.codes, core)
    user, item, time_ms = user.take(stays).compact(), item.take(stays).compact(), time_ms[stays]
    if core > 1:
        counts[f"{core}-core"] = len(time_ms)
    order = order_by(user.codes, time_ms, item.names.natural_ranks[item.codes])
    return Reviews(user.take(order), item.take(order), time_ms[order], counts)


def _view_rated(db: Connection, raw: Parsed, min_rating: float, counts: dict[str, int]) -> None:
    """Make the view ``rated``: complete reviews with enough stars."""
    source = f"FROM read_parquet({quoted(str(raw.path))}) WHERE {COMPLETE}"
    enough = f"rating >= {min_rating!r}"
    query = f'SELECT "user", item, rating, time_ms {source} AND {enough}'
    db.execute(f"CREATE TEMP VIEW rated AS {query}")
    tests = f"count(*), count(*) FILTER ({enough})"
    counts["complete"], counts["rated"] = _row(db, f"SELECT {tests} {source}")


def _num_repeats(db: Connection) -> int:
    """Reviews that say the same as another about user, item, rating and time."""
    db.execute(
        "CREATE TEMP TABLE crowded AS SELECT hash FROM "
        '(SELECT hash("user", time_ms) AS hash FROM rated) GROUP BY hash HAVING count(*) > 1'
    )
    return _row(
        db,
        'SELECT count(*) - count(DISTINCT ("user", item, rating, time_ms)) FROM rated '
        'WHERE hash("user", time_ms) IN (SELECT hash FROM crowded)',
    )[0]


def _loaded(db: Connection, draft: Path, core: int) -> dict[str, Any]:
    """Reviews in memory, repeats included.

    Those of people and of products with fewer than ``core`` reviews are left out before, since the
    core has none of them and the names of so many would not fit. They are counted by a hash: two
    that share one may be counted together, then the core itself leaves them out.
    """
    enough = [
        f'hash("{name}") IN (SELECT hash("{name}") FROM rated GROUP BY ALL '
        f"HAVING count(*) >= {core})"
        for name in ("user", "item")
    ]
    wanted = f"SELECT * FROM rated WHERE {' AND '.join(enough) if core > 1 else 'true'}"
    try:
        db.execute(f"COPY ({wanted}) TO {quoted(str(draft))} (FORMAT parquet)")
        return load(Parsed(draft, 0, {}), texts=("user", "item"), numbers=("rating", "time_ms"))
    finally:
        draft.unlink(missing_ok=True)


def _distinct(
    user: np.ndarray, item: np.ndarray, rating: np.ndarray, time_ms: np.ndarray
) -> np.ndarray:
    """True for the first row of each combination of all four, shape ``(R,)``."""
    second = time_ms // 1000
    order = order_by(user, second)
    same = (np.diff(user[order]) == 0) & (np.diff(second[order]) == 0)
    # nearly all rows are the only one of their user and second, which costs one sort to find
    crowded = np.zeros(len(user), bool)
    crowded[order[1:][same]] = True
    crowded[order[:-1][same]] = True
    rows = np.flatnonzero(crowded)
    level = np.unique(rating[rows], return_inverse=True)[1]
    stays = np.ones(len(user), bool)
    stays[rows] = distinct(user[rows], item[rows], level, time_ms[rows])
    return stays


def _row(db: Connection, query: str) -> tuple[int, ...]:
    row = db.execute(query).fetchone()
    assert row is not None
    return row
