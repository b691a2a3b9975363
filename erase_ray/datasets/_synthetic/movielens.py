"""Raw files of MovieLens 20M in its CSV edition, and what they hold.

Films that were planted as sensitive are of the years 1901 (health), 1902 (violence), 1903 (extreme
violence) and 1904 (explicit); all others are of 1950 or later.
"""

import calendar
import csv
import time as clock
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from erase_ray import seeds
from erase_ray.datasets._rules_movielens import RULES
from erase_ray.datasets._synthetic._rating_traps import Ratings, with_traps
from erase_ray.datasets._synthetic._rating_truth import core, is_sensitive, summary
from erase_ray.datasets._synthetic._world import START_S, draw_ratings

CATEGORIES = ("health", "violence", "extreme_violence", "explicit")
FIRST_YEAR = 1901
LIKED, DISLIKED = (3.5, 4.0, 4.5, 5.0), (0.5, 1.0, 2.0, 2.5, 3.0)
LIKED_SHARE = 0.85
ODD_USERS = {1: "007", 3: "9007199254740992", 5: "9007199254740993", 8: "u9b", 9: "0"}
"""Ids with zeros in front (``7`` is another person), too large for a float, or with letters."""
ODD_FILMS = {0: "0", 2: "010", 4: "9223372036854775808", 5: "9223372036854775809", 7: "tt12"}

PLANTED = {
    # title, genres, tag; the first of each is known from one field, or two where it takes two
    "health": (
        ("The Suicide Note", "Drama", ""),
        ("Neighbours, Insanely Insane", "Comedy", ""),
        ("Quiet Morning", "Drama|Romance", "Psychological thriller"),
        ("REHAB", "(no genres listed)", "funny"),
    ),
    "violence": (
        ('A Murder, "Solved"', "Crime|Drama", ""),
        ("The Old Gangster", "Comedy", "gory"),
        ("Long Evening", "War", "VERY BLOODY"),
        ("Battle of the Hill", "Thriller", "combat"),
    ),
    "extreme_violence": (
        ("Jigsaw Hour", "Horror", ""),
        ("The Gore Family", "Comedy", "too sadistic"),
        ("Night Shift", "Horror", "torture porn"),
    ),
    "explicit": (
        ("Sex and Lemons", "Comedy", ""),
        ("Sensual Señoras, The", "Romance", ""),
        ("Blue Door", "Drama", "nudity (brief)"),
        ("NSFW", "Documentary", ""),
    ),
}
TRAPS = (
    ("Edward's Garden", "Crime|Drama", "slow"),
    ("Begun, the Day", "Thriller", ""),
    ("Die Ärzte auf Tour", "Documentary", "punk"),
    ("Gingerbread House", "Animation|Children", ""),
    ("Essex Lane", "Drama", "british"),
    ("WARLOCK of the Hills", "Horror", ""),
    ("Gun Street, War and Blood", "Comedy", ""),  # one signal, however many words
    ("Peace at Last", "War|Crime|Horror", ""),
    ('"Quoted", with a comma', "Musical", 'tag, with "quotes"'),
    ("Les Misérables — 悲惨世界 😀", "Drama", "français"),
    ("Depressions", "Drama", ""),
)
ADJECTIVES = ("Silent", "Golden", "Little", "Distant", "Green", "Second", "Broken", "Northern")
NOUNS = ("River", "Letter", "Summer", "Station", "Orchard", "Mirror", "Winter", "Road", "Island")
GENRES = ("Comedy", "Drama", "Romance|Drama", "Animation|Children", "Sci-Fi", "Film-Noir")
TAGS = ("funny", "atmospheric", "classic", "based on a book", "Oscar")


def write(out: Path, scale: float, seed: int) -> None:
    """Write ``rating.csv``, ``movie.csv`` and ``tag.csv``, always the same bytes.

    Args:
        out: Folder; made if need be.
        scale: 1 for some 7,000 ratings; they grow in proportion.
        seed: Of all draws.
    """
    out.mkdir(parents=True, exist_ok=True)
    draw = draw_ratings(scale, seed, CATEGORIES)
    rng = seeds.numpy_generator(seed, "synthetic", "movielens")
    ratings = with_traps(draw, rng.random(len(draw)) < LIKED_SHARE)
    films = _films(ratings)
    _write_ratings(out / "rating.csv", ratings, rng)
    with (out / "movie.csv").open("w", encoding="utf-8", newline="") as file:
        file.write('"movieId","title","genres"\n')
        file.writelines(f"{film},{_quoted(t)},{_quoted(g)}\n" for film, t, g, _ in films)
    with (out / "tag.csv").open("w", encoding="utf-8", newline="") as file:
        file.write('"userId","movieId","tag","timestamp"\n')
        file.writelines(_tags(films, _names(ODD_USERS, ratings.num_users, 1)))


def truth(raw: Path, seed: int) -> dict[str, Any]:
    """What the default settings make of the files in ``raw``, and what was planted.

    Args:
        raw: Folder with the three files.
        seed: That they were made with; the files tell everything.
    """
    del seed
    rows = [
        (row["userId"], row["movieId"], float(row["rating"]), _seconds(row["timestamp"]))
        for row in _rows(raw / "rating.csv")
    ]
    rated = [row for row in rows if row[2] >= 3.5]
    distinct = list(dict.fromkeys(rated))
    left = core(distinct, 5)
    counts = {"read": rows, "rated": rated, "distinct": distinct, "5-core": left}
    fields = _fields(raw)
    members = {
        name: {film for film, texts in fields.items() if is_sensitive(rule, texts)}
        for name, rule in RULES.items()
    }
    return {
        "counts": {name: len(step) for name, step in counts.items()},
        **summary(left, members),
        "planted": _planted(fields),
    }


def _films(ratings: Ratings) -> list[tuple[str, str, str, str]]:
    """Id, title with year, genres and tag of each film that has metadata."""
    names = _names(ODD_FILMS, ratings.num_items, 3)
    kind = {item: name for name, items in ratings.sensitive.items() for item in items.tolist()}
    counts: dict[str, int] = defaultdict(int)
    films = []
    for item, film in enumerate(names):
        category = kind.get(item, "")
        texts = PLANTED[category] if category else TRAPS
        number = counts[category]
        counts[category] += 1
        year = FIRST_YEAR + CATEGORIES.index(category) if category else 1950 + item % 65
        if category or number < len(texts):
            title, genres, tag = texts[number % len(texts)]
        else:
            title = f"{ADJECTIVES[item % 8]} {NOUNS[item % 9]} {item}"
            genres, tag = GENRES[item % 6], TAGS[item % 5] if item % 2 else ""
        if item != ratings.undescribed:
            films.append((film, f"{title} ({year})", genres, tag))
    return films


def _names(odd: dict[int, str], num: int, stride: int) -> list[str]:
    """Ids ``stride``, ``2 * stride`` ... but for the odd ones."""
    return [odd.get(number, str((number + 1) * stride)) for number in range(num)]


def _write_ratings(path: Path, ratings: Ratings, rng: np.random.Generator) -> None:
    liked, disliked = (rng.choice(stars, len(ratings)) for stars in (LIKED, DISLIKED))
    rating = np.where(ratings.is_liked, liked, disliked)[ratings.same_as]
    table = pa.table(
        {
            "userId": _column(ODD_USERS, ratings.num_users, 1, ratings.user),
            "movieId": _column(ODD_FILMS, ratings.num_items, 3, ratings.item),
            "rating": rating,
            "time": ratings.time,
        }
    )
    import duckdb

    with duckdb.connect(config={"memory_limit": "1GB"}) as db:
        db.register("ratings", table)
        db.execute(
            "COPY (SELECT userId, movieId, rating, "
            "strftime(make_timestamp(time * 1000000), '%Y-%m-%d %H:%M:%S') AS timestamp "
            f"FROM ratings) TO '{path}' (FORMAT csv, HEADER, FORCE_QUOTE (timestamp))"
        )


def _column(odd: dict[int, str], num: int, stride: int, codes: np.ndarray) -> pa.Array:
    names = pa.array(_names(odd, num, stride))
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), names)


def _tags(films: list[tuple[str, str, str, str]], users: list[str]) -> list[str]:
    """The tag of each film that has one, some twice, an empty one and one of a film unknown."""
    when = clock.strftime("%Y-%m-%d %H:%M:%S", clock.gmtime(START_S))
    lines = []
    for number, (film, _, _, tag) in enumerate(films):
        people = users[number % len(users)], users[(number * 7 + 3) % len(users)]
        if tag:
            lines += [
                f'{user},{film},{_quoted(tag)},"{when}"\n' for user in people[: 1 + number % 2]
            ]
        if number % 3 == 0:
            lines.append(f'{people[0]},{film},{TAGS[number % 5]},"{when}"\n')
    return [
        *lines,
        f'{users[0]},{films[0][0]},,"{when}"\n',
        f'{users[0]},99999998,"ptsd","{when}"\n',
    ]


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _seconds(text: str) -> int:
    return calendar.timegm(clock.strptime(text, "%Y-%m-%d %H:%M:%S"))


def _fields(raw: Path) -> dict[str, dict[str, list[str]]]:
    tags = defaultdict(list)
    for row in _rows(raw / "tag.csv"):
        tags[row["movieId"]].append(row["tag"])
    return {
        row["movieId"]: {
            "title": [row["title"]],
            "genres": row["genres"].split("|"),
            "tags": tags[row["movieId"]],
        }
        for row in _rows(raw / "movie.csv")
    }


def _planted(fields: dict[str, dict[str, list[str]]]) -> dict[str, list[str]]:
    year = {film: int(texts["title"][0][-5:-1]) for film, texts in fields.items()}
    return {
        name: sorted(film for film in year if year[film] == FIRST_YEAR + place)
        for place, name in enumerate(CATEGORIES)
    }
