"""``erase-ray datasets list``."""

import argparse

from erase_ray.cli._text import rough, show
from erase_ray.datasets._page import known_datasets, page, task_of, way_of
from erase_ray.report.data_text import table
from erase_ray.report.numbers import MISSING, short

_HEAD = ("name", "task", "rows", "users", "items", "raw files", "licence")
_LICENCE_LETTERS = 60


def run(args: argparse.Namespace) -> int:
    """All datasets as a table, or as the page of the documentation."""
    if args.markdown:
        print(page(), end="")
        return 0
    rows = []
    for name, dataset in known_datasets().items():
        sizes = [rough(size) for size in getattr(dataset, "rough_size", ())] or [MISSING] * 3
        licence = short(dataset.about.licence, _LICENCE_LETTERS) if dataset.about else MISSING
        rows.append([name, task_of(dataset), *sizes, way_of(dataset), licence])
    show(table(rows, _HEAD, left=("name", "task", "raw files", "licence")))
    return 0
