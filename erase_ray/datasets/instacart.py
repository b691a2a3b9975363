"""Instacart 2017: orders of an online grocer."""

from pathlib import Path
from typing import ClassVar

import numpy as np
from pydantic import Field

from erase_ray.data.names import Names
from erase_ray.datasets._about import About, RawFile
from erase_ray.datasets._base import DATASETS, Dataset
from erase_ray.datasets._baskets import BasketSettings, Purchases
from erase_ray.datasets._delimited import parse_delimited
from erase_ray.datasets._parse import Column, Parsed
from erase_ray.datasets._raw import ItemTable, RawData
from erase_ray.datasets._scratch import Connection, Scratch
from erase_ray.errors import DataError

AISLES = {
    "meat": (5, 95, 96, 15, 33, 34, 35, 49, 106, 122),
    "alcohol": (27, 28, 62, 124, 134),
    "baby": (82, 92, 102, 56),
}
"""Aisle numbers of each sensitive category.

``meat``: marinades and meat preparation, canned meat and seafood, lunch meat, packaged seafood,
kosher foods, frozen meat and seafood, poultry counter, packaged poultry, hot dogs with bacon and
sausage, meat counter. ``alcohol``: beers and coolers, red wines, white wines, spirits, specialty
wines. ``baby``: accessories, food and formula, bath and body care, diapers and wipes.
"""
ORDERS, PRIOR, TRAIN = "orders.csv", "order_products__prior.csv", "order_products__train.csv"
PRODUCTS, AISLE_NAMES = "products.csv", "aisles.csv"
ORDER_COLUMNS = (
    Column("order_id", "integer"),
    Column("user_id", "integer"),
    Column("order_number", "integer"),
    Column("days_since_prior_order", "number", to="days", required=False),
)
LINE_COLUMNS = (Column("order_id", "integer"), Column("product_id", "integer"))
PRODUCT_COLUMNS = (
    Column("product_id", "integer"),
    Column("product_name", "text", required=False),
    Column("aisle_id", "integer"),
)
AISLE_COLUMNS = (Column("aisle_id", "integer"), Column("aisle", "text"))


@DATASETS.register
class Instacart(Dataset):
    """Orders of 206,209 users of an online grocer; by default a tenth of the users.

    A basket is an order whose products are public: the ``prior`` and ``train`` orders. (The
    ``test`` orders of a third of the users were never published.) Baskets are in the order of
    ``order_number``. The time is whole days since the user's first order, in seconds, as far as
    the file tells: it never says more than 30 days between two orders. Item ids are the original
    product ids, which the aisles of the categories refer to.

    Steps, with the name of each in ``counts``: lines of listed orders (``known``), of the users
    with the lowest numbers (``share``), each product once a basket (``distinct``), users with
    ``min_baskets`` to ``max_baskets`` baskets (``regular``), products that are in
    ``min_item_count`` of their baskets, the last basket of each user left out of the count
    (``common``), users with ``min_baskets_left`` baskets that are not empty now (``left``).
    """

    about: ClassVar[About] = About(
        title='Instacart, "The Instacart Online Grocery Shopping Dataset 2017"',
        licence="Instacart's own terms: non-commercial use",
        citation=(
            '"The Instacart Online Grocery Shopping Dataset 2017", accessed from '
            "https://www.instacart.com/datasets/grocery-shopping-2017"
        ),
        address="https://www.kaggle.com/c/instacart-market-basket-analysis/data",
        files=(
            RawFile(ORDERS, "3.4 million orders", "about 109 MB"),
            RawFile(PRIOR, "32.4 million lines of the orders before the last", "about 578 MB"),
            RawFile(TRAIN, "1.4 million lines of last orders", "about 25 MB"),
            RawFile(PRODUCTS, "49,688 products with their aisle", "about 2 MB"),
            RawFile(AISLE_NAMES, "names of the 134 aisles, for labels", optional=True),
        ),
    )
    rough_size: ClassVar[tuple[int, int, int]] = (2_400_000, 19_400, 13_900)

    class Settings(BasketSettings):
        """Settings of `Instacart`."""

        user_share: float = Field(default=0.1, gt=0, le=1)
        """Users are kept whose number is at most this share of how many there are; 1 keeps all."""

    @property
    def task(self) -> str:
        """``next_basket``."""
        return "next_basket"

    def read(self, files: dict[str, Path], scratch: Scratch) -> RawData:
        """Orders as baskets."""
        orders = self._parsed(files[ORDERS], ORDER_COLUMNS, scratch)
        lines = [self._parsed(files[name], LINE_COLUMNS, scratch) for name in (PRIOR, TRAIN)]
        products = self._parsed(files[PRODUCTS], PRODUCT_COLUMNS, scratch)
        aisles = None
        if AISLE_NAMES in files:
            aisles = self._parsed(files[AISLE_NAMES], AISLE_COLUMNS, scratch)
        counts = {"read": sum(parsed.num_rows for parsed in lines)}
        with scratch.duckdb() as db:
            table = _item_table(db, products, aisles)
            bought, users, items = self._shared(db, orders, lines, counts)
        bought, steps = bought.filtered(self.settings.limits)
        if not len(bought):
            raise DataError(f"{files[ORDERS].name}: the filters leave no basket")
        bad = sum(parsed.num_bad for parsed in (orders, *lines, products, aisles) if parsed)
        return bought.raw_data((users, items), table, counts | steps, bad)

    def _parsed(self, path: Path, columns: tuple[Column, ...], scratch: Scratch) -> Parsed:
        return parse_delimited(path, columns, scratch, skip_bad=self.settings.skip_bad)

    def _shared(
        self,
        db: Connection,
        orders: Parsed,
        lines: list[Parsed],
        counts: dict[str, int],
    ) -> tuple[Purchases, Names, Names]:
        """What the users of the share bought, and the outer ids of users and items."""
        user_G, day_G, number_U = _orders(db, orders)
        basket, item, number_I = _lines(db, lines)
        counts["known"] = len(basket)
        if self.settings.user_share < 1:
            num_users = np.count_nonzero(np.bincount(user_G[basket], minlength=len(number_U)))
            is_low_U = number_U <= int(num_users * self.settings.user_share)
            keep = np.flatnonzero(is_low_U[user_G[basket]])
            basket, item = basket[keep], item[keep]
        counts["share"] = len(basket)
        bought = Purchases.of(user_G[basket], basket, item, day_G[basket].astype(np.int64) * 86_400)
        return bought, Names.of_numbers(number_U), Names.of_numbers(number_I)


def _orders(db: Connection, orders: Parsed) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """User and day of each basket, and the outer number of each user; makes table ``orders``."""
    db.execute(
        "CREATE TEMP TABLE orders AS SELECT order_id, user_id, "
        "(row_number() OVER (ORDER BY user_id, order_number, order_id) - 1)::INTEGER AS basket, "
        "(dense_rank() OVER (ORDER BY user_id) - 1)::INTEGER AS user, "
        "floor(sum(greatest(coalesce(days, 0), 0)) OVER (PARTITION BY user_id "
        "ORDER BY order_number, order_id))::INTEGER AS day FROM read_parquet(?)",
        [str(orders.path)],
    )
    twice = db.execute(
        "SELECT order_id FROM orders GROUP BY order_id HAVING count(*) > 1 ORDER BY 1 LIMIT 1"
    ).fetchone()
    if twice:
        raise DataError(f"{ORDERS} lists order {twice[0]} more than once")
    user, day = _columns(db, "SELECT user, day FROM orders ORDER BY basket")
    (number,) = _columns(db, "SELECT DISTINCT user_id FROM orders ORDER BY 1")
    return user, day, number


def _lines(db: Connection, lines: list[Parsed]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Basket and item of each line whose order is known, and the outer number of each item."""
    paths = [str(parsed.path) for parsed in lines]
    db.execute(
        "CREATE TEMP TABLE bought AS SELECT product_id, (row_number() OVER (ORDER BY product_id) "
        "- 1)::INTEGER AS item FROM (SELECT DISTINCT product_id FROM read_parquet(?))",
        [paths],
    )
    basket, item = _columns(
        db,
        "SELECT basket, item FROM read_parquet(?) JOIN orders USING (order_id) "
        "JOIN bought USING (product_id)",
        paths,
    )
    (number,) = _columns(db, "SELECT product_id FROM bought ORDER BY item")
    return basket, item, number


def _columns(db: Connection, query: str, *values: object) -> tuple[np.ndarray, ...]:
    """The columns of the result of a query, none of which has nulls."""
    return tuple(np.asarray(column) for column in db.execute(query, values).fetchnumpy().values())


def _item_table(db: Connection, products: Parsed, aisles: Parsed | None) -> ItemTable:
    """Labels are name and aisle."""
    paths = [str(products.path)] + ([str(aisles.path)] if aisles else [])
    join = "LEFT JOIN read_parquet(?) AS named USING (aisle_id)" if aisles else ""
    aisle = "coalesce(' / ' || aisle, '')" if aisles else "''"
    table = db.sql(
        f"SELECT product_id, coalesce(product_name, '') || {aisle} AS label, aisle_id "
        f"FROM read_parquet(?) AS products {join} ORDER BY product_id",
        params=paths,
    ).to_arrow_table()
    product, aisle_I = (np.asarray(table[name]) for name in ("product_id", "aisle_id"))
    repeated = product[1:][product[1:] == product[:-1]]
    if len(repeated):
        raise DataError(f"{PRODUCTS} lists product {repeated[0]} more than once")
    flags = {name: np.isin(aisle_I, numbers) for name, numbers in AISLES.items()}
    return ItemTable(Names.of_numbers(product), Names(table["label"]), flags)
