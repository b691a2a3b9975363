"""Small files of one's own, and reading them as the dataset `table`."""

import gzip
from pathlib import Path
from typing import Any

import pandas as pd

from erase_ray.datasets import DATASETS, Scratch
from erase_ray.datasets._fetch import raw_files
from erase_ray.settings import checked

KIND = DATASETS.get("table")
INTER = (
    "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    "u2\t007\t5\t100.0\n"
    'u1\ta "b\t4\t300.5\n'
    "u1\t7\t2.5\t200\n"
    "u1\t7\t2.5\t200\n"
)
ITEM = (
    "item_id:token\tyear:float\ttitle:token_seq\tgenre:token_seq\n"
    "7\t1999\tGin, dry\tDrink Strong\n"
    "007\t1999\tBond\tFilm\n"
    "9\t1999\tNever taken\tDrink\n"
)
CLICKS = "visitor,visit,sku,at,stars\n" + "".join(
    f"{visitor},{visit},{sku},{at},{stars}\n"
    for visitor, visit, sku, at, stars in [
        ("ann", "s1", "x", 0, 5),
        ("ann", "s1", "y", 3600, 5),
        ("bob", "s2", "x", 50, 5),
        ("ann", "s3", "z", 7201, 1),
        ("ann", "s1", "w", 3600, 5),
    ]
)
COLUMNS = {"user": "visitor", "item": "sku", "time": "at"}


def build(**settings: Any):
    return KIND(checked(KIND.Settings, settings, "settings of 'table'"))


def read(folder: Path, files: dict[str, str | pd.DataFrame], **settings: Any):
    """Write the files, find them as a run does, and read them."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, pd.DataFrame):
            content.to_parquet(path)
        else:
            text = content.encode()
            path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    dataset = build(**settings)
    found = raw_files(KIND, folder / "cache", folder, dataset.own_files)
    return dataset.read(found, Scratch(folder / "scratch"))


def rows(raw) -> list[tuple]:
    """User, sequence, step, item, time; sorted."""
    columns = ["user", "sequence", "step", "item", "time"]
    return sorted(raw.frame()[columns].itertuples(index=False, name=None))
