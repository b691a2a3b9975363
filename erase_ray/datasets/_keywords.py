r"""Sensitive items by keyword: signals counted per item, the same in Python and in DuckDB.

A text field with several values (tags, genres, shelves) is one text with a value a line, see
``SEPARATOR``; no keyword holds a line break, so nothing is found across two values.

Case is ignored for the letters A to Z, and ``\b`` knows only the word characters ``[0-9A-Za-z_]``.
Patterns spell the case out (``[kK]``) because the two engines fold other letters differently: with
their own switch RE2 lets the Kelvin sign pass for a k, and Python a dotless i for an i.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from erase_ray.datasets._parse import quoted

SEPARATOR = "\n"
"""Between the values of a field that has several."""


@dataclass(frozen=True)
class Keywords:
    """What to look for in one field; one hit is enough.

    Args:
        words: Matched as whole words.
        parts: Matched anywhere.
        lines: Matched as whole values of the field.
    """

    words: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        assert self.words or self.parts or self.lines, "there is nothing to look for"

    @property
    def pattern(self) -> str:
        """A regular expression that means the same to RE2 and to `re` with ``re.ASCII``."""
        words = [rf"\b{_any_case(word)}\b" for word in self.words]
        lines = [f"(?m:^{_any_case(line)}$)" for line in self.lines]
        return "|".join([*words, *map(_any_case, self.parts), *lines])

    def matches(self, texts: Iterable[str | None]) -> np.ndarray:
        """True where a text has a hit, shape ``(T,)``; None has none."""
        search = re.compile(self.pattern, re.ASCII).search
        return np.array([text is not None and bool(search(text)) for text in texts], bool)

    def sql(self, text: str) -> str:
        """The same as a DuckDB expression that is never NULL.

        Args:
            text: An SQL expression for the text; NULL has no hit.
        """
        return f"coalesce(regexp_matches({text}, {quoted(self.pattern)}), false)"


@dataclass(frozen=True)
class Rule:
    """What makes an item belong to a category.

    Args:
        fields: What to look for in each field; a field with a hit is one signal, however many
            hits it has.
        min_signals: Number of signals that it takes.
    """

    fields: Mapping[str, Keywords]
    min_signals: int = 1

    def matches(self, texts: Mapping[str, Iterable[str | None]]) -> np.ndarray:
        """True for the items that belong, shape ``(M,)``.

        Args:
            texts: Text of each item by field, at least one field of the rule; a field that is not
                given gives no signal.
        """
        hits_FM = [
            words.matches(texts[name]) for name, words in self.fields.items() if name in texts
        ]
        return np.sum(hits_FM, axis=0) >= self.min_signals


def signals_sql(rule: Rule, columns: Mapping[str, str]) -> str:
    """A rule as a DuckDB expression that is true or false, never NULL.

    Args:
        rule: The rule.
        columns: The SQL expression of each text field by the rule's name for it, such as
            ``{"title": "title", "tags": "string_agg(tag, chr(10))"}``; a field that is not given
            gives no signal.
    """
    hits = [words.sql(columns[name]) for name, words in rule.fields.items() if name in columns]
    if not hits:
        return "false"
    return f"({' + '.join(f'{hit}::INTEGER' for hit in hits)}) >= {rule.min_signals}"


def categories_sql(rules: Mapping[str, Rule], columns: Mapping[str, str]) -> str:
    """The part of a SELECT that has one boolean column a rule, called like its category."""
    named = [f'{signals_sql(rule, columns)} AS "{name}"' for name, rule in rules.items()]
    return ", ".join(named)


def _any_case(text: str) -> str:
    return "".join(
        f"[{letter.lower()}{letter.upper()}]"
        if letter.isascii() and letter.isalpha()
        else re.escape(letter)
        for letter in text
    )
