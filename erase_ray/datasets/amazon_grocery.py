"""Amazon Reviews 2023, Grocery and Gourmet Food, for collaborative filtering."""

from pathlib import Path
from typing import ClassVar

import numpy as np
from pydantic import Field

from erase_ray.data.clean import rank_in_group
from erase_ray.datasets import _amazon
from erase_ray.datasets._about import About
from erase_ray.datasets._base import DATASETS, Dataset
from erase_ray.datasets._parse import Column
from erase_ray.datasets._raw import RawData
from erase_ray.datasets._rules_amazon import GROCERY_RULES
from erase_ray.datasets._scratch import Scratch

SHOP = _amazon.Shop(
    stem="Grocery_and_Gourmet_Food",
    columns=(
        Column("title", "text", required=False),
        Column("main_category", "text", required=False),
        Column("categories", ["VARCHAR"], required=False),
        Column("description", ["VARCHAR"], required=False),
        Column("features", ["VARCHAR"], required=False),
        Column("details", "MAP(VARCHAR, VARCHAR)", required=False),
        Column("store", "text", required=False),
    ),
    texts={
        "text": _amazon.joined(
            "main_category",
            _amazon.text_of("categories"),
            "title",
            _amazon.text_of("description"),
            _amazon.text_of("features"),
            _amazon.text_of("details", is_map=True),
            "store",
        )
    },
    rules=GROCERY_RULES,
)


@DATASETS.register
class AmazonGrocery(Dataset):
    """14.3 million reviews of food by 7 million people (Amazon Reviews 2023).

    An item is a product (``asin``), a sequence all reviews of a person in order of time, to the
    millisecond; ties: natural order of the product ids. Steps of cleaning, each once: reviews that
    lack user, product, parent, rating or time go; then those under ``min_rating``; then repeats of
    the same user, product, rating and time (one product at two times stays); then the k-core.

    Sensitive products are found by words in anything that the metadata says about a family
    (``parent_asin``). A product belongs to a category if any of its reviews names such a family.
    """

    about: ClassVar[About | None] = _amazon.about(
        SHOP.stem, "Grocery and Gourmet Food", "about 14.3 M lines", "about 603,000 lines"
    )
    rough_size: ClassVar[tuple[int, int, int]] = (3_000_000, 350_000, 100_000)

    class Settings(_amazon.AmazonSettings):
        """Settings of `AmazonGrocery`."""

        min_rating: float = Field(default=3.5, ge=0, le=5)
        """Reviews with fewer stars (of 5) are dropped before anything is counted; 0 keeps all."""

    @property
    def task(self) -> str:
        """``cf``."""
        return "cf"

    def read(self, files: dict[str, Path], scratch: Scratch) -> RawData:
        """Reviews as interactions."""
        reviews, items = _amazon.read_shop(SHOP, files, scratch, self.settings)
        return RawData(
            user=reviews.user,
            sequence=reviews.user,
            item=reviews.item,
            step=rank_in_group(reviews.user.codes),
            time=reviews.time_ms // np.int64(1000),
            items=items,
            counts=reviews.counts,
        )
