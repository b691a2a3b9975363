"""Made-up raw files in the format of a public dataset, read by that dataset's own reader."""

import tempfile
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import Field, model_validator

from erase_ray.datasets import _synthetic
from erase_ray.datasets._base import DATASETS, Dataset
from erase_ray.datasets._raw import RawData
from erase_ray.datasets._scratch import Scratch
from erase_ray.settings import Frozen, checked


@DATASETS.register
class Synthetic(Dataset):
    """Raw files that a generator writes in an original format, through the whole pipeline.

    For trials without a download and for tests: people of six groups who mostly take items of
    their group, some of them sensitive, with the traps of the format. The same settings give the
    same files.
    """

    rough_size: ClassVar[tuple[int, int, int]] = (7_000, 300, 120)

    class Settings(Frozen):
        """Settings of `Synthetic`."""

        of: str = "movielens"
        """Dataset whose format is written: one of the nine of the benchmark."""

        scale: float = Field(default=1.0, gt=0)
        """Size: 1 is 5 to 10 thousand rows, 1000 about as many millions."""

        seed: int = Field(default=0, ge=0)
        """Root of all draws."""

        reading: dict[str, Any] = {}
        """Settings of the reader."""

        @model_validator(mode="after")
        def _can_be_made(self) -> Self:
            if self.of not in _synthetic.names():
                known = ", ".join(_synthetic.names())
                raise ValueError(f"no generator writes the format of '{self.of}'. Known: {known}")
            return self

    @cached_property
    def reader(self) -> Dataset:
        """The reader of the original dataset.

        Raises:
            SettingsError: ``reading`` does not suit it.
        """
        kind = DATASETS.get(self.settings.of)
        settings = _synthetic.reading(self.settings.of) | self.settings.reading
        return kind(checked(kind.Settings, settings, f"reading of '{self.settings.of}'"))

    @property
    def title(self) -> str:
        """With the format."""
        return f"{self.name}:{self.settings.of}"

    @property
    def task(self) -> str:
        """The task of the dataset whose format is written."""
        return self.reader.task

    def read(self, files: dict[str, Path], scratch: Scratch) -> RawData:
        """Write the raw files, read them, delete them."""
        scratch.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=scratch.folder) as folder:
            out = Path(folder)
            _synthetic.write(self.settings.of, out, self.settings.scale, self.settings.seed)
            made = Scratch(out / "scratch", scratch.memory_bytes)
            return self.reader.read(_synthetic.files(self.settings.of, out), made)
