"""MovieLens 100K for collaborative filtering."""

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from erase_ray.datasets import _movielens
from erase_ray.datasets._about import About
from erase_ray.datasets._base import DATASETS, Dataset, Source
from erase_ray.datasets._raw import RawData
from erase_ray.datasets._scratch import Scratch
from erase_ray.settings import Frozen


@DATASETS.register
class Movielens100k(Dataset):
    """100,000 ratings of 1,682 films by 943 people, 20 or more each (GroupLens, 1998).

    A user is one sequence, in time order; of films rated in the same second the one with the lower
    number comes first. Sensitive films are found by keywords in title and genre.
    """

    about: ClassVar[About | None] = _movielens.ABOUT
    sources: ClassVar[tuple[Source, ...]] = _movielens.SOURCES
    rough_size: ClassVar[tuple[int, int, int]] = _movielens.ROUGH_SIZE

    class Settings(Frozen):
        """Settings of `Movielens100k`."""

        min_rating: float = Field(default=0.0, ge=0, le=5)
        """Ratings (1 to 5 stars) below this are dropped."""

    @property
    def task(self) -> str:
        """``cf``."""
        return "cf"

    def read(self, files: dict[str, Path], scratch: Scratch) -> RawData:
        """Ratings as interactions, from the official files or from those of the wheel."""
        ratings = _movielens.read_ratings(files, self.settings.min_rating)
        step = ratings.groupby("user", sort=False).cumcount()
        films = _movielens.read_films(files)
        return RawData.of_frame(
            ratings.assign(sequence=ratings["user"], step=step),
            _movielens.labels(films),
            _movielens.categories(films),
        )
