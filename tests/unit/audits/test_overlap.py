"""Rank-biased overlap against published values and by hand."""

import numpy as np
import pytest

from erase_ray.audits._overlap import rank_biased_overlap

ALPHABET = "abcdefghijklmnopqrstuvwxyz"
PUBLISHED = [
    # of the programme that came with the paper, which prints six digits
    (ALPHABET, "akdwcjomxrubqitenhspyl", 0.1, 0.948509),
    (ALPHABET, "av", 0.2, 0.900000),
    (ALPHABET, "bcflzvq", 0.2, 0.105201),
    (ALPHABET, "afdqwtvehcpubinloygrs", 0.4, 0.782330),
    (ALPHABET, "karfvodcjmwgzlypebunq", 0.9, 0.468431),
    (ALPHABET, "zclx", 0.9, 0.233312),
    # of the package rbo 0.1.3, which is written from the paper as well; lists of its figure 5
    ("abcdefg", "zcavwxy", 0.9, 0.28821728571428573),
    ("cadobif", "aceg", 0.9, 0.5085),
    ("cadobif", "aceg", 0.98, 0.5030013333333334),
]


def overlap(one: str, other: str, p: float = 0.9) -> float:
    width = max(len(one), len(other), 1)
    ids = [[*map(ord, text), *[-1] * (width - len(text))] for text in (one, other)]
    return float(rank_biased_overlap(*(np.array([row]) for row in ids), p=p)[0])


@pytest.mark.parametrize(("one", "other", "p", "expected"), PUBLISHED)
def test_published_values(one, other, p, expected):
    assert overlap(one, other, p) == pytest.approx(expected, abs=5.1e-7)
    assert overlap(other, one, p) == overlap(one, other, p)


def test_by_hand():
    """Agreements 0, 1 and 2/3: (1 - p)(0 + 1 p + 2/3 p^2) + 2/3 p^3 at p = 0.5."""
    assert overlap("abc", "bax", 0.5) == pytest.approx(0.5 * (0.5 + 1 / 6) + 2 / 24)


def test_same_lists_disjoint_lists_and_empty_ones():
    assert overlap("abcdef", "abcdef") == pytest.approx(1, abs=1e-12)
    assert overlap("abc", "xyz") == 0
    assert overlap("abc", "") == 0
    assert np.isnan(overlap("", ""))


def test_the_top_weighs_more():
    assert overlap("abcdefgh", "bacdefgh") < overlap("abcdefgh", "abcdefhg")


def test_many_lists_at_once_are_each_alone():
    draws = np.random.default_rng(0)
    one, other = (np.stack([draws.permutation(30)[:20] for _ in range(50)]) for _ in range(2))
    one[::3, 15:] = -1
    together = rank_biased_overlap(one, other, 0.9)
    alone = [rank_biased_overlap(one[[q]], other[[q]], 0.9)[0] for q in range(50)]
    assert together.tolist() == alone
