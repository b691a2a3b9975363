"""Small files in the format of Amazon Reviews 2023."""

import gzip
import json
from pathlib import Path
from typing import Any

from erase_ray.datasets import DATASETS, RawData, Scratch
from erase_ray.datasets._own_files import find_files

STEMS = {"amazon_grocery": "Grocery_and_Gourmet_Food", "amazon_books": "Books"}


def review(user: str, item: str, time_ms: int, rating: float = 5.0, **more: Any) -> dict[str, Any]:
    known = {"user_id": user, "asin": item, "parent_asin": item, "rating": rating}
    return {**known, "timestamp": time_ms, "text": "beef, murder", **more}


def write_files(
    folder: Path, name: str, reviews: list[Any], families: list[Any], ending: str = ".jsonl"
) -> None:
    """Both files; a text is written as it is, anything else as JSON."""
    for stem, rows in ((STEMS[name], reviews), (f"meta_{STEMS[name]}", families)):
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        content = "".join(f"{line}\n" for line in lines).encode()
        packed = gzip.compress(content) if ending.endswith(".gz") else content
        (folder / f"{stem}{ending}").write_bytes(packed)


def read(name: str, folder: Path, **settings: Any) -> RawData:
    kind = DATASETS.get(name)
    assert kind.about is not None
    files = find_files(kind.about.files, folder)
    return kind(kind.Settings(**settings)).read(files, Scratch(folder / "scratch"))


def rows(raw: RawData) -> list[tuple[Any, ...]]:
    """(sequence, step, item, time) in this order."""
    frame = raw.frame().sort_values(["sequence", "step"], kind="stable")
    return list(frame[["sequence", "step", "item", "time"]].itertuples(index=False, name=None))


def members(raw: RawData) -> dict[str, set[str]]:
    return {name: raw.items.members(name) for name in raw.items.categories}
