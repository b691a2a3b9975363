"""The two releases of The Complete Journey, read to columns of integers."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from erase_ray.data.clean import distinct
from erase_ray.datasets._delimited import parse_delimited
from erase_ray.datasets._load import load
from erase_ray.datasets._parse import Column
from erase_ray.datasets._scratch import Scratch
from erase_ray.errors import DataError

TRANSACTIONS, PRODUCTS = "transactions.parquet", "products.parquet"
ORIGINAL_TRANSACTIONS, ORIGINAL_PRODUCTS = "transaction_data.csv", "product.csv"

_TRANSACTION_COLUMNS = ["household_id", "basket_id", "product_id", "transaction_timestamp"]
_PRODUCT_COLUMNS = ["product_id", "department", "product_category", "product_type"]
_ORIGINAL_TRANSACTION = (
    Column("household_key", "integer", to="household_id"),
    Column("BASKET_ID", "integer", to="basket_id"),
    Column("PRODUCT_ID", "integer", to="product_id"),
    Column("DAY", "integer"),
    Column("TRANS_TIME", "integer"),
)
_ORIGINAL_PRODUCT = (
    Column("PRODUCT_ID", "integer", to="product_id"),
    Column("DEPARTMENT", "text", to="department", required=False),
    Column("COMMODITY_DESC", "text", to="product_category", required=False),
    Column("SUB_COMMODITY_DESC", "text", to="product_type", required=False),
)


@dataclass(frozen=True, eq=False)
class Lines:
    """What was bought: int64 columns, each of shape ``(R,)``.

    Args:
        household: Outer number of the household.
        basket: Outer number of the basket.
        product: Outer number of the product.
        time: Seconds.
        num_bad: Lines that were left out.
    """

    household: np.ndarray
    basket: np.ndarray
    product: np.ndarray
    time: np.ndarray
    num_bad: int = 0


def read_purchases(path: Path, scratch: Scratch, skip_bad: bool = False) -> Lines:
    """What was bought, from either release.

    The wheel's timestamps have no zone and become the Unix seconds that they would be in UTC. The
    original files count days and give the time of day as HHMM: their time is in seconds since day
    0.

    Raises:
        DataError: A column is missing or holds something else than numbers or times.
    """
    if path.suffix != ".parquet":
        return _original_purchases(path, scratch, skip_bad)
    table = _read_parquet(path, _TRANSACTION_COLUMNS)
    seconds = table["transaction_timestamp"].astype("datetime64[s]").astype("int64").to_numpy()
    household, basket, product = (
        table[name].astype("int64").to_numpy() for name in _TRANSACTION_COLUMNS[:3]
    )
    return Lines(household, basket, product, seconds)


def read_products(path: Path, scratch: Scratch, skip_bad: bool = False) -> tuple[pd.DataFrame, int]:
    """Products with department, category and type, from either release; blanks are empty text.

    Returns:
        The products, and how many lines were left out.

    Raises:
        DataError: A column is missing, product numbers are not numbers, or one is there twice.
    """
    num_bad = 0
    if path.suffix == ".parquet":
        table = _read_parquet(path, _PRODUCT_COLUMNS, _PRODUCT_COLUMNS[:1])
    else:
        parsed = parse_delimited(path, _ORIGINAL_PRODUCT, scratch, skip_bad=skip_bad)
        table, num_bad = pd.read_parquet(parsed.path), parsed.num_bad
    table = table.filter(items=_PRODUCT_COLUMNS).fillna("").astype({"product_id": "int64"})
    number = table["product_id"].to_numpy()
    is_first = distinct(number)
    if not is_first.all():
        raise DataError(f"{path.name} lists product {number[~is_first][0]} more than once")
    stripped = {name: [text.strip() for text in table[name]] for name in _PRODUCT_COLUMNS[1:]}
    return table.assign(**stripped), num_bad


def _read_parquet(path: Path, columns: list[str], filled: list[str] | None = None) -> pd.DataFrame:
    try:
        table = pd.read_parquet(path, columns=columns)
    except (ValueError, OSError) as error:  # pyarrow's own errors are of these kinds
        raise DataError(f"{path.name}: {' '.join(str(error).split())[:200]}") from error
    if table.filter(items=filled or columns).isna().to_numpy().any():
        raise DataError(f"{path.name} has empty fields in one of {filled or columns}")
    return table


def _original_purchases(path: Path, scratch: Scratch, skip_bad: bool) -> Lines:
    parsed = parse_delimited(path, _ORIGINAL_TRANSACTION, scratch, skip_bad=skip_bad)
    found = load(parsed, numbers=tuple(column.target for column in _ORIGINAL_TRANSACTION))
    day, clock = found["DAY"], found["TRANS_TIME"]
    wrong = (clock < 0) | (clock // 100 > 23) | (clock % 100 > 59)
    if wrong.any() and not skip_bad:
        # no line was left out before this one
        line = int(wrong.argmax()) + 2
        raise DataError(f"{path.name}, line {line}: TRANS_TIME is no time of day (HHMM)")
    time = ((day * 24 + clock // 100) * 60 + clock % 100) * 60
    household, basket, product = (found[name][~wrong] for name in _TRANSACTION_COLUMNS[:3])
    num_bad = parsed.num_bad + int(wrong.sum())
    return Lines(household, basket, product, time[~wrong], num_bad)
