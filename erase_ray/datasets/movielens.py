"""MovieLens 20M for collaborative filtering."""

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from erase_ray.datasets._about import About, RawFile
from erase_ray.datasets._base import DATASETS, Dataset, ReaderSettings
from erase_ray.datasets._delimited import parse_delimited
from erase_ray.datasets._keywords import SEPARATOR, categories_sql
from erase_ray.datasets._load import load
from erase_ray.datasets._parse import Column, Parsed
from erase_ray.datasets._ratings import (
    Ratings,
    by_person,
    in_core,
    raw_data,
    require_rows,
    without_repeats,
)
from erase_ray.datasets._raw import ItemTable, RawData
from erase_ray.datasets._rules_movielens import RULES
from erase_ray.datasets._scratch import Scratch
from erase_ray.errors import DataError

FILES = {
    "kaggle": ("rating.csv", "movie.csv", "tag.csv"),
    "grouplens": ("ratings.csv", "movies.csv", "tags.csv"),
}
"""Ratings, films and user tags of each release; without the tags a film gives two signals."""
TIME = {"kaggle": "time", "grouplens": "integer"}
ADDRESSES = (
    "https://www.kaggle.com/datasets/grouplens/movielens-20m-dataset (rating.csv, movie.csv, "
    "tag.csv) or https://files.grouplens.org/datasets/movielens/ml-20m.zip (ratings.csv, "
    "movies.csv, tags.csv; release=grouplens)"
)
FIELDS = {
    "title": "title",
    "genres": f"replace(genres, '|', chr({ord(SEPARATOR)}))",
    "tags": "tags",
}


@DATASETS.register
class Movielens(Dataset):
    """20,000,263 ratings of 27,278 films by 138,493 people, 20 or more each (GroupLens, 2015).

    A person is one sequence in order of time, which is read as UTC; ties: natural order of the
    film ids. Steps of cleaning, each once and in this order: ratings under ``min_rating`` go; then
    repeats of the same person, film, stars and time (one film at two times stays); then the
    k-core. The published benchmark labels low ratings but keeps them as positives; here they go.

    Sensitive films are found by keywords in title, genres and the tags that any person gave.
    """

    about: ClassVar[About | None] = About(
        title="MovieLens 20M (GroupLens, University of Minnesota)",
        licence=(
            "research use; name GroupLens, no redistribution and no commercial use without "
            "permission"
        ),
        citation=(
            "F. Maxwell Harper, Joseph A. Konstan: The MovieLens Datasets: History and Context. "
            "ACM TiiS 5(4), article 19, 2015, doi:10.1145/2827872"
        ),
        address=ADDRESSES,
        # which three are needed is a matter of the release
        files=(
            RawFile("rating.csv", "ratings (Kaggle)", "20,000,263 lines", optional=True),
            RawFile("movie.csv", "films (Kaggle)", "27,278 lines", optional=True),
            RawFile("tag.csv", "user tags (Kaggle)", "465,564 lines", optional=True),
            RawFile("ratings.csv", "ratings (GroupLens)", "20,000,263 lines", optional=True),
            RawFile("movies.csv", "films (GroupLens)", "27,278 lines", optional=True),
            RawFile("tags.csv", "user tags (GroupLens)", "465,564 lines", optional=True),
        ),
    )
    rough_size: ClassVar[tuple[int, int, int]] = (12_000_000, 138_000, 15_000)

    class Settings(ReaderSettings):
        """Settings of `Movielens`."""

        release: Literal["kaggle", "grouplens"] = "kaggle"
        """The CSV edition on Kaggle with times as text, or GroupLens' own files."""

        min_rating: float = Field(default=3.5, ge=0, le=5)
        """Ratings with fewer stars (0.5 to 5) are dropped; 0 keeps all."""

        core: int = Field(default=5, ge=0)
        """Fewest ratings of a person and of a film; 0 keeps all."""

    @property
    def task(self) -> str:
        """``cf``."""
        return "cf"

    def read(self, files: dict[str, Path], scratch: Scratch) -> RawData:
        """Ratings as interactions."""
        ratings_name, films_name, tags_name = self._chosen(files)
        parsed = self._ratings(files[ratings_name], scratch)
        films = self._films(files[films_name], scratch)
        tags = self._tags(files[tags_name], scratch) if tags_name in files else None
        items = _item_table(films, tags, scratch)
        counts = {"read": parsed.num_rows}
        ratings = _cleaned(parsed, self.settings.min_rating, self.settings.core, counts)
        require_rows(ratings_name, counts)
        num_bad = sum(file.num_bad for file in (parsed, films, tags) if file)
        return raw_data(ratings, items, counts, num_bad)

    def _chosen(self, files: dict[str, Path]) -> tuple[str, str, str]:
        release = self.settings.release
        names = FILES[release]
        if any(name not in files for name in names[:2]):
            raise DataError(
                f"release '{release}' of movielens needs {names[0]} and {names[1]}, found "
                f"{', '.join(sorted(files)) or 'nothing'}; get them from {ADDRESSES}"
            )
        return names

    def _ratings(self, path: Path, scratch: Scratch) -> Parsed:
        columns = (
            Column("userId", "text", "user"),
            Column("movieId", "text", "item"),
            Column("rating", "number"),
            Column("timestamp", TIME[self.settings.release], "time"),
        )
        return parse_delimited(path, columns, scratch, skip_bad=self.settings.skip_bad)

    def _films(self, path: Path, scratch: Scratch) -> Parsed:
        columns = (
            Column("movieId", "text", "item"),
            Column("title", "text"),
            Column("genres", "text", required=False),
        )
        return parse_delimited(path, columns, scratch, skip_bad=self.settings.skip_bad)

    def _tags(self, path: Path, scratch: Scratch) -> Parsed:
        columns = (Column("movieId", "text", "item"), Column("tag", "text", required=False))
        return parse_delimited(path, columns, scratch, skip_bad=self.settings.skip_bad)


def _cleaned(parsed: Parsed, min_rating: float, core: int, counts: dict[str, int]) -> Ratings:
    """What stays, by person and time."""
    columns = load(parsed, texts=("user", "item"), numbers=("time", "rating"))
    stars = columns.pop("rating")
    stays = stars >= min_rating
    ratings, stars = Ratings(**columns).take(stays), stars[stays]
    del columns
    counts["rated"] = len(ratings)
    order = by_person(ratings)
    ratings = without_repeats(ratings.take(order), stars[order])
    counts["distinct"] = len(ratings)
    ratings = in_core(ratings, core)
    if core > 1:
        counts[f"{core}-core"] = len(ratings)
    return ratings


def _item_table(films: Parsed, tags: Parsed | None, scratch: Scratch) -> ItemTable:
    """All films; one that is listed twice is described by both lines."""
    tagged = (
        f"SELECT item, string_agg(tag, chr({ord(SEPARATOR)})) AS tags FROM read_parquet(?) "
        "GROUP BY item"
        if tags
        else "SELECT NULL::VARCHAR AS item, NULL::VARCHAR AS tags"
    )
    flags = ", ".join(f'bool_or("{name}") AS "{name}"' for name in RULES)
    with scratch.duckdb() as db:
        table = db.sql(
            f"SELECT item, min(title) AS title, {flags} FROM (SELECT item, title, "
            f"{categories_sql(RULES, FIELDS)} FROM read_parquet(?) LEFT JOIN ({tagged}) "
            "USING (item)) GROUP BY item ORDER BY item",
            params=[str(file.path) for file in (films, tags) if file],
        ).to_arrow_table()
    return ItemTable.of_arrow(table, "title")
