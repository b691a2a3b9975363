"""Datasets, one file each."""

from erase_ray.datasets._base import DATASETS, Dataset, RawData, Source

__all__ = ["DATASETS", "Dataset", "RawData", "Source"]
