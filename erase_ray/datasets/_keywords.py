"""Sensitive films by keyword: signals counted per film."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Rule:
    """What makes a film belong to a category; case is ignored everywhere.

    A film gives one signal if its title holds one of ``words`` as a whole word or one of ``parts``
    anywhere, and one if it has one of ``genres``. It belongs with ``min_signals`` of them.

    Args:
        words: Matched as whole words of the title.
        parts: Matched anywhere in the title.
        genres: Matched as whole genres.
        min_signals: Number of different signals that it takes.
    """

    words: tuple[str, ...]
    parts: tuple[str, ...]
    genres: tuple[str, ...] = ()
    min_signals: int = 1

    def matches(self, titles: Iterable[str], genres: Iterable[tuple[str, ...]]) -> np.ndarray:
        """True for the films that belong, shape ``(F,)``.

        Args:
            titles: Title of each film.
            genres: Genres of each film.
        """
        pattern = re.compile(_either(self.words, self.parts), re.IGNORECASE)
        wanted = {genre.lower() for genre in self.genres}
        in_title = np.array([bool(pattern.search(title)) for title in titles], int)
        in_genre = np.array([any(g.lower() in wanted for g in names) for names in genres], int)
        return in_title + in_genre >= self.min_signals


RULES = {
    "health": Rule(
        words=("suicide", "depression", "ptsd", "schizophrenia"),
        parts=(
            "mental health",
            "mental illness",
            "psychiatric",
            "psychiatrist",
            "bipolar",
            "self harm",
            "self-harm",
            "overdose",
            "addiction",
            "rehab",
            "insanity",
            "insane",
            "asylum",
            "institutionalized",
            "psychosis",
            "psychotic",
            "mental hospital",
            "mental institution",
        ),
    ),
    "violence": Rule(
        words=("kill", "murder", "death", "blood", "gun", "weapon", "war", "fight"),
        parts=(
            "violence",
            "violent",
            "brutal",
            "torture",
            "massacre",
            "slaughter",
            "revenge",
            "attack",
            "shoot",
            "assassin",
            "gangster",
            "mafia",
            "criminal",
            "crime",
            "homicide",
            "execution",
            "terrorist",
            "battle",
            "combat",
            "warfare",
            "destruction",
            "explosion",
            "bomb",
            "hostage",
        ),
        genres=("Horror", "Thriller", "War", "Crime"),
        min_signals=2,
    ),
    "extreme_violence": Rule(
        words=("torture", "massacre", "slaughter", "execution", "homicide"),
        parts=(
            "extreme violence",
            "graphic violence",
            "brutal murder",
            "serial killer",
            "psychopath",
            "sadistic",
            "gore",
            "cannibal",
            "saw",
            "hostel",
            "torture porn",
            "snuff",
            "beheading",
            "dismemberment",
        ),
        genres=("Horror",),
        min_signals=2,
    ),
    "explicit": Rule(
        words=("sex", "nude", "erotic", "porn"),
        parts=(
            "explicit",
            "adult",
            "mature",
            "sexual",
            "xxx",
            "nsfw",
            "uncensored",
            "erotic",
            "sensual",
            "nudity",
        ),
    ),
}
"""The rules for MovieLens as far as title and genre allow; user tags, a third signal, are not in
the small releases."""


def _either(words: tuple[str, ...], parts: tuple[str, ...]) -> str:
    whole = [rf"\b{re.escape(word)}\b" for word in words]
    return "|".join([*whole, *map(re.escape, parts)])
