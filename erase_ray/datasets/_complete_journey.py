"""The two releases of The Complete Journey, read to one table."""

from pathlib import Path

import pandas as pd

from erase_ray.datasets._tables import integers, read_text_table, require, where
from erase_ray.errors import DataError

TRANSACTIONS, PRODUCTS = "transactions.parquet", "products.parquet"
ORIGINAL_TRANSACTIONS, ORIGINAL_PRODUCTS = "transaction_data.csv", "product.csv"

_TRANSACTION_COLUMNS = ["household_id", "basket_id", "product_id", "transaction_timestamp"]
_PRODUCT_COLUMNS = ["product_id", "department", "product_category", "product_type"]
_ORIGINAL_NAMES = {
    "household_key": "household_id",
    "BASKET_ID": "basket_id",
    "PRODUCT_ID": "product_id",
    "DEPARTMENT": "department",
    "COMMODITY_DESC": "product_category",
    "SUB_COMMODITY_DESC": "product_type",
}


def read_purchases(path: Path) -> pd.DataFrame:
    """What was bought, from either release.

    Returns:
        Columns household_id, basket_id, product_id, time (all int64). The wheel's timestamps have
        no zone and become the Unix seconds that they would be in UTC. The original files count
        days and give the time of day as HHMM: their time is in seconds since day 0.

    Raises:
        DataError: A column is missing or holds something else than numbers or times.
    """
    if path.suffix == ".csv":
        return _original_purchases(path)
    table = _read_parquet(path, _TRANSACTION_COLUMNS)
    seconds = table.pop("transaction_timestamp").astype("datetime64[s]").astype("int64")
    return table.astype("int64").assign(time=seconds)


def read_products(path: Path) -> pd.DataFrame:
    """Products with department, category and type, from either release; blanks are empty text.

    Raises:
        DataError: A column is missing, or product numbers are not numbers.
    """
    if path.suffix == ".csv":
        table = read_text_table(path, ",").rename(columns=_ORIGINAL_NAMES)
        require(table, _PRODUCT_COLUMNS, path)
        table = table.assign(product_id=integers(table, "product_id", path))
    else:
        table = _read_parquet(path, _PRODUCT_COLUMNS, _PRODUCT_COLUMNS[:1])
    table = table.filter(items=_PRODUCT_COLUMNS).fillna("").astype({"product_id": "int64"})
    return table.assign(
        **{name: [text.strip() for text in table[name]] for name in _PRODUCT_COLUMNS[1:]}
    )


def _read_parquet(path: Path, columns: list[str], filled: list[str] | None = None) -> pd.DataFrame:
    try:
        table = pd.read_parquet(path, columns=columns)
    except (ValueError, OSError) as error:  # pyarrow's own errors are of these kinds
        raise DataError(f"{path.name}: {' '.join(str(error).split())[:200]}") from error
    if table.filter(items=filled or columns).isna().to_numpy().any():
        raise DataError(f"{path.name} has empty fields in one of {filled or columns}")
    return table


def _original_purchases(path: Path) -> pd.DataFrame:
    table = read_text_table(path, ",").rename(columns=_ORIGINAL_NAMES)
    require(table, [*_TRANSACTION_COLUMNS[:3], "DAY", "TRANS_TIME"], path)
    day, clock = (integers(table, name, path) for name in ("DAY", "TRANS_TIME"))
    hour, minute = clock // 100, clock % 100
    wrong = (hour > 23) | (minute > 59) | (clock < 0)
    if wrong.any():
        raise DataError(f"{where(path, table, wrong)}: TRANS_TIME is no time of day (HHMM)")
    ids = {name: integers(table, name, path) for name in _TRANSACTION_COLUMNS[:3]}
    return pd.DataFrame(ids).assign(time=((day * 24 + hour) * 60 + minute) * 60)
