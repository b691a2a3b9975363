"""What both data sets of Amazon Reviews 2023 share: files, cleaning, sensitive products."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from erase_ray.data.names import Names
from erase_ray.datasets._about import About, RawFile
from erase_ray.datasets._amazon_reviews import COMPLETE, REVIEW_COLUMNS, Reviews, cleaned
from erase_ray.datasets._base import ReaderSettings
from erase_ray.datasets._json_lines import parse_json_lines
from erase_ray.datasets._keywords import SEPARATOR, Rule, categories_sql
from erase_ray.datasets._parse import Column, Parsed
from erase_ray.datasets._raw import ItemTable, with_bad
from erase_ray.datasets._scratch import Scratch
from erase_ray.errors import DataError

_ADDRESS = "https://mcauleylab.ucsd.edu/public_datasets/data/amazon_2023/raw"


@dataclass(frozen=True)
class Shop:
    """What the two data sets do not share.

    Args:
        stem: Name of the files without ``meta_`` and ending.
        texts: DuckDB expression of each field of the rules over ``columns``.
        columns: What the metadata is read for, beside ``parent`` and ``title``.
        rules: What is sensitive.
    """

    stem: str
    texts: Mapping[str, str]
    columns: tuple[Column, ...]
    rules: Mapping[str, Rule]


class AmazonSettings(ReaderSettings):
    """Settings of both data sets."""

    min_rating: float = Field(default=3.0, ge=0, le=5)
    """Reviews with fewer stars (of 5) are dropped before anything else is counted; 0 keeps all."""

    core: int = Field(default=5, ge=0)
    """Fewest reviews of a person and of a product; 0 keeps all."""


def about(stem: str, what: str, num_reviews: str, num_products: str) -> About:
    """Source and files of one category of the shop."""
    return About(
        title=f"Amazon Reviews 2023, {what} (McAuley Lab, UC San Diego)",
        licence=(
            "none: the publishers say that they cannot assign one; released for research, the "
            "texts belong to Amazon and the reviewers"
        ),
        citation=(
            "Y. Hou, J. Li, Z. He, A. Yan, X. Chen, J. McAuley: Bridging Language and Items for "
            "Retrieval and Recommendation. arXiv:2403.03952, 2024"
        ),
        address="https://amazon-reviews-2023.github.io",
        files=(
            RawFile(
                f"{stem}.jsonl.gz",
                "reviews, one JSON object a line",
                num_reviews,
                address=f"{_ADDRESS}/review_categories/{stem}.jsonl.gz",
            ),
            RawFile(
                f"meta_{stem}.jsonl.gz",
                "products by parent_asin, one JSON object a line",
                num_products,
                address=f"{_ADDRESS}/meta_categories/meta_{stem}.jsonl.gz",
            ),
        ),
    )


def text_of(column: str, is_map: bool = False) -> str:
    """DuckDB expression that joins the values of a list, or of a map without its keys."""
    values = f"map_values({column})" if is_map else column
    return f"array_to_string({values}, chr({ord(SEPARATOR)}))"


def joined(*texts: str) -> str:
    """DuckDB expression that joins texts, leaving out NULLs."""
    return f"concat_ws(chr({ord(SEPARATOR)}), {', '.join(texts)})"


def read_shop(
    shop: Shop, files: dict[str, Path], scratch: Scratch, settings: AmazonSettings
) -> tuple[Reviews, ItemTable]:
    """The reviews that stay, and what the metadata says about their products.

    Raises:
        DataError: A file is not what its format promises, or no review stays.
    """
    reviews_path, meta_path = files[f"{shop.stem}.jsonl"], files[f"meta_{shop.stem}.jsonl"]
    skip_bad = settings.skip_bad
    raw = parse_json_lines(reviews_path, REVIEW_COLUMNS, scratch, skip_bad=skip_bad)
    columns = (Column("parent_asin", "text", "parent"), *shop.columns)
    meta = parse_json_lines(meta_path, columns, scratch, skip_bad=skip_bad)
    reviews = cleaned(raw, scratch, settings.min_rating, settings.core)
    if not len(reviews.time_ms):
        steps = ", ".join(f"{step} {count}" for step, count in reviews.counts.items())
        raise DataError(f"{reviews_path.name}: cleaning leaves no review ({steps})")
    reviews = replace(reviews, counts=with_bad(reviews.counts, raw.num_bad + meta.num_bad))
    return reviews, _item_table(shop, reviews.item.names, raw, meta, scratch)


def _item_table(shop: Shop, items: Names, raw: Parsed, meta: Parsed, scratch: Scratch) -> ItemTable:
    """Products that the metadata describes under any parent that the reviews name for them."""
    kept = pa.table({"place": np.arange(len(items), dtype=np.int32), "item": items.array})
    flags = ", ".join(f'bool_or("{name}") AS "{name}"' for name in shop.rules)
    with scratch.duckdb() as db:
        db.register("kept", kept)
        db.execute(
            "CREATE TEMP TABLE family AS SELECT DISTINCT place, parent FROM read_parquet(?) "
            f"JOIN kept USING (item) WHERE {COMPLETE}",
            [str(raw.path)],
        )
        # few products survive cleaning: their long texts alone are searched
        db.execute(
            "CREATE TEMP TABLE described AS SELECT parent, title, "
            f"{categories_sql(shop.rules, shop.texts)} FROM read_parquet(?) "
            "WHERE parent IN (SELECT parent FROM family)",
            [str(meta.path)],
        )
        found = db.sql(
            f"SELECT place, min(nullif(title, '')) AS label, {flags} "
            "FROM family JOIN described USING (parent) GROUP BY place ORDER BY place"
        ).to_arrow_table()
    outer = items.take(found["place"].to_numpy())
    titles = found["label"].combine_chunks().cast(pa.large_string())
    label = Names(pc.call_function("coalesce", [titles, outer.array]))
    categories = {name: found[name].to_numpy() for name in shop.rules}
    return ItemTable(outer, label, categories)
