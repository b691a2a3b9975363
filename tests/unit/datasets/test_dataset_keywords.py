"""Keyword rules: words, parts, lines, how many signals it takes; the same in Python and SQL."""

import re

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from erase_ray.datasets import _rules_goodreads, _rules_movielens
from erase_ray.datasets._keywords import Keywords, Rule, categories_sql, signals_sql

WORDS = Keywords(words=("war", "die", "IPA"), parts=("bomb", "mental health"), lines=("Film-Noir",))
RULE = Rule(
    {"title": WORDS, "genres": Keywords(lines=("Horror", "Crime"))},
    min_signals=2,
)
FILMS = _rules_movielens.RULES


def in_sql(expression: str, **columns: list[str | None]) -> list[bool]:
    """The values of an expression over a table of texts."""
    with duckdb.connect() as db:
        db.register("texts", pa.table({k: pa.array(v, pa.string()) for k, v in columns.items()}))
        return [row[0] for row in db.execute(f"SELECT {expression} FROM texts").fetchall()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("War Games", True),
        ("The WAR", True),
        ("Die! Die! Die!", True),
        ("Die Ärzte", True),
        ("dieÄ", True),  # Ä is no word character of ASCII
        ("Edward", False),
        ("Warlock", False),
        ("Diesel", False),
        ("die_hard", False),
        ("die2", False),
        ("ipa", True),
        ("Bombay", True),
        ("A-BOMB", True),
        ("Mental Health", True),
        ("Mental  Health", False),
        ("mental\nhealth", False),
        ("film-noir", True),
        ("Drama\nFilm-Noir\nWestern", True),
        ("Neo Film-Noir", False),
        ("Film-Noir\r\n", False),
        ("wa\u0280", False),
        ("d\u0131e", False),  # dotless i, which Python takes for an i
        ("dİe", False),
        ("", False),
        (None, False),
    ],
)
def test_words_are_whole_and_parts_are_not(text, expected):
    assert WORDS.matches([text]).tolist() == [expected]
    assert in_sql(WORDS.sql("t"), t=[text]) == [expected]


def test_letters_that_fold_to_ascii_in_unicode_are_not_ascii():
    kill = Keywords(parts=("kiss",))
    texts = ["\u212aiss", "kis\u017f", "KISS"]  # Kelvin sign, long s
    assert kill.matches(texts).tolist() == [False, False, True]
    assert in_sql(kill.sql("t"), t=texts) == [False, False, True]


def test_signs_in_keywords_are_no_operators():
    signs = Keywords(parts=("it's (a|b) .*", "100%"))
    texts = ["It's (A|B) .*", "its a", "100%", "1000"]
    assert signs.matches(texts).tolist() == [True, False, True, False]
    assert in_sql(signs.sql("t"), t=texts) == [True, False, True, False]


def test_keywords_without_a_word_are_a_bug():
    with pytest.raises(AssertionError, match="nothing to look for"):
        Keywords()


def test_word_and_part_in_one_field_are_one_signal():
    texts = {"title": ["War and Bombs", "War", "Peace"], "genres": ["Drama", "horror", "Horror"]}
    assert RULE.matches(texts).tolist() == [False, True, False]
    columns = {"title": "title", "genres": "genres"}
    assert in_sql(signals_sql(RULE, columns), **texts) == [False, True, False]


def test_two_lines_of_one_field_are_one_signal():
    texts = {"title": ["Peace"], "genres": ["Horror\nCrime"]}
    assert RULE.matches(texts).tolist() == [False]
    assert in_sql(signals_sql(RULE, {"title": "title", "genres": "genres"}), **texts) == [False]


def test_a_field_that_is_not_given_gives_no_signal():
    assert RULE.matches({"title": ["War"]}).tolist() == [False]
    assert in_sql(signals_sql(RULE, {"title": "title"}), title=["War"]) == [False]
    assert signals_sql(RULE, {"tags": "tags"}) == "false"


def test_null_in_one_field_leaves_the_others():
    texts = {"title": [None, "War"], "genres": ["Horror", "Crime"]}
    assert in_sql(signals_sql(RULE, {"title": "title", "genres": "genres"}), **texts) == [
        False,
        True,
    ]


def test_one_column_a_category():
    rules = {"war": Rule({"title": WORDS}), "none": Rule({"tags": WORDS})}
    with duckdb.connect() as db:
        sql = f"SELECT {categories_sql(rules, {'title': 'title'})} FROM (SELECT 'War' AS title)"
        assert db.execute(sql).fetchdf().to_dict("records") == [{"war": True, "none": False}]


@pytest.mark.parametrize(
    ("category", "title", "genres", "tags", "expected"),
    [
        ("health", "Asylum Seekers", "", "", True),
        ("health", "Depressions", "", "", False),
        ("health", "Peace", "", "funny\nPsychological thriller", True),
        ("violence", "Begun", "War", "", False),
        ("violence", "Begun", "War", "edward norton", True),
        ("violence", "Begun", "", "gory\nbloody", False),
        ("violence", "Crimes of Passion", "Thriller", "", True),
        ("violence", "Crimes of Passion", "Drama", "", False),
        ("violence", "War", "Anti-War", "", False),
        ("extreme_violence", "Jigsaw", "Horror", "", True),
        ("extreme_violence", "Jigsaw", "Thriller", "", False),
        ("explicit", "Sexual Life of the Belgians, The", "Comedy", "", True),
        ("explicit", "Essex", "", "", False),
        ("explicit", "Peace", "", "NSFW", True),
    ],
)
def test_categories_of_films(category, title, genres, tags, expected):
    texts = {"title": [title], "genres": [genres], "tags": [tags]}
    assert FILMS[category].matches(texts).tolist() == [expected]
    columns = {name: name for name in texts}
    assert in_sql(signals_sql(FILMS[category], columns), **texts) == [expected]


KEYWORDS = [
    words
    for module in (_rules_movielens, _rules_goodreads)
    for rule in module.RULES.values()
    for words in rule.fields.values()
]
PIECES = sorted({w for k in KEYWORDS for w in (*k.words, *k.parts, *k.lines)})


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.lists(
            st.one_of(
                st.sampled_from(PIECES),
                st.sampled_from([p.upper() for p in PIECES]),
                st.sampled_from([" ", "\n", "-", "_", "s", "Ä", "9", "'", "\u212a", "\u0131"]),
                st.text(st.characters(exclude_categories=["Cs"]), max_size=3),
            ),
            max_size=4,
        ).map("".join),
        min_size=1,
        max_size=20,
    )
)
def test_python_and_duckdb_agree_on_any_text(texts):
    in_python = zip(*(words.matches(texts).tolist() for words in KEYWORDS), strict=True)
    together = ", ".join(words.sql("t") for words in KEYWORDS)
    assert [list(row) for row in in_python] == in_sql(f"[{together}]", t=texts)


def test_pattern_is_the_obvious_one_on_plain_text():
    rng = np.random.default_rng(3)
    texts = [" ".join(rng.choice([*PIECES, "a", "edward", "begun"], 2)) for _ in range(300)]
    for words in KEYWORDS:
        obvious = [
            any(re.search(rf"(?<!\w){re.escape(w)}(?!\w)", t, re.I) for w in words.words)
            or any(part in t for part in words.parts)
            or t in [line.lower() for line in words.lines]
            for t in (t.lower() for t in texts)
        ]
        assert words.matches(texts).tolist() == obvious
