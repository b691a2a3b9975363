"""MovieLens 100K cut into sessions."""

from pathlib import Path
from typing import ClassVar

import pandas as pd
from pydantic import Field

from erase_ray.data.clean import cut_sessions
from erase_ray.datasets import _movielens
from erase_ray.datasets._about import About
from erase_ray.datasets._base import DATASETS, Dataset, Source
from erase_ray.datasets._raw import RawData
from erase_ray.datasets._scratch import Scratch
from erase_ray.settings import Frozen


@DATASETS.register
class Movielens100kSessions(Dataset):
    """The ratings of MovieLens 100K as sessions in which a person rated films one after the other.

    A new session starts where more than ``max_gap_s`` seconds passed since the person's rating
    before. Sessions are called ``<user>_<n>``, n counted from 0 for each user.
    """

    about: ClassVar[About | None] = _movielens.ABOUT
    sources: ClassVar[tuple[Source, ...]] = _movielens.SOURCES
    rough_size: ClassVar[tuple[int, int, int]] = _movielens.ROUGH_SIZE

    class Settings(Frozen):
        """Settings of `Movielens100kSessions`."""

        min_rating: float = Field(default=0.0, ge=0, le=5)
        """Ratings (1 to 5 stars) below this are dropped before the cut into sessions."""

        max_gap_s: int = Field(default=3600, ge=0)
        """Longest time between two ratings of one session, in seconds."""

    @property
    def task(self) -> str:
        """``session_based``."""
        return "session_based"

    def read(self, files: dict[str, Path], scratch: Scratch) -> RawData:
        """Ratings as interactions, from the official files or from those of the wheel."""
        ratings = _movielens.read_ratings(files, self.settings.min_rating)
        user, time = ratings["user"].to_numpy(), ratings["time"].to_numpy()
        session = pd.Series(cut_sessions(user, time, self.settings.max_gap_s))
        sequence = ratings["user"] + "_" + session.astype(str)
        step = ratings.groupby(sequence, sort=False).cumcount()
        films = _movielens.read_films(files)
        return RawData.of_frame(
            ratings.assign(sequence=sequence, step=step),
            _movielens.labels(films),
            _movielens.categories(films),
        )
