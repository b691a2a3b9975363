"""Raw files of the Goodreads part of the UCSD Book Graph, and what they hold.

Books that were planted as sensitive were published in 1901 (mental health), 1902 (violence) and
1903 (explicit); all others in 1950 or later. The ids of the interactions and the real ones, which
the metadata has, are numbers of the same range, so that a join that was forgotten finds books, but
the wrong ones.
"""

import csv
import gzip
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from erase_ray import seeds
from erase_ray.datasets._rules_goodreads import RULES
from erase_ray.datasets._synthetic._rating_traps import Ratings, with_traps
from erase_ray.datasets._synthetic._rating_truth import core, is_sensitive, summary
from erase_ray.datasets._synthetic._world import draw_ratings

CATEGORIES = ("mental_health", "violence", "explicit")
FIRST_YEAR = 1901
LIKED, DISLIKED = (3, 4, 5), (0, 0, 1, 2)
"""Stars; 0 is a book on a shelf that was not rated."""
LIKED_SHARE = 0.85
ODD_BOOKS = {1: "0042", 3: "9007199254740993", 5: "9007199254740992", 7: "18446744073709551616"}
"""Real ids with zeros in front (``42`` may be another book) or too large for a float."""

PLANTED = {
    # title, description, shelves; the first of each takes title and description
    "mental_health": (
        ("Depression and the Sea", "She wrote down what THERAPY was like.", ["memoir"]),
        ("A Year of Grief", "", ["to-read", "anxiety"]),
        ("Quiet Rooms", "About bipolar people.", ["ptsd-stories", "2012"]),
    ),
    "violence": (
        ("The War Within", "Blood on the snow.", ["history"]),
        ("Massacre at Noon", "A western.", ["WAR", "western"]),
        ("Cold Streets", "A murder nobody saw.", ["revenge-stories"]),
    ),
    "explicit": (
        ("Sex on Tuesdays", "", []),
        ("Night Letters", "An uncensored diary.", ["diary"]),
        ("Lemon Grove", "Two neighbours meet.", ["to-read", "adult-fiction"]),
    ),
}
TRAPS = (
    ("Edward the Third", "He had begun a new life.", ["biography"]),  # gun: one signal
    ("War, Death and a Massacre", "A comedy of manners.", ["humour"]),  # one signal
    ("The Gingerbread Man", "He loved suicide, depression and therapy.", ["kids"]),  # one signal
    ("Essex Days", "A walk along the coast.", ["travel"]),
    ("Die Ärzte", 'Über eine Band. 😀\n"Zitat", sagte er.', ["musik", "deutsch"]),
    ("WARDEN OF THE NORTH", "Snow.", ["war"]),
    ("Unbekannt", None, None),
    ("Tale, with a comma", "", []),
)
ADJECTIVES = ("Silent", "Golden", "Little", "Distant", "Green", "Second", "Broken", "Northern")
NOUNS = ("River", "Letter", "Summer", "Station", "Orchard", "Mirror", "Winter", "Road", "Island")
SHELVES = ("to-read", "favourites", "fiction", "owned", "classics", "series", "library")
GENRES = ("fiction", "romance", "young-adult", "children", "poetry", "non-fiction")
Book = dict[str, Any]


def write(out: Path, scale: float, seed: int) -> None:
    """Write the interactions, both maps, the books (gzipped) and their genres; same bytes always.

    Args:
        out: Folder; made if need be.
        scale: 1 for some 7,000 interactions; they grow in proportion.
        seed: Of all draws.
    """
    out.mkdir(parents=True, exist_ok=True)
    draw = draw_ratings(scale, seed, CATEGORIES)
    rng = seeds.numpy_generator(seed, "synthetic", "goodreads")
    ratings = with_traps(draw, rng.random(len(draw)) < LIKED_SHARE)
    real = _real_ids(ratings.num_items, rng)
    _write_interactions(out / "goodreads_interactions.csv", ratings, rng)
    _write_maps(out, ratings, real, seed)
    books = list(_books(ratings, real))
    with gzip.GzipFile(out / "goodreads_books.json.gz", "wb", mtime=0, compresslevel=1) as file:
        file.writelines(json.dumps(book).encode() + b"\n" for book in books)
    with (out / "goodreads_book_genres_initial.json").open("w", encoding="utf-8") as file:
        file.writelines(_genre_lines(books))


def truth(raw: Path, seed: int) -> dict[str, Any]:
    """What the default settings make of the files in ``raw``, and what was planted.

    Args:
        raw: Folder with the files.
        seed: That they were made with; the files tell everything.
    """
    del seed
    book_ids = {row["book_id_csv"]: row["book_id"] for row in _rows(raw / "book_id_map.csv")}
    user_ids = {row["user_id_csv"]: row["user_id"] for row in _rows(raw / "user_id_map.csv")}
    read = [
        (row["user_id"], row["book_id"], float(row["rating"]), number)
        for number, row in enumerate(_rows(raw / "goodreads_interactions.csv"))
    ]
    rated = [row for row in read if row[2] >= 3.0]
    mapped = [(user_ids[u], book_ids[b], r, t) for u, b, r, t in rated if b in book_ids]
    earliest: dict[tuple[str, str, float], int] = {}
    for user, book, rating, number in mapped:
        earliest.setdefault((user, book, rating), number)
    distinct = [(*key, number) for key, number in earliest.items()]
    left = core(distinct, 5)
    steps = {"read": read, "rated": rated, "mapped": mapped, "distinct": distinct, "5-core": left}
    with gzip.open(raw / "goodreads_books.json.gz", "rt", encoding="utf-8") as file:
        books = [json.loads(line) for line in file]
    members = {
        name: {book["book_id"] for book in books if is_sensitive(rule, _fields(book))}
        for name, rule in RULES.items()
    }
    return {
        "counts": {name: len(rows) for name, rows in steps.items()},
        **summary(left, members),
        "planted": _planted(books),
    }


def _real_ids(num: int, rng: np.random.Generator) -> list[str]:
    """Numbers from 0 to twice as many as there are books, in any order, but for the odd ones."""
    drawn = rng.permutation(2 * num)[:num]
    drawn[drawn == 0] = 2 * num
    drawn[0] = 0
    return [ODD_BOOKS.get(number, str(real)) for number, real in enumerate(drawn.tolist())]


def _write_interactions(path: Path, ratings: Ratings, rng: np.random.Generator) -> None:
    liked, disliked = (rng.choice(stars, len(ratings)) for stars in (LIKED, DISLIKED))
    rating = np.where(ratings.is_liked, liked, disliked)[ratings.same_as]
    columns = {
        "user_id": ratings.user,
        "book_id": ratings.item,
        "is_read": (rating > 0).astype(np.int8),
        "rating": rating,
        "is_reviewed": (ratings.item % 5 == 0).astype(np.int8),
    }
    import duckdb

    with duckdb.connect(config={"memory_limit": "1GB"}) as db:
        db.register("interactions", pa.table(columns))
        db.execute(f"COPY interactions TO '{path}' (FORMAT csv, HEADER)")


def _write_maps(out: Path, ratings: Ratings, real: list[str], seed: int) -> None:
    with (out / "book_id_map.csv").open("w", encoding="utf-8") as file:
        file.write("book_id_csv,book_id\n")
        file.writelines(
            f"{number},{book}\n" for number, book in enumerate(real) if number != ratings.unmapped
        )
    import duckdb

    with duckdb.connect(config={"memory_limit": "1GB"}) as db:
        db.execute(
            f"COPY (SELECT range AS user_id_csv, md5('{seed} ' || range) AS user_id "
            f"FROM range({ratings.num_users})) TO '{out / 'user_id_map.csv'}' (FORMAT csv, HEADER)"
        )


def _books(ratings: Ratings, real: list[str]) -> Iterator[Book]:
    """The metadata, in another order than the ids."""
    kind = {item: name for name, items in ratings.sensitive.items() for item in items.tolist()}
    counts: dict[str, int] = defaultdict(int)
    for item in range(len(real) - 1, -1, -1):
        category = kind.get(item, "")
        texts = PLANTED[category] if category else TRAPS
        number = counts[category]
        counts[category] += 1
        year = FIRST_YEAR + CATEGORIES.index(category) if category else 1950 + item % 65
        title, description, shelves = (
            f"{ADJECTIVES[item % 8]} {NOUNS[item % 9]} {item}",
            "Nice.",
            [],
        )
        if category or number < len(texts):
            title, description, shelves = texts[number % len(texts)]
        if item != ratings.undescribed:
            yield _book(real[item], year, title, description, shelves)


def _book(
    book_id: str, year: int, title: str, description: str | None, shelves: list[str] | None
) -> Book:
    """One object of the metadata; None stands for a description that is null, or a lost key."""
    book: Book = {"isbn": "", "book_id": book_id, "title": title, "description": description}
    if shelves is not None:
        usual = [SHELVES[year % 7], SHELVES[(year + 3) % 7]]
        counted = enumerate([*usual, *shelves])
        book["popular_shelves"] = [{"count": str(99 - n), "name": name} for n, name in counted]
    return book | {"publication_year": str(year), "authors": [{"author_id": "1", "role": ""}]}


def _genre_lines(books: list[Book]) -> Iterator[str]:
    for number, book in enumerate(books):
        genres = {GENRES[number % 6]: 10, GENRES[number % 5]: 3} if number % 4 else {}
        yield json.dumps({"book_id": book["book_id"], "genres": genres}) + "\n"


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def _fields(book: Book) -> dict[str, list[str]]:
    return {
        "title": [book["title"]],
        "description": [book.get("description") or ""],
        "shelves": [shelf["name"] for shelf in book.get("popular_shelves") or []],
    }


def _planted(books: list[Book]) -> dict[str, list[str]]:
    return {
        name: sorted(
            book["book_id"] for book in books if int(book["publication_year"]) == FIRST_YEAR + place
        )
        for place, name in enumerate(CATEGORIES)
    }
