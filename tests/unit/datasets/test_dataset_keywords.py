"""Keyword rules: words, parts, and how many signals it takes."""

import pytest

from erase_ray.datasets._keywords import RULES, Rule

RULE = Rule(words=("war", "die"), parts=("bomb", "mental health"), genres=("Horror",))


def matches(rule: Rule, title: str, *genres: str) -> bool:
    return bool(rule.matches([title], [genres])[0])


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("War Games", True),
        ("The WAR", True),
        ("Die! Die! Die!", True),
        ("Edward", False),
        ("Warlock", False),
        ("Diesel", False),
        ("Bombay", True),
        ("A-BOMB", True),
        ("Mental Health", True),
        ("Mental  Health", False),
        ("", False),
    ],
)
def test_words_are_whole_and_parts_are_not(title, expected):
    assert matches(RULE, title) is expected


def test_word_and_part_in_one_title_are_one_signal():
    rule = Rule(words=("war",), parts=("bomb",), genres=("Horror",), min_signals=2)
    assert not matches(rule, "War and Bombs")
    assert not matches(rule, "Peace", "Horror")
    assert matches(rule, "War", "Drama", "horror")


def test_two_genres_are_one_signal():
    rule = Rule(words=("war",), parts=(), genres=("Horror", "Crime"), min_signals=2)
    assert not matches(rule, "Peace", "Horror", "Crime")


@pytest.mark.parametrize(
    ("category", "title", "genres", "expected"),
    [
        ("health", "Asylum Seekers", (), True),
        ("health", "Depressions", (), False),
        ("violence", "Begun", ("War",), False),
        ("violence", "Crimes of Passion", ("Thriller",), True),
        ("violence", "Crimes of Passion", ("Drama",), False),
        ("extreme_violence", "Jigsaw", ("Horror",), True),
        ("extreme_violence", "Jigsaw", ("Thriller",), False),
        ("explicit", "Sexual Life of the Belgians, The", ("Comedy",), True),
        ("explicit", "Essex", (), False),
    ],
)
def test_categories(category, title, genres, expected):
    assert matches(RULES[category], title, *genres) is expected
