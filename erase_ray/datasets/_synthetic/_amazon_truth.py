"""Read Amazon Reviews 2023 files line by line with plain loops: what a fast reader must find."""

import gzip
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from erase_ray.datasets._keywords import Keywords, Rule
from erase_ray.datasets._synthetic._amazon import planted_mask
from erase_ray.datasets._synthetic._truth import natural, row_facts

NEEDED = ("user_id", "asin", "parent_asin", "rating", "timestamp")
CORE, HOUR_MS = 5, 3_600_000

Row = tuple[str, str, float, int]
"""User, item, rating, milliseconds."""


@dataclass(frozen=True)
class Reading:
    """How one of the two data sets is read.

    Args:
        stem: Name of the files without ``meta_`` and ending.
        min_rating: Reviews below this are dropped.
        fields: Keys of the metadata whose texts make up each field of the rules.
        rules: What is sensitive.
        has_sessions: True if a sequence is a session, False if it is all of a user.
    """

    stem: str
    min_rating: float
    fields: Mapping[str, tuple[str, ...]]
    rules: Mapping[str, Rule]
    has_sessions: bool


def truth_of(raw: Path, reading: Reading) -> dict[str, Any]:
    """Counts, sizes, sensitive ids and a hash of the final rows."""
    counts, rows, parents = _cleaned(raw, reading)
    final = list(_sequences(rows) if reading.has_sessions else _whole(rows))
    left = {item for _, item, _, _ in rows}
    families = _families(raw / f"meta_{reading.stem}.jsonl.gz", reading)
    sensitive = {
        name: sorted(item for item in left if parents[item] & families[name])
        for name in reading.rules
    }
    return {
        "counts": counts,
        "sensitive": sensitive,
        **row_facts(final, sensitive),
        "planted": {
            name: sorted(
                item for item in parents if any(planted_mask(p) >> bit & 1 for p in parents[item])
            )
            for bit, name in enumerate(reading.rules)
        },
    }


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as file:
        for line in file:
            yield json.loads(line)


def _cleaned(raw: Path, reading: Reading) -> tuple[dict[str, int], list[Row], dict[str, set[str]]]:
    """Rows after each step, the rows that stay, and the parents of each item."""
    counts: dict[str, int] = {"read": 0}
    rows: list[Row] = []
    parents: dict[str, set[str]] = defaultdict(set)
    for review in _lines(raw / f"{reading.stem}.jsonl.gz"):
        counts["read"] += 1
        if any(review.get(name) in (None, "") for name in NEEDED):
            continue
        parents[review["asin"]].add(review["parent_asin"])
        rows.append((review["user_id"], review["asin"], review["rating"], review["timestamp"]))
    counts["complete"] = len(rows)
    rows = [row for row in rows if row[2] >= reading.min_rating]
    counts["rated"] = len(rows)
    rows = list(dict.fromkeys(rows))
    counts["distinct"] = len(rows)
    rows = _core(rows)
    counts[f"{CORE}-core"] = len(rows)
    return counts, rows, dict(parents)


def _core(rows: list[Row]) -> list[Row]:
    while True:
        users = Counter(user for user, _, _, _ in rows)
        items = Counter(item for _, item, _, _ in rows)
        left = [row for row in rows if users[row[0]] >= CORE and items[row[1]] >= CORE]
        if len(left) == len(rows):
            return rows
        rows = left


def _by_user(rows: list[Row]) -> dict[str, list[Row]]:
    """Rows of each user by time; ties in the natural order of item ids, then by rating."""
    users: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        users[row[0]].append(row)
    for own in users.values():
        own.sort(key=lambda row: (row[3], *natural(row[1]), row[2]))
    return users


def _whole(rows: list[Row]) -> Iterator[tuple[str, str, int, str, int]]:
    for user, own in _by_user(rows).items():
        for step, (_, item, _, time_ms) in enumerate(own):
            yield user, user, step, item, time_ms // 1000


def _sequences(rows: list[Row]) -> Iterator[tuple[str, str, int, str, int]]:
    for user, own in _by_user(rows).items():
        number = step = 0
        before_ms = own[0][3]
        for _, item, _, time_ms in own:
            if time_ms - before_ms > HOUR_MS:
                number, step = number + 1, 0
            yield user, f"{user}_session_{number}", step, item, time_ms // 1000
            before_ms, step = time_ms, step + 1


def _families(path: Path, reading: Reading) -> dict[str, set[str]]:
    """Parent ids of each category, by the rules."""
    families: dict[str, set[str]] = {name: set() for name in reading.rules}
    for family in _lines(path):
        texts = {
            field: [text for key in keys for text in _texts(family.get(key))]
            for field, keys in reading.fields.items()
        }
        for name, rule in reading.rules.items():
            signals = sum(_hits(words, texts[field]) for field, words in rule.fields.items())
            if signals >= rule.min_signals:
                families[name].add(family["parent_asin"])
    return families


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for inner in value.values() for text in _texts(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in _texts(inner)]
    return [] if value is None else [str(value)]


def _hits(keywords: Keywords, texts: list[str]) -> bool:
    """True if one of the texts has a keyword."""
    for text in texts:
        lower = re.sub("[A-Z]", lambda letter: letter.group().lower(), text)
        tokens = set(re.findall("[0-9a-z_]+", lower))
        if tokens & set(keywords.words) or any(part in lower for part in keywords.parts):
            return True
    return False
