"""Ta-Feng: baskets of customers of a Taiwanese grocer."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

import numpy as np
from pydantic import Field

from erase_ray.data.clean import distinct
from erase_ray.data.ids import Ids
from erase_ray.data.names import Names
from erase_ray.datasets._about import About, RawFile
from erase_ray.datasets._base import DATASETS, Dataset
from erase_ray.datasets._baskets import BasketSettings, Purchases
from erase_ray.datasets._delimited import parse_delimited
from erase_ray.datasets._load import load_ids
from erase_ray.datasets._parse import Column
from erase_ray.datasets._raw import ItemTable, RawData
from erase_ray.datasets._scratch import Scratch
from erase_ray.errors import DataError

FILE = "ta_feng_all_months_merged.csv"
COLUMNS = (
    Column("TRANSACTION_DT", "text", to="date"),
    Column("CUSTOMER_ID", "text", to="user"),
    Column("PRODUCT_ID", "text", to="item"),
    Column("PRODUCT_SUBCLASS", "text", to="subclass"),
)
NO_DAY = np.iinfo(np.int64).min
_DATE = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})", re.ASCII)


@DATASETS.register
class Tafeng(Dataset):
    """Baskets of four months (November 2000 to February 2001); a basket is a customer's day.

    Ids are texts and keep their leading zeros. The time is midnight (UTC) of the day.

    The file has no names of products, so a category cannot be told by its meaning. The six digits
    of ``PRODUCT_SUBCLASS`` are the only description: products of one sub-class are of one kind.
    Each of the ``top_subclasses`` sub-classes that are bought most often (lines after cleaning;
    ties: the lower code) is a sensitive category ``subclass_<code>``. They stand for any kind of
    product that a person may want to be forgotten, and are bought by enough people for a chain of
    requests. Other groups can be put together with ``categories``. A product that is listed under
    several sub-classes belongs to all of them.

    Steps, with the name of each in ``counts``: each product once a day (``distinct``), customers
    with ``min_baskets`` to ``max_baskets`` days (``regular``), products that are in
    ``min_item_count`` of their baskets, the last basket of each customer left out of the count
    (``common``), customers with ``min_baskets_left`` baskets that are not empty now (``left``).
    """

    about: ClassVar[About] = About(
        title="Ta-Feng grocery data set (ACM RecSys wiki), merged to one CSV file on Kaggle",
        licence="none is stated by its publishers; widely used for research",
        citation=(
            "C.-N. Hsu, H.-H. Chung, H.-S. Huang: Mining Skewed and Sparse Transaction Data for "
            "Personalized Shopping Recommendation. Machine Learning 57, 2004"
        ),
        address="https://www.kaggle.com/datasets/chiranjivdas09/ta-feng-grocery-dataset",
        files=(RawFile(FILE, "817,741 lines of 32,266 customers and 23,812 products"),),
    )
    rough_size: ClassVar[tuple[int, int, int]] = (487_000, 10_000, 12_000)

    class Settings(BasketSettings):
        """Settings of `Tafeng`."""

        min_item_count: int = Field(default=3, ge=1)
        """Fewest baskets that a product is in, last baskets not counted."""

        top_subclasses: int = Field(default=3, ge=0)
        """How many of the most bought sub-classes are categories."""

        categories: dict[str, tuple[str, ...]] = {}
        """More categories by name, each as a list of sub-classes."""

    @property
    def task(self) -> str:
        """``next_basket``."""
        return "next_basket"

    def read(self, files: dict[str, Path], scratch: Scratch) -> RawData:
        """Days as baskets."""
        path = files[FILE]
        parsed = parse_delimited(path, COLUMNS, scratch, skip_bad=self.settings.skip_bad)
        date, user, item, subclass = (load_ids(parsed.path, column.target) for column in COLUMNS)
        day = np.array([_day(text) for text in date.names], np.int64)[date.codes]
        wrong = day == NO_DAY
        if wrong.any() and not self.settings.skip_bad:
            row = int(wrong.argmax())
            text = date.names[int(date.codes[row])]
            raise DataError(
                f"{path.name}, line {row + 2}: TRANSACTION_DT '{text}' is no date (M/D/YYYY)"
            )
        good = np.flatnonzero(~wrong)
        counts = {"read": len(good)}
        days = day[good]
        bought = Purchases.of(user.codes[good], days, item.codes[good], days * 86_400)
        bought, steps = bought.filtered(self.settings.limits)
        if not len(bought):
            raise DataError(f"{path.name}: the filters leave no basket")
        num_bad = parsed.num_bad + int(wrong.sum())
        table = self._item_table(bought, item, subclass)
        return bought.raw_data((user.names, item.names), table, counts | steps, num_bad)

    def _item_table(self, bought: Purchases, item: Ids, subclass: Ids) -> ItemTable:
        """Sub-classes as labels and categories."""
        pairs = np.flatnonzero(distinct(item.codes, subclass.codes))
        owner, code = item.codes[pairs], subclass.codes[pairs]
        names = list(subclass.names)
        count_I = np.bincount(bought.item, minlength=len(item.names))
        count_S = np.bincount(code, weights=count_I[owner], minlength=len(names))
        ranked = sorted(range(len(names)), key=lambda place: (-count_S[place], names[place]))
        asked = {f"subclass_{names[place]}": (names[place],) for place in self._top(ranked)}
        flags = {}
        for name, wanted in (asked | self.settings.categories).items():
            unknown = sorted(set(wanted) - set(names))
            if unknown:
                raise DataError(f"{FILE} has no PRODUCT_SUBCLASS {', '.join(unknown)} ('{name}')")
            is_wanted_S = np.isin(np.arange(len(names)), [names.index(text) for text in wanted])
            flags[name] = np.zeros(len(item.names), bool)
            flags[name][owner[is_wanted_S[code]]] = True
        return ItemTable(item.names, _labels(owner, code, names, len(item.names)), flags)

    def _top(self, ranked: list[int]) -> list[int]:
        return ranked[: self.settings.top_subclasses]


def _day(text: str) -> int:
    """Days since 1970, or ``NO_DAY`` if the text is no date."""
    found = _DATE.fullmatch(text)
    try:
        month, day, year = map(int, found.groups()) if found else (0, 0, 0)
        return (datetime(year, month, day, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)).days
    except ValueError:
        return int(NO_DAY)


def _labels(owner: np.ndarray, code: np.ndarray, names: list[str], num: int) -> Names:
    listed: list[list[str]] = [[] for _ in range(num)]
    for item, subclass in zip(owner.tolist(), code.tolist(), strict=True):
        listed[item].append(names[subclass])
    return Names.of(f"sub-class {', '.join(sorted(found))}" for found in listed)
