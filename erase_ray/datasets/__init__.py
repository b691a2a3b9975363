"""Datasets, one file each."""

from erase_ray.datasets._about import About, RawFile
from erase_ray.datasets._base import DATASETS, Dataset, ReaderSettings, Source
from erase_ray.datasets._raw import ItemTable, RawData
from erase_ray.datasets._scratch import Scratch

__all__ = [
    "DATASETS",
    "About",
    "Dataset",
    "ItemTable",
    "RawData",
    "RawFile",
    "ReaderSettings",
    "Scratch",
    "Source",
]
